package apply

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

const statefulSetYAML = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: st}
spec:
  replicas: 2
  serviceName: s
  selector: {matchLabels: {app: st}}
  template:
    metadata: {labels: {app: st}}
    spec:
      containers: [{name: c, image: registry.example/x:1}]
`

// TestRefusalIsToldFromAFieldThatCannotChange shows C9: only what an object is refused for as it is, and not for what it says, leads
// to recreating it.
func TestRefusalIsToldFromAFieldThatCannotChange(t *testing.T) {
	const otherSelector = "{app: d, more: yes-it-is}"
	claims := "volumeClaimTemplates: [{metadata: {name: v}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]"
	frozen := "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, immutable: true, data: {k: v}}"
	for _, tc := range []struct {
		name, live string
		change     []string // old, new, old, new…
		immutable  []string
		refused    string
	}{
		{name: "selector of a Deployment", live: deploymentYAML, change: []string{"{app: d}", otherSelector}, immutable: []string{"spec.selector"}},
		{name: "selector and a typo", live: deploymentYAML, change: []string{"{app: d}", otherSelector, "containerPort: 8080", "containerPort: 808080"}, refused: "808080"},
		{name: "a typo alone", live: deploymentYAML, change: []string{"containerPort: 8080", "containerPort: 808080"}, refused: "808080"},
		{name: "selector that misses the pods", live: deploymentYAML, change: []string{"matchLabels: {app: d}", "matchLabels: {app: other}"}, refused: "does not match"},
		{name: "serviceName of a StatefulSet", live: statefulSetYAML, change: []string{"serviceName: s", "serviceName: other"}, immutable: []string{"spec.serviceName"}},
		// An update tolerates any name, for the sake of objects from before there was a rule; a new object does not.
		{name: "serviceName that is none", live: statefulSetYAML, change: []string{"serviceName: s", "serviceName: Not_A_Name"}, refused: "Not_A_Name"},
		{name: "claims and policy of a StatefulSet", live: statefulSetYAML, change: []string{"serviceName: s", "serviceName: s\n  podManagementPolicy: Parallel\n  " + claims},
			immutable: []string{"spec.podManagementPolicy", "spec.volumeClaimTemplates"}},
		{name: "serviceName and a typo", live: statefulSetYAML, change: []string{"serviceName: s", "serviceName: other", "image: registry.example/x:1", "image: ''"}, refused: "image"},
		{name: "Service that becomes headless", live: serviceYAML, change: []string{"spec: {", "spec: {clusterIP: None, "}, immutable: []string{"spec.clusterIPs[0]"}},
		{name: "headless Service that gets an address", live: replaceIn(t, serviceYAML, "spec: {", "spec: {clusterIP: None, "), change: []string{"clusterIP: None, ", ""}, immutable: []string{"spec.clusterIP"}},
		{name: "ConfigMap that is immutable", live: frozen, change: []string{"k: v", "k: w"}, immutable: []string{"data"}},
		{name: "ConfigMap that is immutable, and a typo", live: frozen, change: []string{"k: v", "'a/b': w"}, refused: "a/b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t)
			f.run(t, []plan.Object{f.object(t, tc.live)})
			text := tc.live
			for i := 0; i < len(tc.change); i += 2 {
				text = replaceIn(t, text, tc.change[i], tc.change[i+1])
			}
			wanted := f.set.Label([]plan.Object{f.object(t, text)})[0]
			answers, err := f.DryRun(t.Context(), []plan.Question{{Object: wanted}})
			if tc.refused != "" {
				if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.refused) || strings.Contains(err.Error(), "jina-try") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.immutable, answers[wanted.Ref()].Immutable); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestEveryCauseOfARefusalHasToBeAnImmutableField shows C9 with answers that the API server of these tests does not give.
func TestEveryCauseOfARefusalHasToBeAnImmutableField(t *testing.T) {
	// In Kubernetes up to 1.36 the list of what may change is longer or shorter from version to version.
	const old = "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy' and 'minReadySeconds' are forbidden"
	selector := metav1.StatusCause{Field: "spec.selector", Message: "Invalid value: {}: field is immutable"}
	for _, tc := range []struct {
		name, kind string
		causes     []metav1.StatusCause
		want       []string
	}{
		{"selector", "Deployment", []metav1.StatusCause{selector}, []string{"spec.selector"}},
		{"selector of something else", "Job", []metav1.StatusCause{selector}, nil},
		{"selector for another reason", "Deployment", []metav1.StatusCause{{Field: "spec.selector", Message: "Required value"}}, nil},
		{"selector and something else", "Deployment", []metav1.StatusCause{selector, {Field: "spec.strategy", Message: "Invalid value"}}, nil},
		{"old StatefulSet", "StatefulSet", []metav1.StatusCause{{Field: "spec", Message: old}}, []string{"spec"}},
		{"old StatefulSet, another ban", "StatefulSet", []metav1.StatusCause{{Field: "spec", Message: "Forbidden: such things are forbidden"}}, nil},
		{"doubled", "Service", []metav1.StatusCause{
			{Field: "spec.clusterIPs[0]", Message: "Invalid value: []: primary clusterIP can not be unset"}, {Field: "spec.clusterIPs[0]", Message: "Invalid value: []: may not change once set"},
		}, []string{"spec.clusterIPs[0]"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonInvalid, Details: &metav1.StatusDetails{Kind: tc.kind, Causes: tc.causes}}}
			if d := cmp.Diff(tc.want, immutableFields(err)); d != "" {
				t.Error(d)
			}
			err.ErrStatus.Reason = metav1.StatusReasonConflict
			if fields := immutableFields(err); fields != nil {
				t.Errorf("a conflict: %v", fields)
			}
		})
	}
}

// TestQuotaIsNoReasonAgainstRecreating shows C9: the second dry run, of a new object, counts against a quota as the first would not.
func TestQuotaIsNoReasonAgainstRecreating(t *testing.T) {
	f := newFixture(t)
	f.run(t, []plan.Object{f.object(t, serviceYAML)})
	f.mustKubectl(t, "", "create", "quota", "tight", "--hard=count/services=1")
	wanted := f.set.Label([]plan.Object{f.object(t, replaceIn(t, serviceYAML, "spec: {", "spec: {clusterIP: None, "))})[0]
	answers, err := f.DryRun(t.Context(), []plan.Question{{Object: wanted}})
	if err != nil || len(answers[wanted.Ref()].Immutable) == 0 {
		t.Errorf("%+v, %v", answers, err)
	}
}

// TestNamespaceThatIsNotThereIsUnknown shows C12 b: what cannot be known is said, nothing is simulated.
func TestNamespaceThatIsNotThereIsUnknown(t *testing.T) {
	f := newFixture(t)
	f.set.Namespace = "not-there-yet"
	objects := []plan.Object{f.object(t, deploymentYAML)}
	state, p := f.planWith(t, objects, plan.CompareOptions{})
	if !state.NoNamespace || p.Changes[0].Action != plan.Unknown || p.Changes[0].Reason != "the namespace does not exist yet" {
		t.Errorf("no namespace %v, plan %+v", state.NoNamespace, p.Changes)
	}
	answers, err := f.DryRun(t.Context(), []plan.Question{{Object: objects[0]}})
	if err != nil || answers[objects[0].Ref()].Unknown != "the namespace does not exist yet" {
		t.Errorf("%+v, %v", answers, err)
	}
}

func TestAddressesAreNotTriedUnderAnotherName(t *testing.T) {
	o := &unstructured.Unstructured{Object: map[string]any{"kind": "Service", "metadata": map[string]any{"name": "a"},
		"spec": map[string]any{"clusterIP": "10.0.0.7", "clusterIPs": []any{"10.0.0.7"}, "ports": []any{map[string]any{"port": int64(1), "nodePort": int64(30000)}}}}}
	c := underAnotherName(o)
	want := map[string]any{"ports": []any{map[string]any{"port": int64(1)}}}
	if d := cmp.Diff(want, c.Object["spec"]); d != "" || c.GetName() == "a" || o.GetName() != "a" {
		t.Error(d, c.GetName(), o.GetName())
	}
}
