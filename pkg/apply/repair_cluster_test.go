package apply

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// brokenYAML is statefulSetYAML with a revision whose pods never become ready.
func brokenYAML(t *testing.T) string {
	t.Helper()
	return replaceIn(t, statefulSetYAML, "metadata: {labels: {app: st}}", `metadata: {labels: {app: st}, annotations: {sim.test/ready-after: 1000h}}`)
}

// ready tells which pods are ready, each NAME IMAGE.
func (f fixture) ready(t *testing.T, selector string, n int) []string {
	t.Helper()
	var out []string
	for _, pod := range f.pods(t, selector, n) {
		conditions, _, _ := unstructured.NestedSlice(pod.Object, "status", "conditions")
		for _, c := range conditions {
			if c, _ := c.(map[string]any); c["type"] == "Ready" && c["status"] == "True" {
				out = append(out, pod.GetName())
			}
		}
	}
	return out
}

func (f fixture) awaitReady(t *testing.T, selector string, names ...string) {
	t.Helper()
	testcluster.Eventually(t, func() error {
		if got := f.ready(t, selector, 2); !slices.Equal(got, names) {
			return fmt.Errorf("%v are ready, want %v", got, names)
		}
		return nil
	})
}

// stuck is a StatefulSet whose second pod is of a broken revision.
func (f fixture) stuck(t *testing.T) {
	t.Helper()
	f.run(t, []plan.Object{f.object(t, statefulSetYAML)})
	f.awaitReady(t, "app=st", "st-0", "st-1")
	good := f.pods(t, "app=st", 2)[1]
	f.run(t, []plan.Object{f.object(t, brokenYAML(t))})
	testcluster.Eventually(t, func() error {
		if pods := f.pods(t, "app=st", 2); pods[1].GetUID() == good.GetUID() {
			return fmt.Errorf("%s is not replaced yet", pods[1].GetName())
		}
		return nil
	})
	f.awaitReady(t, "app=st", "st-0")
}

// TestStatefulSetThatIsStuckOnABrokenRevisionIsRepaired shows that kubernetes#67250 is there, and what up does about it.
func TestStatefulSetThatIsStuckOnABrokenRevisionIsRepaired(t *testing.T) {
	for name, objects := range map[string]string{
		"by the file from before": statefulSetYAML,
		"by another file":         replaceIn(t, statefulSetYAML, "x:1", "x:2"),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.stuck(t)
			broken := f.pods(t, "app=st", 2)
			wanted := []plan.Object{f.object(t, objects)}
			p := f.up(t, wanted, plan.CompareOptions{})
			c := changeOf(t, p, "StatefulSet", "st")
			if c.Action != plan.Update || len(c.RepairPods) != 1 || c.RepairPods[0].Name != "st-1" || c.RepairPods[0].UID != broken[1].GetUID() || !strings.Contains(c.Reason, "st-1") {
				t.Errorf("%s, pods %v: %s", c.Action, c.RepairPods, c.Reason)
			}
			f.awaitReady(t, "app=st", "st-0", "st-1")
			f.unchanged(t, wanted)
		})
	}
}

// TestStatefulSetThatWasSetBackWithoutItsPodIsRepaired is what another tool's rollback leaves: the object is as the file says.
func TestStatefulSetThatWasSetBackWithoutItsPodIsRepaired(t *testing.T) {
	f := newFixture(t)
	f.stuck(t)
	objects := []plan.Object{f.object(t, statefulSetYAML)}
	state, p := f.planWith(t, objects, plan.CompareOptions{})
	for i := range p.Changes {
		p.Changes[i].RepairPods = nil
	}
	if _, err := f.Run(t.Context(), f.set, state, p, Options{}, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.untilSeen(t.Context(), f.live(t, "StatefulSet", "st")); err != nil {
		t.Fatal(err)
	}
	if got := f.ready(t, "app=st", 2); !slices.Equal(got, []string{"st-0"}) {
		t.Fatalf("the controller does not wait for the broken pod any more: %v are ready", got)
	}
	p = f.up(t, objects, plan.CompareOptions{})
	if c := changeOf(t, p, "StatefulSet", "st"); c.Action != plan.Update || len(c.RepairPods) != 1 || len(c.Fields) > 0 {
		t.Errorf("%s, pods %v, fields %v", c.Action, c.RepairPods, c.Fields)
	}
	f.awaitReady(t, "app=st", "st-0", "st-1")
	f.unchanged(t, objects)
}

func TestWayBackReplacesTheBrokenPodsOfAStatefulSet(t *testing.T) {
	f := newFixture(t)
	f.run(t, []plan.Object{f.object(t, statefulSetYAML)})
	f.awaitReady(t, "app=st", "st-0", "st-1")
	before := f.live(t, "StatefulSet", "st")
	f.tryAndGoBack(t, []plan.Object{f.object(t, brokenYAML(t))}, plan.CompareOptions{}, func() { f.awaitReady(t, "app=st", "st-0") })
	f.awaitReady(t, "app=st", "st-0", "st-1")
	wantAsBefore(t, before, f.live(t, "StatefulSet", "st"))
}

func TestPodsAreListedOnlyWhereAStatefulSetIsNotAsItShouldBe(t *testing.T) {
	f := newFixture(t)
	objects := []plan.Object{f.object(t, statefulSetYAML)}
	f.run(t, objects)
	f.awaitReady(t, "app=st", "st-0", "st-1")
	testcluster.Eventually(t, func() error {
		if o := f.live(t, "StatefulSet", "st"); plan.NeedsPods(o) {
			return fmt.Errorf("status %v", o.Object["status"])
		}
		return nil
	})
	listed := func() bool {
		recorded, r := f.recorded(t)
		recorded.planWith(t, objects, plan.CompareOptions{})
		return slices.ContainsFunc(r.requests, func(request *http.Request) bool { return strings.HasSuffix(request.URL.Path, "/pods") })
	}
	if listed() {
		t.Error("pods were listed of a StatefulSet that is ready")
	}
	f.run(t, []plan.Object{f.object(t, brokenYAML(t))})
	f.awaitReady(t, "app=st", "st-0")
	if !listed() {
		t.Error("pods were not listed of a StatefulSet that is not ready")
	}
}

func TestPodsThatMayNotBeListedAreSaid(t *testing.T) {
	f := newFixture(t)
	f.stuck(t)
	user := f.as(t,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "patch", "create"}},
		rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"statefulsets"}, Verbs: []string{"get", "list", "patch", "create"}},
		rbacv1.PolicyRule{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: []string{"list"}})
	_, p := user.planWith(t, []plan.Object{f.object(t, statefulSetYAML)}, plan.CompareOptions{})
	if c := changeOf(t, p, "StatefulSet", "st"); c.Action != plan.Update || len(c.RepairPods) > 0 {
		t.Errorf("%s, pods %v", c.Action, c.RepairPods)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "StatefulSet/st: its pods may not be listed") {
		t.Errorf("notes %q", p.Notes)
	}
}
