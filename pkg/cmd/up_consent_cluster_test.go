package cmd

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

const smallFlow = `jtype: Flow
with: {name: small}
executors:
  - {name: encoder, uses: docker://registry.example/enc:1}
`

// writesIn are the requests of the plugin that changed something in a namespace, its Lease aside.
func writesIn(t *testing.T, c *testcluster.Cluster, ns string) []testcluster.Event {
	t.Helper()
	return c.AuditEvents(t, func(e testcluster.Event) bool {
		return e.Namespace == ns && strings.HasPrefix(e.UserAgent, "kubectl-jina/") && e.Persisted() && e.Resource != "leases"
	})
}

func TestDryRunsWriteNothing(t *testing.T) {
	c, _, ns, at := clusterForTest(t)
	file := flowFileIn(t, smallFlow)
	r := must(t, codeOK, append([]string{"up", "-f", file, "--dry-run=client"}, at...)...)
	if !strings.Contains(r.out, "Deployment/encoder (client dry run)\n") || len(strings.Split(r.out, "\n")) != 7 {
		t.Errorf("the objects of a gateway and an executor are:\n%s", r.out)
	}
	r = must(t, codeOK, append([]string{"up", "-f", file, "--dry-run=server"}, at...)...)
	p := must(t, codeOK, append([]string{"plan", "-f", file}, at...)...)
	if r.out != p.out || !strings.Contains(r.out, "create Deployment/encoder") {
		t.Errorf("up --dry-run=server says\n%s\nand plan\n%s", r.out, p.out)
	}
	r = must(t, codeOK, append([]string{"up", "-f", file, "--dry-run=server", "-o", "json"}, at...)...)
	if !strings.HasPrefix(r.out, "{") {
		t.Errorf("no JSON: %s", r.out)
	}
	if writes := writesIn(t, c, ns); len(writes) > 0 {
		t.Errorf("written: %v", writes)
	}
}

func TestClientDryRunNeedsNoCluster(t *testing.T) {
	file := flowFileIn(t, smallFlow)
	empty := filepath.Join(t.TempDir(), "kubeconfig")
	r := must(t, codeOK, "up", "-f", file, "--dry-run=client", "--kubeconfig", empty)
	if !strings.Contains(r.out, "Service/gateway") {
		t.Errorf("%s", r.out)
	}
	must(t, codeUsage, "up", "-f", file, "--dry-run=maybe")
	must(t, codeUsage, "up", "-f", file, "-o", "json")
	must(t, codeUsage, "up", "-f", file, "--dry-run=server", "-o", "yaml")
}

func TestForgottenImageNeedsAnAnswer(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, smallFlow)
	must(t, codeOK, append([]string{"up", "-f", file, "--image", "encoder=registry.example/other:2"}, at...)...)
	before := len(writesIn(t, c, ns))

	r := must(t, codeUsage, append([]string{"up", "-f", file}, at...)...)
	if want := "was made without --image encoder=registry.example/other:2, which the last run had"; !strings.Contains(r.errOut, want) {
		t.Errorf("it does not say %q:\n%s", want, r.errOut)
	}
	if writes := writesIn(t, c, ns); len(writes) != before {
		t.Errorf("written: %v", writes[before:])
	}
	// Given again, nothing changes; with an answer it goes.
	must(t, codeOK, append([]string{"up", "-f", file, "--image", "encoder=registry.example/other:2"}, at...)...)
	must(t, codeOK, append([]string{"up", "-f", file, "--yes"}, at...)...)
	if image := deployment(t, typed, ns, "encoder").Spec.Template.Spec.Containers[0].Image; image != "registry.example/enc:1" {
		t.Errorf("image %s", image)
	}
	// And is forgotten then.
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, strings.Replace(smallFlow, "enc:1", "enc:3", 1))}, at...)...)
}

