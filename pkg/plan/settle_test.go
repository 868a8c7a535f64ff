package plan

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// appliedAs is what a server without admission has of an object that was applied, as a client decodes it.
func appliedAs(t *testing.T, types converter, o Object) *unstructured.Unstructured {
	t.Helper()
	if n, has, _ := unstructured.NestedInt64(o.Object, "spec", "replicas"); has && isWorkload(o.Unstructured) {
		o = withAnnotation(o, AnnotationReplicas, strconv.FormatInt(n, 10))
	}
	applied := answerTo(t, types, canonical(o.Unstructured).DeepCopy(), Question{Object: o}).Object
	applied.SetUID("u1")
	applied.SetGeneration(3)
	applied.Object["status"] = map[string]any{"observedGeneration": int64(3)}
	return decodedAgain(t, applied)
}

func decodedAgain(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	text, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	again := &unstructured.Unstructured{}
	if err := again.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	return again
}

// settleObjects are objects of every shape that we make.
func settleObjects(t *testing.T) []Object {
	t.Helper()
	objects := []Object{{Unstructured: object(t, wantedDeployment)}}
	data, err := os.ReadFile("../../examples/search/flow.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(data), `
jtype: Flow
with: {name: search, protocol: [grpc, http], port: [5000, 5001], env: {A: b}}
executors:
- {name: enc, uses: docker://a/b:1, shards: 2, replicas: 2, volumes: [/data], env_from_secret: {TOKEN: {name: s, key: k}}}
- {name: idx, uses: docker://a/b:1, replicas: 3, gpus: 1, workspace: /w, volumes: [/w]}
- {name: mon, uses: docker://a/b:1, monitoring: true}
`} {
		f, problems := flow.Parse(flow.Source{Name: "flow.yml", Data: []byte(text)})
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		more, problems := Objects(f, Options{FlowName: "search", Namespace: "ns"})
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, more...)
	}
	return objects
}

func TestAppliedObjectIsSettled(t *testing.T) {
	types := newConverter()
	for _, o := range settleObjects(t) {
		live := appliedAs(t, types, o)
		_, standIn, is := Settle(o, live, nil, CompareOptions{})
		if custom := o.GetKind() == "ServiceMonitor"; is == custom {
			t.Errorf("%s: settled is %v: %s", o.Ref(), is, asJSON(t, live.Object))
		}
		if !is {
			continue
		}
		if len(standIn.GetManagedFields()) > 0 || standIn.GetUID() != "u1" || standIn.GetGeneration() != 3 || RefOf(standIn) != o.Ref() {
			t.Errorf("%s has %v in its place", o.Ref(), standIn.Object["metadata"])
		}
	}
}

// TestNothingThatDiffersIsSettled changes, one by one, each value that we own in the live object, each field in what we own, and
// each in what is wanted: what is settled then must be what the typed comparison takes for the same.
func TestNothingThatDiffersIsSettled(t *testing.T) {
	types := newConverter()
	values, fields := 0, 0
	for _, o := range settleObjects(t) {
		live := appliedAs(t, types, o)
		leaves := ownedFields(live).Leaves()
		for path := range leaves.All() {
			path = path.Copy()
			other := live.DeepCopy()
			if !spoil(other.Object, path) {
				continue
			}
			values++
			mustNotSettle(t, types, o, other, "live "+path.String())
			less := live.DeepCopy()
			own(t, less, true)
			setOwned(t, less, ownedFields(live).Difference(fieldpath.NewSet(path)))
			fields++
			mustNotSettle(t, types, o, decodedAgain(t, less), "not owned "+path.String())
		}
		more := live.DeepCopy()
		setOwned(t, more, ownedFields(live).Union(fieldpath.NewSet(fieldpath.MakePathOrDie("metadata", "labels", "more"))))
		mustNotSettle(t, types, o, decodedAgain(t, more), "one more is owned")
		asked := withAnnotation(o, "more", "text")
		mustNotSettle(t, types, asked, live, "one more is wanted")
	}
	if values < 500 || fields < 500 {
		t.Errorf("only %d values and %d fields were tried", values, fields)
	}
}

func mustNotSettle(t *testing.T, types converter, o Object, live *unstructured.Unstructured, what string) {
	t.Helper()
	s, _, is := Settle(o, live, nil, CompareOptions{})
	if is && !types.ownsExactly(live, s.decision.object.Unstructured) {
		t.Errorf("%s: %s is settled", o.Ref(), what)
	}
	if is && !strings.Contains(what, "spec.replicas") {
		t.Errorf("%s: %s is settled", o.Ref(), what)
	}
}

func setOwned(t *testing.T, o *unstructured.Unstructured, set *fieldpath.Set) {
	t.Helper()
	managed := o.GetManagedFields()
	i := slices.IndexFunc(managed, isOurs)
	fields, err := fieldsOf(set)
	if err != nil {
		t.Fatal(err)
	}
	managed[i].FieldsV1 = fields
	o.SetManagedFields(managed)
}

// spoil gives the value at a path another one of its type; false where it is the key of a list's item.
func spoil(v any, path fieldpath.Path) bool {
	last := path[len(path)-1]
	if last.FieldName == nil {
		return false
	}
	if len(path) > 1 && path[len(path)-2].Key != nil && slices.ContainsFunc(*path[len(path)-2].Key, func(f value.Field) bool { return f.Name == *last.FieldName }) {
		return false
	}
	parent, has := lookUp(v, path[:len(path)-1])
	m, isMap := parent.(map[string]any)
	if !has || !isMap {
		return false
	}
	switch old := m[*last.FieldName].(type) {
	case string:
		m[*last.FieldName] = old + "x"
	case int64:
		m[*last.FieldName] = old + 1
	case bool:
		m[*last.FieldName] = !old
	case []any:
		m[*last.FieldName] = append(slices.Clone(old), "x")
	case map[string]any:
		more := copyOf(old)
		more["x"] = "y"
		m[*last.FieldName] = more
	default:
		return false
	}
	return true
}

// TestSettledPlanIsThatOfTheWholeObjects compares both ways, with what others have done to the replicas.
func TestSettledPlanIsThatOfTheWholeObjects(t *testing.T) {
	types := newConverter()
	apply, update := metav1.ManagedFieldsOperationApply, metav1.ManagedFieldsOperationUpdate
	o := Object{Unstructured: object(t, wantedDeployment)}
	scaler := &Autoscaler{Kind: "HorizontalPodAutoscaler", Name: "h"}
	for name, c := range map[string]struct {
		change  func(live *unstructured.Unstructured)
		scaler  *Autoscaler
		opts    CompareOptions
		settled bool
	}{
		"ours":                {func(*unstructured.Unstructured) {}, nil, CompareOptions{}, true},
		"ours, to be reset":   {func(*unstructured.Unstructured) {}, nil, CompareOptions{ResetReplicas: true}, true},
		"ours, an autoscaler": {func(*unstructured.Unstructured) {}, scaler, CompareOptions{}, false},
		"scaled":              {func(l *unstructured.Unstructured) { own(t, l, false, replicasBy(ScaleFieldManager, update, "scale")) }, nil, CompareOptions{}, true},
		"scaled, to be reset": {func(l *unstructured.Unstructured) { own(t, l, false, replicasBy(ScaleFieldManager, update, "scale")) }, nil, CompareOptions{ResetReplicas: true}, false},
		"autoscaled": {func(l *unstructured.Unstructured) {
			own(t, l, false, replicasBy("kube-controller-manager", update, "scale"))
		}, scaler, CompareOptions{}, true},
		"applied by another, too": {func(l *unstructured.Unstructured) { own(t, l, true, replicasBy("other", apply, "")) }, nil, CompareOptions{}, true},
		"going":                   {func(l *unstructured.Unstructured) { now := metav1.Now(); l.SetDeletionTimestamp(&now) }, nil, CompareOptions{}, false},
	} {
		live := appliedAs(t, types, o)
		c.change(live)
		live = decodedAgain(t, live)
		state := Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): live}}
		sifted := Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): live}, Settled: map[Ref]Settled{}}
		if c.scaler != nil {
			state.Autoscalers = map[Ref]Autoscaler{o.Ref(): *c.scaler}
			sifted.Autoscalers = state.Autoscalers
		}
		s, standIn, is := Settle(o, live, c.scaler, c.opts)
		if is {
			sifted.Members[o.Ref()], sifted.Settled[o.Ref()] = standIn, s
		}
		if is != c.settled {
			t.Errorf("%s: settled is %v", name, is)
		}
		whole, some := Compare([]Object{o}, state, c.opts), Compare([]Object{o}, sifted, c.opts)
		if got, want := asJSON(t, some.Plan(answers(t, some))), asJSON(t, whole.Plan(answers(t, whole))); got != want {
			t.Errorf("%s: the plan is %s, want %s", name, got, want)
		}
	}
}

func TestSettledMemberProvesWhoseItsServiceIs(t *testing.T) {
	o := Object{Unstructured: object(t, wantedDeployment)}
	live := appliedAs(t, newConverter(), o)
	s, standIn, is := Settle(o, live, nil, CompareOptions{})
	if !is {
		t.Fatal("it is not settled")
	}
	service := Object{Unstructured: object(t, "{apiVersion: v1, kind: Service, metadata: {name: enc, namespace: ns}, spec: {selector: {app: enc}}}")}
	found := object(t, "{apiVersion: v1, kind: Service, metadata: {name: enc, namespace: ns, uid: s}, spec: {selector: {app: enc}}}")
	c := Compare([]Object{o, service}, Live{
		Members:   map[Ref]*unstructured.Unstructured{o.Ref(): standIn},
		Settled:   map[Ref]Settled{o.Ref(): s},
		Strangers: map[Ref]*unstructured.Unstructured{service.Ref(): found},
	}, CompareOptions{})
	p := c.Plan(answers(t, c))
	if len(p.Conflicts) != 0 || p.Changes[1].Action != Adopt {
		text, _ := json.Marshal(p)
		t.Errorf("the Service is not adopted: %s", text)
	}
}
