package plan

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// WayBack is what brings an object back to what it was before a change: the values by an apply, and then who owns them, which an
// apply alone cannot say.
type WayBack struct {
	// Object is what FieldManager applies: what it owned before, and what the change took from others.
	Object *unstructured.Unstructured
	// Left are the fields that somebody else has written since the change. They stay as they are now.
	Left []string

	before *unstructured.Unstructured
	// ours are the fields that FieldManager owns afterwards, lost those that go back to their owners.
	ours *fieldpath.Set
	lost map[ownerKey]*fieldpath.Set
	// scaled: what the scale manager owns is the change's doing.
	scaled bool
}

// ownerKey tells the entries of managedFields apart.
type ownerKey struct{ manager, operation, version, subresource string }

func keyOfOwner(m metav1.ManagedFieldsEntry) ownerKey {
	return ownerKey{m.Manager, string(m.Operation), m.APIVersion, m.Subresource}
}

// Back is the way back from a change: before is the object as the plan read it, with its managedFields, and now as it is. Now is nil
// when there is none, because the change deleted it to make it anew. It may be asked again at any time on the way, and leads to
// the same end.
func (c Change) Back(before, now *unstructured.Unstructured) (WayBack, error) {
	return wayBack(before, now, c.Replicas != (Replicas{}))
}

func wayBack(before, now *unstructured.Unstructured, scaled bool) (WayBack, error) {
	if now == nil {
		now = &unstructured.Unstructured{Object: map[string]any{}}
	}
	c := newConverter()
	before, err := withFirstOwner(c, before)
	if err != nil {
		return WayBack{}, err
	}
	w := WayBack{before: before, ours: ownedFields(before), lost: map[ownerKey]*fieldpath.Set{}, scaled: scaled}
	had, has := setsByOwner(before), setsByOwner(now)
	since := &fieldpath.Set{}
	for _, f := range fieldOwners(now) {
		if key := keyOfOwner(f.entry); !w.isMine(f.entry) {
			since = since.Union(f.set.Difference(setOf(had, key)))
		}
	}
	back := w.ours
	for _, f := range fieldOwners(before) {
		if isOurs(f.entry) {
			continue
		}
		key := keyOfOwner(f.entry)
		w.lost[key] = f.set.Difference(setOf(has, key)).Difference(controllersOwn).Difference(since)
		back = back.Union(w.lost[key])
	}
	w.ours = w.ours.Difference(since)
	whole, err := c.typedLive(before)
	if err != nil {
		return w, err
	}
	leaves := back.Leaves()
	values, _ := whole.ExtractItems(leaves.Difference(since), typed.WithAppendKeyFields()).AsValue().Unstructured().(map[string]any)
	w.Object = identified(values, before, now)
	w.Left = leftOf(leaves.Intersection(since), before, now)
	return w, nil
}

// withFirstOwner gives an object without managedFields the one that the API server makes up for it at its first apply. Before,
// nobody owned what it has.
func withFirstOwner(c converter, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if len(o.GetManagedFields()) > 0 {
		return o, nil
	}
	set, err := allFields(c, o)
	if err != nil {
		return nil, err
	}
	entries, err := appendEntry(nil, metav1.ManagedFieldsEntry{
		Manager: beforeFirstApply, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: o.GetAPIVersion(), FieldsType: "FieldsV1",
	}, set)
	if err != nil {
		return nil, err
	}
	return withManagedFields(o, entries), nil
}

// isMine tells whether an entry is the change's own: FieldManager's, and the scale manager's where the change had it write.
func (w WayBack) isMine(m metav1.ManagedFieldsEntry) bool {
	return isOurs(m) || w.scaled && m.Manager == ScaleFieldManager
}

func setsByOwner(o *unstructured.Unstructured) map[ownerKey]*fieldpath.Set {
	sets := map[ownerKey]*fieldpath.Set{}
	for _, f := range fieldOwners(o) {
		sets[keyOfOwner(f.entry)] = f.set
	}
	return sets
}

func setOf(sets map[ownerKey]*fieldpath.Set, key ownerKey) *fieldpath.Set {
	if set, has := sets[key]; has {
		return set
	}
	return &fieldpath.Set{}
}

