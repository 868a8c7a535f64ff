package plan

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// stuckStatefulSet is a StatefulSet as wantedStatefulSet says, whose pods are of several revisions.
func stuckStatefulSet(text string) string {
	return strings.NewReplacer("kind: Deployment", "kind: StatefulSet", "  progressDeadlineSeconds: 600\n", "", "status: {replicas: 2}",
		"status: {replicas: 2, readyReplicas: 1, currentRevision: enc-old, updateRevision: enc-new}").Replace(text)
}

func TestPodsAreNeededOfAnOrderedStatefulSetThatIsNotReady(t *testing.T) {
	settled := strings.NewReplacer("readyReplicas: 1", "readyReplicas: 2", "enc-old", "enc-new").Replace(stuckStatefulSet(liveDeployment))
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"a Deployment", liveDeployment, false},
		{"all ready, one revision", settled, false},
		{"two revisions", strings.Replace(settled, "currentRevision: enc-new", "currentRevision: enc-old", 1), true},
		{"not all ready", strings.Replace(settled, "readyReplicas: 2", "readyReplicas: 1", 1), true},
		{"never seen by its controller", strings.Replace(settled, "status: {replicas: 2, readyReplicas: 2, currentRevision: enc-new, updateRevision: enc-new}", "", 1), true},
		{"replaced by nobody", strings.Replace(stuckStatefulSet(liveDeployment), "\nspec:\n", "\nspec:\n  updateStrategy: {type: OnDelete}\n", 1), false},
		{"in parallel", strings.Replace(stuckStatefulSet(liveDeployment), "\nspec:\n", "\nspec:\n  podManagementPolicy: Parallel\n", 1), false},
	} {
		if got := NeedsPods(object(t, c.text)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestBrokenPodsOfOtherRevisionsAreReplaced(t *testing.T) {
	pods := []Pod{
		{Name: "enc-0", UID: "p0", Revision: "enc-old", Ready: true}, {Name: "enc-1", UID: "p1", Revision: "enc-old"}, {Name: "enc-2", UID: "p2", Revision: "enc-new"},
	}
	wanted := strings.Replace(wantedDeployment, "kind: Deployment", "kind: StatefulSet", 1)
	for _, c := range []struct {
		name, wanted string
		pods         []Pod
		action       Action
		repaired     []string
		reason       string
	}{
		{"no broken ones", wanted, pods[:1], Keep, nil, ""},
		{"of the present revision, which stays", wanted, pods[2:], Keep, nil, ""},
		{"of an earlier revision", wanted, pods, Update, []string{"enc-1"},
			"pod enc-1 of an earlier revision is not ready, and the controller waits for it: it is deleted, and made anew of this one"},
		{"the template changes", strings.Replace(wanted, "image: a:1", "image: a:2", 1), pods, Update, []string{"enc-1", "enc-2"},
			"pods enc-1, enc-2 of an earlier revision are not ready, and the controller waits for them: they are deleted, and made anew of this one"},
		{"something else changes", strings.Replace(wanted, "replicas: 2", "replicas: 3", 1), pods, Update, []string{"enc-1"},
			"pod enc-1 of an earlier revision is not ready, and the controller waits for it: it is deleted, and made anew of this one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			live := object(t, stuckStatefulSet(liveDeployment))
			o := Object{Unstructured: object(t, c.wanted)}
			l := Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): live}, Pods: map[Ref][]Pod{o.Ref(): c.pods}}
			if _, _, settled := Settle(o, live, nil, CompareOptions{}); settled {
				t.Error("it is settled without a look at its pods")
			}
			compared := Compare([]Object{o}, l, CompareOptions{})
			p := compared.Plan(answers(t, compared))
			change := p.Changes[0]
			var names []string
			for _, pod := range change.RepairPods {
				names = append(names, pod.Name)
			}
			if change.Action != c.action || !slices.Equal(names, c.repaired) || change.Reason != c.reason {
				t.Errorf("%s, pods %v: %q", change.Action, names, change.Reason)
			}
			if len(c.repaired) > 0 && change.Live == nil {
				t.Error("what it was before is not kept")
			}
			// What was shown covers other broken pods, and nothing covers a repair that was not shown.
			none := compared
			for i := range none.entries {
				none.entries[i].pods = nil
			}
			unrepaired := none.Plan(answers(t, none))
			if changes, _ := p.Beyond(unrepaired); (len(changes) > 0) != (len(c.repaired) > 0) {
				t.Errorf("beyond a plan without repairs: %v", changes)
			}
		})
	}
}

func TestPodBelowThePartitionBlocksNothing(t *testing.T) {
	text := strings.Replace(stuckStatefulSet(liveDeployment), "\nspec:\n", "\nspec:\n  updateStrategy: {rollingUpdate: {partition: 2}}\n", 1)
	for _, c := range []struct {
		pod  Pod
		want bool
	}{
		{Pod{Name: "enc-1", Revision: "enc-old"}, false},
		{Pod{Name: "enc-2", Revision: "enc-old"}, true},
		{Pod{Name: "enc-10", Revision: "enc-old"}, true},
		{Pod{Name: "enc-2", Revision: "enc-new"}, false},
		{Pod{Name: "enc-2", Revision: "enc-old", Ready: true}, false},
	} {
		if got := c.pod.Blocks(object(t, text)); got != c.want {
			t.Errorf("%+v: %v", c.pod, got)
		}
	}
}
