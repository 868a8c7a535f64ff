package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

const configMapYAML = `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {k: old}}`

// owners of an object's fields, but for its status: who, how, and which fields.
func owners(o *unstructured.Unstructured) []string {
	var out []string
	for _, m := range o.GetManagedFields() {
		if m.Subresource != "status" {
			out = append(out, fmt.Sprintf("%s %s %s %s", m.Manager, m.Operation, m.Subresource, m.FieldsV1.GetRawString()))
		}
	}
	slices.Sort(out)
	return out
}

// content of an object: all that somebody has written.
func content(o *unstructured.Unstructured) string {
	c := o.DeepCopy()
	for _, field := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"} {
		unstructured.RemoveNestedField(c.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(c.Object, "status")
	unstructured.RemoveNestedField(c.Object, "spec", "clusterIP")
	unstructured.RemoveNestedField(c.Object, "spec", "clusterIPs")
	annotations := c.GetAnnotations()
	delete(annotations, "deployment.kubernetes.io/revision") // the controller counts on
	c.SetAnnotations(annotations)
	text, err := c.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func wantAsBefore(t *testing.T, before, after *unstructured.Unstructured) {
	t.Helper()
	if was, is := content(before), content(after); was != is {
		t.Errorf("%s was\n%s\nand is\n%s", plan.RefOf(after), was, is)
	}
	if was, is := owners(before), owners(after); !slices.Equal(was, is) {
		t.Errorf("%s was owned by\n%s\nand is by\n%s", plan.RefOf(after), strings.Join(was, "\n"), strings.Join(is, "\n"))
	}
}

// tryAndGoBack carries out a plan of the objects, and goes back.
func (f fixture) tryAndGoBack(t *testing.T, objects []plan.Object, o plan.CompareOptions, meanwhile func()) (plan.Plan, Restored) {
	t.Helper()
	state, p := f.planWith(t, objects, o)
	if _, err := f.Run(t.Context(), f.set, state, p, Options{Force: o.Force, Record: Record{Graph: `{"new":[]}`}}, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	if meanwhile != nil {
		meanwhile()
	}
	return p, f.goBack(t, state, p)
}

func (f fixture) goBack(t *testing.T, state State, p plan.Plan) Restored {
	t.Helper()
	restored, err := f.Restore(t.Context(), p, func(Event) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Discard(t.Context(), f.set, state, p, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	return restored
}

// ownsPods waits until a StatefulSet owns so many pods.
func (f fixture) ownsPods(t *testing.T, name, selector string, n int) {
	t.Helper()
	uid := f.live(t, "StatefulSet", name).GetUID()
	testcluster.Eventually(t, func() error {
		for _, pod := range f.pods(t, selector, n) {
			if refs := pod.GetOwnerReferences(); len(refs) != 1 || refs[0].UID != uid {
				return fmt.Errorf("pod %s belongs to %v", pod.GetName(), refs)
			}
		}
		return nil
	})
}

func (f fixture) patch(t *testing.T, kind, name, manager, patch string) {
	t.Helper()
	r, err := f.resource(plan.RefOf(f.live(t, kind, name)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: manager}); err != nil {
		t.Fatal(err)
	}
}

func (f fixture) wantGone(t *testing.T, kind, name string) {
	t.Helper()
	r, err := f.resource(plan.Ref{Version: "v1", Kind: kind, Namespace: f.set.Namespace})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("%s/%s is there: %v", kind, name, err)
	}
}

func TestWayBackRestoresValuesAndOwners(t *testing.T) {
	f := newFixture(t)
	f.run(t, []plan.Object{f.object(t, configMapYAML), f.object(t, serviceYAML), f.object(t, deploymentYAML)})
	f.patch(t, "Deployment", "d", "somebody", `{"metadata":{"annotations":{"note":"theirs"}},"spec":{"template":{"metadata":{"annotations":{"injected":"yes"}}}}}`)
	kinds := [][2]string{{"ConfigMap", "c"}, {"Service", "s"}, {"Deployment", "d"}, {"ConfigMap", f.set.ParentRef().Name}}
	before := map[[2]string]*unstructured.Unstructured{}
	for _, k := range kinds {
		before[k] = f.live(t, k[0], k[1])
	}
	changed := replaceIn(t, deploymentYAML, "image: registry.example/x:1", "image: registry.example/x:2, env: [{name: A, value: b}], resources: {limits: {cpu: 1000m}}")
	changed = replaceIn(t, changed, "replicas: 2", "replicas: 3\n  minReadySeconds: 1")
	p, restored := f.tryAndGoBack(t, []plan.Object{
		f.object(t, replaceIn(t, configMapYAML, "k: old", "k: new, other: more")),
		f.object(t, replaceIn(t, serviceYAML, "ports: [", "ports: [{name: second, port: 9090, protocol: TCP}, ")),
		f.object(t, changed), f.object(t, replaceIn(t, configMapYAML, "name: c", "name: fresh")),
	}, plan.CompareOptions{}, nil)
	if n := p.Count(plan.Update); n != 3 || p.Count(plan.Create) != 1 {
		t.Fatalf("the plan is %v", summary(p))
	}
	if len(restored.Left) > 0 {
		t.Errorf("left: %v", restored.Left)
	}
	for _, k := range kinds {
		after := f.live(t, k[0], k[1])
		wantAsBefore(t, before[k], after)
		if after.GetUID() != before[k].GetUID() {
			t.Errorf("%v is another object", k)
		}
	}
	f.wantGone(t, "ConfigMap", "fresh")
	if d := f.live(t, "Deployment", "d"); restored.Generations[plan.RefOf(d)] != d.GetGeneration() {
		t.Errorf("generation %d, and %d is told", d.GetGeneration(), restored.Generations[plan.RefOf(d)])
	}
}

func TestFieldsThatWereTakenByForceGoBackToTheirOwners(t *testing.T) {
	f := newFixture(t)
	f.run(t, []plan.Object{f.object(t, deploymentYAML)})
	f.patch(t, "Deployment", "d", "kubectl-edit", `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"registry.example/hot:fix","ports":[{"containerPort":8080,"protocol":"TCP"}]}]}}}}`)
	before := f.live(t, "Deployment", "d")
	p, _ := f.tryAndGoBack(t, []plan.Object{f.object(t, replaceIn(t, deploymentYAML, "x:1", "x:2"))}, plan.CompareOptions{Force: true}, nil)
	if c := changeOf(t, p, "Deployment", "d"); c.Action != plan.Update || len(p.Conflicts) == 0 {
		t.Fatalf("%v: nothing was taken by force", summary(p))
	}
	wantAsBefore(t, before, f.live(t, "Deployment", "d"))
}

func TestAdoptedObjectsGoBackToTheirTool(t *testing.T) {
	f := newFixture(t)
	text := replaceIn(t, replaceIn(t, deploymentYAML, "replicas: 2", "replicas: 2\n  minReadySeconds: 3"), "name: c,", "name: c, command: [jina],")
	_ = f.mustKubectl(t, text, "apply", "-f", "-")
	before := f.live(t, "Deployment", "d")
	p, _ := f.tryAndGoBack(t, []plan.Object{f.object(t, replaceIn(t, replaceIn(t, deploymentYAML, "name: c,", "name: c, command: [jina],"), "x:1", "x:2"))}, plan.CompareOptions{}, nil)
	if c := changeOf(t, p, "Deployment", "d"); c.Action != plan.Adopt {
		t.Fatalf("the plan is %v", summary(p))
	}
	wantAsBefore(t, before, f.live(t, "Deployment", "d"))
	f.wantGone(t, "ConfigMap", f.set.ParentRef().Name)
}

func TestRecreatedObjectsAreMadeAgainAsBefore(t *testing.T) {
	f := newFixture(t)
	f.run(t, []plan.Object{f.object(t, deploymentYAML), f.object(t, statefulSetYAML)})
	f.patch(t, "Deployment", "d", "somebody", `{"metadata":{"annotations":{"note":"theirs"}}}`)
	pods := f.pods(t, "app=st", 2)
	f.pods(t, "app=d", 2)
	deployment, statefulSet := f.live(t, "Deployment", "d"), f.live(t, "StatefulSet", "st")
	p, _ := f.tryAndGoBack(t, []plan.Object{
		f.object(t, replaceIn(t, deploymentYAML, "{app: d}", "{app: e}")), f.object(t, replaceIn(t, statefulSetYAML, "serviceName: s", "serviceName: other")),
	}, plan.CompareOptions{}, func() { f.ownsPods(t, "st", "app=st", 2) })
	if p.Count(plan.Recreate) != 2 {
		t.Fatalf("the plan is %v", summary(p))
	}
	now := f.live(t, "Deployment", "d")
	if now.GetUID() == deployment.GetUID() {
		t.Error("the Deployment was never deleted")
	}
	withoutRevision := func(o *unstructured.Unstructured) *unstructured.Unstructured {
		// The controller's annotation is its own, and comes again.
		var entries []metav1.ManagedFieldsEntry
		for _, m := range o.GetManagedFields() {
			if m.Manager != "kube-controller-manager" {
				entries = append(entries, m)
			}
		}
		o.SetManagedFields(entries)
		return o
	}
	wantAsBefore(t, withoutRevision(deployment), withoutRevision(now))
	wantAsBefore(t, statefulSet, f.live(t, "StatefulSet", "st"))
	if after := f.pods(t, "app=st", 2); after[0].GetUID() != pods[0].GetUID() || after[1].GetUID() != pods[1].GetUID() {
		t.Error("the StatefulSet's pods were replaced")
	}
}

func TestReplicasGoBackToWhoHadSetThem(t *testing.T) {
	f := newFixture(t)
	f.run(t, []plan.Object{f.object(t, deploymentYAML)})
	f.mustKubectl(t, "", "scale", "deployment/d", "--replicas=4")
	before := f.live(t, "Deployment", "d")
	p, _ := f.tryAndGoBack(t, []plan.Object{f.object(t, replaceIn(t, deploymentYAML, "replicas: 2", "replicas: 3"))}, plan.CompareOptions{}, nil)
	if c := changeOf(t, p, "Deployment", "d"); c.Replicas.Scale == nil {
		t.Fatalf("the plan does not scale: %+v", c)
	}
	wantAsBefore(t, before, f.live(t, "Deployment", "d"))
}

func TestReplicasThatWereHandedOverAreOursAgain(t *testing.T) {
	f := newFixture(t)
	f.run(t, []plan.Object{f.object(t, deploymentYAML)})
	before := f.live(t, "Deployment", "d")
	p, _ := f.tryAndGoBack(t, []plan.Object{f.object(t, replaceIn(t, deploymentYAML, "  replicas: 2\n", ""))}, plan.CompareOptions{}, nil)
	if p.Count(plan.Update) != 1 {
		t.Fatalf("the plan is %v", summary(p))
	}
	wantAsBefore(t, before, f.live(t, "Deployment", "d"))
}

func TestWhatSomebodyHasWrittenSinceStaysAndIsNamed(t *testing.T) {
	f := newFixture(t)
	f.run(t, []plan.Object{f.object(t, deploymentYAML), f.object(t, configMapYAML)})
	_, restored := f.tryAndGoBack(t, []plan.Object{
		f.object(t, replaceIn(t, deploymentYAML, "replicas: 2", "replicas: 3\n  minReadySeconds: 1")), f.object(t, replaceIn(t, configMapYAML, "k: old", "k: new")),
	}, plan.CompareOptions{}, func() {
		f.mustKubectl(t, "", "scale", "deployment/d", "--replicas=5")
	})
	d := f.live(t, "Deployment", "d")
	if _, has, _ := unstructured.NestedInt64(d.Object, "spec", "minReadySeconds"); replicasOf(t, d) != 5 || has {
		t.Errorf("%d replicas, the rest went back: %v", replicasOf(t, d), !has)
	}
	if got := ownersOf(t, d, "spec", "replicas"); !slices.Equal(got, []string{"kubectl Update scale"}) {
		t.Errorf("replicas are owned by %v", got)
	}
	if !slices.Equal(restored.Left, []string{"Deployment/d: spec.replicas"}) {
		t.Errorf("named: %v", restored.Left)
	}
}

func TestNewFlowLeavesNothingBehindWhenItGoesBack(t *testing.T) {
	f := newFixture(t)
	_, restored := f.tryAndGoBack(t, []plan.Object{f.object(t, configMapYAML), f.object(t, serviceYAML), f.object(t, deploymentYAML)}, plan.CompareOptions{}, nil)
	if len(restored.Generations) > 0 {
		t.Errorf("restored: %v", restored.Generations)
	}
	for _, k := range [][2]string{{"ConfigMap", "c"}, {"Service", "s"}, {"ConfigMap", f.set.ParentRef().Name}} {
		f.wantGone(t, k[0], k[1])
	}
	// A pod that was made when the garbage collector had looked already goes a moment later.
	testcluster.Eventually(t, func() error {
		if names := f.podNames(t, "app=d"); len(names) > 0 {
			return fmt.Errorf("pods are left: %v", names)
		}
		return nil
	})
}

// TestWayBackThatIsKilledIsEndedByAnUp ends a way back after its first object.
func TestWayBackThatIsKilledIsEndedByAnUp(t *testing.T) {
	f := newFixture(t)
	old := []plan.Object{f.object(t, configMapYAML), f.object(t, serviceYAML), f.object(t, deploymentYAML)}
	f.run(t, old)
	next := []plan.Object{
		f.object(t, replaceIn(t, configMapYAML, "k: old", "k: new")), f.object(t, serviceYAML), f.object(t, replaceIn(t, deploymentYAML, "x:1", "x:2")),
		f.object(t, replaceIn(t, configMapYAML, "name: c", "name: fresh")),
	}
	for name, objects := range map[string][]plan.Object{"of the old file": old, "of the new file": next} {
		t.Run(name, func(t *testing.T) {
			f.up(t, old, plan.CompareOptions{})
			state, p := f.planWith(t, next, plan.CompareOptions{})
			if _, err := f.Run(t.Context(), f.set, state, p, Options{}, func(Event) {}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := f.Restore(ctx, p, func(Event) { cancel() })
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
			f.up(t, objects, plan.CompareOptions{})
			f.unchanged(t, objects)
			if len(objects) == len(old) {
				f.wantGone(t, "ConfigMap", "fresh")
			}
		})
	}
}

func TestRunThatEndedHalfWayGoesBack(t *testing.T) {
	f := newFixture(t)
	f.run(t, f.configMaps(t, 60))
	before := f.live(t, "ConfigMap", "c0")
	var objects []plan.Object
	for i := range 60 {
		objects = append(objects, f.object(t, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d}, data: {k: w, more: x}}", i)))
	}
	state, p := f.planWith(t, objects, plan.CompareOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := f.Run(ctx, f.set, state, p, Options{}, func(Event) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	f.goBack(t, state, p)
	wantAsBefore(t, before, f.live(t, "ConfigMap", "c0"))
	f.unchanged(t, f.configMaps(t, 60))
}

func TestObjectThatIsGoneOnTheWayBackIsNamedAndTheOthersGoBack(t *testing.T) {
	f := newFixture(t)
	f.run(t, f.configMaps(t, 2))
	before := f.live(t, "ConfigMap", "c1")
	objects := []plan.Object{
		f.object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c0}, data: {k: w}}"), f.object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c1}, data: {k: w}}"),
	}
	state, p := f.planWith(t, objects, plan.CompareOptions{})
	if _, err := f.Run(t.Context(), f.set, state, p, Options{}, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	f.mustKubectl(t, "", "delete", "configmap", "c0")
	_, err := f.Restore(t.Context(), p, func(Event) {})
	var gone *ReplacedError
	if !errors.As(err, &gone) || gone.Ref.Name != "c0" {
		t.Errorf("error %v", err)
	}
	wantAsBefore(t, before, f.live(t, "ConfigMap", "c1"))
}

// TestWayBackLeavesAloneWhatSomebodyHasMadeInThePlaceOfARecreatedObject has them delete what the plan has made.
func TestWayBackLeavesAloneWhatSomebodyHasMadeInThePlaceOfARecreatedObject(t *testing.T) {
	f := newFixture(t)
	frozen := "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, immutable: true, data: {k: old}}"
	f.run(t, []plan.Object{f.object(t, frozen)})
	state, p := f.planWith(t, []plan.Object{f.object(t, replaceIn(t, frozen, "k: old", "k: new"))}, plan.CompareOptions{})
	if p.Count(plan.Recreate) != 1 {
		t.Fatalf("the plan is %v", summary(p))
	}
	if _, err := f.Run(t.Context(), f.set, state, p, Options{}, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	f.mustKubectl(t, "", "delete", "configmap", "c")
	f.mustKubectl(t, "", "create", "configmap", "c", "--from-literal=k=theirs")
	theirs := f.live(t, "ConfigMap", "c")
	_, err := f.Restore(t.Context(), p, func(Event) {})
	var gone *ReplacedError
	if !errors.As(err, &gone) || gone.Ref.Name != "c" {
		t.Errorf("error %v", err)
	}
	wantAsBefore(t, theirs, f.live(t, "ConfigMap", "c"))
	if f.live(t, "ConfigMap", "c").GetUID() != theirs.GetUID() {
		t.Error("theirs was deleted")
	}
}
