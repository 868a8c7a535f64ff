package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// owned is an entry of managedFields; fields are the JSON of its fieldsV1.
func owned(manager string, operation metav1.ManagedFieldsOperationType, subresource, fields string) metav1.ManagedFieldsEntry {
	f := &metav1.FieldsV1{}
	f.SetRawBytes([]byte(fields))
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: operation, Subresource: subresource, APIVersion: "apps/v1", FieldsType: "FieldsV1", FieldsV1: f}
}

// replicasBy is an entry that owns spec.replicas.
func replicasBy(manager string, operation metav1.ManagedFieldsOperationType, subresource string) metav1.ManagedFieldsEntry {
	return owned(manager, operation, subresource, `{"f:spec":{"f:replicas":{}}}`)
}

// own makes the entries own what they say, besides the one of kubectl-jina, which gives up spec.replicas unless keeps.
func own(t *testing.T, o *unstructured.Unstructured, keeps bool, entries ...metav1.ManagedFieldsEntry) {
	t.Helper()
	managed := o.GetManagedFields()
	for i, m := range managed {
		if !isOurs(m) || keeps {
			continue
		}
		set, err := fieldSet(m)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := set.Difference(fieldpath.NewSet(replicasPath)).ToJSON()
		if err != nil {
			t.Fatal(err)
		}
		managed[i].FieldsV1.SetRawBytes(raw)
	}
	o.SetManagedFields(append(managed, entries...))
}

// answers are what an API server without admission answers to the questions of a comparison: it applies with the same library,
// and knows the default of replicas.
func answers(t *testing.T, c *Comparison) map[Ref]Answer {
	t.Helper()
	live := map[Ref]*unstructured.Unstructured{}
	for _, e := range c.entries {
		if e.live != nil {
			live[e.object.Ref()] = e.live
		}
	}
	out := map[Ref]Answer{}
	for _, q := range c.Undecided() {
		ref := q.Object.Ref()
		if live[ref] == nil {
			out[ref] = Answer{Object: q.Object.Unstructured}
			continue
		}
		out[ref] = answerTo(t, c.types, live[ref], q)
	}
	return out
}

func answerTo(t *testing.T, types converter, live *unstructured.Unstructured, q Question) Answer {
	t.Helper()
	wanted := canonical(q.Object.Unstructured)
	result, lost, err := types.predict(live, wanted)
	if err != nil {
		t.Fatal(err)
	}
	var a Answer
	for _, l := range lost {
		a.Conflicts = append(a.Conflicts, Conflict{Ref: q.Object.Ref(), Field: strings.TrimPrefix(l.path.String(), "."),
			Owner: Owner{Manager: l.owner.Manager}, Detail: "using " + l.owner.APIVersion})
	}
	if len(lost) > 0 && !q.Force {
		return a
	}
	a.Object = result.DeepCopy()
	if _, has, _ := unstructured.NestedInt64(a.Object.Object, "spec", "replicas"); !has && isWorkload(a.Object) {
		_ = unstructured.SetNestedField(a.Object.Object, int64(1), "spec", "replicas")
	}
	typedWanted, err := types.typed(wanted)
	if err != nil {
		t.Fatal(err)
	}
	set, err := typedWanted.RemoveItems(identity).ToFieldSet()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := set.ToJSON()
	if err != nil {
		t.Fatal(err)
	}
	managed := []metav1.ManagedFieldsEntry{owned(FieldManager, metav1.ManagedFieldsOperationApply, "", string(raw))}
	for _, m := range live.GetManagedFields() {
		if !isOurs(m) {
			managed = append(managed, m)
		}
	}
	a.Object.SetManagedFields(managed)
	return a
}

// fieldLines are a change's fields, a line each.
func fieldLines(c Change) string {
	var b strings.Builder
	for _, f := range c.Fields {
		owner := "nobody"
		if f.Owner != nil {
			owner = f.Owner.Manager
		}
		fmt.Fprintf(&b, "%s: %q -> %q, %s, %s\n", f.Path, f.Live, f.Ours, owner, f.Reason)
	}
	return b.String()
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
