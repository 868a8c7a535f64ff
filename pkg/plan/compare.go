package plan

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// LabelPartOfSet is the label that makes an object a member of an apply set (KEP-3659; kubectl's
// pkg/cmd/apply/applyset.go has the format).
const LabelPartOfSet = "applyset.kubernetes.io/part-of"

// Live is the state of the cluster that a Flow is compared with.
type Live struct {
	// Members are the objects of the Flow's apply set, whole unless they are settled.
	Members map[Ref]*unstructured.Unstructured
	// Settled are those of the members that are as they should be; see [Settle], which says what Members has in their place.
	Settled map[Ref]Settled
	// Strangers are the whole objects that have the name of one of the Flow without being members.
	Strangers map[Ref]*unstructured.Unstructured
	// Pods of the members that NeedsPods tells of.
	Pods map[Ref][]Pod
	// Autoscalers are what scales a workload by itself, by their target.
	Autoscalers map[Ref]Autoscaler
	// NoNamespace says that the namespace does not exist yet.
	NoNamespace bool
	// Unread says what could not be read and why, a line each.
	Unread []string
}

// Autoscaler owns the replicas of the workload that it targets.
type Autoscaler struct {
	// Kind is HorizontalPodAutoscaler or ScaledObject.
	Kind, Name string
	// Min and Max replicas; 0 where they are not known.
	Min, Max int32
}

// CompareOptions of a comparison.
type CompareOptions struct {
	// Force takes fields over from other field managers: the plan then says what comes of it.
	Force bool
	// ResetReplicas takes the file's replicas, whoever has set others, autoscalers excepted.
	ResetReplicas bool
	// Paused leaves the replicas of a Flow that is paused as they are, and starts nothing.
	Paused bool
	// KeepPruned keeps what the Flow no longer has.
	KeepPruned bool
}

// Answer is what the API server said to a dry run of applying an object.
type Answer struct {
	// Object as it would be stored.
	Object *unstructured.Unstructured
	// Conflicts with other field managers.
	Conflicts []Conflict
	// Unknown says why the server could not tell, for instance because a webhook does not support dry runs.
	Unknown string
	// Immutable are the fields that would have to change and cannot: the object has to be recreated. Empty otherwise.
	Immutable []string
}

// Comparison is a Flow beside the live state. Comparing needs no request; what it cannot decide alone is answered
// by a dry run of each object of Undecided.
type Comparison struct {
	types   converter
	opts    CompareOptions
	entries []entry
	// prunes and guarded are what the Flow no longer has: what goes, and what belongs to somebody else.
	prunes  []Change
	guarded []Conflict
	leaving []Ref
	// noNamespace says that there is nothing to compare with.
	noNamespace bool
	notes       []string
}

// Leaving are the objects that are wanted and still being deleted: they have to be gone before they can be created.
func (c *Comparison) Leaving() []Ref { return c.leaving }

// entry is a wanted object beside the live one.
type entry struct {
	replicasDecision
	// pods of a StatefulSet that may be in the way of its update.
	pods []Pod
	// live is the object as it is; of one that is adopted, as it is when its managed fields are migrated.
	live     *unstructured.Unstructured
	same     bool
	stranger *Conflict
	adoption *adoption
}

// Compare puts the objects, each labelled as a member of the set, beside the live state.
func Compare(objects []Object, live Live, opts CompareOptions) *Comparison {
	c := &Comparison{types: newConverter(), opts: opts, noNamespace: live.NoNamespace, notes: live.Unread}
	proof := newProvenance(live)
	wanted := make(map[Ref]bool, len(objects))
	for _, o := range objects {
		wanted[o.Ref()] = true
		c.entries = append(c.entries, c.compare(o, live, proof))
	}
	c.compareOwned()
	c.compareRest(live, wanted)
	return c
}

// compareOwned decides which objects are as they should be. That is most of what an unchanged Flow costs here, so it uses all
// processors; the objects do not depend on each other.
func (c *Comparison) compareOwned() {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range c.entries {
		e := &c.entries[i]
		if e.same || e.live == nil || e.stranger != nil || e.adoption != nil || e.replicas != (Replicas{}) {
			continue
		}
		g.Go(func() error {
			e.same = c.types.ownsExactly(e.live, e.object.Unstructured)
			return nil
		})
	}
	_ = g.Wait() // none of them fails
}

