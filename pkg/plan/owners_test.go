package plan

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const imageOfExecutor = `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"executor\"}":{"f:image":{}}}}}}}`

// withoutOurs takes a JSON path of fields out of what kubectl-jina owns in liveDeployment.
func givenUp(text, field string) string { return strings.Replace(text, field, "", 1) }

func TestFieldsNameTheirOwnerAndTheReason(t *testing.T) {
	edited := strings.NewReplacer(
		"                f:image: {}\n", "", "image: a:1", "image: edited:1", // by kubectl-edit
		"  progressDeadlineSeconds: 600\n", "  progressDeadlineSeconds: 600\n  minReadySeconds: 5\n  revisionHistoryLimit: 10\n",
		"        f:selector: {}\n", "        f:selector: {}\n        f:minReadySeconds: {}\n",
	).Replace(liveDeployment)
	live := object(t, edited)
	at := metav1.NewTime(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	edit := owned("kubectl-edit", metav1.ManagedFieldsOperationUpdate, "", imageOfExecutor)
	edit.Time = &at
	own(t, live, true, edit)
	wanted := strings.NewReplacer(
		"replicas: 2", "replicas: 3\n  revisionHistoryLimit: 4", "jina.ai/executor: enc,", "jina.ai/executor: enc, new: label,",
	).Replace(wantedDeployment)
	p := planOf(t, wanted, live, nil, CompareOptions{Force: true})
	c := p.Changes[0]
	want := `metadata.labels.new: "" -> "label", nobody, new in the file
spec.minReadySeconds: "5" -> "", kubectl-jina, no longer in the file
spec.replicas: "2" -> "3", kubectl-jina, the file, or this version of kubectl jina, has changed
spec.revisionHistoryLimit: "10" -> "4", nobody, set by the API server or a webhook; the file says otherwise
spec.template.spec.containers[executor].image: "edited:1" -> "a:1", kubectl-edit, set by kubectl-edit; the file says otherwise
`
	if got := fieldLines(c); got != want {
		t.Errorf("fields:\n%s\nwant:\n%s", got, want)
	}
	if o := c.Fields[4].Owner; o.Operation != "Update" || !o.Time.Equal(at.Time) {
		t.Errorf("owner %+v", o)
	}
	if len(p.Conflicts) != 1 {
		t.Errorf("conflicts %+v", p.Conflicts)
	}
}

func TestSeveralOwnersOfAFieldAreOneText(t *testing.T) {
	live := object(t, liveDeployment)
	later := metav1.NewTime(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	other := owned("platform-team", metav1.ManagedFieldsOperationApply, "", imageOfExecutor)
	other.Time = &later
	status := owned("kube-controller-manager", metav1.ManagedFieldsOperationUpdate, "status", imageOfExecutor)
	own(t, live, true, other, status)
	p := planOf(t, strings.Replace(wantedDeployment, "image: a:1", "image: a:2", 1), live, nil, CompareOptions{Force: true})
	o := p.Changes[0].Fields[0].Owner
	if o == nil || o.Manager != "kubectl-jina, platform-team" || !o.Time.Equal(later.Time) {
		t.Errorf("owner %+v", o)
	}
}

// TestConflictsAreNamedFromManagedFields is anchors.md C5: field, both values, manager, operation, subresource and time come from
// managedFields; the API server's causes are doubled, incomplete and ambiguous.
func TestConflictsAreNamedFromManagedFields(t *testing.T) {
	at := metav1.NewTime(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	live := object(t, givenUp(strings.Replace(liveDeployment, "image: a:1", "image: edited:1", 1), "                f:image: {}\n"))
	env := `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"executor\"}":{"f:env":{"k:{\"name\":\"TOKEN\"}":{"f:value":{}}}}}}}}}`
	edit, token := owned("kubectl-edit", metav1.ManagedFieldsOperationUpdate, "", imageOfExecutor), owned("vault", metav1.ManagedFieldsOperationApply, "", env)
	edit.Time, token.Time = &at, &at
	own(t, live, true, edit, token)
	o := Object{Unstructured: object(t, strings.Replace(wantedDeployment, "secret-one", "secret-two", 1))}
	c := Compare([]Object{o}, Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): live}}, CompareOptions{})
	said := []Conflict{ // twice the one, and not the other
		{Ref: o.Ref(), Field: `spec.template.spec.containers[name="executor"].image`, Owner: Owner{Manager: "kubectl-edit"}, Detail: "using apps/v1"},
		{Ref: o.Ref(), Field: `spec.template.spec.containers[name="executor"].image`, Owner: Owner{Manager: "kubectl-edit"}, Detail: "using apps/v1"},
	}
	p := c.Plan(map[Ref]Answer{o.Ref(): {Conflicts: said}})
	want := []Conflict{
		{Ref: o.Ref(), Field: "spec.template.spec.containers[executor].env[TOKEN].value", Live: Masked, Ours: Masked,
			Owner: Owner{Manager: "vault", Operation: "Apply", Time: at.UTC()}},
		{Ref: o.Ref(), Field: "spec.template.spec.containers[executor].image", Live: "edited:1", Ours: "a:1",
			Owner: Owner{Manager: "kubectl-edit", Operation: "Update", Time: at.UTC()}},
	}
	if len(p.Conflicts) != 2 || p.Conflicts[0] != want[0] || p.Conflicts[1] != want[1] {
		t.Errorf("conflicts %+v\nwant %+v", p.Conflicts, want)
	}
	if c := p.Changes[0]; c.Action != Update || len(c.Fields) != 2 {
		t.Errorf("%s of %s", c.Action, fieldLines(c))
	}
}

