package cmd

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// podNames of a workload.
func podNames(t *testing.T, typed kubernetes.Interface, ns, app string) []string {
	t.Helper()
	var names []string
	for _, p := range podsOf(t, typed, ns, app) {
		if p.DeletionTimestamp == nil {
			names = append(names, p.Name)
		}
	}
	return names
}

func TestUpLeavesARestartAlone(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, shopFlow)
	up := append([]string{"up", "-f", file}, at...)
	must(t, codeOK, up...)
	before := podNames(t, typed, ns, "encoder")

	r := must(t, codeOK, append([]string{"restart", "encoder"}, at...)...)
	if r.out != "encoder restarted\n" {
		t.Errorf("restart prints\n%s", r.out)
	}
	d := deployment(t, typed, ns, "encoder")
	wantWriters(t, d, "f:kubectl.kubernetes.io/restartedAt", "kubectl-jina-restart/Apply/")
	wantWriters(t, d, "f:image", "kubectl-jina/Apply/")
	if n := readyPods(t, typed, ns, "encoder"); n != 2 {
		t.Errorf("restart returned with %d ready pods", n)
	}
	for _, name := range podNames(t, typed, ns, "encoder") {
		if slices.Contains(before, name) {
			t.Errorf("pod %s is an old one", name)
		}
	}

	writes := len(wrote(t, c, ns))
	must(t, codeOK, append([]string{"plan", "-f", file, "--exit-code"}, at...)...)
	must(t, codeOK, up...)
	if events := wrote(t, c, ns)[writes:]; len(events) > 0 {
		t.Errorf("up after a restart wrote %v", events)
	}
	restarted := d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"]
	if err := os.WriteFile(file, []byte(strings.Replace(shopFlow, "enc:1", "enc:2", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := must(t, codeOK, up...); strings.Contains(r.errOut, "restartedAt") {
		t.Errorf("the plan speaks of the restart:\n%s", r.errOut)
	}
	d = deployment(t, typed, ns, "encoder")
	wantWriters(t, d, "f:kubectl.kubernetes.io/restartedAt", "kubectl-jina-restart/Apply/")
	if got := d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"]; got != restarted || restarted == "" {
		t.Errorf("up has changed the restart from %q to %q", restarted, got)
	}

	// What kubectl rollout restart has written is taken over: it is the newer restart that counts.
	patch := []byte(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-01-01T00:00:00Z"}}}}}`)
	if _, err := typed.AppsV1().Deployments(ns).Patch(t.Context(), "encoder", types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-rollout"}); err != nil {
		t.Fatal(err)
	}
	must(t, codeOK, append([]string{"restart", "encoder"}, at...)...)
	wantWriters(t, deployment(t, typed, ns, "encoder"), "f:kubectl.kubernetes.io/restartedAt", "kubectl-jina-restart/Apply/")
}

func TestRestartOfAllTakesTheGatewayLast(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	must(t, codeOK, append([]string{"scale", "indexer/0", "--replicas", "0"}, at...)...)
	gateway, encoder := podNames(t, typed, ns, "gateway"), podNames(t, typed, ns, "encoder")
	patch := []byte(`{"spec":{"template":{"metadata":{"annotations":{"sim.test/ready-after":"1h"}}}}}`)
	if _, err := typed.AppsV1().Deployments(ns).Patch(t.Context(), "indexer-1", types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	before := len(wrote(t, c, ns))
	restart := begin(t, append([]string{"restart", "--all"}, at...)...)
	for _, text := range []string{"encoder restarted", "indexer/head restarted", "indexer/0 has no replicas: nothing to restart", "indexer/1 restarted"} {
		restart.says(t, text)
	}
	testcluster.Eventually(t, func() error {
		if now := podNames(t, typed, ns, "encoder"); slices.ContainsFunc(now, func(name string) bool { return slices.Contains(encoder, name) }) {
			return fmt.Errorf("pods %v are to be replaced, now %v", encoder, now)
		}
		return nil
	})
	if now := podNames(t, typed, ns, "gateway"); !slices.Equal(now, gateway) {
		t.Errorf("the gateway was restarted before all others were ready: %v, now %v", gateway, now)
	}
	ready := []byte(`{"metadata":{"annotations":{"sim.test/ready-after":"1ms"}}}`)
	for _, p := range podsOf(t, typed, ns, "indexer-1") {
		if _, err := typed.CoreV1().Pods(ns).Patch(t.Context(), p.Name, types.MergePatchType, ready, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	restart.ends(t, codeOK)
	if now := podNames(t, typed, ns, "gateway"); slices.Equal(now, gateway) {
		t.Error("the gateway was not restarted")
	}
	var patched []string
	for _, e := range wrote(t, c, ns)[before:] {
		patched = append(patched, e.Name)
	}
	if want := []string{"encoder", "indexer-head", "indexer-1", "gateway"}; !slices.Equal(patched, want) {
		t.Errorf("written: %v, want %v", patched, want)
	}
}

func TestRestartRefusesBeforeItWritesAnything(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	mustWriteNothing(t, c, ns, codeUsage, []string{`the Flow has no "gatewya"; did you mean gateway?`}, append([]string{"restart", "encoder", "gatewya"}, at...)...)
	if _, err := typed.AppsV1().Deployments(ns).Patch(t.Context(), "indexer-1", types.MergePatchType, []byte(`{"spec":{"paused":true}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	// What is being deleted is no part of the Flow any more.
	if _, err := typed.AppsV1().Deployments(ns).Patch(t.Context(), "indexer-0", types.MergePatchType, []byte(`{"metadata":{"finalizers":["sim.test/stay"]}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := typed.AppsV1().Deployments(ns).Delete(t.Context(), "indexer-0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	mustWriteNothing(t, c, ns, codeUsage, []string{`the Flow has no "indexer/0"`}, append([]string{"restart", "indexer/0"}, at...)...)
	if _, err := typed.AppsV1().Deployments(ns).Patch(t.Context(), "indexer-0", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	mustWriteNothing(t, c, ns, codeError, []string{"the rollouts of indexer/1 are halted", "kubectl rollout resume deployment.apps/indexer-1 -n " + ns},
		append([]string{"restart", "--all"}, at...)...)
}
