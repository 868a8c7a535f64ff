package plan

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const withResources = "        resources: {requests: {cpu: %cpu%, memory: %memory%}, limits: {nvidia.com/gpu: %gpu%}}\n"

func resources(text, cpu, memory, gpu string) string {
	text = strings.Replace(text, "        args: [executor, --name, enc]\n", "        args: [executor, --name, enc]\n"+withResources, 1)
	return strings.NewReplacer("%cpu%", cpu, "%memory%", memory, "%gpu%", gpu).Replace(text)
}

// TestQuantitiesWrittenInAnotherWayAreNoChange: the API server writes them in their canonical form.
func TestQuantitiesWrittenInAnotherWayAreNoChange(t *testing.T) {
	ours := strings.Replace(liveDeployment, "                f:args: {}\n", "                f:args: {}\n                f:resources: {f:requests: {f:cpu: {}, f:memory: {}}, f:limits: {f:nvidia.com/gpu: {}}}\n", 1)
	for _, c := range [][2][3]string{
		{{"1000m", "1024Mi", `"1"`}, {`"1"`, "1Gi", `"1"`}},
		{{"0.5", "1Gi", "2"}, {"500m", "1Gi", `"2"`}},
		{{`"0.5"`, "1073741824", "1000m"}, {"500m", `"1073741824"`, `"1"`}},
		{{"2", "1.5Gi", "1"}, {`"2"`, "1536Mi", `"1"`}},
	} {
		live := object(t, resources(ours, c[1][0], c[1][1], c[1][2]))
		o := Object{Unstructured: object(t, resources(wantedDeployment, c[0][0], c[0][1], c[0][2]))}
		cmp := Compare([]Object{o}, Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): live}}, CompareOptions{})
		if u := cmp.Undecided(); len(u) != 0 {
			t.Errorf("%v is asked about, beside %v", c[0], c[1])
		}
	}
	live := object(t, resources(ours, "1", "1Gi", `"1"`))
	p := planOf(t, resources(wantedDeployment, "1001m", "1Gi", `"1"`), live, nil, CompareOptions{})
	if want := "spec.template.spec.containers[executor].resources.requests.cpu"; len(p.Changes[0].Fields) != 1 || p.Changes[0].Fields[0].Path != want {
		t.Errorf("%s, want only %s", fieldLines(p.Changes[0]), want)
	}
}

// TestWhatAdmissionDoesToEveryWriteIsNoChange is anchors.md C11: a webhook that keeps our image in another form, and stamps each write.
func TestWhatAdmissionDoesToEveryWriteIsNoChange(t *testing.T) {
	mutated := strings.NewReplacer("image: a:1", "image: mirror/a:1", "  annotations: {", "  annotations: {stamp: one, ").Replace(liveDeployment)
	o := Object{Unstructured: object(t, wantedDeployment)}
	c := Compare([]Object{o}, Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): object(t, mutated)}}, CompareOptions{})
	if len(c.Undecided()) != 1 {
		t.Fatal("the server is not asked")
	}
	stamped := object(t, strings.Replace(mutated, "stamp: one", "stamp: two", 1))
	if p := c.Plan(map[Ref]Answer{o.Ref(): {Object: stamped}}); p.Changed() {
		t.Errorf("%s of %s", p.Changes[0].Action, fieldLines(p.Changes[0]))
	}
	// Beside a change of ours the stamp is shown for what it is.
	o = Object{Unstructured: object(t, strings.Replace(wantedDeployment, "replicas: 2", "replicas: 3", 1))}
	c = Compare([]Object{o}, Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): object(t, mutated)}}, CompareOptions{})
	stamped = object(t, strings.NewReplacer("stamp: one", "stamp: two", "replicas: 2\n  progress", "replicas: 3\n  progress", `replicas: "2"`, `replicas: "3"`).Replace(mutated))
	want := "metadata.annotations.stamp: \"one\" -> \"two\", nobody, set by the API server or a webhook\n" +
		"spec.replicas: \"2\" -> \"3\", kubectl-jina, the file, or this version of kubectl jina, has changed\n"
	if got := fieldLines(c.Plan(map[Ref]Answer{o.Ref(): {Object: stamped}}).Changes[0]); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestOwnershipAloneIsAnUpdateThatSaysSo(t *testing.T) {
	live := object(t, strings.Replace(liveDeployment, "        f:selector: {}\n", "", 1))
	c := planOf(t, wantedDeployment, live, nil, CompareOptions{}).Changes[0]
	if c.Action != Update || len(c.Fields) != 0 || !strings.HasPrefix(c.Reason, "only who owns which fields changes") {
		t.Errorf("%s %q %s", c.Action, c.Reason, fieldLines(c))
	}
}

func TestNothingIsAskedWhereThereIsNoNamespace(t *testing.T) {
	o := Object{Unstructured: object(t, wantedDeployment)}
	c := Compare([]Object{o}, Live{NoNamespace: true, Unread: []string{"cannot list x"}}, CompareOptions{})
	if len(c.Undecided()) != 0 {
		t.Error("the server is asked")
	}
	p := c.Plan(nil)
	if len(p.Changes) != 1 || p.Changes[0].Action != Unknown || p.Changes[0].Reason != "the namespace does not exist yet" || p.Changes[0].Object == nil {
		t.Errorf("%+v", p.Changes)
	}
	if len(p.Notes) != 1 || p.Notes[0] != "cannot list x" {
		t.Errorf("notes %v", p.Notes)
	}
}