func TestNamespaceIsMadeOnlyWhenAskedFor(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	missing := ns + "-new"
	t.Cleanup(func() {
		err := typed.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), missing, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	file := flowFileIn(t, smallFlow)
	there := append([]string{"-f", file, "-n", missing}, at[:2]...)

	r := must(t, codeOK, append([]string{"plan"}, there...)...)
	if !strings.Contains(r.out, "the namespace does not exist yet") || strings.Contains(r.out, "create Deployment") {
		t.Errorf("the plan knows what it cannot know:\n%s", r.out)
	}
	must(t, codePreflight, append([]string{"up"}, there...)...)
	if _, err := typed.CoreV1().Namespaces().Get(t.Context(), missing, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the namespace was made unasked: %v", err)
	}
	r = must(t, codeOK, append([]string{"up", "--create-namespace"}, there...)...)
	if !strings.Contains(r.errOut, "created namespace "+missing) {
		t.Errorf("%s", r.errOut)
	}
	must(t, codeOK, append([]string{"up", "--create-namespace"}, there...)...)
	must(t, codeOK, "down", "--yes", "-n", missing, at[0], at[1])
	if _, err := typed.CoreV1().Namespaces().Get(t.Context(), missing, metav1.GetOptions{}); err != nil {
		t.Errorf("down deleted the namespace: %v", err)
	}
	_ = c
}

func TestDerivedNameThatMeetsAStrangersFlowIsRefused(t *testing.T) {
	c, _, ns, at := clusterForTest(t)
	inFolder := func(flow string) string {
		dir := filepath.Join(t.TempDir(), "search")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "flow.yml")
		if err := os.WriteFile(path, []byte(flow), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mine := inFolder("{jtype: Flow, executors: [{name: a, uses: docker://x:1}, {name: b, uses: docker://x:1}]}")
	must(t, codeOK, append([]string{"up", "-f", mine}, at...)...)
	before := len(writesIn(t, c, ns))

	stranger := inFolder("{jtype: Flow, executors: [{name: c, uses: docker://x:1}]}")
	r := must(t, codeUsage, append([]string{"up", "-f", stranger, "--yes"}, at...)...)
	if want := "another Flow search runs in namespace " + ns + ", with a and b"; !strings.Contains(r.errOut, want) {
		t.Errorf("it does not say %q:\n%s", want, r.errOut)
	}
	must(t, codeUsage, append([]string{"plan", "-f", stranger}, at...)...)
	if writes := writesIn(t, c, ns); len(writes) != before {
		t.Errorf("written: %v", writes[before:])
	}
	// One executor in common is enough to be the same Flow, and so is a name that somebody chose.
	must(t, codeOK, append([]string{"plan", "-f", inFolder("{jtype: Flow, executors: [{name: a, uses: docker://x:1}, {name: c, uses: docker://x:1}]}")}, at...)...)
	must(t, codeOK, append([]string{"plan", "-f", stranger, "--name", "search"}, at...)...)
}

// hookWriter calls a function once, when a text has been written to it.
type hookWriter struct {
	mu   sync.Mutex
	text bytes.Buffer
	when string
	hook func()
}

func (w *hookWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	n, err := w.text.Write(b)
	var hook func()
	if w.hook != nil && strings.Contains(w.text.String(), w.when) {
		hook, w.hook = w.hook, nil
	}
	w.mu.Unlock()
	if hook != nil {
		hook()
	}
	return n, err
}

// runWithHook runs the command line and calls hook as soon as the plan's last line was printed.
func runWithHook(t *testing.T, hook func(), args ...string) result {
	t.Helper()
	errOut := &hookWriter{when: "Plan: ", hook: hook}
	var out bytes.Buffer
	code := Main(t.Context(), args, genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: io.Writer(&out), ErrOut: errOut})
	if errOut.hook != nil {
		t.Fatalf("no plan was printed:\n%s", errOut.text.String())
	}
	return result{code, out.String(), errOut.text.String()}
}

func TestWhatIsAppliedIsWhatWasShown(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, smallFlow)
	must(t, codeOK, append([]string{"up", "-f", file}, at...)...)
	changed := flowFileIn(t, strings.Replace(smallFlow, "enc:1", "enc:2", 1))
	up := append([]string{"up", "-f", changed, "--yes"}, at...)
	edit := func(change func(*appsv1.Deployment)) func() {
		return func() {
			d := deployment(t, typed, ns, "gateway")
			change(d)
			if _, err := typed.AppsV1().Deployments(ns).Update(t.Context(), d, metav1.UpdateOptions{FieldManager: "kubectl-edit"}); err != nil {
				t.Error(err)
			}
		}
	}
	before := len(writesIn(t, c, ns))

	// A field of ours was taken away after the plan was shown.
	r := runWithHook(t, edit(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "registry.example/mine:1" }), up...)
	if r.code != codeConflict || !strings.Contains(r.errOut, "the cluster has changed since the plan was made") || !strings.Contains(r.errOut, "registry.example/mine:1") {
		t.Errorf("exit code %d:\n%s", r.code, r.errOut)
	}
	if writes := writesIn(t, c, ns); len(writes) != before {
		t.Errorf("written: %v", writes[before:])
	}

	// What does not matter to the plan does not stop it.
	must(t, codeOK, append([]string{"up", "-f", file, "--force-conflicts"}, at...)...)
	r = runWithHook(t, edit(func(d *appsv1.Deployment) { d.Labels["mine"] = "x" }), up...)
	if r.code != codeOK {
		t.Errorf("exit code %d:\n%s", r.code, r.errOut)
	}
	if d := deployment(t, typed, ns, "gateway"); d.Labels["mine"] != "x" {
		t.Error("somebody's label is gone")
	}
	if image := deployment(t, typed, ns, "encoder").Spec.Template.Spec.Containers[0].Image; image != "registry.example/enc:2" {
		t.Errorf("image %s", image)
	}
}

