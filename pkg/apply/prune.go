package apply

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Prune deletes what the plan says is no longer in the Flow, each only if it is still the object that the plan saw, waits until
// it is gone, and then writes the exact kinds of the set to its parent, where they are not there yet. Call it when the new
// rollout has succeeded: until the new gateway answers, the old one still calls the executors that are to go.
func (c *Client) Prune(ctx context.Context, set Set, state State, p plan.Plan, opts Options, emit func(Event)) error {
	var kinds, before []schema.GroupKind
	var gone []plan.Change
	for _, ch := range p.Changes {
		if ch.Action == plan.Prune {
			gone = append(gone, ch)
			continue
		}
		kinds = append(kinds, ch.Ref.GroupVersionKind().GroupKind())
	}
	if state.Parent != nil {
		before = state.Parent.Kinds
	}
	for _, ref := range state.going() {
		kinds = append(kinds, ref.GroupVersionKind().GroupKind()) // it may stay for long
	}
	for _, k := range before {
		if k == namespaceKind {
			kinds = append(kinds, k)
		}
	}
	if len(gone) > 0 {
		if err := c.delete(ctx, gone, emit); err != nil {
			return err
		}
		if err := c.WaitGone(ctx, set, refsOf(gone)); err != nil {
			return err
		}
	}
	kinds = union(kinds, nil)
	if written := union(before, kinds); slices.Equal(written, kinds) {
		return nil // Run has written that
	}
	return c.writeParent(ctx, set, nil, kinds, opts.Record)
}

// deleteOne deletes an object if it is still the one of the plan. The error is the API server's own.
func (c *Client) deleteOne(ctx context.Context, ch plan.Change) error {
	r, err := c.resource(ch.Ref)
	if err != nil {
		return err
	}
	uid, policy := ch.UID, propagation(ch)
	return r.Delete(ctx, ch.Ref.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &policy})
}

// delete removes objects with a UID precondition; one that is gone already is fine.
func (c *Client) delete(ctx context.Context, changes []plan.Change, emit func(Event)) error {
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, ch := range changes {
		g.Go(func() error {
			if err := c.deleteOne(gctx, ch); err != nil && !isGone(err) {
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
