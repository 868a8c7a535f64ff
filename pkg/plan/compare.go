package plan

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// LabelPartOfSet is the label that makes an object a member of an apply set (KEP-3659; kubectl's
// pkg/cmd/apply/applyset.go has the format).
const LabelPartOfSet = "applyset.kubernetes.io/part-of"

// Live is the state of the cluster that a Flow is compared with.
type Live struct {
	// Members are the whole objects of the Flow's apply set.
	Members map[Ref]*unstructured.Unstructured
	// Strangers have the name of an object of the Flow without being members. Their metadata is enough.
	Strangers map[Ref]*unstructured.Unstructured
}

// Answer is what the API server said to a dry run of applying an object.
type Answer struct {
	// Object as it would be stored.
	Object *unstructured.Unstructured
	// Conflicts with other field managers.
	Conflicts []Conflict
	// Unknown says why the server could not tell, for instance because a webhook does not support dry runs.
	Unknown string
}

// Comparison is a Flow beside the live state. Comparing needs no request; what it cannot decide alone is answered
// by a dry run of each object of Undecided.
type Comparison struct {
	types   converter
	entries []entry
	prunes  []Change
	leaving []Ref
}

// Leaving are the objects that are wanted and still being deleted: they have to be gone before they can be created.
func (c *Comparison) Leaving() []Ref { return c.leaving }

type entry struct {
	object   Object
	live     *unstructured.Unstructured
	note     string
	same     bool
	stranger *Conflict
}

// Compare puts the objects, each labelled as a member of the set, beside the live state.
func Compare(objects []Object, live Live) *Comparison {
	c := &Comparison{types: newConverter()}
	wanted := make(map[Ref]bool, len(objects))
	for _, o := range objects {
		ref := o.Ref()
		wanted[ref] = true
		e := entry{object: o, live: live.Members[ref]}
		if s := live.Strangers[ref]; s != nil {
			e.stranger = strangerConflict(ref, s)
		}
		if e.live != nil && e.live.GetDeletionTimestamp() != nil {
			// What is being deleted goes, whatever is applied to it now.
			e.live, e.note = nil, "the old one is still being deleted"
			c.leaving = append(c.leaving, ref)
		}
		if e.live != nil {
			e.object, e.note = yieldReplicas(o, e.live)
			e.same = c.types.ownsExactly(e.live, e.object.Unstructured)
		}
		c.entries = append(c.entries, e)
	}
	for ref, o := range live.Members {
		if !wanted[ref] && o.GetDeletionTimestamp() == nil {
			c.prunes = append(c.prunes, Change{Ref: ref, Part: PartOf(o), Action: Prune, Reason: "no longer in the Flow", UID: o.GetUID()})
		}
	}
	slices.SortFunc(c.prunes, func(a, b Change) int { return strings.Compare(a.Ref.Kind+a.Ref.Name, b.Ref.Kind+b.Ref.Name) })
	return c
}

// Undecided are the objects that need a dry run: the existing ones that seem to differ (admission may rewrite fields, so
// only the server knows), and the first new one of each kind, so that what the server refuses is known before anything is written.
func (c *Comparison) Undecided() []Object {
	var out []Object
	newKinds := map[string]bool{}
	for _, e := range c.entries {
		switch {
		case e.stranger != nil || e.same:
		case e.live != nil:
			out = append(out, e.object)
		case !newKinds[e.object.GetKind()]:
			newKinds[e.object.GetKind()] = true
			out = append(out, e.object)
		}
	}
	return out
}

