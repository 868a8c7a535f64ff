package cmd

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// everyProbe has a probe and a port of every kind, and times of its own.
const everyProbe = `
jtype: Flow
with: {timeout_send: 20000}
gateway: {protocol: [http, grpc, websocket]}
executors:
  - {name: first, uses: 'docker://registry.example/a:1', protocol: http, timeout_ready: 900000}
  - {name: second, uses: 'docker://registry.example/b:1', shards: 2, uses_before: 'docker://registry.example/c:1', uses_after: 'docker://registry.example/d:1'}
`

// TestUnchangedObjectsOfEveryKindNeedNoDryRun holds what is written to what the API server keeps: a value that it fills in, drops
// or writes differently would look like a change at each up.
func TestUnchangedObjectsOfEveryKindNeedNoDryRun(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	up := append([]string{"up", "-f", flowFileIn(t, everyProbe)}, at...)
	r := must(t, codeOK, up...)
	if want := "at most 22m35s"; !strings.Contains(r.errOut+r.out, want) { // 15 minutes to load, 5 seconds, 5 minutes, 150 seconds
		t.Errorf("up does not say that it waits %s:\n%s", want, r.errOut)
	}
	patches := func() []testcluster.Event {
		return c.AuditEvents(t, func(e testcluster.Event) bool {
			return e.Namespace == ns && strings.HasPrefix(e.UserAgent, "kubectl-jina/") && e.Verb == "patch"
		})
	}
	before := len(patches())
	must(t, codeOK, up...)
	if again := patches()[before:]; len(again) > 0 {
		t.Errorf("up of an unchanged Flow asked about: %v", again)
	}
	gateway := deployment(t, typed, ns, "gateway")
	if probe := gateway.Spec.Template.Spec.Containers[0].ReadinessProbe; probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != "/" {
		t.Errorf("the gateway's readiness probe is %v", probe)
	}
	service, err := typed.CoreV1().Services(ns).Get(t.Context(), "second-head", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if protocol := service.Spec.Ports[0].AppProtocol; protocol == nil || *protocol != "kubernetes.io/h2c" {
		t.Errorf("the head's Service speaks %v", protocol)
	}
}