func (c *Comparison) compare(o Object, live Live, proof *provenance) entry {
	ref := o.Ref()
	e := entry{live: live.Members[ref]}
	if settled, is := live.Settled[ref]; is {
		e.replicasDecision, e.same = settled.decision, true
		return e
	}
	lost := false
	if s := live.Strangers[ref]; s != nil {
		switch lost = isLost(o, s); {
		case lost:
			e.live = s
		default:
			if e.stranger = strangerConflict(ref, s, proof); e.stranger != nil {
				e.object = o
				return e
			}
			if e = c.adopt(e, s); e.stranger != nil {
				e.object = o
				return e
			}
		}
	}
	leaving := ""
	if e.live != nil && e.live.GetDeletionTimestamp() != nil {
		// What is being deleted goes, whatever is applied to it now.
		e.live, leaving = nil, "the old one is still being deleted"
		c.leaving = append(c.leaving, ref)
	}
	var scaler *Autoscaler
	if s, has := live.Autoscalers[ref]; has {
		scaler = &s
	}
	e.replicasDecision = decideReplicas(o, e.live, scaler, c.opts)
	e.pods = live.Pods[ref]
	e.note = joined(leaving, e.note)
	if lost {
		e.note = joined("the label of its set was taken away", e.note)
	}
	return e
}

// unprunable kinds hold data, or everything; they are never deleted because a file lacks them.
var unprunable = []string{"PersistentVolumeClaim", "Namespace"}

// compareRest decides about the members that the Flow no longer has.
func (c *Comparison) compareRest(live Live, wanted map[Ref]bool) {
	for ref, o := range live.Members {
		if wanted[ref] || o.GetDeletionTimestamp() != nil {
			continue
		}
		change := Change{Ref: ref, Part: PartOf(o), Action: Prune, Reason: "no longer in the Flow", Live: o, UID: o.GetUID(), Generation: o.GetGeneration()}
		switch {
		case ref.Group == "" && slices.Contains(unprunable, ref.Kind):
			change.Action, change.Reason = Keep, "no longer in the Flow; a "+ref.Kind+" is never deleted for that"
		case c.opts.KeepPruned:
			change.Action, change.Reason = Keep, "no longer in the Flow; kept, as this run deletes nothing"
		case len(o.GetOwnerReferences()) > 0:
			owner := o.GetOwnerReferences()[0]
			c.guarded = append(c.guarded, Conflict{Ref: ref, Owner: Owner{Manager: owner.Kind + "/" + owner.Name},
				Detail: "it is no longer in the Flow, and has an owner that is not part of it"})
			continue
		}
		c.prunes = append(c.prunes, change)
	}
	slices.SortFunc(c.prunes, func(a, b Change) int { return compareRefs(a.Ref, b.Ref) })
	slices.SortFunc(c.guarded, func(a, b Conflict) int { return compareRefs(a.Ref, b.Ref) })
}

func compareRefs(a, b Ref) int {
	return strings.Compare(a.Kind+" "+a.Namespace+" "+a.Name, b.Kind+" "+b.Namespace+" "+b.Name)
}

// Question is put to the API server as a dry run of applying an object.
type Question struct {
	Object Object
	// Force asks again with force where there are conflicts.
	Force bool
}

// Undecided are the objects that need a dry run: the existing ones that seem to differ (admission may rewrite fields, so
// only the server knows), and the first new one of each kind, so that what the server refuses is known before anything is written.
func (c *Comparison) Undecided() []Question {
	if c.noNamespace {
		return nil
	}
	var out []Question
	newKinds := map[string]bool{}
	for _, e := range c.entries {
		switch {
		case e.stranger != nil || e.same || e.adoption != nil:
		case e.live != nil:
			out = append(out, Question{Object: e.object, Force: c.opts.Force || e.force})
		case !newKinds[e.object.GetKind()]:
			newKinds[e.object.GetKind()] = true
			out = append(out, Question{Object: e.object, Force: c.opts.Force})
		}
	}
	return out
}

// Plan decides, with the answers to the dry runs of Undecided.
func (c *Comparison) Plan(answers map[Ref]Answer) Plan {
	p := Plan{Notes: c.notes}
	for _, e := range c.entries {
		if e.stranger != nil {
			p.Conflicts = append(p.Conflicts, *e.stranger)
			continue
		}
		answer, asked := answers[e.object.Ref()]
		change, conflicts := c.decide(e, answer, asked)
		e.repair(&change)
		if change.Action != Keep && e.object.Note != "" {
			change.Reason = joined(change.Reason, e.object.Note)
		}
		if change.Action == Keep {
			change.Live = nil // nobody needs it any more, and it is large
		}
		p.Conflicts = append(p.Conflicts, conflicts...)
		p.Changes = append(p.Changes, change)
	}
	p.Changes = append(p.Changes, c.prunes...)
	p.Conflicts = append(p.Conflicts, c.guarded...)
	return p
}

