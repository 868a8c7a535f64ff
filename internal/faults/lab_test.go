package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/cmd"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// The exit codes of docs/exit-codes.md that the tests hold.
const (
	exitDone        = 0
	exitInterrupted = 130
)

// flowName is the Flow's in every test.
const flowName = "shop"

// flowOf is a Flow file with a gateway and these executors.
func flowOf(executors ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "jtype: Flow\nwith: {name: %s}\nexecutors:\n", flowName)
	for _, e := range executors {
		fmt.Fprintf(&b, "  - {name: %s, uses: 'docker://registry.example/%s:1'}\n", e, e)
	}
	return b.String()
}

// numbered executors.
func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("e%02d", i)
	}
	return names
}

// lab is a namespace of a cluster.
type lab struct {
	cluster   *testcluster.Cluster
	typed     kubernetes.Interface
	meta      metadata.Interface
	ns        string
	set       apply.Set
	resources []listable
}

// listable is a kind that the cluster can list in a namespace.
type listable struct {
	schema.GroupVersionResource
	kind schema.GroupKind
}

func newLab(t *testing.T, c *testcluster.Cluster) lab {
	t.Helper()
	config := c.Config()
	config.WarningHandler = rest.NoWarnings{} // some of the kinds that are listed are deprecated
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	typed, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := metadata.NewForConfigAndClient(config, client)
	if err != nil {
		t.Fatal(err)
	}
	ns := c.Namespace(t)
	l := lab{cluster: c, typed: typed, meta: meta, ns: ns, set: apply.Set{Flow: flowName, Namespace: ns}}
	lists, err := typed.Discovery().ServerPreferredNamespacedResources()
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			if slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "patch") {
				l.resources = append(l.resources, listable{gv.WithResource(r.Name), schema.GroupKind{Group: gv.Group, Kind: r.Kind}})
			}
		}
	}
	return l
}

// at are the flags that lead to the lab's namespace.
func (l lab) at(kubeconfig string) []string { return []string{"--kubeconfig", kubeconfig, "-n", l.ns} }

// result of a run of the plugin.
type result struct {
	code        int
	out, errOut string
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\n%s%s", r.code, r.out, r.errOut)
}

// run the command line in this process.
func run(ctx context.Context, args ...string) result {
	var in, out, errOut bytes.Buffer
	code := cmd.Main(ctx, args, genericiooptions.IOStreams{In: &in, Out: &out, ErrOut: &errOut})
	return result{code, out.String(), errOut.String()}
}

// jina runs a command straight at the cluster and wants an exit code.
func (l lab) jina(t *testing.T, code int, args ...string) result {
	t.Helper()
	r := run(t.Context(), slices.Concat(args, l.at(l.cluster.Kubeconfig()))...)
	if r.code != code {
		t.Fatalf("kubectl jina %s: want exit code %d: %s", strings.Join(args, " "), code, r)
	}
	return r
}

// file writes a Flow file.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flow.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// object is one that kubectl jina has written to.
type object struct {
	kind schema.GroupKind
	metav1.ObjectMeta
}

func (o object) String() string { return o.kind.Kind + "/" + o.Name }

// made are all objects of the namespace, of whatever kind, that the plugin has written to, by their managedFields.
func (l lab) made(t *testing.T) []object {
	t.Helper()
	var made []object
	for _, r := range l.resources {
		list, err := l.meta.Resource(r.GroupVersionResource).Namespace(l.ns).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatalf("%s: %v", r.Resource, err)
		}
		for _, o := range list.Items {
			if slices.ContainsFunc(o.ManagedFields, func(m metav1.ManagedFieldsEntry) bool { return strings.HasPrefix(m.Manager, plan.FieldManager) }) {
				made = append(made, object{r.kind, o.ObjectMeta})
			}
		}
	}
	return made
}

// tracked holds that whatever the plugin has made is found again: it is the set's parent or Lease, or it has the set's label
// and a kind that the parent lists. It returns the members' names.
func (l lab) tracked(t *testing.T) []string {
	t.Helper()
	made := l.made(t)
	parent := l.set.ParentRef()
	var kinds []string
	for _, o := range made {
		if o.kind.Kind == parent.Kind && o.Name == parent.Name {
			kinds = strings.Split(o.Annotations["applyset.kubernetes.io/contains-group-kinds"], ",")
		}
	}
	var members []string
	for _, o := range made {
		switch {
		case o.Name == parent.Name && (o.kind.Kind == parent.Kind || o.kind.Kind == "Lease"):
		case o.Labels[plan.LabelPartOfSet] != l.set.ID():
			t.Errorf("%s is untracked: it is not labelled as a member", o)
		case !slices.Contains(kinds, o.kind.String()):
			t.Errorf("%s is untracked: its kind is not among the parent's: %q", o, kinds)
		default:
			members = append(members, o.String())
		}
	}
	slices.Sort(members)
	return members
}

// converged holds that the namespace has exactly the file's objects, as the file wants them.
func (l lab) converged(t *testing.T, path string) {
	t.Helper()
	var want []string
	for _, line := range strings.Split(l.jina(t, exitDone, "up", "-f", path, "--dry-run=client").out, "\n") {
		if name, _, ok := strings.Cut(line, " "); ok {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if got := l.tracked(t); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the Flow has the objects\n%q, and should have\n%q", got, want)
	}
	l.jina(t, exitDone, "plan", "--exit-code", "-f", path)
}

// gone holds that nothing is left of what the plugin has made.
func (l lab) gone(t *testing.T) {
	t.Helper()
	l.jina(t, exitDone, "down", "--yes")
	if left := l.made(t); len(left) > 0 {
		t.Errorf("down left %v", left)
	}
}

// process is a run of the plugin's binary.
type process struct {
	command *exec.Cmd
	started chan struct{}
	errOut  bytes.Buffer
	out     bytes.Buffer
}

// newProcess prepares a run; its signal function may be called at any time from then on.
func newProcess(t *testing.T, args ...string) *process {
	t.Helper()
	return processOf(plugin(t), args...)
}

func processOf(binary string, args ...string) *process {
	p := &process{command: exec.Command(binary, args...), started: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = &p.out, &p.errOut
	return p
}

// run starts the process and returns what became of it: the exit code -1 is that of one that was killed.
func (p *process) run(t *testing.T) result {
	t.Helper()
	err := p.command.Start()
	close(p.started)
	if err != nil {
		t.Error(err)
		return result{code: -2, errOut: err.Error()}
	}
	var exit *exec.ExitError
	if err := p.command.Wait(); err != nil && !errors.As(err, &exit) {
		t.Error(err)
	}
	return result{p.command.ProcessState.ExitCode(), p.out.String(), p.errOut.String()}
}

// signal the process, once it is there.
func (p *process) signal(s os.Signal) {
	<-p.started
	if p.command.Process == nil {
		return
	}
	_ = p.command.Process.Signal(s) // it may have ended
}

// built is the plugin's binary, made by the first test that needs a process.
var built struct {
	sync.Once
	dir, path string
	err       error
}

func plugin(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "kubectl-jina-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "kubectl-jina")
		if runtime.GOOS == "windows" {
			built.path += ".exe"
		}
		out, err := exec.Command("go", "build", "-o", built.path, "../../cmd/kubectl-jina").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("go build: %w: %s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// number from the environment, or what it is without.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
