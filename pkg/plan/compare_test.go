package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// object reads YAML for a test.
func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	js, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.UnmarshalJSON(js); err != nil {
		t.Fatal(err)
	}
	return o
}

const wantedDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: enc, namespace: ns, labels: {jina.ai/executor: enc, app.kubernetes.io/component: executor}}
spec:
  replicas: 2
  selector: {matchLabels: {app: enc}}
  template:
    metadata: {labels: {app: enc}}
    spec:
      containers:
      - name: executor
        image: a:1
        args: [executor, --name, enc]
        ports: [{containerPort: 8080, protocol: TCP}]
        env: [{name: TOKEN, value: secret-one}, {name: UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}]
`

// liveDeployment is what a server makes of wantedDeployment: defaults, another manager's status, and our managed fields.
const liveDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: enc
  namespace: ns
  uid: u1
  generation: 4
  labels: {jina.ai/executor: enc, app.kubernetes.io/component: executor}
  annotations: {jina.ai/replicas: "2"}
  managedFields:
  - manager: kubectl-jina
    operation: Apply
    apiVersion: apps/v1
    time: "2026-01-02T03:04:05Z"
    fieldsType: FieldsV1
    fieldsV1:
      f:metadata: {f:annotations: {f:jina.ai/replicas: {}}, f:labels: {f:jina.ai/executor: {}, f:app.kubernetes.io/component: {}}}
      f:spec:
        f:replicas: {}
        f:selector: {}
        f:template:
          f:metadata: {f:labels: {f:app: {}}}
          f:spec:
            f:containers:
              k:{"name":"executor"}:
                .: {}
                f:name: {}
                f:image: {}
                f:args: {}
                f:ports:
                  k:{"containerPort":8080,"protocol":"TCP"}: {.: {}, f:containerPort: {}, f:protocol: {}}
                f:env:
                  k:{"name":"UID"}: {.: {}, f:name: {}, f:valueFrom: {f:fieldRef: {}}}
                  k:{"name":"TOKEN"}: {.: {}, f:name: {}, f:value: {}}
  - manager: kube-controller-manager
    operation: Update
    subresource: status
    apiVersion: apps/v1
    fieldsType: FieldsV1
    fieldsV1: {f:status: {f:replicas: {}}}
spec:
  replicas: 2
  progressDeadlineSeconds: 600
  selector: {matchLabels: {app: enc}}
  template:
    metadata: {labels: {app: enc}}
    spec:
      restartPolicy: Always
      containers:
      - name: executor
        image: a:1
        imagePullPolicy: IfNotPresent
        args: [executor, --name, enc]
        ports: [{containerPort: 8080, protocol: TCP}]
        env: [{name: TOKEN, value: secret-one}, {name: UID, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.uid}}}]
status: {replicas: 2}
`

func compareOne(t *testing.T, wanted, live string) *Comparison {
	t.Helper()
	o := Object{Unstructured: object(t, wanted), Part: Part{Role: RoleExecutor, Executor: "enc"}}
	l := Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): object(t, live)}}
	return Compare([]Object{o}, l, CompareOptions{})
}

func TestUnchangedObjectNeedsNoDryRun(t *testing.T) {
	c := compareOne(t, wantedDeployment, liveDeployment)
	if u := c.Undecided(); len(u) != 0 {
		t.Fatalf("undecided: %v", u)
	}
	p := c.Plan(nil)
	if p.Changed() || p.Changes[0].Action != Keep {
		t.Fatalf("plan: %+v", p.Changes)
	}
}

func TestDifferencesFromWhatWeOwnAreFound(t *testing.T) {
	for name, edit := range map[string][2]string{
		"value changed in the file":            {"image: a:1", "image: a:2"},
		"field gone from the file":             {"args: [executor, --name, enc]", ""},
		"label added in the file":              {"jina.ai/executor: enc,", "jina.ai/executor: enc, x: y,"},
		"list item changed in the file":        {"containerPort: 8080", "containerPort: 8081"},
		"environment variable gone":            {"{name: TOKEN, value: secret-one}, ", ""},
		"order of an atomic list differs":      {"[executor, --name, enc]", "[executor, enc, --name]"},
		"replicas changed while they are ours": {"replicas: 2", "replicas: 3"},
	} {
		t.Run(name, func(t *testing.T) {
			edited := strings.Replace(wantedDeployment, edit[0], edit[1], 1)
			if edited == wantedDeployment {
				t.Fatal("the edit changed nothing")
			}
			if n := len(compareOne(t, edited, liveDeployment).Undecided()); n != 1 {
				t.Errorf("%d undecided, want 1", n)
			}
		})
	}
}

func TestDriftOfAFieldThatWeOwnIsFound(t *testing.T) {
	drifted := strings.Replace(liveDeployment, "image: a:1", "image: hacked:1", 1)
	if n := len(compareOne(t, wantedDeployment, drifted).Undecided()); n != 1 {
		t.Errorf("%d undecided, want 1", n)
	}
}

