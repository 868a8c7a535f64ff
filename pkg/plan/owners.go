package plan

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/merge"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// fieldOwner is an entry of an object's managedFields, its fields decoded.
type fieldOwner struct {
	entry metav1.ManagedFieldsEntry
	set   *fieldpath.Set
}

// fieldOwners are the entries of an object's managedFields, but those about its status and those that cannot be read.
func fieldOwners(o *unstructured.Unstructured) []fieldOwner {
	var out []fieldOwner
	for _, m := range o.GetManagedFields() {
		if m.Subresource == "status" {
			continue
		}
		if set, err := fieldSet(m); err == nil {
			out = append(out, fieldOwner{m, set})
		}
	}
	return out
}

// within tells whether the owner has something below the path.
func (f fieldOwner) within(path fieldpath.Path) bool {
	set := f.set
	for _, e := range path {
		set = set.WithPrefix(e)
	}
	return !set.Empty()
}

// ownersAt are those who own a path: the path itself, or where nobody does, something below it.
func ownersAt(owners []fieldOwner, path fieldpath.Path) []fieldOwner {
	var exact, below []fieldOwner
	for _, f := range owners {
		if f.set.Has(path) {
			exact = append(exact, f)
		} else if f.within(path) {
			below = append(below, f)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return below
}

// ownerOf describes one entry.
func ownerOf(m metav1.ManagedFieldsEntry) Owner {
	o := Owner{Manager: m.Manager, Operation: string(m.Operation), Subresource: m.Subresource}
	if m.Time != nil {
		o.Time = m.Time.UTC()
	}
	return o
}

// oneOwner describes several entries as one: their names, and what the last of them did. It is nil for none.
func oneOwner(owners []fieldOwner) *Owner {
	if len(owners) == 0 {
		return nil
	}
	out := ownerOf(owners[0].entry)
	names := []string{out.Manager}
	for _, f := range owners[1:] {
		if o := ownerOf(f.entry); o.Time.After(out.Time) {
			out = o
		}
		if !slices.Contains(names, f.entry.Manager) {
			names = append(names, f.entry.Manager)
		}
	}
	out.Manager = strings.Join(names, ", ")
	return &out
}

// ReasonNew is the reason of a field that the live object does not have.
const ReasonNew = "new in the file"

// The other reasons why a field changes.
const (
	reasonChanged  = "the file, or this version of kubectl jina, has changed"
	reasonGone     = "no longer in the file"
	reasonServer   = "set by the API server or a webhook"
	reasonReset    = "--reset-replicas"
	reasonReplicas = "the file's replicas have changed"
)

// reasonOf says why a field changes, and who owns its live value.
func reasonOf(d difference, owners []fieldOwner, wanted *unstructured.Unstructured) (*Owner, string) {
	_, wants := lookUp(wanted.Object, d.path)
	if !d.had {
		if wants {
			return nil, ReasonNew
		}
		return nil, reasonServer
	}
	at := ownersAt(owners, d.path)
	owner := oneOwner(at)
	switch {
	case owner == nil && wants:
		return nil, reasonServer + "; the file says otherwise"
	case owner == nil:
		return nil, reasonServer
	case slices.ContainsFunc(at, func(f fieldOwner) bool { return isOurs(f.entry) }):
		if !d.has && !wants {
			return owner, reasonGone
		}
		return owner, reasonChanged
	case !wants:
		return owner, "set by " + owner.Manager + "; not in the file"
	default:
		return owner, "set by " + owner.Manager + "; the file says otherwise"
	}
}

// taken is a field that applying would take from its owner.
type taken struct {
	path  fieldpath.Path
	owner metav1.ManagedFieldsEntry
}

var errOtherVersion = errors.New("another version of the API")

// oneVersion is structured-merge-diff's conversion between API versions where there is one: Jina's objects have no other that
// is still served. What was written in another is left out, as the API server does with versions that are gone.
type oneVersion fieldpath.APIVersion

// Convert returns the object, which has the version.
func (v oneVersion) Convert(o *typed.TypedValue, version fieldpath.APIVersion) (*typed.TypedValue, error) {
	if version != fieldpath.APIVersion(v) {
		return nil, errOtherVersion
	}
	return o, nil
}

// IsMissingVersionError tells what Convert answers for another version.
func (v oneVersion) IsMissingVersionError(err error) bool { return errors.Is(err, errOtherVersion) }

// predict applies an object as the API server does (its field manager is the same library), but for defaults and admission:
// the object as it would be, and the fields that would be taken from others, which without force is refused. Fields that
// we owned and want no longer are gone from it unless somebody else owns them.
func (c converter) predict(live, wanted *unstructured.Unstructured) (*unstructured.Unstructured, []taken, error) {
	liveTyped, err := c.typedLive(live)
	if err != nil {
		return nil, nil, err
	}
	wantedTyped, err := c.typed(wanted)
	if err != nil {
		return nil, nil, err
	}
	liveTyped = liveTyped.RemoveItems(serverSet)
	version := fieldpath.APIVersion(wanted.GetAPIVersion())
	owners := fieldOwners(live)
	managers := func() fieldpath.ManagedFields {
		m := fieldpath.ManagedFields{}
		for i, f := range owners {
			m[managerKey(f.entry, i)] = fieldpath.NewVersionedSet(f.set, fieldpath.APIVersion(f.entry.APIVersion), f.entry.Operation == metav1.ManagedFieldsOperationApply)
		}
		return m
	}
	updater := (&merge.UpdaterBuilder{Converter: oneVersion(version), ReturnInputOnNoop: true}).BuildUpdater()
	applied, _, err := updater.Apply(liveTyped, wantedTyped, version, managers(), ourKey, false)
	var conflicts merge.Conflicts
	var lost []taken
	if errors.As(err, &conflicts) {
		for _, f := range conflicts {
			if i, err := strconv.Atoi(f.Manager); err == nil {
				lost = append(lost, taken{f.Path, owners[i].entry})
			}
		}
		slices.SortFunc(lost, func(a, b taken) int {
			if n := a.path.Compare(b.path); n != 0 {
				return n
			}
			return strings.Compare(a.owner.Manager+a.owner.Subresource, b.owner.Manager+b.owner.Subresource)
		})
		applied, _, err = updater.Apply(liveTyped, wantedTyped, version, managers(), ourKey, true)
	}
	if err != nil {
		return nil, nil, err
	}
	content, _ := applied.AsValue().Unstructured().(map[string]any)
	return &unstructured.Unstructured{Object: content}, lost, nil
}

// ourKey stands for what we own among the managers of a prediction.
const ourKey = "ours"

func managerKey(m metav1.ManagedFieldsEntry, i int) string {
	if isOurs(m) {
		return ourKey
	}
	return strconv.Itoa(i)
}

// fieldConflicts are the conflicts of an apply, by managedFields. What the API server itself said is only what made us look:
// its causes have been doubled and incomplete, and their paths are ambiguous where the key of a map has a dot. Where the live
// object does not tell, its own text is kept.
func (c converter) fieldConflicts(live, wanted *unstructured.Unstructured, said []Conflict) []Conflict {
	if live == nil {
		return said
	}
	_, lost, err := c.predict(live, wanted)
	if err != nil {
		return said
	}
	ref := RefOf(live)
	var out []Conflict
	at := map[string][]fieldpath.Path{}
	for _, t := range lost {
		out = append(out, c.fieldConflict(ref, live, wanted, t))
		text := strings.TrimPrefix(t.path.String(), ".")
		if !slices.ContainsFunc(at[text], t.path.Equals) {
			at[text] = append(at[text], t.path)
		}
	}
	for _, s := range said {
		switch n := len(at[s.Field]); {
		case n == 0:
			s.Detail = strings.TrimSpace("managedFields as they were read do not tell whose it is; the API server says: " + s.Owner.Manager + " " + s.Detail)
			out = append(out, s)
		case n > 1:
			s.Detail = strings.TrimSpace("ambiguous: " + strconv.Itoa(n) + " fields are written like this; the API server says: " + s.Owner.Manager + " " + s.Detail)
			out = append(out, s)
		}
	}
	return out
}

func (c converter) fieldConflict(ref Ref, live, wanted *unstructured.Unstructured, t taken) Conflict {
	out := Conflict{Ref: ref, Field: pathText(t.path), Owner: ownerOf(t.owner)}
	if v, has := lookUp(live.Object, t.path); has {
		out.Live = valueText(ref.Kind, t.path, v)
	}
	if v, has := lookUp(wanted.Object, t.path); has {
		out.Ours = valueText(ref.Kind, t.path, v)
	}
	return out
}

// ReplicasOwners are the entries of a workload's managed fields that own spec.replicas.
func ReplicasOwners(workload metav1.Object) []metav1.ManagedFieldsEntry {
	return slices.DeleteFunc(slices.Clone(workload.GetManagedFields()), func(m metav1.ManagedFieldsEntry) bool {
		set, err := fieldSet(m)
		return err != nil || !set.Has(replicasPath)
	})
}

var replicasPath = fieldpath.MakePathOrDie("spec", "replicas")