// decide about one object.
func (c *Comparison) decide(e entry, answer Answer, asked bool) (Change, []Conflict) {
	object := e.object
	change := Change{Ref: object.Ref(), Part: object.Part, Object: &object, Reason: e.note, Replicas: e.replicas}
	if e.live != nil {
		change.Live, change.UID, change.Generation = e.live, e.live.GetUID(), e.live.GetGeneration()
	}
	if e.adoption != nil {
		change.Live = e.adoption.found
	}
	unknown := func(why string) (Change, []Conflict) {
		change.Action, change.Reason = Unknown, joined(why, change.Reason)
		return change, answer.Conflicts
	}
	switch {
	case c.noNamespace:
		return unknown("the namespace does not exist yet")
	case e.adoption != nil:
		return c.decideAdoption(e, change)
	case answer.Unknown != "":
		return unknown(answer.Unknown)
	case e.live == nil:
		change.Action = Create
		change.create()
		return change, answer.Conflicts
	case e.same:
		change.Action = Keep
		return change, nil
	case !asked:
		return unknown("not compared with the cluster")
	}
	conflicts := e.settle(&change, c.types.fieldConflicts(e.live, object.Unstructured, answer.Conflicts))
	if answer.Object == nil {
		return c.decidePredicted(e, change, answer), conflicts
	}
	return c.decideUpdate(e, change, answer.Object), conflicts
}

// decideUpdate compares the live object with the answer to the dry run.
func (c *Comparison) decideUpdate(e entry, change Change, applied *unstructured.Unstructured) Change {
	wanted := e.object.Unstructured
	diffs, err := c.types.differences(e.live, e.afterwards(applied))
	if err != nil {
		change.Action = Update
		change.Fields = []FieldChange{{Ours: "cannot be compared field by field"}}
		change.writes = []string{"all of " + string(change.UID)}
		return change
	}
	before, after := ownedFields(e.live), ownedFields(applied)
	sameOwners := before.Equals(after)
	ours := before.Union(after)
	if sameOwners && e.replicas == (Replicas{}) && !slices.ContainsFunc(diffs, func(d difference) bool { return touches(ours, d.path) }) {
		// What admission does to every write is nobody's wish.
		change.Action = Keep
		return change
	}
	change.Action = Update
	change.write(diffs, fieldOwners(e.live), wanted)
	if len(change.Fields) == 0 && !sameOwners {
		change.Reason = joined("only who owns which fields changes, not what they say", change.Reason)
	}
	return change
}

// decidePredicted says what would change where the server did not: it refused the dry run for a conflict, or because a field
// is immutable.
func (c *Comparison) decidePredicted(e entry, change Change, answer Answer) Change {
	change.Action = Update
	if predicted, _, err := c.types.predict(e.live, canonical(e.object.Unstructured)); err == nil {
		if diffs, err := c.types.differences(e.live, e.afterwards(predicted)); err == nil {
			change.write(withDefaults(e.object.Unstructured, diffs), fieldOwners(e.live), e.object.Unstructured)
		}
	}
	if len(answer.Immutable) > 0 {
		return e.recreate(change, answer.Immutable)
	}
	return change
}

// afterwards is the object as it is after the change: with the replicas that it has then, which a dry run of applying
// it without them does not know.
func (e entry) afterwards(applied *unstructured.Unstructured) *unstructured.Unstructured {
	if e.keeps == nil {
		return applied
	}
	return withReplicas(Object{Unstructured: applied}, *e.keeps).Unstructured
}

// settle takes the conflicts about replicas away where the file's take the place of others', and says so in the change.
func (e entry) settle(change *Change, conflicts []Conflict) []Conflict {
	if !e.force {
		return conflicts
	}
	rest := slices.DeleteFunc(slices.Clone(conflicts), func(f Conflict) bool { return f.Field == pathText(replicasPath) })
	change.Replicas.Reset = len(rest) == 0 && len(conflicts) > 0
	return rest
}

// joined are the parts of a reason.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
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
