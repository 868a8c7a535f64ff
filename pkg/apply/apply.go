package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Options of carrying out a plan.
type Options struct {
	// Force takes fields over from other field managers. The plan's conflicts are then what is taken.
	Force bool
	// Record is written to the parent.
	Record Record
}

// Event says that an object was written. Events come one at a time.
type Event struct {
	Ref    plan.Ref
	Part   plan.Part
	Action plan.Action
}

// Result of carrying out a plan.
type Result struct {
	// Generations that the objects have now, also those that needed no write.
	Generations map[plan.Ref]int64
}

// PartialError says that carrying out a plan stopped before its end.
type PartialError struct {
	// Err is the cause; a context's error when it was interrupted.
	Err error
	// Applied, Unsure (a request was under way) and NotApplied are the plan's writes in its order.
	Applied, Unsure, NotApplied []plan.Ref
}

// Error says what was and was not written.
func (e *PartialError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n%d of %d objects were applied", e.Err, len(e.Applied), len(e.Applied)+len(e.Unsure)+len(e.NotApplied))
	for _, l := range []struct {
		what string
		refs []plan.Ref
	}{{"applied", e.Applied}, {"under way, perhaps applied", e.Unsure}, {"not applied", e.NotApplied}} {
		if len(l.refs) > 0 {
			fmt.Fprintf(&b, "\n  %s: %s", l.what, listRefs(l.refs))
		}
	}
	b.WriteString("\nrun the same command again to go on from here")
	return b.String()
}

// Unwrap returns the cause.
func (e *PartialError) Unwrap() error { return e.Err }

func listRefs(refs []plan.Ref) string {
	const most = 12
	var names []string
	for i, r := range refs {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(refs)-most))
			break
		}
		names = append(names, r.String())
	}
	return strings.Join(names, ", ")
}

// Refuse is a *ConflictError when the plan must not be carried out: whole objects are never taken over, fields only with force. The
// objects come first in it.
func Refuse(p plan.Plan, force bool) error {
	conflicts := slices.Clone(p.Conflicts)
	rank := func(c plan.Conflict) int {
		if c.Field == "" {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(conflicts, func(a, b plan.Conflict) int { return rank(a) - rank(b) })
	if len(conflicts) > 0 && (!force || conflicts[0].Field == "") {
		return &ConflictError{Conflicts: conflicts}
	}
	return nil
}

// Run writes what the plan says is to be created, updated, recreated or adopted; prunes are for Prune, after the rollout. Before
// the first object it writes the set's parent with every kind that is or will be in the set, so that a killed run loses no
// object. ConfigMaps and Services come before the workloads that need them.
func (c *Client) Run(ctx context.Context, set Set, state State, p plan.Plan, opts Options, emit func(Event)) (Result, error) {
	res := Result{Generations: map[plan.Ref]int64{}}
	if err := Refuse(p, opts.Force); err != nil {
		return res, err
	}
	var first, then []plan.Change
	var kinds []schema.GroupKind
	for _, ch := range p.Changes {
		if ch.Object == nil {
			continue
		}
		kinds = append(kinds, ch.Ref.GroupVersionKind().GroupKind())
		res.Generations[ch.Ref] = ch.Generation
		switch {
		case ch.Action == plan.Keep:
		case ch.Ref.Group == "":
			first = append(first, ch)
		default:
			then = append(then, ch)
		}
	}
	if state.Parent != nil {
		kinds = append(kinds, state.Parent.Kinds...)
	}
	w := &writer{client: c, opts: opts, emit: emit, result: &res, started: map[plan.Ref]bool{}, done: map[plan.Ref]bool{}}
	err := c.writeParent(ctx, set, state.Parent, union(kinds, nil), opts.Record)
	for _, phase := range [][]plan.Change{first, then} {
		if err == nil {
			err = w.write(ctx, phase)
		}
	}
	if err != nil {
		return res, w.partial(err, slices.Concat(first, then))
	}
	return res, nil
}

// writeParent applies the set's parent unless it is as it should be.
func (c *Client) writeParent(ctx context.Context, set Set, live *Parent, kinds []schema.GroupKind, record Record) error {
	parent := set.parentObject(kinds, record)
	if live != nil && live.Options() == record.Options && contains(live.Object.GetAnnotations(), parent.GetAnnotations()) && contains(live.Object.GetLabels(), parent.GetLabels()) {
		return nil
	}
	_, err := c.apply(ctx, parent, applyOptions{manager: setFieldManager})
	return err
}

func contains(all, some map[string]string) bool {
	for k, v := range some {
		if all[k] != v {
			return false
		}
	}
	return true
}