func TestAnotherRunThatDidTheSameIsNoDifference(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, smallFlow)
	up := append([]string{"up", "-f", file}, at...)
	r := runWithHook(t, func() { must(t, codeOK, up...) }, append(up, "--name", "small")...)
	if r.code != codeOK {
		t.Errorf("exit code %d:\n%s", r.code, r.errOut)
	}
	if d := deployment(t, typed, ns, "encoder"); d.Generation != 1 {
		t.Errorf("the second run wrote the encoder again: generation %d", d.Generation)
	}
}

func TestFlowThatIsRenamedMovedOrSplitTakesNothingFromAnother(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	whole := "{jtype: Flow, with: {name: whole}, executors: [{name: a, uses: docker://x:1}, {name: b, uses: docker://x:1}]}"
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, whole)}, at...)...)

	// Renamed: the gateway is the old Flow's, and that is said by name.
	r := must(t, codeConflict, append([]string{"up", "--yes", "-f", flowFileIn(t, strings.Replace(whole, "whole", "renamed", 1))}, at...)...)
	if !strings.Contains(r.errOut, `Deployment/gateway in namespace `+ns+` exists already and belongs to the Flow "whole"`) {
		t.Errorf("%s", r.errOut)
	}
	// Moved: the Flow in the old namespace stays as it is.
	other := c.Namespace(t)
	must(t, codeOK, "up", "-f", flowFileIn(t, whole), "-n", other, at[0], at[1])
	deployment(t, typed, ns, "a")
	// Split in two: what goes to the second Flow is pruned from the first, and the second is another namespace's.
	must(t, codeOK, append([]string{"up", "--yes", "-f", flowFileIn(t, "{jtype: Flow, with: {name: whole}, executors: [{name: a, uses: docker://x:1}]}")}, at...)...)
	if _, err := typed.AppsV1().Deployments(ns).Get(t.Context(), "b", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("b is still there: %v", err)
	}
	must(t, codeOK, "up", "--yes", "-f", flowFileIn(t, "{jtype: Flow, with: {name: half}, executors: [{name: b, uses: docker://x:1}]}"), "-n", c.Namespace(t), at[0], at[1])
	deployment(t, typed, other, "b")
	if owner := deployment(t, typed, ns, "a").Labels[plan.LabelFlow]; owner != "whole" {
		t.Errorf("a belongs to %q", owner)
	}
}
