package apply

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// as is the fixture of a user who may do what the rules say, in its namespace.
func (f fixture) as(t *testing.T, rules ...rbacv1.PolicyRule) fixture {
	t.Helper()
	c := testcluster.Start(t)
	name := f.set.Namespace + "-user"
	typed, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	if _, err := typed.RbacV1().Roles(f.set.Namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}}}
	if _, err := typed.RbacV1().RoleBindings(f.set.Namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.User(t, name))
	if err != nil {
		t.Fatal(err)
	}
	user := fixture{clientFor(t, config), f.set}
	testcluster.Eventually(t, func() error { // the authorizer learns of the Role a moment later
		_, err := user.members(t.Context(), user.set, plan.Kinds(f.configMaps(t, 1))[0])
		return err
	})
	return user
}

// TestAutoscalersThatMayNotBeReadAreSaid shows C6 for a user with few rights: what follows from them is said, and nothing is guessed.
func TestAutoscalersThatMayNotBeReadAreSaid(t *testing.T) {
	f := newFixture(t)
	user := f.as(t, rbacv1.PolicyRule{APIGroups: []string{"", "apps"}, Resources: []string{"configmaps", "deployments"}, Verbs: []string{"get", "list", "create", "patch"}})
	objects := f.file(t, 2, "x:1")
	_, p := user.planWith(t, objects, plan.CompareOptions{})
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "list horizontalpodautoscalers.autoscaling in namespace "+f.set.Namespace) {
		t.Errorf("notes %q", p.Notes)
	}
	user.up(t, objects, plan.CompareOptions{})
	f.hold(t, 2, "2", ownedByUs)
	f.autoscale(t, 4, 9)
	f.awaitReplicas(t, 4)
	user.up(t, f.file(t, 2, "x:2"), plan.CompareOptions{})
	f.hold(t, 4, "2", ownedByAutoscaler)
	// Members are another matter: they decide.
	if _, err := user.Read(t.Context(), user.set, []plan.Object{f.object(t, serviceYAML)}, plan.CompareOptions{}); err == nil || !strings.Contains(err.Error(), "services") {
		t.Errorf("error %v", err)
	}
}

func TestKEDAsScaledObjectIsAnAutoscaler(t *testing.T) {
	f := fixture{set: Set{Namespace: "ns"}}
	found := map[plan.Ref]plan.Autoscaler{}
	for _, text := range []string{
		"{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: a}, spec: {scaleTargetRef: {name: enc}, minReplicaCount: 2}}",
		"{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: b}, spec: {scaleTargetRef: {name: st, kind: StatefulSet, apiVersion: apps/v1}, maxReplicaCount: 7}}",
		"{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: c}, spec: {scaleTargetRef: {name: r, kind: Rollout, apiVersion: argoproj.io/v1alpha1}}}",
	} {
		add(found, f.object(t, text).Unstructured, limits{min: "minReplicaCount", max: "maxReplicaCount", defaultMax: 100})
	}
	want := map[plan.Ref]plan.Autoscaler{
		{Group: "apps", Version: "v1", Kind: "Deployment", Namespace: "ns", Name: "enc"}: {Kind: "ScaledObject", Name: "a", Min: 2, Max: 100},
		{Group: "apps", Version: "v1", Kind: "StatefulSet", Namespace: "ns", Name: "st"}: {Kind: "ScaledObject", Name: "b", Max: 7},
	}
	if d := cmp.Diff(want, found); d != "" {
		t.Error(d)
	}
}

// recorder keeps the requests that were sent.
type recorder struct {
	mu       sync.Mutex
	requests []*http.Request
}

func (r *recorder) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		r.mu.Lock()
		r.requests = append(r.requests, request)
		r.mu.Unlock()
		return next.RoundTrip(request)
	})
}

func (f fixture) recorded(t *testing.T) (fixture, *recorder) {
	t.Helper()
	r := &recorder{}
	config := testcluster.Start(t).Config()
	config.Wrap(r.wrap)
	return fixture{clientFor(t, config), f.set}, r
}

