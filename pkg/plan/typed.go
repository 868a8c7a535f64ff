package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// converter turns objects into typed values, which know the merge keys of lists: with the schema of built-in kinds, and
// with a deduced one (lists atomic) for custom resources.
type converter struct {
	builtin, deduced managedfields.TypeConverter
}

func newConverter() converter {
	return converter{applyconfigurations.NewTypeConverter(scheme.Scheme), managedfields.NewDeducedTypeConverter()}
}

func (c converter) typed(o *unstructured.Unstructured) (*typed.TypedValue, error) {
	if scheme.Scheme.Recognizes(o.GroupVersionKind()) {
		return c.builtin.ObjectToTyped(o, typed.AllowDuplicates)
	}
	return c.deduced.ObjectToTyped(o, typed.AllowDuplicates)
}

// ownsExactly tells whether what FieldManager owns of the live object is exactly what is wanted: then applying it
// again would change nothing, and needs no request.
func (c converter) ownsExactly(live, wanted *unstructured.Unstructured) bool {
	owned, ok := ownedFields(live)
	if !ok {
		return false
	}
	liveTyped, err := c.typed(live)
	if err != nil {
		return false
	}
	wantedTyped, err := c.typed(withAtomicDefaults(wanted))
	if err != nil {
		return false
	}
	ours := liveTyped.ExtractItems(owned.Leaves(), typed.WithAppendKeyFields())
	diff, err := ours.RemoveItems(identity).Compare(wantedTyped.RemoveItems(identity))
	return err == nil && diff.IsSame()
}

// withAtomicDefaults fills in what the server sets inside a structure that is owned as a whole: there the default becomes part of what
// we own. fieldRef is the one that Jina's objects have (core/v1 ObjectFieldSelector, structType atomic, apiVersion v1).
func withAtomicDefaults(o *unstructured.Unstructured) *unstructured.Unstructured {
	c := o.DeepCopy()
	withClaimDefaults(c)
	containers, _, _ := unstructured.NestedFieldNoCopy(c.Object, "spec", "template", "spec", "containers")
	list, _ := containers.([]any)
	for _, item := range list {
		container, _ := item.(map[string]any)
		env, _ := container["env"].([]any)
		for _, v := range env {
			variable, _ := v.(map[string]any)
			ref, has, _ := unstructured.NestedFieldNoCopy(variable, "valueFrom", "fieldRef")
			if fieldRef, ok := ref.(map[string]any); has && ok && fieldRef["apiVersion"] == nil {
				fieldRef["apiVersion"] = "v1"
			}
		}
	}
	return c
}

func isOurs(m metav1.ManagedFieldsEntry) bool {
	return m.Manager == FieldManager && m.Operation == metav1.ManagedFieldsOperationApply && m.Subresource == ""
}

func fieldSet(m metav1.ManagedFieldsEntry) (*fieldpath.Set, error) {
	set := &fieldpath.Set{}
	if m.FieldsV1 == nil {
		return set, nil
	}
	return set, set.FromJSON(m.FieldsV1.GetRawReader())
}

// identity is in every applied object and owned by nobody.
var identity = fieldpath.NewSet(
	fieldpath.MakePathOrDie("apiVersion"), fieldpath.MakePathOrDie("kind"),
	fieldpath.MakePathOrDie("metadata", "name"), fieldpath.MakePathOrDie("metadata", "namespace"))

// serverSet are the fields that the server writes by itself at every change.
var serverSet = fieldpath.NewSet(
	fieldpath.MakePathOrDie("metadata", "managedFields"), fieldpath.MakePathOrDie("metadata", "resourceVersion"),
	fieldpath.MakePathOrDie("metadata", "generation"), fieldpath.MakePathOrDie("metadata", "creationTimestamp"),
	fieldpath.MakePathOrDie("metadata", "uid"), fieldpath.MakePathOrDie("status"))

// diff lists the fields that differ between the live object and the one that a dry run of the apply returned.
func (c converter) diff(live, applied *unstructured.Unstructured) []FieldChange {
	a, errA := c.typed(live)
	b, errB := c.typed(applied)
	if errA != nil || errB != nil {
		return []FieldChange{{Path: "", Ours: "cannot be compared field by field"}}
	}
	d, err := a.RemoveItems(serverSet).Compare(b.RemoveItems(serverSet))
	if err != nil {
		return []FieldChange{{Path: "", Ours: "cannot be compared field by field"}}
	}
	var out []FieldChange
	for path := range tops(d.Added.Union(d.Removed).Union(d.Modified)) {
		change := FieldChange{Path: pathText(path)}
		before, had := lookUp(live.Object, path)
		after, has := lookUp(applied.Object, path)
		masked := isSecretish(applied.GetKind(), path)
		if had {
			change.Live = valueText(before, masked)
		}
		if has {
			change.Ours = valueText(after, masked)
		}
		if list, other, ok := stringLists(before, after); ok && !masked {
			change.Live, change.Ours = without(list, other), without(other, list)
		}
		out = append(out, change)
	}
	return out
}

