package apply

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// replaceIn changes a text that has to have what is replaced.
func replaceIn(t *testing.T, text, old, replacement string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("no %q in %s", old, text)
	}
	return strings.ReplaceAll(text, old, replacement)
}

// deploymentYAML is a Deployment d without a mesh.
const deploymentYAML = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  replicas: 2
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      containers:
      - {name: c, image: registry.example/x:1, ports: [{containerPort: 8080, protocol: TCP}]}
`

// serviceYAML is a Service s.
const serviceYAML = `
apiVersion: v1
kind: Service
metadata: {name: s}
spec: {selector: {app: d}, ports: [{name: port, port: 8080, protocol: TCP}]}
`

// flowObjects are the objects of a Flow file as up applies them.
func (f fixture) flowObjects(t *testing.T, text string) []plan.Object {
	t.Helper()
	parsed, problems := flow.Parse(flow.Source{Name: "flow.yml", Data: []byte(text)})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	objects, problems := plan.Objects(parsed, plan.Options{FlowName: f.set.Flow, Namespace: f.set.Namespace})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return objects
}

// live reads an object.
func (f fixture) live(t *testing.T, kind, name string) *unstructured.Unstructured {
	t.Helper()
	group, version := "", "v1"
	if kind == "Deployment" || kind == "StatefulSet" {
		group = "apps"
	}
	r, err := f.resource(plan.Ref{Group: group, Version: version, Kind: kind, Namespace: f.set.Namespace, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	o, err := r.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// create makes an object of YAML as the field manager that is given.
func (f fixture) create(t *testing.T, text, manager string) *unstructured.Unstructured {
	t.Helper()
	o := f.object(t, text)
	r, err := f.resource(o.Ref())
	if err != nil {
		t.Fatal(err)
	}
	made, err := r.Create(t.Context(), o.Unstructured, metav1.CreateOptions{FieldManager: manager})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// planWith compares and asks the API server, as up does.
func (f fixture) planWith(t *testing.T, objects []plan.Object, o plan.CompareOptions) (State, plan.Plan) {
	t.Helper()
	objects = f.set.Label(objects)
	state, err := f.Read(t.Context(), f.set, objects, o)
	if err != nil {
		t.Fatal(err)
	}
	c := plan.Compare(objects, state.Live, o)
	answers, err := f.DryRun(t.Context(), c.Undecided())
	if err != nil {
		t.Fatal(err)
	}
	return state, c.Plan(answers)
}

// up plans and carries out what is planned, prunes included, and returns the plan.
func (f fixture) up(t *testing.T, objects []plan.Object, o plan.CompareOptions) plan.Plan {
	t.Helper()
	state, p := f.planWith(t, objects, o)
	opts := Options{Force: o.Force}
	if _, err := f.Run(t.Context(), f.set, state, p, opts, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	if err := f.Prune(t.Context(), f.set, state, p, opts, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	return p
}

// changeOf finds what a plan says about an object.
func changeOf(t *testing.T, p plan.Plan, kind, name string) plan.Change {
	t.Helper()
	i := slices.IndexFunc(p.Changes, func(c plan.Change) bool { return c.Ref.Kind == kind && c.Ref.Name == name })
	if i < 0 {
		t.Fatalf("the plan has no %s/%s: %+v", kind, name, p)
	}
	return p.Changes[i]
}

// summary of a plan: a line a change that is none to keep, and a line a conflict.
func summary(p plan.Plan) []string {
	var out []string
	for _, c := range p.Changes {
		if c.Action != plan.Keep {
			out = append(out, fmt.Sprintf("%s %s", c.Action, c.Ref))
		}
	}
	for _, c := range p.Conflicts {
		out = append(out, fmt.Sprintf("conflict %s %s", c.Ref, c.Field))
	}
	return out
}

// unchanged fails unless a plan of the objects has nothing to do.
func (f fixture) unchanged(t *testing.T, objects []plan.Object) {
	t.Helper()
	if _, p := f.planWith(t, objects, plan.CompareOptions{}); p.Changed() || len(p.Conflicts) > 0 {
		t.Errorf("still to do: %v", summary(p))
		for _, c := range p.Changes {
			for _, field := range c.Fields {
				t.Logf("%s %s: %s -> %s (%s)", c.Ref, field.Path, field.Live, field.Ours, field.Reason)
			}
		}
	}
}

// ownersOf are who owns a field, each MANAGER OPERATION[ SUBRESOURCE], as managedFields have it.
func ownersOf(t *testing.T, o *unstructured.Unstructured, path ...any) []string {
	t.Helper()
	var out []string
	for _, m := range o.GetManagedFields() {
		set := &fieldpath.Set{}
		if err := set.FromJSON(m.FieldsV1.GetRawReader()); err != nil {
			t.Fatal(err)
		}
		if set.Has(fieldpath.MakePathOrDie(path...)) {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", m.Manager, m.Operation, m.Subresource)))
		}
	}
	slices.Sort(out)
	return out
}

func replicasOf(t *testing.T, o *unstructured.Unstructured) int64 {
	t.Helper()
	n, _, err := unstructured.NestedInt64(o.Object, "spec", "replicas")
	if err != nil {
		t.Fatal(err)
	}
	return n
}
