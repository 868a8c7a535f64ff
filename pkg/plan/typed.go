package plan

import (
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
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
	builtin func() managedfields.TypeConverter
	deduced managedfields.TypeConverter
}

// builtinTypes is the schema of the built-in kinds, which never changes. Reading it takes 60 ms and much memory: it is read
// once, and not at all for an unchanged Flow.
var builtinTypes = sync.OnceValue(func() managedfields.TypeConverter { return applyconfigurations.NewTypeConverter(scheme.Scheme) })

func newConverter() converter {
	return converter{builtin: builtinTypes, deduced: managedfields.NewDeducedTypeConverter()}
}

func (c converter) typed(o *unstructured.Unstructured) (*typed.TypedValue, error) {
	if scheme.Scheme.Recognizes(o.GroupVersionKind()) {
		return c.builtin().ObjectToTyped(o, typed.AllowDuplicates)
	}
	return c.deduced.ObjectToTyped(o, typed.AllowDuplicates)
}

// typedLive is typed for what a server has: one that is newer than this program may know more fields of a kind, which are left
// out. In what is wanted an unknown field is a mistake, which the server refuses.
func (c converter) typedLive(o *unstructured.Unstructured) (*typed.TypedValue, error) {
	v, err := c.typed(o)
	if err == nil || !scheme.Scheme.Recognizes(o.GroupVersionKind()) {
		return v, err
	}
	known, knownErr := scheme.Scheme.New(o.GroupVersionKind())
	if knownErr == nil {
		knownErr = runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, known)
	}
	if knownErr != nil {
		return nil, err
	}
	fields, knownErr := runtime.DefaultUnstructuredConverter.ToUnstructured(known)
	if knownErr != nil {
		return nil, err
	}
	return c.typed(&unstructured.Unstructured{Object: fields})
}

// ownsExactly tells whether what FieldManager owns of the live object is exactly what is wanted: then applying it
// again would change nothing, and needs no request.
func (c converter) ownsExactly(live, wanted *unstructured.Unstructured) bool {
	owned := ownedFields(live)
	if owned.Empty() {
		return false
	}
	liveTyped, err := c.typedLive(live)
	if err != nil {
		return false
	}
	wantedTyped, err := c.typed(canonical(wanted))
	if err != nil {
		return false
	}
	ours := liveTyped.ExtractItems(owned.Leaves(), typed.WithAppendKeyFields())
	diff, err := ours.RemoveItems(identity).Compare(wantedTyped.RemoveItems(identity))
	return err == nil && diff.IsSame()
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

// difference is a value that two objects do not share.
type difference struct {
	path          fieldpath.Path
	before, after any
	had, has      bool
}

// differences lists what differs between the live object and another state of it, sorted by path: an added container is one.
func (c converter) differences(live, other *unstructured.Unstructured) ([]difference, error) {
	a, err := c.typedLive(live)
	if err != nil {
		return nil, err
	}
	b, err := c.typedLive(other)
	if err != nil {
		return nil, err
	}
	compared, err := a.RemoveItems(serverSet).Compare(b.RemoveItems(serverSet))
	if err != nil {
		return nil, err
	}
	var out []difference
	for path := range tops(compared.Added.Union(compared.Removed).Union(compared.Modified)) {
		d := difference{path: path}
		d.before, d.had = lookUp(live.Object, path)
		d.after, d.has = lookUp(other.Object, path)
		out = append(out, d)
	}
	return out, nil
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

// touches tells whether a path is in a set, or something below it.
func touches(set *fieldpath.Set, path fieldpath.Path) bool {
	return set.Has(path) || fieldOwner{set: set}.within(path)
}

// ownedFields are the fields that FieldManager owns; empty when it owns none, or they cannot be read.
func ownedFields(o *unstructured.Unstructured) *fieldpath.Set {
	// An unstructured object converts its managed fields at each call: ask once.
	managed := o.GetManagedFields()
	if i := slices.IndexFunc(managed, isOurs); i >= 0 {
		if set, err := fieldSet(managed[i]); err == nil {
			return set
		}
	}
	return &fieldpath.Set{}
}