// tops yields the paths of a set that have no ancestor in it, sorted: an added container is one change, not thirty.
func tops(s *fieldpath.Set) func(func(fieldpath.Path) bool) {
	var paths []fieldpath.Path
	for p := range s.All() {
		paths = append(paths, p.Copy())
	}
	slices.SortFunc(paths, fieldpath.Path.Compare)
	return func(yield func(fieldpath.Path) bool) {
		for _, p := range paths {
			inside := false
			for n := 1; n < len(p) && !inside; n++ {
				inside = s.Has(p[:n])
			}
			if !inside && !yield(p) {
				return
			}
		}
	}
}

// lookUp finds the value at a path.
func lookUp(v any, path fieldpath.Path) (any, bool) {
	for _, e := range path {
		switch {
		case e.FieldName != nil:
			m, ok := v.(map[string]any)
			if !ok {
				return nil, false
			}
			if v, ok = m[*e.FieldName]; !ok {
				return nil, false
			}
		case e.Key != nil:
			list, _ := v.([]any)
			i := slices.IndexFunc(list, func(item any) bool { return hasKey(item, *e.Key) })
			if i < 0 {
				return nil, false
			}
			v = list[i]
		case e.Value != nil:
			list, _ := v.([]any)
			i := slices.IndexFunc(list, func(item any) bool { return value.Equals(value.NewValueInterface(item), *e.Value) })
			if i < 0 {
				return nil, false
			}
			v = list[i]
		case e.Index != nil:
			list, _ := v.([]any)
			if *e.Index >= len(list) {
				return nil, false
			}
			v = list[*e.Index]
		}
	}
	return v, true
}

func hasKey(item any, key value.FieldList) bool {
	m, ok := item.(map[string]any)
	if !ok {
		return false
	}
	for _, f := range key {
		if !value.Equals(value.NewValueInterface(m[f.Name]), f.Value) {
			return false
		}
	}
	return true
}

// pathText writes a path as people do: spec.template.spec.containers[executor].image.
func pathText(p fieldpath.Path) string {
	var b strings.Builder
	for _, e := range p {
		switch {
		case e.FieldName != nil && strings.ContainsAny(*e.FieldName, "./"):
			fmt.Fprintf(&b, "[%s]", *e.FieldName)
		case e.FieldName != nil:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(*e.FieldName)
		case e.Key != nil:
			var parts []string
			for _, f := range *e.Key {
				text := fmt.Sprint(f.Value.Unstructured())
				if len(*e.Key) > 1 {
					text = f.Name + "=" + text
				}
				parts = append(parts, text)
			}
			fmt.Fprintf(&b, "[%s]", strings.Join(parts, ","))
		default:
			b.WriteString(e.String())
		}
	}
	return b.String()
}

// isSecretish tells whether the value at a path must not be shown: people put tokens into Jina's env, which becomes
// ConfigMap data and environment variables.
func isSecretish(kind string, path fieldpath.Path) bool {
	var names []string
	for _, e := range path {
		if e.FieldName != nil {
			names = append(names, *e.FieldName)
		}
	}
	if kind == "ConfigMap" || kind == "Secret" {
		return len(names) > 0 && (names[0] == "data" || names[0] == "binaryData" || names[0] == "stringData")
	}
	return slices.Contains(names, "env")
}

// Masked stands for a value that is not shown.
const Masked = "***"

func valueText(v any, masked bool) string {
	if masked {
		return Masked
	}
	if s, ok := v.(string); ok {
		return s
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}

func stringLists(a, b any) (x, y []string, ok bool) {
	x, okA := asStrings(a)
	y, okB := asStrings(b)
	return x, y, okA && okB
}

func asStrings(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(list))
	for _, item := range list {
		s, ok := item.(string)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// without lists the items of a that b lacks: of a long argument list only what changed is worth reading.
func without(a, b []string) string {
	rest := slices.Clone(b)
	var out []string
	for _, s := range a {
		if i := slices.Index(rest, s); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
			continue
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// sameOwnership tells whether FieldManager owns the same fields in both.
func sameOwnership(a, b *unstructured.Unstructured) bool {
	x, _ := ownedFields(a)
	y, _ := ownedFields(b)
	return x.Equals(y)
}

// ownedFields are the fields that FieldManager owns; empty and false when it owns none, or they cannot be read.
func ownedFields(o *unstructured.Unstructured) (*fieldpath.Set, bool) {
	// An unstructured object converts its managed fields at each call: ask once.
	managed := o.GetManagedFields()
	if i := slices.IndexFunc(managed, isOurs); i >= 0 {
		if set, err := fieldSet(managed[i]); err == nil {
			return set, true
		}
	}
	return &fieldpath.Set{}, false
}