// TestEveryWriteNamesItsManager shows C1, C2 and C15 over the life of a Flow: every write but a deletion says who writes, objects are
// made by an apply, and nothing is discovered.
func TestEveryWriteNamesItsManager(t *testing.T) {
	plain := newFixture(t)
	f, r := plain.recorded(t)
	l := f.lock(t, LockOptions{Holder: "up"})
	_, exported := f.jinaExport(t)
	f.mustKubectl(t, exported, "apply", "-f", "-")
	flowFile, _ := f.jinaExport(t)
	f.up(t, f.flowObjects(t, flowFile), plan.CompareOptions{})
	objects := append(f.flowObjects(t, flowFile), f.file(t, 2, "x:1")...)
	f.up(t, objects, plan.CompareOptions{})
	if err := f.Scale(t.Context(), f.live(t, "Deployment", "d"), 3, nil); err != nil {
		t.Fatal(err)
	}
	f.up(t, objects, plan.CompareOptions{ResetReplicas: true})
	f.autoscale(t, 1, 9)
	f.up(t, objects, plan.CompareOptions{})
	running, err := f.Running(t.Context(), f.set)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.WritePaused(t.Context(), running.Parent, Paused(nil).With(running.Workloads)); err != nil {
		t.Fatal(err)
	}
	if err := f.RemovePaused(t.Context(), running.Parent); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Restart(t.Context(), f.live(t, "Deployment", "d"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if left, err := f.down(t, t.Context(), true); err != nil || len(left) > 0 {
		t.Fatalf("%v, %v", left, err)
	}
	if err := l.Remove(); err != nil {
		t.Fatal(err)
	}
	managers := map[string]bool{}
	for _, request := range r.requests {
		manager := request.URL.Query().Get("fieldManager")
		managers[manager] = true
		switch {
		case !strings.HasPrefix(request.UserAgent(), "kubectl-jina/"):
			t.Errorf("user agent %q", request.UserAgent())
		case !strings.Contains(request.URL.Path, "/namespaces/"):
			t.Errorf("%s %s", request.Method, request.URL.Path)
		case request.Method == http.MethodGet, request.Method == http.MethodDelete:
		case strings.HasSuffix(request.URL.Path, "/horizontalpodautoscalers"): // this test's own
		case manager == "":
			t.Errorf("%s %s names no manager", request.Method, request.URL)
		case request.Method == http.MethodPost && !strings.HasSuffix(request.URL.Path, "/leases"):
			t.Errorf("%s %s makes an object without an apply", request.Method, request.URL)
		}
	}
	for _, want := range []string{plan.FieldManager, plan.ScaleFieldManager, plan.PauseFieldManager, plan.RestartFieldManager, setFieldManager} {
		if !managers[want] {
			t.Errorf("nothing was written by %s", want)
		}
	}
	if list := slices.DeleteFunc(slices.Collect(maps.Keys(managers)), func(s string) bool { return s == "" || strings.HasPrefix(s, plan.FieldManager) }); len(list) > 0 {
		t.Errorf("other managers: %v", list)
	}
}

// TestUnchangedFlowIsSettledAsItComes: what an API server makes of every shape of object is recognised without its types.
func TestUnchangedFlowIsSettledAsItComes(t *testing.T) {
	f := newFixture(t)
	objects := f.flowObjects(t, `
jtype: Flow
with: {protocol: [grpc, http], port: [5000, 5001], env: {A: b}}
executors:
- {name: enc, uses: docker://a/b:1, shards: 2, replicas: 2, volumes: [/data], env_from_secret: {TOKEN: {name: s, key: k}}}
- {name: idx, uses: docker://a/b:1, replicas: 3, gpus: 1, workspace: /w, needs: [enc]}
`)
	f.up(t, objects, plan.CompareOptions{})
	state, p := f.plan(t, objects)
	if p.Changed() {
		t.Errorf("the plan is %s", summary(p))
	}
	for _, o := range objects {
		if _, is := state.Settled[o.Ref()]; !is {
			t.Errorf("%s is not settled: %v", o.Ref(), f.live(t, o.GetKind(), o.GetName()).Object)
		}
	}
	// What somebody else has changed is read whole.
	r, err := f.resource(objects[0].Ref())
	if err != nil {
		t.Fatal(err)
	}
	patch := []byte(`{"metadata":{"labels":{"jina.ai/flow":"x"}}}`)
	if _, err := r.Patch(t.Context(), objects[0].GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "other"}); err != nil {
		t.Fatal(err)
	}
	state, p = f.plan(t, objects)
	if _, is := state.Settled[objects[0].Ref()]; is || len(state.Settled) != len(objects)-1 || len(p.Conflicts) != 1 {
		t.Errorf("%d of %d are settled; the plan is %s", len(state.Settled), len(objects), summary(p))
	}
}
