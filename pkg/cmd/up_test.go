package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

const shopFlow = `jtype: Flow
with: {name: shop}
executors:
  - name: encoder
    uses: docker://registry.example/enc:1
    replicas: 2
  - name: indexer
    uses: docker://registry.example/idx:1
    shards: 2
`

// result of running the command line in this process.
type result struct {
	code        int
	out, errOut string
}

func run(ctx context.Context, args ...string) result {
	var in, out, errOut bytes.Buffer
	code := Main(ctx, args, genericiooptions.IOStreams{In: &in, Out: &out, ErrOut: &errOut})
	return result{code, out.String(), errOut.String()}
}

// must run the command line and hold its exit code.
func must(t *testing.T, code int, args ...string) result {
	t.Helper()
	r := run(t.Context(), args...)
	if r.code != code {
		t.Fatalf("kubectl jina %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.out, r.errOut)
	}
	return r
}

// flowFileIn writes a Flow file for a test.
func flowFileIn(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flow.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// clusterForTest is the embedded cluster, a namespace, and the flags that lead there.
func clusterForTest(t *testing.T) (*testcluster.Cluster, kubernetes.Interface, string, []string) {
	t.Helper()
	c := testcluster.Start(t)
	typed, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	ns := c.Namespace(t)
	return c, typed, ns, []string{"--kubeconfig", c.Kubeconfig(), "-n", ns}
}

func deployment(t *testing.T, typed kubernetes.Interface, ns, name string) *appsv1.Deployment {
	t.Helper()
	d, err := typed.AppsV1().Deployments(ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// writers are the entries of managedFields, the status aside, that have a field, as manager/operation/subresource.
func writers(fields []metav1.ManagedFieldsEntry, field string) []string {
	var out []string
	for _, m := range fields {
		if m.Subresource != "status" && m.FieldsV1 != nil && strings.Contains(m.FieldsV1.GetRawString(), field) {
			out = append(out, strings.Join([]string{m.Manager, string(m.Operation), m.Subresource}, "/"))
		}
	}
	return out
}

func wantWriters(t *testing.T, d *appsv1.Deployment, field string, want ...string) {
	t.Helper()
	if got := writers(d.ManagedFields, field); !slices.Equal(got, want) {
		t.Errorf("%s: %s is owned by %q, want %q", d.Name, field, got, want)
	}
}

func TestScaledReplicasSurviveUp(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, shopFlow)
	up := append([]string{"up", "-f", file}, at...)

	must(t, codeOK, up...)
	d := deployment(t, typed, ns, "gateway")
	wantWriters(t, d, "f:replicas", "kubectl-jina/Apply/")
	wantWriters(t, d, "f:image", "kubectl-jina/Apply/")
	if n := readyPods(t, typed, ns, "gateway"); n != 1 {
		t.Errorf("up returned with %d pods ready", n)
	}

	must(t, codeOK, append([]string{"scale", "gateway", "--replicas", "3"}, at...)...)
	d = deployment(t, typed, ns, "gateway")
	wantWriters(t, d, "f:replicas", "kubectl-jina-scale/Update/scale")
	if n := readyPods(t, typed, ns, "gateway"); *d.Spec.Replicas != 3 || n != 3 {
		t.Errorf("scale returned with %d of %d pods ready", n, *d.Spec.Replicas)
	}

	before := len(wrote(t, c, ns))
	must(t, codeOK, up...)
	if d = deployment(t, typed, ns, "gateway"); *d.Spec.Replicas != 3 {
		t.Errorf("up has set %d replicas", *d.Spec.Replicas)
	}
	if events := wrote(t, c, ns)[before:]; len(events) > 0 {
		t.Errorf("up of an unchanged Flow that was scaled wrote %v", events)
	}

	// A changed file is applied to the scaled workload, and its replicas still stay.
	if err := os.WriteFile(file, []byte(strings.Replace(shopFlow, "executors:", "gateway: {timeout_send: 60000}\nexecutors:", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := must(t, codeOK, up...)
	if !strings.Contains(r.errOut, "replicas stay 3, set by kubectl-jina-scale (the file says 1)") {
		t.Errorf("the plan does not say that the replicas stay:\n%s", r.errOut)
	}
	d = deployment(t, typed, ns, "gateway")
	if *d.Spec.Replicas != 3 || !slices.Contains(d.Spec.Template.Spec.Containers[0].Args, "60000") {
		t.Errorf("%d replicas, arguments %q", *d.Spec.Replicas, d.Spec.Template.Spec.Containers[0].Args)
	}
	wantWriters(t, d, "f:replicas", "kubectl-jina-scale/Update/scale")
}

func TestReplicasSetByKubectlScaleSurviveUp(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	up := append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)
	must(t, codeOK, up...)
	scale, err := typed.AppsV1().Deployments(ns).GetScale(t.Context(), "encoder", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = 4
	if _, err := typed.AppsV1().Deployments(ns).UpdateScale(t.Context(), "encoder", scale, metav1.UpdateOptions{FieldManager: "kubectl"}); err != nil {
		t.Fatal(err)
	}
	must(t, codeOK, up...)
	if d := deployment(t, typed, ns, "encoder"); *d.Spec.Replicas != 4 || d.Status.AvailableReplicas != 4 {
		t.Errorf("%d of %d replicas", d.Status.AvailableReplicas, *d.Spec.Replicas)
	}
}

func TestScaleToZeroSurvivesUp(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	up := append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)
	must(t, codeOK, up...)
	must(t, codeOK, append([]string{"scale", "encoder", "--replicas", "0"}, at...)...)
	if pods, err := typed.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=encoder"}); err != nil || len(pods.Items) > 0 {
		t.Errorf("scale returned with %d pods, %v", len(pods.Items), err)
	}
	r := must(t, codeOK, up...)
	if !strings.Contains(r.errOut, "replicas stay 0") {
		t.Errorf("the plan does not say that the replicas stay:\n%s", r.errOut)
	}
	if d := deployment(t, typed, ns, "encoder"); *d.Spec.Replicas != 0 {
		t.Errorf("up made %d replicas", *d.Spec.Replicas)
	}
	must(t, codeOK, append([]string{"scale", "encoder", "--replicas", "2"}, at...)...)
	must(t, codeOK, up...)
	if d := deployment(t, typed, ns, "encoder"); *d.Spec.Replicas != 2 || d.Status.AvailableReplicas != 2 {
		t.Errorf("%d of %d replicas", d.Status.AvailableReplicas, *d.Spec.Replicas)
	}
}

func TestUnchangedFlowIsNotWritten(t *testing.T) {
	c, _, ns, at := clusterForTest(t)
	up := append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)
	written := func() []testcluster.Event { return writesIn(t, c, ns) }
	must(t, codeOK, up...)
	first := written()
	// Gateway, encoder, two shards and a head have a ConfigMap, a Service and a Deployment each; and the set's parent.
	if want := 5*3 + 1; len(first) != want {
		t.Errorf("the first up wrote %d times, want %d:\n%v", len(first), want, first)
	}
	must(t, codeOK, up...)
	if again := written(); len(again) != len(first) {
		t.Errorf("up of an unchanged Flow wrote: %v", again[len(first):])
	}
}

func TestUnchangedFlowTakesAConstantNumberOfRequests(t *testing.T) {
	c, _, ns, at := clusterForTest(t)
	requests := func(flow string) []testcluster.Event {
		up := append([]string{"up", "--mesh", "none", "-f", flowFileIn(t, flow)}, at...)
		must(t, codeOK, up...)
		sent := func() []testcluster.Event {
			return c.AuditEvents(t, func(e testcluster.Event) bool {
				// A watch is sent or not, as the rollout is done already or not yet.
				return e.Namespace == ns && strings.HasPrefix(e.UserAgent, "kubectl-jina/") && e.Verb != "watch"
			})
		}
		before := sent()
		must(t, codeOK, up...)
		after := sent()
		must(t, codeOK, append([]string{"down", "--yes"}, at...)...)
		return after[len(before):]
	}
	small := requests("{jtype: Flow, with: {name: f}, executors: [{name: a, uses: docker://x:1}]}")
	var many strings.Builder
	many.WriteString("{jtype: Flow, with: {name: f}, executors: [")
	for _, name := range strings.Split("abcdefghijkl", "") {
		many.WriteString("{name: " + name + ", uses: docker://x:1},")
	}
	many.WriteString("]}")
	if large := requests(many.String()); len(large) != len(small) {
		t.Errorf("%d requests for 12 executors, %d for 1:\n%v\n%v", len(large), len(small), large, small)
	}
}

func TestConflictStopsUpBeforeItWrites(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, shopFlow)
	up := append([]string{"up", "-f", file}, at...)
	must(t, codeOK, up...)
	patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"executor","image":"registry.example/enc:hot-fix"}]}}}}`)
	if _, err := typed.AppsV1().Deployments(ns).Patch(t.Context(), "encoder", "application/strategic-merge-patch+json", patch, metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
		t.Fatal(err)
	}
	before := deployment(t, typed, ns, "gateway").ResourceVersion
	if err := os.WriteFile(file, []byte(strings.NewReplacer("enc:1", "enc:2", "idx:1", "idx:2").Replace(shopFlow)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := must(t, codeConflict, up...)
	for _, want := range []string{"Deployment/encoder", "image", "kubectl-edit", "--force-conflicts"} {
		if !strings.Contains(r.errOut, want) {
			t.Errorf("the conflict does not name %q:\n%s", want, r.errOut)
		}
	}
	if image := deployment(t, typed, ns, "indexer-0").Spec.Template.Spec.Containers[0].Image; image != "registry.example/idx:1" {
		t.Errorf("indexer-0 was applied in spite of the conflict: %s", image)
	}
	if after := deployment(t, typed, ns, "gateway").ResourceVersion; after != before {
		t.Error("the gateway was written in spite of the conflict")
	}
	must(t, codeOK, append(up, "--force-conflicts")...)
	d := deployment(t, typed, ns, "encoder")
	if image := d.Spec.Template.Spec.Containers[0].Image; image != "registry.example/enc:2" {
		t.Errorf("--force-conflicts left %s", image)
	}
}

func TestDriftIsRepaired(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	up := append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)
	must(t, codeOK, up...)
	// Deleting is a drift that no field manager guards.
	if err := typed.CoreV1().Services(ns).Delete(t.Context(), "encoder", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	must(t, codeChanges, append([]string{"plan", "--exit-code", "-f", up[2]}, at...)...)
	must(t, codeOK, up...)
	if _, err := typed.CoreV1().Services(ns).Get(t.Context(), "encoder", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

func TestDownDeletesWhatUpMadeAndNothingElse(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	kept, err := typed.CoreV1().ConfigMaps(ns).Patch(t.Context(), "mine", "application/apply-patch+yaml",
		[]byte(`{apiVersion: v1, kind: ConfigMap, metadata: {name: mine, labels: {jina.ai/flow: shop}}}`), metav1.PatchOptions{FieldManager: "me"})
	if err != nil {
		t.Fatal(err)
	}
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	must(t, codeOK, append([]string{"down", "--yes"}, at...)...)
	for _, kind := range []func() (int, error){
		func() (int, error) {
			l, err := typed.AppsV1().Deployments(ns).List(t.Context(), metav1.ListOptions{})
			return len(l.Items), err
		},
		func() (int, error) {
			l, err := typed.CoreV1().Services(ns).List(t.Context(), metav1.ListOptions{})
			return len(l.Items), err
		},
		func() (int, error) {
			l, err := typed.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
			return len(l.Items), err
		},
	} {
		if n, err := kind(); n != 0 || err != nil {
			t.Errorf("%d left, %v", n, err)
		}
	}
	now, err := typed.CoreV1().ConfigMaps(ns).Get(t.Context(), "mine", metav1.GetOptions{})
	if err != nil || now.UID != kept.UID {
		t.Errorf("the ConfigMap that up did not make: %v", err)
	}
	if _, err := typed.CoreV1().ConfigMaps(ns).Get(t.Context(), "jina-shop", metav1.GetOptions{}); err == nil {
		t.Error("the apply set's parent is still there")
	}
}

func TestParentOfAnotherToolIsRefusedByUp(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	_, err := typed.CoreV1().ConfigMaps(ns).Patch(t.Context(), "jina-shop", "application/apply-patch+yaml",
		[]byte(`{apiVersion: v1, kind: ConfigMap, metadata: {name: jina-shop, annotations: {applyset.kubernetes.io/tooling: kubectl/v1.37}}}`), metav1.PatchOptions{FieldManager: "kubectl-applyset"})
	if err != nil {
		t.Fatal(err)
	}
	r := must(t, codeConflict, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	if !strings.Contains(r.errOut, "kubectl/v1.37") {
		t.Errorf("the other tool is not named:\n%s", r.errOut)
	}
}

func TestInterruptedWaitSaysThatEverythingIsApplied(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	quota(t, typed, ns)
	done := make(chan result)
	go func() {
		done <- run(t.Context(), append([]string{"up", "-f", flowFileIn(t, shopFlow), "--mesh", "none"}, at...)...)
	}()
	for {
		if _, err := typed.AppsV1().Deployments(ns).Get(t.Context(), "gateway", metav1.GetOptions{}); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(os.Interrupt); err != nil { // as Ctrl-C does
		t.Fatal(err)
	}
	r := <-done
	if r.code != codeInterrupted {
		t.Fatalf("exit code %d\n%s", r.code, r.errOut)
	}
	if !strings.Contains(r.errOut, "applied") || !strings.Contains(r.errOut, "interrupted") && !strings.Contains(r.errOut, "canceled") {
		t.Errorf("what was applied is not said:\n%s", r.errOut)
	}
}

// quota keeps pods from being made, so that a rollout does not end.
func quota(t *testing.T, typed kubernetes.Interface, ns string) {
	t.Helper()
	_, err := typed.CoreV1().ResourceQuotas(ns).Patch(t.Context(), "no-pods", "application/apply-patch+yaml",
		[]byte(`{apiVersion: v1, kind: ResourceQuota, metadata: {name: no-pods}, spec: {hard: {pods: "0"}}}`), metav1.PatchOptions{FieldManager: "test"})
	if err != nil {
		t.Fatal(err)
	}
	// The API server learns of it a moment later.
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "x"}}}}
	testcluster.Eventually(t, func() error {
		_, err := typed.CoreV1().Pods(ns).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil || !strings.Contains(err.Error(), "exceeded quota") {
			return fmt.Errorf("the quota is not in force yet: %v", err)
		}
		return nil
	})
}

func TestObjectThatTheServerRefusesStopsUpBeforeItWrites(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	_, err := typed.CoreV1().ResourceQuotas(ns).Patch(t.Context(), "no-deployments", "application/apply-patch+yaml",
		[]byte(`{apiVersion: v1, kind: ResourceQuota, metadata: {name: no-deployments}, spec: {hard: {count/deployments.apps: "0"}}}`), metav1.PatchOptions{FieldManager: "test"})
	if err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, func() error {
		q, err := typed.CoreV1().ResourceQuotas(ns).Get(t.Context(), "no-deployments", metav1.GetOptions{})
		if err == nil && len(q.Status.Hard) == 0 {
			err = errors.New("the quota is not in force yet")
		}
		return err
	})
	r := must(t, codeError, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	for _, want := range []string{"Deployment/encoder", "no-deployments"} {
		if !strings.Contains(r.errOut, want) {
			t.Errorf("%q is not named:\n%s", want, r.errOut)
		}
	}
	if l, err := typed.CoreV1().Services(ns).List(t.Context(), metav1.ListOptions{}); err != nil || len(l.Items) > 0 {
		t.Errorf("%d Services were applied, %v", len(l.Items), err)
	}
}

func TestTimeoutNamesWhyTheFlowIsNotReady(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	quota(t, typed, ns)
	r := must(t, codeTimeout, append([]string{"up", "-f", flowFileIn(t, shopFlow), "--mesh", "none", "--timeout", "5s"}, at...)...)
	if !strings.Contains(r.errOut, "no-pods") {
		t.Errorf("the quota is not named:\n%s", r.errOut)
	}
}

func TestUpWaitsForWhatIsStillBeingDeleted(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	up := append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)
	must(t, codeOK, up...)
	// A finalizer keeps the gateway until it is taken away.
	finalizer := func(text string) {
		t.Helper()
		_, err := typed.AppsV1().Deployments(ns).Patch(t.Context(), "gateway", "application/merge-patch+json", []byte(`{"metadata":{"finalizers":`+text+`}}`), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	finalizer(`["test.example/hold"]`)
	old := deployment(t, typed, ns, "gateway")
	must(t, codeOK, append([]string{"down", "--yes", "--wait=false"}, at...)...)
	done := make(chan result)
	go func() { done <- run(t.Context(), up...) }()
	testcluster.Eventually(t, func() error {
		if _, err := typed.AppsV1().Deployments(ns).Get(t.Context(), "encoder", metav1.GetOptions{}); err == nil {
			return errors.New("the old encoder is still there")
		}
		return nil
	})
	finalizer("null")
	if r := <-done; r.code != codeOK {
		t.Fatalf("exit code %d\n%s", r.code, r.errOut)
	}
	if d := deployment(t, typed, ns, "gateway"); d.UID == old.UID || d.Status.AvailableReplicas != 1 {
		t.Errorf("the gateway is the old one, or is not available: %d", d.Status.AvailableReplicas)
	}
}

func TestPruneThatDoesNotEndTimesOutAndNamesWhatIsLeft(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, shopFlow)
	must(t, codeOK, append([]string{"up", "-f", file}, at...)...)
	hold := func(finalizers string) {
		t.Helper()
		_, err := typed.CoreV1().Services(ns).Patch(t.Context(), "encoder", "application/merge-patch+json", []byte(`{"metadata":{"finalizers":`+finalizers+`}}`), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	hold(`["test.example/hold"]`)
	if err := os.WriteFile(file, []byte(`{jtype: Flow, with: {name: shop}, executors: [{name: indexer, uses: "docker://registry.example/idx:1", shards: 2}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := must(t, codeTimeout, append([]string{"up", "-f", file, "--yes", "--timeout", "5s"}, at...)...)
	if !strings.Contains(r.errOut, "not gone yet: Service/encoder") {
		t.Errorf("what is left is not named:\n%s", r.errOut)
	}
	hold("null")
}
