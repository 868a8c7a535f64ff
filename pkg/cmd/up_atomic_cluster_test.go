package cmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// noMorePods lets no other pods be made than there are.
func noMorePods(t *testing.T, typed kubernetes.Interface, ns string) {
	t.Helper()
	pods, err := typed.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "no-more-pods"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
		corev1.ResourcePods: *resource.NewQuantity(int64(len(pods.Items)), resource.DecimalSI),
	}}}
	if _, err := typed.CoreV1().ResourceQuotas(ns).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, func() error {
		q, err := typed.CoreV1().ResourceQuotas(ns).Get(t.Context(), quota.Name, metav1.GetOptions{})
		if err == nil && q.Status.Used.Pods().Value() != int64(len(pods.Items)) {
			err = fmt.Errorf("the quota counts %v", q.Status.Used)
		}
		return err
	})
}

// inOrder fails unless the texts come in this order.
func inOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Fatalf("%q is not there, or not in the order of %q:\n%s", part, parts, text)
		}
		rest = after
	}
}

// parentAnnotations are the record of the Flow.
func parentAnnotations(t *testing.T, typed kubernetes.Interface, ns string) map[string]string {
	t.Helper()
	parent, err := typed.CoreV1().ConfigMaps(ns).Get(t.Context(), "jina-shop", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return parent.Annotations
}

const grownFlow = `jtype: Flow
with: {name: shop}
executors:
  - name: encoder
    uses: docker://registry.example/enc:2
    replicas: 2
  - name: extra
    uses: docker://registry.example/extra:1
  - name: indexer
    uses: docker://registry.example/idx:1
    shards: 2
`

// TestAtomicUpGoesBackFromWhatDoesNotComeUp has a new revision whose pods cannot be made.
func TestAtomicUpGoesBackFromWhatDoesNotComeUp(t *testing.T) {
	for name, tc := range map[string]struct {
		code  int
		flags []string
	}{
		"timed out": {codeTimeout, []string{"--fail-fast", "never", "--timeout", "4s"}},
		"failed":    {codeRollout, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, typed, ns, at := clusterForTest(t)
			file := flowFileIn(t, shopFlow)
			up := append([]string{"up", "-f", file, "--mesh", "none"}, at...)
			must(t, codeOK, up...)
			before, record := deployment(t, typed, ns, "encoder"), parentAnnotations(t, typed, ns)
			noMorePods(t, typed, ns)
			if err := os.WriteFile(file, []byte(grownFlow), 0o600); err != nil {
				t.Fatal(err)
			}
			r := must(t, tc.code, append(append(up, "--atomic"), tc.flags...)...)
			inOrder(t, r.errOut, "applied Deployment/encoder", "going back to what was before", "restored Deployment/encoder", "deleted Deployment/extra",
				"error: ", "no-more-pods", "Went back (--atomic): Flow shop in namespace "+ns+" is as it was before this run, and ready.")
			if strings.Contains(r.errOut, "stays applied") {
				t.Errorf("it is said that what was applied stays:\n%s", r.errOut)
			}
			after := deployment(t, typed, ns, "encoder")
			if image := after.Spec.Template.Spec.Containers[0].Image; image != "registry.example/enc:1" || after.UID != before.UID || after.Status.AvailableReplicas != 2 {
				t.Errorf("the encoder runs %s, %d available", image, after.Status.AvailableReplicas)
			}
			if was, is := writers(before.ManagedFields, "f:image"), writers(after.ManagedFields, "f:image"); !slices.Equal(was, is) {
				t.Errorf("the image was owned by %q and is by %q", was, is)
			}
			if _, err := typed.CoreV1().Services(ns).Get(t.Context(), "extra", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("the Service of the new executor: %v", err)
			}
			if got := parentAnnotations(t, typed, ns); fmt.Sprint(got) != fmt.Sprint(record) {
				t.Errorf("the record was %v and is %v", record, got)
			}
			if err := os.WriteFile(file, []byte(shopFlow), 0o600); err != nil {
				t.Fatal(err)
			}
			must(t, codeOK, append([]string{"plan", "--exit-code", "-f", file}, at...)...)
		})
	}
}

