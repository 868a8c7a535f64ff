package cmd

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// replicasIn are the replicas of the Deployments of a namespace, sorted by name.
func replicasIn(t *testing.T, typed kubernetes.Interface, ns string) string {
	t.Helper()
	list, err := typed.AppsV1().Deployments(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, d := range list.Items {
		texts = append(texts, fmt.Sprintf("%s:%d", d.Name, *d.Spec.Replicas))
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

func wantReplicas(t *testing.T, typed kubernetes.Interface, ns, want string) {
	t.Helper()
	if got := replicasIn(t, typed, ns); got != want {
		t.Errorf("replicas are\n%s, want\n%s", got, want)
	}
}

// runningPods counts the pods of a namespace.
func runningPods(t *testing.T, typed kubernetes.Interface, ns string) int {
	t.Helper()
	list, err := typed.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

// pauseRecord is the record of the pause, and who owns it; "" for none.
func pauseRecord(t *testing.T, typed kubernetes.Interface, ns string) (text, owners string) {
	t.Helper()
	parent, err := typed.CoreV1().ConfigMaps(ns).Get(t.Context(), "jina-shop", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return parent.Annotations["jina.ai/paused"], strings.Join(writers(parent.ManagedFields, "f:jina.ai/paused"), " ")
}

func TestPausedFlowComesBackWithItsReplicas(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	up := append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)
	must(t, codeOK, up...)
	must(t, codeOK, append([]string{"scale", "gateway", "--replicas", "3"}, at...)...)
	must(t, codeOK, append([]string{"scale", "indexer/head", "--replicas", "0"}, at...)...)
	const running = "encoder:2 gateway:3 indexer-0:1 indexer-1:1 indexer-head:0"
	wantReplicas(t, typed, ns, running)

	r := must(t, codeOK, append([]string{"pause"}, at...)...)
	if want := fmt.Sprintf("Flow shop is paused in namespace %s: 4 workloads stopped\n  `kubectl jina resume --flow shop -n %s` starts it again with the replicas that it had\n", ns, ns); r.out != want {
		t.Errorf("pause prints\n%s", r.out)
	}
	if strings.Contains(r.errOut, "ready") || !strings.Contains(r.errOut, "encoder: stopped\n") || !strings.Contains(r.errOut, "5 of 5 workloads stopped\n") {
		t.Errorf("pause says\n%s", r.errOut)
	}
	wantReplicas(t, typed, ns, "encoder:0 gateway:0 indexer-0:0 indexer-1:0 indexer-head:0")
	if n := runningPods(t, typed, ns); n > 0 {
		t.Errorf("pause returned with %d pods", n)
	}
	record, owners := pauseRecord(t, typed, ns)
	if want := `{"Deployment/encoder":{"replicas":2,"file":"2"},"Deployment/gateway":{"replicas":3,"file":"1"},"Deployment/indexer-0":{"replicas":1,"file":"1"},` +
		`"Deployment/indexer-1":{"replicas":1,"file":"1"},"Deployment/indexer-head":{"replicas":0,"file":"1"}}`; record != want {
		t.Errorf("the record is\n%s", record)
	}
	if owners != "kubectl-jina-pause/Apply/" {
		t.Errorf("the record belongs to %q", owners)
	}

	if r := must(t, codeOK, append([]string{"pause"}, at...)...); !strings.HasPrefix(r.out, "Flow shop is paused already in namespace") || strings.Contains(r.errOut, "workload") {
		t.Errorf("pause of what is paused prints\n%s%s", r.out, r.errOut)
	}
	if again, _ := pauseRecord(t, typed, ns); again != record {
		t.Errorf("pause of what is paused has changed the record to\n%s", again)
	}

	r = must(t, codeOK, append([]string{"resume"}, at...)...)
	if !strings.HasPrefix(r.out, "Flow shop runs again in namespace") {
		t.Errorf("resume prints\n%s", r.out)
	}
	wantReplicas(t, typed, ns, running)
	for name, want := range map[string]int{"encoder": 2, "gateway": 3, "indexer-0": 1, "indexer-1": 1} {
		if n := readyPods(t, typed, ns, name); n != want {
			t.Errorf("resume returned with %d of %d replicas of %s ready", n, want, name)
		}
	}
	wantWriters(t, deployment(t, typed, ns, "gateway"), "f:replicas", "kubectl-jina-scale/Apply/scale")
	wantWriters(t, deployment(t, typed, ns, "encoder"), "f:replicas")
	if record, owners := pauseRecord(t, typed, ns); record != "" || owners != "" {
		t.Errorf("the record of the pause is still there: %s, of %s", record, owners)
	}
	// What is as the file says becomes the file's again, what was scaled stays scale's.
	for range 2 {
		if r := must(t, codeOK, append([]string{"status"}, at...)...); !regexp.MustCompile(`encoder .* file `).MatchString(r.out) || !regexp.MustCompile(`gateway .* scale `).MatchString(r.out) {
			t.Errorf("status prints\n%s", r.out)
		}
		must(t, codeOK, up...)
		wantReplicas(t, typed, ns, running)
		wantWriters(t, deployment(t, typed, ns, "gateway"), "f:replicas", "kubectl-jina-scale/Apply/scale")
		wantWriters(t, deployment(t, typed, ns, "encoder"), "f:replicas", "kubectl-jina/Apply/")
	}
	must(t, codeOK, append([]string{"plan", "--exit-code"}, up[1:]...)...)
	if r := must(t, codeOK, append([]string{"resume"}, at...)...); !strings.Contains(r.out, "is not paused") {
		t.Errorf("resume of what runs prints\n%s", r.out)
	}
}

func TestUpOfAPausedFlowAppliesAndStaysPaused(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, shopFlow)
	up := append([]string{"up", "-f", file}, at...)
	must(t, codeOK, up...)
	must(t, codeOK, append([]string{"pause"}, at...)...)
	for _, args := range [][]string{{"scale", "encoder", "--replicas", "1"}, {"restart", "encoder"}, {"restart", "--all"}} {
		mustWriteNothing(t, c, ns, codeError, []string{"the Flow shop is paused", "kubectl jina resume --flow shop -n " + ns}, append(args, at...)...)
	}

	// Unchanged, nothing is written; changed, all of it is applied, and nothing is started.
	stays := "Flow shop is applied in namespace " + ns + ", and stays paused: nothing of it runs; `kubectl jina resume --flow shop"
	before := len(wrote(t, c, ns))
	if r := must(t, codeOK, up...); !strings.HasPrefix(r.out, stays) {
		t.Errorf("up prints\n%s", r.out)
	}
	if events := wrote(t, c, ns)[before:]; len(events) > 0 {
		t.Errorf("up of an unchanged Flow wrote %v", events)
	}
	changed := strings.NewReplacer("replicas: 2", "replicas: 4", "enc:1", "enc:2", "  - name: indexer\n", "  - name: ranker\n    uses: docker://registry.example/rank:1\n    replicas: 2\n  - name: indexer\n").Replace(shopFlow)
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{nil, {"--reset-replicas"}, {"--wait=false"}} {
		if r := must(t, codeOK, append(up, more...)...); !strings.HasPrefix(r.out, stays) {
			t.Errorf("up prints\n%s", r.out)
		}
		wantReplicas(t, typed, ns, "encoder:0 gateway:0 indexer-0:0 indexer-1:0 indexer-head:0 ranker:0")
	}
	if image := deployment(t, typed, ns, "encoder").Spec.Template.Spec.Containers[0].Image; image != "registry.example/enc:2" {
		t.Errorf("the image is %s", image)
	}
	if n := runningPods(t, typed, ns); n > 0 {
		t.Errorf("%d pods of a paused Flow", n)
	}
	must(t, codeOK, append([]string{"plan", "-f", file, "--exit-code"}, at...)...)

	r := must(t, codeOK, append([]string{"resume"}, at...)...)
	wantReplicas(t, typed, ns, "encoder:4 gateway:1 indexer-0:1 indexer-1:1 indexer-head:1 ranker:2")
	if !strings.Contains(r.errOut, "encoder gets 4 replicas") || !strings.Contains(r.errOut, "ranker gets 2 replicas") {
		t.Errorf("resume says\n%s", r.errOut)
	}
	must(t, codeOK, up...)
	must(t, codeOK, append([]string{"plan", "-f", file, "--exit-code"}, at...)...)
	wantReplicas(t, typed, ns, "encoder:4 gateway:1 indexer-0:1 indexer-1:1 indexer-head:1 ranker:2")

	// What the file no longer has is deleted: nothing that runs calls it. An autoscaler that comes meanwhile takes over from resume.
	must(t, codeOK, append([]string{"pause"}, at...)...)
	if err := os.WriteFile(file, []byte(strings.Replace(shopFlow, "replicas: 2", "replicas: 4", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, codeOK, append(up, "--yes")...)
	wantReplicas(t, typed, ns, "encoder:0 gateway:0 indexer-0:0 indexer-1:0 indexer-head:0")
	autoscale(t, typed, ns, "encoder", 2, 3)
	if r := must(t, codeOK, append([]string{"resume"}, at...)...); !strings.Contains(r.errOut, "encoder is scaled by HorizontalPodAutoscaler/encoder-hpa from then on") {
		t.Errorf("resume says\n%s", r.errOut)
	}
	testcluster.Eventually(t, func() error {
		if got, want := replicasIn(t, typed, ns), "encoder:3 gateway:1 indexer-0:1 indexer-1:1 indexer-head:1"; got != want {
			return fmt.Errorf("replicas are %s, want %s", got, want)
		}
		return nil
	})
	if err := typed.AutoscalingV2().HorizontalPodAutoscalers(ns).Delete(t.Context(), "encoder-hpa", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}

	if r := must(t, codeOK, append([]string{"pause", "--wait=false"}, at...)...); strings.Contains(r.errOut, "waiting") {
		t.Errorf("pause --wait=false says\n%s", r.errOut)
	}
	must(t, codeOK, append([]string{"down", "--yes"}, at...)...)
	wantReplicas(t, typed, ns, "")
}

func TestPauseOfAnAutoscaledFlowIsRefused(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	autoscale(t, typed, ns, "encoder", 2, 7)
	mustWriteNothing(t, c, ns, codeConflict, []string{"encoder is scaled by HorizontalPodAutoscaler/encoder-hpa between 2 and 7 replicas", "nothing was changed"},
		append([]string{"pause"}, at...)...)
	if record, _ := pauseRecord(t, typed, ns); record != "" {
		t.Errorf("the record is %s", record)
	}
}

// TestInterruptedPauseGoesOn interrupts pause while the gateway's pods end, in which moment the executors still run.
func TestInterruptedPauseGoesOn(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	endAfter(t, typed, ns, "gateway", "1h")

	pause := begin(t, append([]string{"pause"}, at...)...)
	pause.says(t, "waiting for 1 pod to end: gateway (1)")
	wantReplicas(t, typed, ns, "encoder:2 gateway:0 indexer-0:1 indexer-1:1 indexer-head:1")
	before, _ := pauseRecord(t, typed, ns)
	pause.stop()
	pause.ends(t, codeInterrupted)
	endAfter(t, typed, ns, "gateway", "1ms")

	// Somebody scales one up in between: that is what it is to get back.
	_, err := typed.AppsV1().Deployments(ns).UpdateScale(t.Context(), "indexer-1", &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: "indexer-1", Namespace: ns}, Spec: autoscalingv1.ScaleSpec{Replicas: 3},
	}, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	must(t, codeOK, append([]string{"pause"}, at...)...)
	wantReplicas(t, typed, ns, "encoder:0 gateway:0 indexer-0:0 indexer-1:0 indexer-head:0")
	after, _ := pauseRecord(t, typed, ns)
	if want := strings.Replace(before, `"Deployment/indexer-1":{"replicas":1`, `"Deployment/indexer-1":{"replicas":3`, 1); after != want || before == after {
		t.Errorf("the record is\n%s, want\n%s", after, want)
	}

	// A resume that ends before all is started leaves the record.
	ctx, cancel := context.WithCancel(t.Context())
	resumed := make(chan result, 1)
	go func() { resumed <- run(ctx, append([]string{"resume"}, at...)...) }()
	testcluster.Eventually(t, func() error {
		if d := deployment(t, typed, ns, "encoder"); *d.Spec.Replicas == 0 {
			return fmt.Errorf("encoder is not started yet")
		}
		return nil
	})
	cancel()
	<-resumed
	must(t, codeOK, append([]string{"resume"}, at...)...)
	// The first may have been through with its writing, so that the second had nothing to wait for.
	testcluster.Eventually(t, func() error {
		if r := run(t.Context(), append([]string{"status", "--exit-code"}, at...)...); r.code != codeOK {
			return fmt.Errorf("exit code %d\n%s", r.code, r.out)
		}
		return nil
	})
	wantReplicas(t, typed, ns, "encoder:2 gateway:1 indexer-0:1 indexer-1:3 indexer-head:1")
}

// TestRecordThatSomebodyHasRestoredEndsWithThePause writes the record as somebody does who repairs it by hand: it is theirs then.
func TestRecordThatSomebodyHasRestoredEndsWithThePause(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	must(t, codeOK, append([]string{"pause"}, at...)...)
	annotate := func(text string) {
		patch := []byte(fmt.Sprintf(`{"metadata":{"annotations":{"jina.ai/paused":%q}}}`, text))
		if _, err := typed.CoreV1().ConfigMaps(ns).Patch(t.Context(), "jina-shop", types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-annotate"}); err != nil {
			t.Fatal(err)
		}
	}
	record, _ := pauseRecord(t, typed, ns)
	annotate("lost")
	if r := must(t, codeError, append([]string{"resume"}, at...)...); !strings.Contains(r.errOut, "annotation jina.ai/paused, the replicas from before the pause, cannot be read") {
		t.Errorf("resume without a record says\n%s", r.errOut)
	}
	annotate(strings.Replace(record, `"Deployment/gateway":{"replicas":1`, `"Deployment/gateway":{"replicas":2`, 1))
	must(t, codeOK, append([]string{"resume"}, at...)...)
	if record, owners := pauseRecord(t, typed, ns); record != "" || owners != "" {
		t.Errorf("the record of the pause is still there: %s, of %s", record, owners)
	}
	wantReplicas(t, typed, ns, "encoder:2 gateway:2 indexer-0:1 indexer-1:1 indexer-head:1")
}

// TestPauseAndResumeWaitForAnotherRun has another run that holds the Flow's Lease for a while.
func TestPauseAndResumeWaitForAnotherRun(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	must(t, codeOK, append([]string{"pause"}, at...)...)
	leases := typed.CoordinationV1().Leases(ns)
	lease, err := leases.Get(t.Context(), "jina-shop", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	holder, seconds, now := "up by a\x1b[31mnn_1", int32(3600), metav1.NowMicro()
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.AcquireTime, lease.Spec.RenewTime = &holder, &seconds, &now, &now
	if _, err := leases.Update(t.Context(), lease, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	r := must(t, codeTimeout, append([]string{"pause", "--timeout", "2s"}, at...)...)
	if !strings.Contains(r.errOut, "waiting for up by ann to end") || !strings.Contains(r.errOut, "is being changed by up by ann, since") || strings.Contains(r.errOut, "\x1b") {
		t.Errorf("pause says\n%q", r.errOut)
	}

	// The other run starts the Flow meanwhile: nothing is left to do but to wait for it.
	resume := begin(t, append([]string{"resume"}, at...)...)
	resume.says(t, "waiting for up by ann to end")
	patch := []byte(`{"metadata":{"annotations":{"jina.ai/paused":null}}}`)
	if _, err := typed.CoreV1().ConfigMaps(ns).Patch(t.Context(), "jina-shop", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := leases.Delete(t.Context(), "jina-shop", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	resume.ends(t, codeOK)
	if !strings.Contains(resume.printed.String(), "5 of 5 workloads") {
		t.Errorf("resume did not wait:\n%s", resume.printed)
	}
}