// Plan decides, with the answers to the dry runs of Undecided.
func (c *Comparison) Plan(answers map[Ref]Answer) Plan {
	var p Plan
	for _, e := range c.entries {
		ref := e.object.Ref()
		if e.stranger != nil {
			p.Conflicts = append(p.Conflicts, *e.stranger)
			continue
		}
		answer, asked := answers[ref]
		p.Conflicts = append(p.Conflicts, answer.Conflicts...)
		change := Change{Ref: ref, Part: e.object.Part, Object: &e.object, Reason: e.note}
		if e.live != nil {
			change.UID, change.Generation = e.live.GetUID(), e.live.GetGeneration()
		}
		switch {
		case answer.Unknown != "":
			change.Action, change.Reason = Unknown, answer.Unknown
		case e.live == nil:
			change.Action = Create
		case e.same:
			change.Action = Keep
		case !asked:
			change.Action, change.Reason = Unknown, "not compared with the cluster"
		case answer.Object == nil: // a conflict: nothing is applied
			change.Action = Update
		default:
			change.Action, change.Fields = Update, c.types.diff(e.live, answer.Object)
			if len(change.Fields) == 0 {
				change.Action = Keep
				if !sameOwnership(e.live, answer.Object) {
					change.Action, change.Reason = Update, "takes part in the ownership of fields that have the wanted value already"
				}
			}
		}
		if change.Action != Keep && e.object.Note != "" {
			change.Reason = strings.TrimPrefix(change.Reason+"; "+e.object.Note, "; ")
		}
		p.Changes = append(p.Changes, change)
	}
	p.Changes = append(p.Changes, c.prunes...)
	return p
}

// PartOf reads the part of the Flow that a live object belongs to from its labels. Executors are named by their label,
// which is the DNS name.
func PartOf(o *unstructured.Unstructured) Part {
	l := o.GetLabels()
	part := Part{Role: Role(l[LabelComponent]), Executor: l[LabelExecutor]}
	if part.Role == RoleShard {
		_, _ = fmt.Sscanf(l[LabelShard], "%d", &part.Shard)
	}
	return part
}

func strangerConflict(ref Ref, o *unstructured.Unstructured) *Conflict {
	c := &Conflict{Ref: ref, Owner: "nobody that it names"}
	labels := o.GetLabels()
	switch {
	case labels[LabelPartOfSet] != "" && labels[LabelFlow] != "":
		c.Owner = fmt.Sprintf("the Flow %q", labels[LabelFlow])
	case labels[LabelPartOfSet] != "":
		c.Owner = "the apply set " + labels[LabelPartOfSet]
	default:
		if managers := managersOf(o); managers != "" {
			c.Owner = managers
		}
	}
	return c
}

func managersOf(o *unstructured.Unstructured) string {
	var names []string
	for _, m := range o.GetManagedFields() {
		if m.Subresource == "" && !slices.Contains(names, m.Manager) {
			names = append(names, m.Manager)
		}
	}
	return strings.Join(names, ", ")
}

var replicasPath = fieldpath.MakePathOrDie("spec", "replicas")

// yieldReplicas leaves the replicas out of what is applied when somebody else has set them live, as the scale command,
// kubectl scale and autoscalers do: writing through the scale subresource moves the field's ownership to them
// (apimachinery's managedfields/scalehandler.go), and applying it again would be a conflict, or undo their work.
func yieldReplicas(o Object, live *unstructured.Unstructured) (Object, string) {
	wanted, has, err := unstructured.NestedInt64(o.Object, "spec", "replicas")
	if !has || err != nil {
		return o, ""
	}
	var others []string
	for _, m := range ReplicasOwners(live) {
		if isOurs(m) {
			return o, ""
		}
		others = append(others, m.Manager)
	}
	owner := "set by " + strings.Join(others, ", ")
	if len(others) == 0 {
		// It was in what we created, so it was taken from us since: a Scale with 0 replicas has no such field, and leaves no owner.
		owner = "scaled by somebody"
	}
	c := o.DeepCopy()
	unstructured.RemoveNestedField(c.Object, "spec", "replicas")
	kept, _, _ := unstructured.NestedInt64(live.Object, "spec", "replicas")
	note := fmt.Sprintf("replicas stay %d, %s", kept, owner)
	if kept != wanted {
		note += fmt.Sprintf(" (the file says %d)", wanted)
	}
	return Object{Unstructured: c, Part: o.Part, Note: o.Note}, note
}

// ReplicasOwners are the entries of a workload's managed fields that own spec.replicas.
func ReplicasOwners(workload metav1.Object) []metav1.ManagedFieldsEntry {
	return slices.DeleteFunc(slices.Clone(workload.GetManagedFields()), func(m metav1.ManagedFieldsEntry) bool {
		set, err := fieldSet(m)
		return err != nil || !set.Has(replicasPath)
	})
}