// TestAtomicUpGoesBackFromWhatIsAppliedInPart has a quota that lets the first new Deployment be made, and not the second.
func TestAtomicUpGoesBackFromWhatIsAppliedInPart(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, shopFlow)
	up := append([]string{"up", "-f", file, "--mesh", "none"}, at...)
	must(t, codeOK, up...)
	const more = 1
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/deployments.apps": *resource.NewQuantity(5+more, resource.DecimalSI)}}}
	if _, err := typed.CoreV1().ResourceQuotas(ns).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, func() error {
		q, err := typed.CoreV1().ResourceQuotas(ns).Get(t.Context(), "few", metav1.GetOptions{})
		if used := q.Status.Used["count/deployments.apps"]; err == nil && used.Value() != 5 {
			err = fmt.Errorf("the quota counts %v", q.Status.Used)
		}
		return err
	})
	text := strings.Replace(grownFlow, "  - name: extra\n", "  - name: extra2\n    uses: docker://registry.example/extra:1\n  - name: extra\n", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := must(t, codeError, append(up, "--atomic")...)
	inOrder(t, r.errOut, "error: Deployment/extra", "exceeded quota: few", "Went back (--atomic): Flow shop")
	if strings.Contains(r.errOut, "run the same command again to go on") {
		t.Errorf("it is said how to go on from what is undone:\n%s", r.errOut)
	}
	if err := os.WriteFile(file, []byte(shopFlow), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, codeOK, append([]string{"plan", "--exit-code", "-f", file}, at...)...)
}

func TestAtomicUpGoesBackFromAFlowThatDoesNotAnswer(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, shopFlow)
	up := append([]string{"up", "-f", file, "--mesh", "none"}, at...)
	must(t, codeOK, up...)
	mute := []byte(`{"spec":{"template":{"metadata":{"annotations":{"sim.test/answers":"false"}}}}}`)
	if _, err := typed.AppsV1().Deployments(ns).Patch(t.Context(), "encoder", types.StrategicMergePatchType, mute, metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(shopFlow, "idx:1", "idx:2", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := must(t, codeRollout, append(up, "--atomic")...)
	inOrder(t, r.errOut, "error: ", "encoder", "Went back (--atomic): Flow shop in namespace "+ns+" is as it was before this run, and ready.")
	if image := deployment(t, typed, ns, "indexer-0").Spec.Template.Spec.Containers[0].Image; image != "registry.example/idx:1" {
		t.Errorf("the indexer runs %s", image)
	}
}

func TestAtomicUpOfANewFlowLeavesNothing(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	quota(t, typed, ns)
	r := must(t, codeTimeout, append([]string{"up", "-f", flowFileIn(t, shopFlow), "--mesh", "none", "--atomic", "--fail-fast", "never", "--timeout", "3s"}, at...)...)
	inOrder(t, r.errOut, "no-pods", "Went back (--atomic): Flow shop was new in namespace "+ns+", and all of it is deleted.")
	deployments, err := typed.AppsV1().Deployments(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(deployments.Items) > 0 {
		t.Errorf("%d Deployments are left, %v", len(deployments.Items), err)
	}
	configMaps, err := typed.CoreV1().ConfigMaps(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "jina.ai/flow"})
	if err != nil || len(configMaps.Items) > 0 {
		t.Errorf("%d ConfigMaps are left, %v", len(configMaps.Items), err)
	}
	must(t, codeError, append([]string{"status", "--flow", "shop"}, at...)...)
}

func TestAtomicUpThatIsInterruptedStaysWhereItIsAndSaysHowToGoBack(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, shopFlow)
	up := append([]string{"up", "-f", file, "--mesh", "none"}, at...)
	must(t, codeOK, up...)
	noMorePods(t, typed, ns)
	if err := os.WriteFile(file, []byte(grownFlow), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan result)
	go func() { done <- run(ctx, append(up, "--atomic")...) }()
	testcluster.Eventually(t, func() error {
		_, err := typed.AppsV1().Deployments(ns).Get(t.Context(), "extra", metav1.GetOptions{})
		return err
	})
	cancel()
	r := <-done
	if r.code != codeInterrupted || !strings.Contains(r.errOut, "--atomic does not go back when it is interrupted") {
		t.Errorf("exit code %d\n%s", r.code, r.errOut)
	}
	if err := os.WriteFile(file, []byte(shopFlow), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, codeOK, append(up, "--yes")...)
	if image := deployment(t, typed, ns, "encoder").Spec.Template.Spec.Containers[0].Image; image != "registry.example/enc:1" {
		t.Errorf("the encoder runs %s", image)
	}
}

