package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Options of carrying out a plan.
type Options struct {
	// Force takes fields over from other field managers. The plan's conflicts are then what is taken.
	Force bool
	// Graph is recorded on the parent, see AnnotationGraph.
	Graph string
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
	// Written counts the objects that were applied.
	Written int
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

// Run writes what the plan says is to be created or updated; prunes are for Prune, after the rollout. Before the first object it
// writes the set's parent with every kind that is or will be in the set, so that a killed run loses no object.
// ConfigMaps and Services come before the workloads that need them.
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
	err := c.writeParent(ctx, set, state.Parent, union(kinds, nil), opts.Graph)
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
func (c *Client) writeParent(ctx context.Context, set Set, live *Parent, kinds []schema.GroupKind, graph string) error {
	parent := set.parentObject(kinds, graph)
	if live != nil && contains(live.Object.GetAnnotations(), parent.GetAnnotations()) && contains(live.Object.GetLabels(), parent.GetLabels()) {
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

// writer applies objects concurrently and remembers how far it came.
type writer struct {
	client *Client
	opts   Options
	emit   func(Event)
	result *Result

	mu      sync.Mutex
	started map[plan.Ref]bool
	done    map[plan.Ref]bool
}

func (w *writer) write(ctx context.Context, changes []plan.Change) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, ch := range changes {
		g.Go(func() error {
			if gctx.Err() != nil {
				return gctx.Err()
			}
			w.mark(ch.Ref)
			o, err := w.client.apply(gctx, ch.Object.Unstructured, applyOptions{manager: plan.FieldManager, force: w.opts.Force})
			if err != nil {
				if gctx.Err() == nil || ctx.Err() == nil && !isCancelled(err) {
					w.unmark(ch.Ref)
				}
				return err
			}
			w.finish(ch, o)
			return nil
		})
	}
	err := g.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// mark says that the request is about to be sent.
func (w *writer) mark(r plan.Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started[r] = true
}

// unmark says that the server refused the object: it is surely not applied.
func (w *writer) unmark(r plan.Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.started, r)
}

func (w *writer) finish(ch plan.Change, o *unstructured.Unstructured) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[ch.Ref] = true
	w.result.Generations[ch.Ref] = o.GetGeneration()
	w.result.Written++
	w.emit(Event{Ref: ch.Ref, Part: ch.Part, Action: ch.Action})
}

func (w *writer) partial(err error, changes []plan.Change) error {
	p := &PartialError{Err: err}
	for _, ch := range changes {
		switch {
		case w.done[ch.Ref]:
			p.Applied = append(p.Applied, ch.Ref)
		case w.started[ch.Ref]:
			p.Unsure = append(p.Unsure, ch.Ref)
		default:
			p.NotApplied = append(p.NotApplied, ch.Ref)
		}
	}
	return p
}

// Prune deletes what the plan says is no longer in the Flow, each only if it is still the object that the plan saw, and
// waits until it is gone, and then writes the exact kinds of the set to its parent. Call it when the new rollout has succeeded: until the new gateway
// answers, the old one still calls the executors that are to go.
func (c *Client) Prune(ctx context.Context, set Set, p plan.Plan, opts Options, emit func(Event)) error {
	var kinds []schema.GroupKind
	var gone []plan.Change
	for _, ch := range p.Changes {
		if ch.Action == plan.Prune {
			gone = append(gone, ch)
			continue
		}
		kinds = append(kinds, ch.Ref.GroupVersionKind().GroupKind())
	}
	if len(gone) == 0 {
		return nil
	}
	if err := c.delete(ctx, gone, emit); err != nil {
		return err
	}
	if err := c.WaitGone(ctx, set, refsOf(gone)); err != nil {
		return err
	}
	return c.writeParent(ctx, set, nil, union(kinds, nil), opts.Graph)
}

// delete removes objects with a UID precondition; one that is gone already is fine.
func (c *Client) delete(ctx context.Context, changes []plan.Change, emit func(Event)) error {
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, ch := range changes {
		g.Go(func() error {
			r, err := c.resource(ch.Ref)
			if err != nil {
				return err
			}
			uid := ch.UID
			policy := metav1.DeletePropagationForeground
			err = r.Delete(gctx, ch.Ref.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: (*types.UID)(&uid)}, PropagationPolicy: &policy})
			if err != nil && !isGone(err) {
				return fmt.Errorf("%s: %w", ch.Ref, err)
			}
			mu.Lock()
			defer mu.Unlock()
			emit(Event{Ref: ch.Ref, Part: ch.Part, Action: plan.Prune})
			return nil
		})
	}
	return g.Wait()
}