func TestUpdateShowsFieldsWithMaskedEnvironment(t *testing.T) {
	wanted := strings.NewReplacer("image: a:1", "image: a:2", "secret-one", "secret-two", "--name, enc]", "--name, enc, --timeout-send, '60']").Replace(wantedDeployment)
	c := compareOne(t, wanted, liveDeployment)
	ref := c.Undecided()[0].Object.Ref()
	answer := object(t, strings.NewReplacer("image: a:1", "image: a:2", "secret-one", "secret-two", "--name, enc]", "--name, enc, --timeout-send, '60']").Replace(liveDeployment))
	p := c.Plan(map[Ref]Answer{ref: {Object: answer}})
	us := &Owner{Manager: "kubectl-jina", Operation: "Apply", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	want := []FieldChange{
		{Path: "spec.template.spec.containers[executor].args", Ours: "--timeout-send 60", Owner: us, Reason: reasonChanged},
		{Path: "spec.template.spec.containers[executor].env[TOKEN].value", Live: Masked, Ours: Masked, Owner: us, Reason: reasonChanged},
		{Path: "spec.template.spec.containers[executor].image", Live: "a:1", Ours: "a:2", Owner: us, Reason: reasonChanged},
	}
	if d := cmp.Diff(want, p.Changes[0].Fields); d != "" || p.Changes[0].Action != Update {
		t.Errorf("%s: fields (-want +got):\n%s", p.Changes[0].Action, d)
	}
}

func TestWebhookThatRestoresTheLiveValueIsNoChange(t *testing.T) {
	wanted := strings.Replace(wantedDeployment, "image: a:1", "image: a:2", 1)
	c := compareOne(t, wanted, liveDeployment)
	p := c.Plan(map[Ref]Answer{c.Undecided()[0].Object.Ref(): {Object: object(t, liveDeployment)}})
	if p.Changed() {
		t.Errorf("plan: %+v", p.Changes)
	}
}

func TestReplicasSetBySomebodyElseStay(t *testing.T) {
	scaled := strings.NewReplacer("f:replicas: {}\n        f:selector", "f:selector", "replicas: 2\n  progress", "replicas: 5\n  progress",
		"  managedFields:\n", `  managedFields:
  - manager: kubectl-jina-scale
    operation: Update
    subresource: scale
    apiVersion: apps/v1
    fieldsType: FieldsV1
    fieldsV1: {f:spec: {f:replicas: {}}}
`).Replace(liveDeployment)
	c := compareOne(t, wantedDeployment, scaled)
	if u := c.Undecided(); len(u) != 0 {
		t.Fatalf("undecided: %v", u[0].Object)
	}
	ch := c.Plan(nil).Changes[0]
	if _, has, _ := unstructured.NestedInt64(ch.Object.Object, "spec", "replicas"); has {
		t.Error("replicas are still in what is applied")
	}
	if want := "replicas stay 5, set by kubectl-jina-scale (the file says 2)"; ch.Reason != want {
		t.Errorf("reason %q, want %q", ch.Reason, want)
	}
}

func TestReplicasAppliedByAnotherManagerStay(t *testing.T) {
	taken := strings.NewReplacer("f:replicas: {}\n        f:selector", "f:selector", "replicas: 2\n  progress", "replicas: 5\n  progress",
		"  managedFields:\n", `  managedFields:
  - manager: platform-team
    operation: Apply
    apiVersion: apps/v1
    fieldsType: FieldsV1
    fieldsV1: {f:spec: {f:replicas: {}}}
`).Replace(liveDeployment)
	c := compareOne(t, wantedDeployment, taken)
	if u := c.Undecided(); len(u) != 0 {
		t.Fatalf("undecided: %v", u[0].Object)
	}
	if got, want := c.Plan(nil).Changes[0].Reason, "replicas stay 5, set by platform-team (the file says 2)"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}

func TestEveryChangedObjectIsAskedAbout(t *testing.T) {
	live := Live{Members: map[Ref]*unstructured.Unstructured{}}
	var objects []Object
	for _, name := range []string{"a", "b"} {
		rename := func(text string) *unstructured.Unstructured {
			return object(t, strings.Replace(text, "name: enc,", "name: "+name+",", 1))
		}
		o := Object{Unstructured: rename(strings.Replace(wantedDeployment, "image: a:1", "image: a:2", 1))}
		objects = append(objects, o)
		l := rename(strings.Replace(liveDeployment, "name: enc\n", "name: "+name+"\n", 1))
		live.Members[o.Ref()] = l
	}
	if n := len(Compare(objects, live, CompareOptions{}).Undecided()); n != 2 {
		t.Errorf("%d undecided, want 2", n)
	}
}

func TestReplicasScaledToZeroHaveNoOwnerAndStay(t *testing.T) {
	scaled := strings.NewReplacer("f:replicas: {}\n        f:selector", "f:selector", "replicas: 2\n  progress", "replicas: 0\n  progress").Replace(liveDeployment)
	c := compareOne(t, wantedDeployment, scaled)
	if u := c.Undecided(); len(u) != 0 {
		t.Fatalf("undecided: %v", u[0].Object)
	}
	if got, want := c.Plan(nil).Changes[0].Reason, "replicas stay 0, scaled by somebody (the file says 2)"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}

func TestFirstNewObjectOfEachKindIsAskedAbout(t *testing.T) {
	var objects []Object
	for _, name := range []string{"a", "b", "c"} {
		for _, kind := range []string{"ConfigMap", "Service"} {
			objects = append(objects, Object{Unstructured: object(t, "{apiVersion: v1, kind: "+kind+", metadata: {name: "+name+", namespace: ns}}")})
		}
	}
	var asked []string
	for _, o := range Compare(objects, Live{}, CompareOptions{}).Undecided() {
		asked = append(asked, o.Object.Ref().String())
	}
	if d := cmp.Diff([]string{"ConfigMap/a", "Service/a"}, asked); d != "" {
		t.Error(d)
	}
}

func TestStrangerIsAConflictThatNamesItsOwner(t *testing.T) {
	for _, tc := range []struct{ name, live, owner string }{
		{"another Flow's", "{apiVersion: v1, kind: Service, metadata: {name: gateway, namespace: ns, labels: {applyset.kubernetes.io/part-of: x, jina.ai/flow: other}}}", `the Flow "other"`},
		{"another tool's set", "{apiVersion: v1, kind: Service, metadata: {name: gateway, namespace: ns, labels: {applyset.kubernetes.io/part-of: x}}}", "the apply set x"},
		{"somebody's", "{apiVersion: v1, kind: Service, metadata: {name: gateway, namespace: ns, managedFields: [{manager: helm, operation: Update}]}}", "helm"},
		{"nobody's", "{apiVersion: v1, kind: Service, metadata: {name: gateway, namespace: ns}}", "nobody that it names"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			live := object(t, tc.live)
			o := Object{Unstructured: object(t, "{apiVersion: v1, kind: Service, metadata: {name: gateway, namespace: ns}}")}
			c := Compare([]Object{o}, Live{Strangers: map[Ref]*unstructured.Unstructured{o.Ref(): live}}, CompareOptions{})
			if len(c.Undecided()) != 0 {
				t.Error("a stranger's object is dry-run")
			}
			p := c.Plan(nil)
			if len(p.Changes) != 0 || len(p.Conflicts) != 1 || p.Conflicts[0].Owner.Manager != tc.owner {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestMembersThatTheFlowLacksArePrunedInOrder(t *testing.T) {
	live := Live{Members: map[Ref]*unstructured.Unstructured{}}
	for _, name := range []string{"c", "a", "b"} {
		o := object(t, "{apiVersion: v1, kind: Service, metadata: {name: "+name+", namespace: ns, uid: u-"+name+"}}")
		live.Members[RefOf(o)] = o
	}
	p := Compare(nil, live, CompareOptions{}).Plan(nil)
	var got []string
	for _, c := range p.Changes {
		got = append(got, string(c.Action)+" "+c.Ref.Name+" "+string(c.UID))
	}
	if want := []string{"prune a u-a", "prune b u-b", "prune c u-c"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestUnknownIsSaidAndStillApplied(t *testing.T) {
	wanted := strings.Replace(wantedDeployment, "image: a:1", "image: a:2", 1)
	c := compareOne(t, wanted, liveDeployment)
	p := c.Plan(map[Ref]Answer{c.Undecided()[0].Object.Ref(): {Unknown: "a webhook"}})
	if ch := p.Changes[0]; ch.Action != Unknown || ch.Reason != "a webhook" || ch.Object == nil || !p.Changed() {
		t.Errorf("%+v", ch)
	}
}

func TestObjectThatIsBeingDeletedIsCreatedAnewAndNotPrunedAgain(t *testing.T) {
	going := strings.Replace(liveDeployment, "  uid: u1\n", "  uid: u1\n  deletionTimestamp: \"2026-01-02T03:04:05Z\"\n", 1)
	c := compareOne(t, wantedDeployment, going)
	if l := c.Leaving(); len(l) != 1 || l[0].Name != "enc" {
		t.Errorf("leaving: %v", l)
	}
	if ch := c.Plan(nil).Changes[0]; ch.Action != Create || ch.Reason == "" {
		t.Errorf("%+v", ch)
	}
	o := object(t, going)
	if p := Compare(nil, Live{Members: map[Ref]*unstructured.Unstructured{RefOf(o): o}}, CompareOptions{}).Plan(nil); len(p.Changes) != 0 {
		t.Errorf("deleted twice: %+v", p.Changes)
	}
}