// identified gives extracted values the identity of the object, and the UID of the one that is there.
func identified(values map[string]any, before, now *unstructured.Unstructured) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: copyOf(values)}
	o.Object["metadata"] = copyOf(o.Object["metadata"])
	o.SetGroupVersionKind(before.GroupVersionKind())
	o.SetName(before.GetName())
	o.SetNamespace(before.GetNamespace())
	if uid := now.GetUID(); uid != "" {
		o.SetUID(uid)
	}
	return o
}

// leftOf are the fields whose value is another now, as text.
func leftOf(fields *fieldpath.Set, before, now *unstructured.Unstructured) []string {
	var left []string
	for path := range tops(fields) {
		was, had := lookUp(before.Object, path)
		is, has := lookUp(now.Object, path)
		if had != has || digestOf("", was, nil) != digestOf("", is, nil) {
			left = append(left, pathText(path))
		}
	}
	return left
}

// Owners are the managedFields that the object has to have after the apply, whose answer is given; changed is false when it
// has them already.
func (w WayBack) Owners(applied *unstructured.Unstructured) (entries []metav1.ManagedFieldsEntry, changed bool, err error) {
	had := setsByOwner(w.before)
	seen := map[ownerKey]bool{}
	for _, m := range applied.GetManagedFields() {
		key := keyOfOwner(m)
		if m.Subresource == "status" {
			entries = append(entries, m)
			continue
		}
		set, err := fieldSet(m)
		if err != nil {
			return nil, false, err
		}
		seen[key] = true
		wanted := set
		switch {
		case isOurs(m):
			wanted = w.ours
		case w.isMine(m):
			wanted = set.Intersection(setOf(had, key)).Union(setOf(w.lost, key))
		default:
			wanted = set.Union(setOf(w.lost, key))
		}
		if entries, err = appendEntry(entries, m, wanted); err != nil {
			return nil, false, err
		}
		changed = changed || !wanted.Equals(set)
	}
	for _, m := range w.before.GetManagedFields() {
		key := keyOfOwner(m)
		if m.Subresource == "status" || seen[key] || setOf(w.lost, key).Empty() {
			continue
		}
		if entries, err = appendEntry(entries, m, w.lost[key]); err != nil {
			return nil, false, err
		}
		changed = true
	}
	return entries, changed, nil
}

// appendEntry adds an entry with other fields; one without any is none.
func appendEntry(entries []metav1.ManagedFieldsEntry, m metav1.ManagedFieldsEntry, set *fieldpath.Set) ([]metav1.ManagedFieldsEntry, error) {
	if set.Empty() {
		return entries, nil
	}
	fields, err := fieldsOf(set)
	if err != nil {
		return nil, err
	}
	m.FieldsV1 = fields
	return append(entries, m), nil
}

// Owned is what a field manager owns of an object by applying it, with its identity: what an apply by the manager would say to
// leave it as it is. It is nil when the manager owns nothing.
func Owned(o *unstructured.Unstructured, manager string) (*unstructured.Unstructured, error) {
	i := slices.IndexFunc(o.GetManagedFields(), func(m metav1.ManagedFieldsEntry) bool {
		return m.Manager == manager && m.Operation == metav1.ManagedFieldsOperationApply && m.Subresource == ""
	})
	if i < 0 {
		return nil, nil
	}
	set, err := fieldSet(o.GetManagedFields()[i])
	if err != nil {
		return nil, err
	}
	whole, err := newConverter().typedLive(o)
	if err != nil {
		return nil, err
	}
	values, _ := whole.ExtractItems(set.Leaves(), typed.WithAppendKeyFields()).AsValue().Unstructured().(map[string]any)
	return identified(values, o, &unstructured.Unstructured{Object: map[string]any{}}), nil
}

// PodsCanStay tells whether a StatefulSet that is deleted from above its pods can be made again as it was before above them: both
// select the same pods, and ask for the same claims.
func PodsCanStay(before, now *unstructured.Unstructured) bool {
	e := entry{live: now, replicasDecision: replicasDecision{object: Object{Unstructured: before}}}
	return before.GetKind() == "StatefulSet" && e.selectorStays() && e.podsHaveClaims()
}
