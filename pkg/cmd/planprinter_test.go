package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// planObject reads an object from YAML.
func planObject(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	js, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(js); err != nil {
		t.Fatal(err)
	}
	return o
}

// executorYAML is an executor's Deployment; NAME, IMAGE, SELECTOR and MANAGED are filled in.
const executorYAML = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: prod, uid: u-NAME, annotations: {jina.ai/replicas: "2"}, managedFields: [MANAGED]}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: SELECTOR}}
  template:
    metadata: {labels: {app: SELECTOR, jina_deployment_name: NAME, ns: prod}}
    spec:
      containers:
      - {name: executor, image: "IMAGE", command: [jina], args: [executor, --name, NAME], env: [{name: TOKEN, value: SECRET}]}
`

const (
	metadataOwned = `f:metadata: {f:annotations: {f:jina.ai/replicas: {}}}, `
	templateOwned = `f:selector: {}, f:template: {f:metadata: {f:labels: {f:app: {}, f:jina_deployment_name: {}, f:ns: {}}}, ` +
		`f:spec: {f:containers: {'k:{"name":"executor"}': {.: {}, f:name: {}, f:image: {}, f:command: {}, f:args: {}, f:env: {'k:{"name":"TOKEN"}': {.: {}, f:name: {}, f:value: {}}}}}}}`
)

func managedBy(manager, operation, subresource, fields string) string {
	return fmt.Sprintf("{manager: %s, operation: %s, subresource: '%s', apiVersion: apps/v1, time: '2026-05-01T10:00:00Z', fieldsType: FieldsV1, fieldsV1: {%s}}",
		manager, operation, subresource, fields)
}

func executor(t *testing.T, name, image, secret, replicas, selector string, managed ...string) *unstructured.Unstructured {
	t.Helper()
	return planObject(t, strings.NewReplacer("NAME", name, "IMAGE", image, "SECRET", secret, "REPLICAS", replicas, "SELECTOR", selector,
		"MANAGED", strings.Join(managed, ", ")).Replace(executorYAML))
}

// everyKindOfChange is a plan that has one of each, made as plan does, with the answers of an API server.
func everyKindOfChange(t *testing.T) plan.Plan {
	t.Helper()
	ours := managedBy("kubectl-jina", "Apply", "", metadataOwned+"f:spec: {f:replicas: {}, "+templateOwned+"}")
	unscaled := managedBy("kubectl-jina", "Apply", "", metadataOwned+"f:spec: {"+templateOwned+"}")
	members := []*unstructured.Unstructured{
		executor(t, "updated", "a:1", "old", "2", "updated", ours),
		executor(t, "scaled", "a:2", "new", "5", "scaled", unscaled, managedBy("kubectl", "Update", "scale", "f:spec: {f:replicas: {}}")),
		executor(t, "rescaled", "a:2", "new", "5", "rescaled", unscaled, managedBy("kubectl", "Update", "scale", "f:spec: {f:replicas: {}}")),
		executor(t, "autoscaled", "a:2", "new", "2", "autoscaled", ours),
		executor(t, "recreated", "a:2", "new", "2", "before", ours),
		executor(t, "edited", `b:\x1b[31m7`, "new", "2", "edited", managedBy("kubectl-jina", "Apply", "", metadataOwned+"f:spec: {f:replicas: {}, "+strings.Replace(templateOwned, "f:image: {}, ", "", 1)+"}"),
			managedBy("kubectl-edit", "Update", "", `f:spec: {f:template: {f:spec: {f:containers: {'k:{"name":"executor"}': {f:image: {}}}}}}`)),
		executor(t, "webhook", "a:1", "new", "2", "webhook", ours),
		executor(t, "same", "a:2", "new", "2", "same", ours),
		planObject(t, "{apiVersion: v1, kind: Service, metadata: {name: gone, namespace: prod, uid: u-gone, labels: {jina.ai/executor: gone, app.kubernetes.io/component: executor}}}"),
		planObject(t, "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: prod, uid: u-data, labels: {jina.ai/executor: gone, app.kubernetes.io/component: executor}}}"),
	}
	live := plan.Live{
		Members: map[plan.Ref]*unstructured.Unstructured{}, Strangers: map[plan.Ref]*unstructured.Unstructured{},
		Autoscalers: map[plan.Ref]plan.Autoscaler{}, Unread: []string{"cannot see autoscalers: needs list horizontalpodautoscalers.autoscaling"},
	}
	for _, o := range members {
		live.Members[plan.RefOf(o)] = o
	}
	adopted := executor(t, "adopted", "a:1", "new", "1", "adopted", managedBy("kubectl-client-side-apply", "Update", "", "f:spec: {f:replicas: {}, "+templateOwned+"}"))
	adopted.SetAnnotations(nil)
	stranger := planObject(t, "{apiVersion: v1, kind: Service, metadata: {name: gateway, namespace: prod, annotations: {meta.helm.sh/release-name: web}}, spec: {selector: {app: web}}}")
	nobodys := planObject(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: notes, namespace: prod, managedFields: [{manager: hand, operation: Update}]}}")
	for _, o := range []*unstructured.Unstructured{adopted, stranger, nobodys} {
		live.Strangers[plan.RefOf(o)] = o
	}
	live.Autoscalers[plan.Ref{Group: "apps", Version: "v1", Kind: "Deployment", Namespace: "prod", Name: "autoscaled"}] = plan.Autoscaler{Kind: "HorizontalPodAutoscaler", Name: "auto", Min: 1, Max: 9}

	stuck := planObject(t, stuckText)
	live.Members[plan.RefOf(stuck)] = stuck
	live.Pods = map[plan.Ref][]plan.Pod{plan.RefOf(stuck): {{Name: "stuck-0", UID: "u-stuck-0", Revision: "stuck-old"}}}

	var objects []plan.Object
	for _, name := range []string{"created", "updated", "scaled", "rescaled", "autoscaled", "recreated", "edited", "webhook", "same", "adopted"} {
		replicas := "2"
		if name == "rescaled" {
			replicas = "3"
		}
		o := executor(t, name, "a:2", "new", replicas, name)
		o.SetManagedFields(nil)
		o.SetUID("")
		o.SetAnnotations(nil)
		objects = append(objects, plan.Object{Unstructured: o, Part: plan.Part{Role: plan.RoleExecutor, Executor: name}})
	}
	repaired := planObject(t, stuckText)
	unstructured.RemoveNestedField(repaired.Object, "status")
	unstructured.RemoveNestedField(repaired.Object, "metadata", "managedFields")
	objects = append(objects, plan.Object{Unstructured: repaired, Part: plan.Part{Role: plan.RoleExecutor, Executor: "stuck"}})
	gateway := planObject(t, "{apiVersion: v1, kind: Service, metadata: {name: gateway, namespace: prod}, spec: {selector: {app: gateway}}}")
	notes := planObject(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: notes, namespace: prod}}")
	for _, o := range []*unstructured.Unstructured{gateway, notes} {
		objects = append(objects, plan.Object{Unstructured: o, Part: plan.Part{Role: plan.RoleGateway}})
	}

	c := plan.Compare(objects, live, plan.CompareOptions{})
	answers := map[plan.Ref]plan.Answer{}
	for _, q := range c.Undecided() {
		answers[q.Object.Ref()] = planAnswer(live.Members[q.Object.Ref()], q.Object)
	}
	return c.Plan(answers)
}

// stuckText is a StatefulSet that waits for a broken pod of an earlier revision, and is as it should be for the rest.
const stuckText = `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: stuck, namespace: prod, managedFields: [
  {manager: kubectl-jina, operation: Apply, apiVersion: apps/v1, fieldsType: FieldsV1, fieldsV1: {f:spec: {f:serviceName: {}, f:selector: {}}}}]},
  spec: {serviceName: stuck, selector: {matchLabels: {app: stuck}}}, status: {currentRevision: stuck-old, updateRevision: stuck-new}}`

// planAnswer is the API server's answer about one of the executors.
func planAnswer(live *unstructured.Unstructured, wanted plan.Object) plan.Answer {
	switch ref := wanted.Ref(); ref.Name {
	case "created":
		return plan.Answer{Object: wanted.Unstructured}
	case "recreated":
		return plan.Answer{Immutable: []string{"spec.selector"}}
	case "edited":
		return plan.Answer{Conflicts: []plan.Conflict{{Ref: ref, Field: `spec.template.spec.containers[name="executor"].image`, Owner: plan.Owner{Manager: "kubectl-edit"}}}}
	case "webhook":
		return plan.Answer{Unknown: "the webhook x.example.com does not support dry runs"}
	}
	o := live.DeepCopy()
	o.Object["spec"] = wanted.DeepCopy().Object["spec"]
	if _, has, _ := unstructured.NestedInt64(o.Object, "spec", "replicas"); !has {
		_ = unstructured.SetNestedField(o.Object, int64(1), "spec", "replicas")
		managed := o.GetManagedFields()
		managed[0].FieldsV1.SetRawBytes([]byte(strings.Replace(string(managed[0].FieldsV1.GetRawBytes()), `"f:replicas":{},`, "", 1)))
		o.SetManagedFields(managed)
	}
	o.SetAnnotations(wanted.GetAnnotations())
	return plan.Answer{Object: o}
}

func TestPlanIsPrintedForPeople(t *testing.T) {
	var b strings.Builder
	printPlan(&b, time.Date(2026, 5, 1, 10, 3, 0, 0, time.UTC), "search", "prod", everyKindOfChange(t))
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a live value reaches the terminal with its control sequence")
	}
	golden(t, "plan.txt", b.String())
}

func TestPlanThatChangesNothingIsOneLine(t *testing.T) {
	var b strings.Builder
	printPlan(&b, time.Time{}, "search", "prod", plan.Plan{Changes: []plan.Change{{Action: plan.Keep}}})
	if want := "Flow search in namespace prod\nNothing to do: 1 object unchanged\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestReasonThatMostFieldsShareIsSaidOnce(t *testing.T) {
	ours := &plan.Owner{Manager: plan.FieldManager}
	c := plan.Change{Action: plan.Update, Ref: plan.Ref{Kind: "Service", Name: "s"}, Reason: "first", Fields: []plan.FieldChange{
		{Path: "a", Live: "1", Ours: "2", Owner: ours, Reason: "because"},
		{Path: "b", Live: "1", Ours: "2", Owner: &plan.Owner{Manager: "x", Operation: "Apply"}, Reason: "set by x; the file says otherwise"},
		{Path: "c", Live: "1", Owner: ours, Reason: "because"},
		{Path: "d", Ours: strings.Repeat("y", 500), Reason: plan.ReasonNew},
	}}
	var b strings.Builder
	printChange(&b, time.Time{}, c)
	want := "    ~ update Service/s  (first; because)\n        a: 1 → 2\n        b: 1 → 2  (set by x (Apply); the file says otherwise)\n        c: - 1\n        d: + " +
		strings.Repeat("y", maxPlanValue-1) + "…\n"
	if b.String() != want {
		t.Errorf("%s\nwant:\n%s", b.String(), want)
	}
}

// planJSON is the plan as JSON, and read again.
func planJSON(t *testing.T, p plan.Plan) (string, any) {
	t.Helper()
	var b strings.Builder
	if err := printPlanJSON(&b, "search", "prod", p); err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), v
}

func TestPlanAsJSONIsAsItsSchemaSays(t *testing.T) {
	schema, _ := docSchema(t, "plan.schema.json")
	text, whole := planJSON(t, everyKindOfChange(t))
	if err := schema.Validate(whole); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	golden(t, "plan.json", text)
	for _, action := range []string{"create", "update", "recreate", "adopt", "prune", "unknown", "keep"} {
		if !strings.Contains(text, `"action": "`+action+`"`) {
			t.Errorf("nothing to %s in the plan", action)
		}
	}
	if strings.Contains(text, `"old"`) || strings.Contains(text, `"new"`) {
		t.Error("the value of an environment variable is shown")
	}
	for _, p := range []plan.Plan{{}, {Changes: []plan.Change{{Action: plan.Keep, Ref: plan.Ref{Kind: "Service", Name: "s"}}}}} {
		if text, v := planJSON(t, p); schema.Validate(v) != nil {
			t.Errorf("%v\n%s", schema.Validate(v), text)
		}
	}
	// The schema is not one that takes anything.
	for _, edit := range [][2]string{
		{`"action": "create"`, `"action": "delete"`}, {`"kind": "Plan"`, `"kind": "plan"`}, {`"manager":`, `"name":`}, {`"create": 1`, `"create": -1`},
		{`"migrate": [`, `"migrates": [`}, {`"2026-05-01T10:00:00Z"`, `"yesterday"`}, {`"changed": true`, `"changed": "yes"`},
	} {
		broken := strings.Replace(text, edit[0], edit[1], 1)
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(broken))
		if err != nil || broken == text {
			t.Fatalf("%v: %v", edit, err)
		}
		if schema.Validate(v) == nil {
			t.Errorf("%s for %s is accepted", edit[1], edit[0])
		}
	}
}

// TestEveryPropertyOfThePlanIsDocumented holds docs/plan.md, docs/plan.schema.json and a real plan together.
func TestEveryPropertyOfThePlanIsDocumented(t *testing.T) {
	_, document := docSchema(t, "plan.schema.json")
	var declared []string
	propertiesOf(document, &declared)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "plan.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## JSON")
	for _, property := range declared {
		if !regexp.MustCompile("[`.]" + property + "`").MatchString(table) {
			t.Errorf("docs/plan.md does not have %s", property)
		}
	}
	js, _ := planJSON(t, everyKindOfChange(t))
	var shown any
	if err := json.Unmarshal([]byte(js), &shown); err != nil {
		t.Fatal(err)
	}
	var used []string
	keysOf(shown, &used)
	for _, property := range declared {
		// What the fixture cannot have: a StatefulSet is recreated under its pods, and conflicts are forced away.
		if property != "keepPods" && property != "reset" && !slices.Contains(used, property) {
			t.Errorf("no plan has %s", property)
		}
	}
}

// propertiesOf collects the names that a schema declares.
func propertiesOf(v any, out *[]string) {
	switch v := v.(type) {
	case map[string]any:
		if properties, ok := v["properties"].(map[string]any); ok && v["type"] == "object" {
			for name := range properties {
				*out = append(*out, name)
			}
		}
		for _, item := range v {
			propertiesOf(item, out)
		}
	case []any:
		for _, item := range v {
			propertiesOf(item, out)
		}
	}
}

// keysOf collects the keys of a JSON value.
func keysOf(v any, out *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			*out = append(*out, key)
			keysOf(item, out)
		}
	case []any:
		for _, item := range v {
			keysOf(item, out)
		}
	}
}