// TestDataIsNeverPruned is anchors.md C19.
func TestDataIsNeverPruned(t *testing.T) {
	live := Live{Members: map[Ref]*unstructured.Unstructured{}}
	for _, text := range []string{
		"{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: ns, uid: a}}",
		"{apiVersion: v1, kind: Namespace, metadata: {name: ns, uid: b}}",
		"{apiVersion: v1, kind: Service, metadata: {name: gone, namespace: ns, uid: c}}",
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: theirs, namespace: ns, uid: d, ownerReferences: [{apiVersion: x/v1, kind: Foo, name: bar, uid: e}]}}",
	} {
		o := object(t, text)
		live.Members[RefOf(o)] = o
	}
	lines := func(p Plan) string {
		var out []string
		for _, c := range p.Changes {
			out = append(out, string(c.Action)+" "+c.Ref.String()+": "+c.Reason)
		}
		for _, c := range p.Conflicts {
			out = append(out, "conflict "+c.Ref.String()+": "+c.Owner.Manager+": "+c.Detail)
		}
		return strings.Join(out, "\n")
	}
	want := `keep Namespace/ns: no longer in the Flow; a Namespace is never deleted for that
keep PersistentVolumeClaim/data: no longer in the Flow; a PersistentVolumeClaim is never deleted for that
prune Service/gone: no longer in the Flow
conflict ConfigMap/theirs: Foo/bar: it is no longer in the Flow, and has an owner that is not part of it`
	if got := lines(Compare(nil, live, CompareOptions{}).Plan(nil)); got != want {
		t.Errorf("%s\nwant:\n%s", got, want)
	}
	p := Compare(nil, live, CompareOptions{KeepPruned: true}).Plan(nil)
	if p.Changed() || len(p.Conflicts) != 0 || len(p.Changes) != 4 {
		t.Errorf("%s", lines(p))
	}
}

func TestMemberWithoutItsLabelComesBack(t *testing.T) {
	flow := "jina.ai/flow: f, "
	lost := object(t, strings.Replace(liveDeployment, "labels: {", "labels: {"+flow, 1))
	o := Object{Unstructured: object(t, strings.Replace(wantedDeployment, "labels: {jina", "labels: {applyset.kubernetes.io/part-of: set, "+flow+"jina", 1))}
	c := Compare([]Object{o}, Live{Strangers: map[Ref]*unstructured.Unstructured{o.Ref(): lost}}, CompareOptions{})
	p := c.Plan(answers(t, c))
	if len(p.Conflicts) != 0 || p.Changes[0].Action != Update || p.Changes[0].Reason != "the label of its set was taken away" {
		t.Errorf("%+v %+v", p.Changes, p.Conflicts)
	}
	other := object(t, strings.Replace(liveDeployment, "labels: {", "labels: {jina.ai/flow: g, ", 1))
	other.SetManagedFields([]metav1.ManagedFieldsEntry{owned("helm", metav1.ManagedFieldsOperationUpdate, "", imageOfExecutor)})
	c = Compare([]Object{o}, Live{Strangers: map[Ref]*unstructured.Unstructured{o.Ref(): other}}, CompareOptions{})
	if p := c.Plan(nil); len(p.Conflicts) != 1 {
		t.Errorf("another Flow's object is taken for ours: %+v", p)
	}
}

// TestFieldsOfANewerServerAreNoChange has a live object with fields that this program's schema lacks.
func TestFieldsOfANewerServerAreNoChange(t *testing.T) {
	newer := strings.NewReplacer("  progressDeadlineSeconds: 600\n", "  progressDeadlineSeconds: 600\n  futureField: {a: 1}\n", "      restartPolicy: Always\n", "      restartPolicy: Always\n      futurePodField: x\n").Replace(liveDeployment)
	if u := compareOne(t, wantedDeployment, newer).Undecided(); len(u) != 0 {
		t.Error("an unchanged object is asked about")
	}
	wanted := strings.Replace(wantedDeployment, "image: a:1", "image: a:2", 1)
	c := compareOne(t, wanted, newer)
	p := c.Plan(map[Ref]Answer{c.Undecided()[0].Object.Ref(): {Object: object(t, strings.Replace(newer, "image: a:1", "image: a:2", 1))}})
	if want := "spec.template.spec.containers[executor].image: \"a:1\" -> \"a:2\", kubectl-jina, " + reasonChanged + "\n"; fieldLines(p.Changes[0]) != want {
		t.Errorf("%s, want %s", fieldLines(p.Changes[0]), want)
	}
	misspelt := strings.Replace(wantedDeployment, "  replicas: 2\n", "  replicas: 2\n  replicass: 2\n", 1)
	if n := len(compareOne(t, misspelt, liveDeployment).Undecided()); n != 1 {
		t.Error("a misspelt field of ours is kept from the server")
	}
}