func TestConflictThatManagedFieldsDoNotShowKeepsTheServersText(t *testing.T) {
	o := Object{Unstructured: object(t, strings.Replace(wantedDeployment, "image: a:1", "image: a:2", 1))}
	live := Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): object(t, liveDeployment)}}
	said := Conflict{Ref: o.Ref(), Field: "spec.paused", Owner: Owner{Manager: "somebody"}, Detail: "using apps/v1"}
	p := Compare([]Object{o}, live, CompareOptions{}).Plan(map[Ref]Answer{o.Ref(): {Conflicts: []Conflict{said}}})
	if len(p.Conflicts) != 1 || p.Conflicts[0].Owner.Manager != "somebody" || !strings.Contains(p.Conflicts[0].Detail, "do not tell whose it is; the API server says: somebody using apps/v1") {
		t.Errorf("%+v", p.Conflicts)
	}
	// Of an object that was not there when it was read there are none.
	p = Compare([]Object{o}, Live{}, CompareOptions{}).Plan(map[Ref]Answer{o.Ref(): {Conflicts: []Conflict{said}}})
	if len(p.Conflicts) != 1 || p.Conflicts[0] != said {
		t.Errorf("%+v", p.Conflicts)
	}
}

// TestAmbiguousConflictIsSaidToBeOne has two fields that the server writes alike, as the key of a map may have dots.
func TestAmbiguousConflictIsSaidToBeOne(t *testing.T) {
	const monitor = `{apiVersion: monitoring.coreos.com/v1, kind: ServiceMonitor, metadata: {name: m, namespace: ns}, spec: {a: {b.c: %, "b": {c: %}}}}`
	o := Object{Unstructured: object(t, strings.ReplaceAll(monitor, "%", "1"))}
	live := object(t, strings.ReplaceAll(monitor, "%", "2"))
	entry := owned("other", metav1.ManagedFieldsOperationApply, "", `{"f:spec":{"f:a":{"f:b.c":{},"f:b":{"f:c":{}}}}}`)
	entry.APIVersion = "monitoring.coreos.com/v1"
	live.SetManagedFields([]metav1.ManagedFieldsEntry{entry})
	said := []Conflict{{Ref: o.Ref(), Field: "spec.a.b.c", Owner: Owner{Manager: "other"}}}
	p := Compare([]Object{o}, Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): live}}, CompareOptions{}).
		Plan(map[Ref]Answer{o.Ref(): {Conflicts: said}})
	var fields []string
	for _, c := range p.Conflicts {
		fields = append(fields, c.Field+" "+c.Detail)
	}
	want := "spec.a.b.c |spec.a[b.c] |spec.a.b.c ambiguous: 2 fields are written like this; the API server says: other"
	if got := strings.Join(fields, "|"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestForceShowsWhatIsTakenOver(t *testing.T) {
	live := object(t, givenUp(strings.Replace(liveDeployment, "image: a:1", "image: edited:1", 1), "                f:image: {}\n"))
	own(t, live, true, owned("kubectl-edit", metav1.ManagedFieldsOperationUpdate, "", imageOfExecutor))
	p := planOf(t, wantedDeployment, live, nil, CompareOptions{Force: true})
	if want := "spec.template.spec.containers[executor].image: \"edited:1\" -> \"a:1\", kubectl-edit, set by kubectl-edit; the file says otherwise\n"; fieldLines(p.Changes[0]) != want || len(p.Conflicts) != 1 {
		t.Errorf("%s%v", fieldLines(p.Changes[0]), p.Conflicts)
	}
}

func TestSecretsInsideWholeValuesAreMasked(t *testing.T) {
	wanted := strings.Replace(wantedDeployment, "      containers:\n", "      containers:\n      - {name: side, image: b, env: [{name: KEY, value: hush}]}\n", 1)
	p := planOf(t, wanted, object(t, liveDeployment), nil, CompareOptions{})
	lines := fieldLines(p.Changes[0])
	if strings.Contains(lines, "hush") || !strings.Contains(lines, `spec.template.spec.containers[side]`) || !strings.Contains(lines, "KEY") {
		t.Error(lines)
	}
}
