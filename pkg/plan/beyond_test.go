package plan

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestWhatIsAppliedIsWhatWasShown has two plans of one Flow: what was shown, and what is to be done now.
func TestWhatIsAppliedIsWhatWasShown(t *testing.T) {
	o := func(text string) Object { return Object{Unstructured: object(t, text)} }
	plan := func(wanted string, live ...*unstructured.Unstructured) Plan {
		l := Live{Members: map[Ref]*unstructured.Unstructured{}}
		for _, m := range live {
			l.Members[RefOf(m)] = m
		}
		c := Compare([]Object{o(wanted)}, l, CompareOptions{})
		return c.Plan(answers(t, c))
	}
	edit := func(text string, oldnew ...string) string { return strings.NewReplacer(oldnew...).Replace(text) }
	changed := edit(wantedDeployment, "image: a:1", "image: a:2", "jina.ai/executor: enc,", "jina.ai/executor: enc, x: z,")
	service := func(uid string) *unstructured.Unstructured {
		return object(t, "{apiVersion: v1, kind: Service, metadata: {name: old, namespace: ns, uid: "+uid+"}}")
	}
	live := object(t, liveDeployment)
	kubectl := replicasBy("kubectl", metav1.ManagedFieldsOperationUpdate, "scale")
	hpa := &Autoscaler{Kind: "HorizontalPodAutoscaler", Name: "enc"}
	for _, c := range []struct {
		name       string
		shown, now Plan
		changes    int
		conflicts  int
	}{
		{name: "the same", shown: plan(changed, live), now: plan(changed, live)},
		{name: "nothing any more", shown: plan(changed, live), now: plan(wantedDeployment, live)},
		{name: "something where there was nothing", shown: plan(wantedDeployment, live), now: plan(changed, live), changes: 1},
		{name: "less", shown: plan(changed, live), now: plan(edit(wantedDeployment, "image: a:1", "image: a:2"), live)},
		{name: "another value", shown: plan(changed, live), now: plan(edit(changed, "a:2", "a:3"), live), changes: 1},
		{name: "over another live value", shown: plan(changed, live), now: plan(changed, object(t, edit(liveDeployment, "image: a:1", "image: a:9"))), changes: 1},
		{name: "a live value that is not touched", shown: plan(changed, live), now: plan(changed, object(t, edit(liveDeployment, "progressDeadlineSeconds: 600", "progressDeadlineSeconds: 700")))},
		{name: "a masked value", shown: plan(edit(wantedDeployment, "secret-one", "secret-two"), live), now: plan(edit(wantedDeployment, "secret-one", "secret-three"), live), changes: 1},
		{name: "created by another run", shown: plan(wantedDeployment), now: plan(wantedDeployment, live)},
		{name: "created by another run in another way", shown: plan(changed), now: plan(changed, live), changes: 1},
		{name: "deleted meanwhile", shown: plan(changed, live), now: plan(changed), changes: 1},
		{name: "the same creation", shown: plan(changed), now: plan(changed)},
		{name: "another creation", shown: plan(changed), now: plan(edit(changed, "a:2", "a:3")), changes: 1},
		{name: "the same deletion", shown: plan(wantedDeployment, live, service("a")), now: plan(wantedDeployment, live, service("a"))},
		{name: "deleted already", shown: plan(wantedDeployment, live, service("a")), now: plan(wantedDeployment, live)},
		{name: "another object of the name is deleted", shown: plan(wantedDeployment, live, service("a")), now: plan(wantedDeployment, live, service("b")), changes: 1},
		{name: "a deletion that was not shown", shown: plan(wantedDeployment, live), now: plan(wantedDeployment, live, service("a")), changes: 1},
		{name: "scaled since, and the replicas stay", shown: plan(changed, live), now: plan(changed, scaled(t, 5, false, kubectl))},
		{name: "scaled since, and the file's go over it", shown: plan(edit(wantedDeployment, "replicas: 2", "replicas: 3"), live),
			now: plan(edit(wantedDeployment, "replicas: 2", "replicas: 3"), scaled(t, 5, false, kubectl)), changes: 1},
		{name: "an autoscaler moved between", shown: planOf(t, changed, scaled(t, 4, true), hpa, CompareOptions{}), now: planOf(t, changed, scaled(t, 6, true), hpa, CompareOptions{})},
		{name: "somebody took a field", shown: planOf(t, changed, live, nil, CompareOptions{Force: true}),
			now: planOf(t, changed, sharedWith(t, "kubectl-edit"), nil, CompareOptions{Force: true}), conflicts: 1},
		{name: "the conflict that was shown", shown: planOf(t, changed, sharedWith(t, "kubectl-edit"), nil, CompareOptions{Force: true}),
			now: planOf(t, changed, sharedWith(t, "kubectl-edit"), nil, CompareOptions{Force: true})},
		{name: "somebody else took it", shown: planOf(t, changed, sharedWith(t, "kubectl-edit"), nil, CompareOptions{Force: true}),
			now: planOf(t, changed, sharedWith(t, "helm"), nil, CompareOptions{Force: true}), conflicts: 1},
		{name: "unknown may be an update", shown: Plan{Changes: []Change{{Ref: RefOf(live), Action: Unknown}}}, now: plan(changed, live)},
		{name: "unknown may be a creation", shown: Plan{Changes: []Change{{Ref: RefOf(live), Action: Unknown}}}, now: plan(changed)},
		{name: "unknown is no recreation", shown: Plan{Changes: []Change{{Ref: RefOf(live), Action: Unknown}}}, now: Plan{Changes: []Change{{Ref: RefOf(live), Action: Recreate}}}, changes: 1},
		{name: "adoption of another object", shown: Plan{Changes: []Change{{Ref: RefOf(live), Action: Adopt, UID: "a"}}}, now: Plan{Changes: []Change{{Ref: RefOf(live), Action: Adopt, UID: "b"}}}, changes: 1},
		{name: "unknown where something was known", shown: plan(changed, live), now: Plan{Changes: []Change{{Ref: RefOf(live), Action: Unknown}}}, changes: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			changes, conflicts := c.now.Beyond(c.shown)
			if len(changes) != c.changes || len(conflicts) != c.conflicts {
				t.Errorf("%d changes and %d conflicts, want %d and %d:\n%+v\n%+v", len(changes), len(conflicts), c.changes, c.conflicts, changes, conflicts)
			}
		})
	}
}

// sharedWith is liveDeployment whose image another manager has taken part in owning.
func sharedWith(t *testing.T, manager string) *unstructured.Unstructured {
	t.Helper()
	live := object(t, liveDeployment)
	own(t, live, true, owned(manager, metav1.ManagedFieldsOperationUpdate, "", imageOfExecutor))
	return live
}
