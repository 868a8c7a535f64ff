package cmd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

const flowOfVolumes = `jtype: Flow
with: {name: shop}
executors:
  - name: encoder
    uses: docker://registry.example/enc:1
    volumes: [/data, /cache]
  - name: indexer
    uses: docker://registry.example/idx:1
    shards: 2
    uses_after: docker://registry.example/merge:1
    volumes: [/index]
  - name: ranker
    external: true
    host: ranker.example:443
    tls: true
`

// claimsIn are the claims of a namespace, each with the storage class and whose data it has.
func claimsIn(t *testing.T, typed kubernetes.Interface, ns string) []string {
	t.Helper()
	list, err := typed.CoreV1().PersistentVolumeClaims(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "jina.ai/flow=shop"})
	if err != nil {
		t.Fatal(err)
	}
	var claims []string
	for _, c := range list.Items {
		claims = append(claims, fmt.Sprintf("%s %s %s %s", c.Name, *c.Spec.StorageClassName, c.Labels["jina.ai/executor"], c.Labels["jina.ai/shard"]))
	}
	slices.Sort(claims)
	return claims
}

func TestStatefulSetOfVolumesComesUpAndKeepsItsClaims(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	t.Setenv("JINA_K8S_STORAGE_CLASS_NAME", "simulated")
	t.Setenv("JINA_K8S_STORAGE_CAPACITY", "1024Mi") // which the API server writes as 1Gi
	up := append([]string{"up", "-f", flowFileIn(t, flowOfVolumes)}, at...)
	must(t, codeOK, up...)

	want := []string{
		"encoder-volume-1-encoder-0 simulated encoder ", "encoder-volume-encoder-0 simulated encoder ",
		"indexer-0-volume-indexer-0-0 simulated indexer 0", "indexer-1-volume-indexer-1-0 simulated indexer 1",
	}
	if got := claimsIn(t, typed, ns); !slices.Equal(got, want) {
		t.Errorf("claims are %q", got)
	}
	if head := deployment(t, typed, ns, "indexer-head"); len(head.Spec.Template.Spec.Containers) != 2 {
		t.Errorf("the head has %d containers", len(head.Spec.Template.Spec.Containers))
	}
	status := must(t, codeOK, append([]string{"status", "--exit-code"}, at...)...)
	for _, text := range []string{"healthy, 5 of 5 workloads ready", "ranker", "external"} {
		if !strings.Contains(status.out, text) {
			t.Errorf("status does not say %q:\n%s", text, status.out)
		}
	}

	must(t, codeOK, append([]string{"scale", "encoder", "--replicas", "2"}, at...)...)
	asked := func() []testcluster.Event {
		return c.AuditEvents(t, func(e testcluster.Event) bool {
			return e.Namespace == ns && strings.HasPrefix(e.UserAgent, "kubectl-jina/") && (e.Persisted() || e.Verb == "patch")
		})
	}
	before := len(asked())
	must(t, codeOK, up...)
	if again := asked()[before:]; len(again) > 0 {
		t.Errorf("up of an unchanged Flow asked about or wrote: %v", again)
	}
	set, err := typed.AppsV1().StatefulSets(ns).Get(t.Context(), "encoder", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if set.Status.ReadyReplicas != 2 || *set.Spec.Replicas != 2 {
		t.Errorf("%d of %d replicas are ready", set.Status.ReadyReplicas, *set.Spec.Replicas)
	}

	must(t, codeOK, append([]string{"down", "--yes"}, at...)...)
	want = append(want, "encoder-volume-1-encoder-1 simulated encoder ", "encoder-volume-encoder-1 simulated encoder ")
	slices.Sort(want)
	if got := claimsIn(t, typed, ns); !slices.Equal(got, want) {
		t.Errorf("after down the claims are %q, not %q", got, want)
	}
}
