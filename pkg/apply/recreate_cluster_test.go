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
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// TestDeploymentIsRecreatedWhereItsSelectorChanges shows C9 for a Deployment: it goes with its pods before the new one comes.
func TestDeploymentIsRecreatedWhereItsSelectorChanges(t *testing.T) {
	f := newFixture(t)
	f.run(t, []plan.Object{f.object(t, deploymentYAML)})
	f.pods(t, "app=d", 2)
	before := f.live(t, "Deployment", "d")
	objects := []plan.Object{f.object(t, replaceIn(t, deploymentYAML, "{app: d}", "{app: e}"))}
	p := f.up(t, objects, plan.CompareOptions{})
	if c := changeOf(t, p, "Deployment", "d"); c.Action != plan.Recreate || !strings.Contains(c.Reason, "spec.selector") {
		t.Errorf("%s because %s", c.Action, c.Reason)
	}
	after := f.live(t, "Deployment", "d")
	if after.GetUID() == before.GetUID() || len(f.podNames(t, "app=d")) > 0 {
		t.Errorf("uid %s before, %s after, old pods %v", before.GetUID(), after.GetUID(), f.podNames(t, "app=d"))
	}
	f.unchanged(t, objects)
}

// TestStatefulSetIsRecreatedUnderItsPods shows C9 for a StatefulSet: its pods keep running, whoever they belong to meanwhile.
func TestStatefulSetIsRecreatedUnderItsPods(t *testing.T) {
	for name, change := range map[string][2]string{
		"serviceName": {"serviceName: s", "serviceName: other"},
		"claims":      {"serviceName: s", "serviceName: s\n  volumeClaimTemplates: [{metadata: {name: v}, spec: {accessModes: [ReadWriteOnce], storageClassName: simulated, resources: {requests: {storage: 1Gi}}}}]"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.run(t, []plan.Object{f.object(t, statefulSetYAML)})
			before := f.pods(t, "app=st", 2)
			objects := []plan.Object{f.object(t, replaceIn(t, statefulSetYAML, change[0], change[1]))}
			p := f.up(t, objects, plan.CompareOptions{})
			// A pod cannot be given the volume of a claim more: those pods have to go, too.
			if c := changeOf(t, p, "StatefulSet", "st"); c.Action != plan.Recreate || c.KeepPods != (name == "serviceName") {
				t.Errorf("%s, keeps its pods %v: %s", c.Action, c.KeepPods, c.Reason)
			}
			set := f.live(t, "StatefulSet", "st")
			testcluster.Eventually(t, func() error {
				after := f.pods(t, "app=st", 2)
				for i := range after {
					if refs := after[i].GetOwnerReferences(); len(refs) != 1 || refs[0].UID != set.GetUID() {
						return fmt.Errorf("pod %s belongs to %v", after[i].GetName(), refs)
					}
				}
				return nil
			})
			if name == "serviceName" {
				if after := f.pods(t, "app=st", 2); after[0].GetUID() != before[0].GetUID() || after[1].GetUID() != before[1].GetUID() {
					t.Error("the pods were replaced")
				}
			}
			f.unchanged(t, objects)
		})
	}
}

// TestServiceBecomesHeadlessAndBack shows C10: an address and none are two objects.
func TestServiceBecomesHeadlessAndBack(t *testing.T) {
	f := newFixture(t)
	plain := []plan.Object{f.object(t, serviceYAML)}
	headless := []plan.Object{f.object(t, replaceIn(t, serviceYAML, "spec: {", "spec: {clusterIP: None, "))}
	f.run(t, plain)
	for _, tc := range []struct {
		objects  []plan.Object
		headless bool
	}{{headless, true}, {plain, false}} {
		p := f.up(t, tc.objects, plan.CompareOptions{})
		if c := changeOf(t, p, "Service", "s"); c.Action != plan.Recreate {
			t.Errorf("%s because %s", c.Action, c.Reason)
		}
		ip, _, _ := unstructured.NestedString(f.live(t, "Service", "s").Object, "spec", "clusterIP")
		if (ip == "None") != tc.headless {
			t.Errorf("its address is %s", ip)
		}
		f.unchanged(t, tc.objects)
	}
}

// TestRecreationThatIsKilledIsContinued kills a run between the deletion of an object and its new creation.
func TestRecreationThatIsKilledIsContinued(t *testing.T) {
	f := newFixture(t)
	f.run(t, []plan.Object{f.object(t, statefulSetYAML)})
	before := f.pods(t, "app=st", 2)
	objects := []plan.Object{f.object(t, replaceIn(t, statefulSetYAML, "serviceName: s", "serviceName: other"))}
	_, p := f.plan(t, objects)
	if err := f.remove(t.Context(), changeOf(t, p, "StatefulSet", "st")); err != nil {
		t.Fatal(err)
	}
	state, p := f.plan(t, objects)
	if state.Parent == nil || joinKinds(state.Parent.Kinds) != "StatefulSet.apps" || changeOf(t, p, "StatefulSet", "st").Action != plan.Create {
		t.Fatalf("parent %v, plan %v", state.Parent, summary(p))
	}
	f.run(t, objects)
	set := f.live(t, "StatefulSet", "st")
	testcluster.Eventually(t, func() error {
		for i, pod := range f.pods(t, "app=st", 2) {
			if refs := pod.GetOwnerReferences(); len(refs) != 1 || refs[0].UID != set.GetUID() || pod.GetUID() != before[i].GetUID() {
				return fmt.Errorf("pod %s is owned by %v", pod.GetName(), refs)
			}
		}
		return nil
	})
}

