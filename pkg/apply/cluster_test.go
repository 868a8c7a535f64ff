package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// fixture is a namespace of the embedded cluster and a set in it.
type fixture struct {
	*Client
	set Set
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	c := testcluster.Start(t)
	return fixture{clientFor(t, c.Config()), Set{Flow: "f", Namespace: c.Namespace(t), Version: "v1"}}
}

func clientFor(t *testing.T, config *rest.Config) *Client {
	t.Helper()
	config.UserAgent = "kubectl-jina/test"
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{Dynamic: dyn, REST: typed.Discovery().RESTClient(), Leases: typed.CoordinationV1()}
}

// object makes an object of the fixture's namespace from YAML.
func (f fixture) object(t *testing.T, text string) plan.Object {
	t.Helper()
	u := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := u.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	u.SetNamespace(f.set.Namespace)
	return plan.Object{Unstructured: u, Part: plan.Part{Role: plan.RoleExecutor, Executor: u.GetName()}}
}

func (f fixture) configMaps(t *testing.T, n int) []plan.Object {
	t.Helper()
	var out []plan.Object
	for i := range n {
		out = append(out, f.object(t, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d}, data: {k: v}}", i)))
	}
	return out
}

func (f fixture) plan(t *testing.T, objects []plan.Object) (State, plan.Plan) {
	t.Helper()
	objects = f.set.Label(objects)
	state, err := f.Read(t.Context(), f.set, objects, plan.CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := plan.Compare(objects, state.Live, plan.CompareOptions{})
	answers, err := f.DryRun(t.Context(), c.Undecided())
	if err != nil {
		t.Fatal(err)
	}
	return state, c.Plan(answers)
}

func (f fixture) run(t *testing.T, objects []plan.Object) {
	t.Helper()
	state, p := f.plan(t, objects)
	if _, err := f.Run(t.Context(), f.set, state, p, Options{}, func(Event) {}); err != nil {
		t.Fatal(err)
	}
}

func TestInterruptedRunSaysWhatWasAppliedAndCanBeContinued(t *testing.T) {
	f := newFixture(t)
	objects := f.configMaps(t, 3*parallel)
	state, p := f.plan(t, objects)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := 0
	_, err := f.Run(ctx, f.set, state, p, Options{}, func(Event) {
		if events++; events == 5 {
			cancel()
		}
	})
	var partial *PartialError
	if !errors.As(err, &partial) || !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if n := len(partial.Applied) + len(partial.Unsure) + len(partial.NotApplied); n != len(objects) {
		t.Errorf("%d objects are accounted for, want %d", n, len(objects))
	}
	if len(partial.Applied) < 5 || len(partial.NotApplied) == 0 {
		t.Errorf("%d applied, %d not applied", len(partial.Applied), len(partial.NotApplied))
	}
	now, err := f.Read(t.Context(), f.set, objects, plan.CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range partial.Applied {
		if now.Members[ref] == nil {
			t.Errorf("%s is said to be applied and is not there", ref)
		}
	}
	for _, ref := range partial.NotApplied {
		if now.Members[ref] != nil {
			t.Errorf("%s is said not to be applied and is there", ref)
		}
	}
	f.run(t, objects)
	if _, p := f.plan(t, objects); p.Changed() {
		t.Errorf("still to do after a second run: %s", plan.RefOf(p.Changes[0].Object.Unstructured))
	}
}

func TestFailedObjectStopsTheRunAndIsNamed(t *testing.T) {
	f := newFixture(t)
	objects := append(f.configMaps(t, 3), f.object(t, "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 1, protocol: TCP}]}}"))
	state, p := f.plan(t, objects)
	// The server changes its mind between plan and apply.
	for i := range p.Changes {
		if p.Changes[i].Ref.Name == "s" {
			_ = unstructured.SetNestedField(p.Changes[i].Object.Object, "Nonsense", "spec", "type")
		}
	}
	_, err := f.Run(t.Context(), f.set, state, p, Options{}, func(Event) {})
	var partial *PartialError
	if !errors.As(err, &partial) || !strings.Contains(err.Error(), "Service/s") {
		t.Fatalf("error %v", err)
	}
	if len(partial.NotApplied) == 0 || partial.NotApplied[len(partial.NotApplied)-1].Name != "s" {
		t.Errorf("not applied: %v", partial.NotApplied)
	}
}

func TestParentListsEveryKindBeforeTheFirstObject(t *testing.T) {
	f := newFixture(t)
	objects := append(f.configMaps(t, 1), f.object(t, "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 1, protocol: TCP}]}}"))
	state, p := f.plan(t, objects)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, _ = f.Run(ctx, f.set, state, p, Options{Record: Record{Graph: `{"a":["gateway"]}`}}, func(Event) { cancel() })
	now, err := f.Read(t.Context(), f.set, nil, plan.CompareOptions{})
	if err != nil || now.Parent == nil {
		t.Fatalf("no parent: %v", err)
	}
	if got := joinKinds(now.Parent.Kinds); got != "ConfigMap,Service" {
		t.Errorf("kinds %q", got)
	}
	if got := now.Parent.Object.GetAnnotations()[AnnotationGraph]; got != `{"a":["gateway"]}` {
		t.Errorf("graph %q", got)
	}
	if m := now.Parent.Object.GetManagedFields(); len(m) != 1 || m[0].Manager != setFieldManager || m[0].Operation != metav1.ManagedFieldsOperationApply {
		t.Errorf("managed fields of the parent: %v", m)
	}
}

func TestPruneSparesAnObjectThatWasReplacedSinceThePlan(t *testing.T) {
	f := newFixture(t)
	f.run(t, f.configMaps(t, 3))
	state, p := f.plan(t, f.configMaps(t, 1))
	if n := p.Count(plan.Prune); n != 2 {
		t.Fatalf("%d to prune, want 2", n)
	}
	maps := f.Dynamic.Resource(resources[plan.Ref{Kind: "ConfigMap"}.GroupVersionKind().GroupKind()]).Namespace(f.set.Namespace)
	if err := maps.Delete(t.Context(), "c1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	mine := f.object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c1}, data: {whose: mine}}")
	if _, err := maps.Create(t.Context(), mine.Unstructured, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := f.Prune(t.Context(), f.set, state, p, Options{}, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := maps.Get(t.Context(), "c1", metav1.GetOptions{}); err != nil {
		t.Errorf("somebody's new object is gone: %v", err)
	}
	if _, err := maps.Get(t.Context(), "c2", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("c2 is not pruned: %v", err)
	}
}

func TestPruneWritesTheExactKinds(t *testing.T) {
	f := newFixture(t)
	f.run(t, append(f.configMaps(t, 1), f.object(t, "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 1, protocol: TCP}]}}")))
	state, p := f.plan(t, f.configMaps(t, 1))
	if err := f.Prune(t.Context(), f.set, state, p, Options{}, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	now, err := f.Read(t.Context(), f.set, nil, plan.CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := joinKinds(now.Parent.Kinds); got != "ConfigMap" {
		t.Errorf("kinds %q", got)
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	f := newFixture(t)
	objects := f.set.Label(f.configMaps(t, 2))
	answers, err := f.DryRun(t.Context(), []plan.Question{{Object: objects[0]}, {Object: objects[1]}})
	if err != nil || len(answers) != 2 {
		t.Fatalf("%v, %v", answers, err)
	}
	if now, err := f.Read(t.Context(), f.set, objects, plan.CompareOptions{}); err != nil || len(now.Members) > 0 || now.Parent != nil {
		t.Errorf("%d members, %v", len(now.Members), err)
	}
}

const paused = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {replicas: 0, selector: {matchLabels: {app: d}},
  template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c, image: x}]}}}}`

func TestScaleFromAndToZeroHoldsCurrentReplicas(t *testing.T) {
	f := newFixture(t)
	f.run(t, []plan.Object{f.object(t, paused)})
	live := func() *unstructured.Unstructured {
		t.Helper()
		running, err := f.Running(t.Context(), f.set)
		if err != nil || len(running.Workloads) != 1 {
			t.Fatalf("%d workloads, %v", len(running.Workloads), err)
		}
		return running.Workloads[0]
	}
	replicas := func(want int64) {
		t.Helper()
		if got, _, _ := unstructured.NestedInt64(live().Object, "spec", "replicas"); got != want {
			t.Errorf("%d replicas, want %d", got, want)
		}
	}
	zero, two, three := int32(0), int32(2), int32(3)
	if err := f.Scale(t.Context(), live(), 2, &zero); err != nil {
		t.Fatal(err)
	}
	replicas(2)
	before := live()
	if err := f.Scale(t.Context(), before, 3, &two); err != nil {
		t.Fatal(err)
	}
	// Somebody scaled it since it was read.
	var meanwhile *ScaledMeanwhileError
	if err := f.Scale(t.Context(), before, 9, &two); !errors.As(err, &meanwhile) || meanwhile.Replicas != 3 || meanwhile.Replaced ||
		!slices.Equal(meanwhile.Managers, []string{plan.ScaleFieldManager}) {
		t.Errorf("error %v", err)
	}
	var wrong *ReplicasError
	if err := f.Scale(t.Context(), live(), 9, &two); !errors.As(err, &wrong) || wrong.Got != 3 {
		t.Errorf("error %v", err)
	}
	replicas(3)
	// Another object of that name by now.
	stale := live().DeepCopy()
	stale.SetUID("somebody-else")
	if err := f.Scale(t.Context(), stale, 9, nil); !errors.As(err, &meanwhile) || !meanwhile.Replaced {
		t.Errorf("error %v", err)
	}
	if err := f.DryRunScale(t.Context(), live(), 7, &three); err != nil {
		t.Error(err)
	}
	replicas(3)
	if err := f.Scale(t.Context(), live(), 0, &three); err != nil {
		t.Fatal(err)
	}
	replicas(0)
}

func TestSecondSetDoesNotTakeTheFirstOnesObjects(t *testing.T) {
	f := newFixture(t)
	f.run(t, f.configMaps(t, 2))
	other := fixture{f.Client, Set{Flow: "g", Namespace: f.set.Namespace, Version: "v1"}}
	state, p := other.plan(t, f.configMaps(t, 3))
	if len(p.Conflicts) != 2 {
		t.Fatalf("conflicts %v", p.Conflicts)
	}
	_, err := other.Run(t.Context(), other.set, state, p, Options{Force: true}, func(Event) { t.Error("something was written") })
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("error %v", err)
	}
	if now, err := other.Read(t.Context(), other.set, nil, plan.CompareOptions{}); err != nil || now.Parent != nil {
		t.Errorf("the second set has a parent: %v", err)
	}
	if _, _, err := other.Members(t.Context(), other.set); err == nil {
		t.Error("a Flow that was never applied is found")
	}
}

func TestWaitGoneEndsWithItsContext(t *testing.T) {
	f := newFixture(t)
	held := f.object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: held, finalizers: [test.example/hold]}, data: {}}")
	f.run(t, []plan.Object{held})
	state, members, err := f.Members(t.Context(), f.set)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = f.Down(ctx, f.set, state, members, true, func(Event) {})
	var still *StillThereError
	if !errors.As(err, &still) || len(still.Refs) != 1 || still.Refs[0].Name != "held" {
		t.Fatalf("error %v", err)
	}
	if now, err := f.Read(t.Context(), f.set, nil, plan.CompareOptions{}); err != nil || now.Parent == nil {
		t.Errorf("the parent is gone before the members: %v", err)
	}
	// Let it go, for the namespace's sake.
	free := f.object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: held, finalizers: []}}")
	if _, err := f.apply(t.Context(), f.set.Label([]plan.Object{free})[0].Unstructured, applyOptions{manager: plan.FieldManager}); err != nil {
		t.Error(err)
	}
}

func TestReadSendsAConstantNumberOfRequests(t *testing.T) {
	c := testcluster.Start(t)
	count := func(n int) int64 {
		var requests atomic.Int64
		config := c.Config()
		config.Wrap(counting(&requests))
		f := fixture{clientFor(t, config), Set{Flow: "f", Namespace: c.Namespace(t), Version: "v1"}}
		if _, err := f.Read(t.Context(), f.set, f.configMaps(t, n), plan.CompareOptions{}); err != nil {
			t.Fatal(err)
		}
		return requests.Load()
	}
	if one, many := count(1), count(40); one != many {
		t.Errorf("%d requests for 40 new objects, %d for one", many, one)
	}
}
