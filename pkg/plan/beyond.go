package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// write records the fields that a change writes, for people and for [Plan.Beyond]. The annotation about replicas is bookkeeping,
// shown where it is all that changes.
func (c *Change) write(diffs []difference, owners []fieldOwner, wanted *unstructured.Unstructured) {
	c.Fields, c.writes = nil, nil
	for _, d := range diffs {
		path := pathText(d.path)
		c.writes = append(c.writes, digestOf(path, d.before, d.after))
		if len(diffs) > 1 && isReplicasRecord(path, d) {
			continue
		}
		f := FieldChange{Path: path}
		f.Live, f.Ours = valueTexts(c.Ref.Kind, d)
		f.Owner, f.Reason = reasonOf(d, owners, wanted)
		if d.path.Equals(replicasPath) {
			switch {
			case c.Replicas.Scale != nil:
				f.Reason = reasonReplicas
			case c.Replicas.Reset:
				f.Reason = reasonReset
			}
		}
		c.Fields = append(c.Fields, f)
	}
	if c.Replicas.Handover != nil {
		// Its value may move: an autoscaler is at work.
		c.writes = append(c.writes, "hand the replicas over")
	}
}

// isReplicasRecord tells whether nothing else than the annotation about replicas is written, with all annotations where it is the
// only one.
func isReplicasRecord(path string, d difference) bool {
	annotations, _ := d.after.(map[string]any)
	_, only := annotations[AnnotationReplicas]
	return path == replicasAnnotationPath || path == "metadata.annotations" && !d.had && only && len(annotations) == 1
}

const replicasAnnotationPath = "metadata.annotations[" + AnnotationReplicas + "]"

// create records that all of the object is written.
func (c *Change) create() { c.writes = []string{digestOf("", nil, c.Object.Object)} }

// digestOf a field and its values, which are not to be kept themselves.
func digestOf(path string, before, after any) string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, v := range []any{path, before, after} {
		if err := enc.Encode(v); err != nil {
			fmt.Fprint(h, v)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Beyond are the changes of a plan that another one, which was shown before, did not have: an object that is written where it was
// not, or in another way (created, recreated, adopted, deleted), a field that is written with another value or over another
// live one, another object to recreate, adopt or delete than the one that was there; and the conflicts that it did not
// name, which matter where fields are taken over by force.
//
// What is less than was shown is not beyond it: another run may have done some of it in the meantime. An object that was unknown may
// turn out to be created or updated, which is what was said would be tried.
func (p Plan) Beyond(shown Plan) (changes []Change, conflicts []Conflict) {
	before := make(map[Ref]Change, len(shown.Changes))
	for _, c := range shown.Changes {
		before[c.Ref] = c
	}
	for _, c := range p.Changes {
		if was, has := before[c.Ref]; c.Action != Keep && !(has && was.covers(c)) {
			changes = append(changes, c)
		}
	}
	for _, c := range p.Conflicts {
		named := func(o Conflict) bool {
			return c.Ref == o.Ref && c.Field == o.Field && c.Live == o.Live && c.Ours == o.Ours &&
				c.Owner.Manager == o.Owner.Manager && c.Owner.Operation == o.Owner.Operation && c.Owner.Subresource == o.Owner.Subresource
		}
		if !slices.ContainsFunc(shown.Conflicts, named) {
			conflicts = append(conflicts, c)
		}
	}
	return changes, conflicts
}

// covers tells whether all that a later change of the object does was said by this one.
func (c Change) covers(later Change) bool {
	switch {
	case c.Action == Unknown:
		return later.Action == Unknown || later.Action == Create || later.Action == Update
	case c.Action != later.Action:
		return false
	}
	if c.UID != later.UID && (later.Action == Recreate || later.Action == Adopt || later.Action == Prune) {
		return false
	}
	for _, w := range later.writes {
		if !slices.Contains(c.writes, w) {
			return false
		}
	}
	return true
}
