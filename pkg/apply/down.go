package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// isGone tells whether a delete failed because the object is no longer there, or is another one by now.
func isGone(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsConflict(err) && strings.Contains(err.Error(), "UID")
}

// NotFoundError says that a namespace has no such Flow.
type NotFoundError struct{ Flow, Namespace string }

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("no Flow %q in namespace %s; `kubectl jina status -n %s` shows the one that is there", e.Flow, e.Namespace, e.Namespace)
}

// Members are the deletions that would take the Flow down: exactly what `up` made, sorted by kind and name, without the parent,
// without what is being deleted already, and without what is never deleted unasked. A member that has an owner, and goes with it,
// is a *ConflictError.
func (c *Client) Members(ctx context.Context, set Set) (State, []plan.Change, error) {
	state, err := c.Read(ctx, set, nil, plan.CompareOptions{})
	if err != nil {
		return state, nil, err
	}
	if state.Parent == nil {
		return state, nil, &NotFoundError{Flow: set.Flow, Namespace: set.Namespace}
	}
	p := plan.Compare(nil, state.Live, plan.CompareOptions{}).Plan(nil)
	if err := Refuse(p, false); err != nil {
		return state, nil, err
	}
	return state, slices.DeleteFunc(p.Changes, func(ch plan.Change) bool { return ch.Action != plan.Prune }), nil
}

// Down deletes the members of a Flow's set, waits until they and their pods are gone, also those that an earlier run has deleted,
// and deletes the parent last, so that an interrupted run can be run again. The wait ends with the context. The parent stays as
// long as it has something to list: what is never deleted unasked, and without a wait what is still going. That is what Down
// returns.
func (c *Client) Down(ctx context.Context, set Set, state State, members []plan.Change, wait bool, emit func(Event)) (left []plan.Ref, err error) {
	if err := c.delete(ctx, members, emit); err != nil {
		return nil, err
	}
	if wait {
		if err := c.WaitGone(ctx, set, slices.Concat(refsOf(members), state.going())); err != nil {
			return nil, err
		}
	}
	there, err := c.listMembers(ctx, set, state.Parent.Kinds)
	if err != nil {
		return nil, err
	}
	if len(there) > 0 {
		return slices.SortedFunc(maps.Keys(there), func(a, b plan.Ref) int { return strings.Compare(a.String(), b.String()) }), nil
	}
	return nil, c.delete(ctx, []plan.Change{{Ref: set.ParentRef(), UID: state.Parent.Object.GetUID()}}, func(Event) {})
}

// StillThereError says what was left when the wait for a deletion ended.
type StillThereError struct {
	Refs []plan.Ref
	Err  error
}

func (e *StillThereError) Error() string {
	return fmt.Sprintf("not gone yet: %s: %v", listRefs(e.Refs), e.Err)
}

// Unwrap returns the cause, a context's error.
func (e *StillThereError) Unwrap() error { return e.Err }

// WaitGone waits until none of the set's members given is left, until the context ends (then *StillThereError). It polls:
// deletion in the foreground keeps a workload until its pods are gone, and a poll needs no right to watch.
func (c *Client) WaitGone(ctx context.Context, set Set, refs []plan.Ref) error {
	var kinds []schema.GroupKind
	for _, r := range refs {
		kinds = append(kinds, r.GroupVersionKind().GroupKind())
	}
	kinds = union(kinds, nil)
	tick := time.NewTicker(pollGone)
	defer tick.Stop()
	for left := refs; ; {
		there, err := c.listMembers(ctx, set, kinds)
		if err != nil && ctx.Err() != nil {
			return &StillThereError{Refs: left, Err: ctx.Err()}
		}
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(slices.Clone(left), func(r plan.Ref) bool { return !there[r] })
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return &StillThereError{Refs: left, Err: ctx.Err()}
		case <-tick.C:
		}
	}
}

func refsOf(changes []plan.Change) []plan.Ref {
	refs := make([]plan.Ref, len(changes))
	for i, ch := range changes {
		refs[i] = ch.Ref
	}
	return refs
}

// listMembers names the set's objects of several kinds.
func (c *Client) listMembers(ctx context.Context, set Set, kinds []schema.GroupKind) (map[plan.Ref]bool, error) {
	var mu sync.Mutex
	all := map[plan.Ref]bool{}
	for _, k := range kinds {
		err := c.eachMember(ctx, set, k, func(o *unstructured.Unstructured) {
			mu.Lock()
			defer mu.Unlock()
			all[plan.RefOf(o)] = true
		})
		var missing *MissingKindError
		if err != nil && !errors.As(err, &missing) {
			return nil, err
		}
	}
	return all, nil
}