// TestObjectThatIsNotThePlansIsLeftAlone shows C13: what was deleted or replaced since the plan is not written to, and not made anew.
func TestObjectThatIsNotThePlansIsLeftAlone(t *testing.T) {
	changed := func(t *testing.T, f fixture) []plan.Object {
		return []plan.Object{f.object(t, replaceIn(t, deploymentYAML, "x:1", "x:2"))}
	}
	recreated := func(t *testing.T, f fixture) []plan.Object {
		return []plan.Object{f.object(t, replaceIn(t, deploymentYAML, "{app: d}", "{app: e}"))}
	}
	for name, wanted := range map[string]func(*testing.T, fixture) []plan.Object{"update": changed, "recreate": recreated} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.run(t, []plan.Object{f.object(t, deploymentYAML)})
			objects := wanted(t, f)
			state, p := f.plan(t, objects)
			f.deleteNow(t, "Deployment", "d")
			if name == "update" {
				_, err := f.Run(t.Context(), f.set, state, p, Options{}, func(Event) {})
				var replaced *ReplacedError
				if !errors.As(err, &replaced) || replaced.Ref.Name != "d" {
					t.Errorf("it is gone: %v", err)
				}
			}
			mine := f.create(t, deploymentYAML, "somebody")
			// Without force the fields that it has are a conflict.
			_, err := f.Run(t.Context(), f.set, state, p, Options{Force: true}, func(Event) {})
			var replaced *ReplacedError
			if !errors.As(err, &replaced) || !strings.Contains(err.Error(), "Deployment/d was deleted or replaced by somebody since it was read") {
				t.Errorf("it is another one: %v", err)
			}
			after := f.live(t, "Deployment", "d")
			if after.GetUID() != mine.GetUID() || after.GetLabels()[plan.LabelPartOfSet] != "" || after.GetGeneration() != 1 {
				t.Errorf("somebody's object was written to: %v", after.GetManagedFields())
			}
		})
	}
}

func TestRecreationEndsWithItsContext(t *testing.T) {
	f := newFixture(t)
	held := replaceIn(t, serviceYAML, "{name: s}", "{name: s, finalizers: [test.example/hold]}")
	f.run(t, []plan.Object{f.object(t, held)})
	objects := []plan.Object{f.object(t, replaceIn(t, held, "spec: {", "spec: {clusterIP: None, "))}
	state, p := f.plan(t, objects)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := f.Run(ctx, f.set, state, p, Options{}, func(Event) {})
		done <- err
	}()
	testcluster.Eventually(t, func() error {
		if f.live(t, "Service", "s").GetDeletionTimestamp() == nil {
			return errors.New("not deleted yet")
		}
		return nil
	})
	cancel()
	var partial *PartialError
	if err := <-done; !errors.As(err, &partial) || !errors.Is(err, context.Canceled) || len(partial.Unsure) != 1 {
		t.Errorf("error %v", err)
	}
	free := f.live(t, "Service", "s")
	free.SetFinalizers(nil)
	r, err := f.resource(plan.RefOf(free))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Update(t.Context(), free, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, func() error {
		if _, err := r.Get(t.Context(), "s", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there: %w", err)
		}
		return nil
	})
	f.up(t, []plan.Object{f.object(t, replaceIn(t, serviceYAML, "spec: {", "spec: {clusterIP: None, "))}, plan.CompareOptions{})
}

// deleteNow deletes an object and waits until it is gone.
func (f fixture) deleteNow(t *testing.T, kind, name string) {
	t.Helper()
	o := f.live(t, kind, name)
	if err := f.remove(t.Context(), plan.Change{Ref: plan.RefOf(o), UID: o.GetUID()}); err != nil {
		t.Fatal(err)
	}
}

// pods waits until a selector has a number of pods, none of them going, and returns them by name.
func (f fixture) pods(t *testing.T, selector string, n int) []unstructured.Unstructured {
	t.Helper()
	var pods []unstructured.Unstructured
	testcluster.Eventually(t, func() error {
		list, err := f.Dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(f.set.Namespace).
			List(t.Context(), metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return err
		}
		pods = slices.DeleteFunc(list.Items, func(o unstructured.Unstructured) bool { return o.GetDeletionTimestamp() != nil })
		if len(pods) != n {
			return fmt.Errorf("%d pods, want %d", len(pods), n)
		}
		return nil
	})
	slices.SortFunc(pods, func(a, b unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return pods
}

func (f fixture) podNames(t *testing.T, selector string) []string {
	t.Helper()
	list, err := f.Dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(f.set.Namespace).
		List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range list.Items {
		names = append(names, o.GetName())
	}
	return names
}