// TestWayBackThatIsInterruptedSaysHowFarItCame interrupts it at the first object that is as it was.
func TestWayBackThatIsInterruptedSaysHowFarItCame(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, shopFlow)
	up := append([]string{"up", "-f", file, "--mesh", "none"}, at...)
	must(t, codeOK, up...)
	noMorePods(t, typed, ns)
	if err := os.WriteFile(file, []byte(grownFlow), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var errOut bytes.Buffer
	code := Main(ctx, append(up, "--atomic"), genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: writerFunc(func(p []byte) (int, error) {
		if strings.HasPrefix(string(p), "restored ") {
			cancel()
		}
		return errOut.Write(p)
	})})
	if code != codeInterrupted {
		t.Errorf("exit code %d", code)
	}
	inOrder(t, errOut.String(), "restored ", "error: ", "The way back (--atomic) was not completed: interrupted\n", "that this run was to change are as before it; what it has made is there", "Run up again")
	if _, err := typed.AppsV1().Deployments(ns).Get(t.Context(), "extra", metav1.GetOptions{}); err != nil {
		t.Errorf("what was new, and may be needed: %v", err)
	}
	if err := os.WriteFile(file, []byte(shopFlow), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, codeOK, append(up, "--yes")...)
	must(t, codeOK, append([]string{"plan", "--exit-code", "-f", file}, at...)...)
}

// eventsOf are the events that a command wrote, each as its schema says.
func eventsOf(t *testing.T, out string) []map[string]any {
	t.Helper()
	schema, _ := docSchema(t, "events.schema.json", "plan.schema.json")
	var events []map[string]any
	lines := bufio.NewScanner(strings.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e map[string]any
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		if err := schema.Validate(any(e)); err != nil {
			t.Errorf("%v\n%s", err, lines.Text())
		}
		events = append(events, e)
	}
	return events
}

// typesOf are the types of the events in their order, each once.
func typesOf(events []map[string]any) []string {
	var types []string
	for _, e := range events {
		if kind, _ := e["type"].(string); !slices.Contains(types, kind) {
			types = append(types, kind)
		}
	}
	return types
}

func TestEventsOfAnUpTellWhatHappens(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, grownFlow)
	up := append([]string{"up", "-f", file, "--mesh", "none", "-o", "jsonl"}, at...)
	r := must(t, codeOK, up...)
	if r.errOut != "" {
		t.Errorf("standard error has\n%s", r.errOut)
	}
	events := eventsOf(t, r.out)
	if got := typesOf(events); !slices.Equal(slices.DeleteFunc(got, func(kind string) bool { return kind == "message" || kind == "cause" }), []string{"check", "plan", "applied", "progress", "verify", "done"}) {
		t.Errorf("types %v", got)
	}
	if last := events[len(events)-1]; last["exitCode"] != 0.0 {
		t.Errorf("the last event is %v", last)
	}

	// Nobody can be asked.
	if err := os.WriteFile(file, []byte(shopFlow), 0o600); err != nil {
		t.Fatal(err)
	}
	refused := eventsOf(t, must(t, codeUsage, up...).out)
	if last := refused[len(refused)-1]; last["type"] != "failed" || last["exitCode"] != float64(codeUsage) {
		t.Errorf("the last event is %v", last)
	}
	if kept := must(t, codeOK, append(up, "--wait=false")...); kept.errOut != "" || !strings.Contains(kept.out, "not deleted: nothing is without a wait") {
		t.Errorf("standard error has\n%s\nand standard output\n%s", kept.errOut, kept.out)
	}
	if got := typesOf(eventsOf(t, must(t, codeOK, append(up, "--yes")...).out)); !slices.Contains(got, "pruned") {
		t.Errorf("types %v", got)
	}

	noMorePods(t, typed, ns)
	if err := os.WriteFile(file, []byte(grownFlow), 0o600); err != nil {
		t.Fatal(err)
	}
	r = must(t, codeRollout, append(up, "--atomic")...)
	events = eventsOf(t, r.out)
	got := typesOf(events)
	for _, want := range []string{"cause", "restored", "discarded", "failed"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s among %v", want, got)
		}
	}
	if !strings.HasPrefix(r.errOut, "error: the rollout failed") {
		t.Errorf("standard error has\n%s", r.errOut)
	}
}
