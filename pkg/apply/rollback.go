package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// rollbackTries is how often an object is read again whose way back met another writer.
const rollbackTries = 8

// Restored is what has been brought back.
type Restored struct {
	// Generations that the objects have now.
	Generations map[plan.Ref]int64
	// Left are the fields that somebody else has written since the plan was carried out, each OBJECT: FIELD. They stay.
	Left []string
}

// Restore brings back every object that a plan changed, as it was before: the values of the fields that the field manager owned,
// and of those that were taken from others, which get them back; what was recreated is created again as it was. What the
// plan created stays until [Client.Discard]. It is for a plan that was carried out wholly or in part by [Client.Run], and can be
// called again. Every object is tried; the error names all that cannot be brought back.
func (c *Client) Restore(ctx context.Context, p plan.Plan, emit func(Event)) (Restored, error) {
	r := &restorer{client: c, emit: emit, restored: Restored{Generations: map[plan.Ref]int64{}}}
	var first, then []plan.Change
	for _, ch := range p.Changes {
		switch {
		case ch.Object == nil || ch.Live == nil || ch.Action == plan.Keep:
		case ch.Ref.Group == "":
			first = append(first, ch)
		default:
			then = append(then, ch)
		}
	}
	for _, phase := range [][]plan.Change{first, then} {
		if err := r.restoreAll(ctx, phase); err != nil {
			return r.restored, err
		}
	}
	slices.Sort(r.restored.Left)
	slices.SortFunc(r.failed, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return r.restored, errors.Join(r.failed...)
}

// restorer brings objects back concurrently.
type restorer struct {
	client *Client

	mu       sync.Mutex
	emit     func(Event)
	restored Restored
	failed   []error
}

// restoreAll returns an error only when the context has ended.
func (r *restorer) restoreAll(ctx context.Context, changes []plan.Change) error {
	var g errgroup.Group
	g.SetLimit(parallel)
	for _, ch := range changes {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			o, left, err := r.client.restore(ctx, ch)
			r.mu.Lock()
			defer r.mu.Unlock()
			if err != nil {
				r.failed = append(r.failed, fmt.Errorf("%s is not as it was before: %w", ch.Ref, err))
				return nil
			}
			r.restored.Generations[ch.Ref] = o.GetGeneration()
			for _, field := range left {
				r.restored.Left = append(r.restored.Left, ch.Ref.String()+": "+field)
			}
			r.emit(Event{Ref: ch.Ref, Part: ch.Part, Action: plan.Update})
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// restore brings one object back.
func (c *Client) restore(ctx context.Context, ch plan.Change) (*unstructured.Unstructured, []string, error) {
	uid := ch.UID
	if ch.Action == plan.Recreate {
		made, err := c.makeAgain(ctx, ch)
		if err != nil {
			return nil, nil, err
		}
		uid = made
	}
	resource, err := c.resource(ch.Ref)
	if err != nil {
		return nil, nil, err
	}
	for try := 1; ; try++ {
		now, err := look(ctx, resource, ch.Ref)
		switch {
		case apierrors.IsNotFound(err), err == nil && now.GetUID() != uid:
			return nil, nil, &ReplacedError{Ref: ch.Ref}
		case err != nil:
			return nil, nil, err
		}
		o, left, err := c.restoreOnce(ctx, ch, now)
		if err == nil {
			return o, left, c.freeRestored(ctx, o)
		}
		if !meetsOthers(err) || try == rollbackTries {
			return nil, nil, err
		}
	}
}

// freeRestored takes the broken pods of the change out of the way of a StatefulSet that was brought back.
func (c *Client) freeRestored(ctx context.Context, o *unstructured.Unstructured) error {
	if !plan.NeedsPods(o) {
		return nil
	}
	return c.freePods(ctx, o, nil)
}

// meetsOthers tells whether an error may be of somebody who writes to the object at the same time.
func meetsOthers(err error) bool {
	var conflict *ConflictError
	return errors.As(err, &conflict) || apierrors.IsConflict(err)
}

// makeAgain deletes what was made in the place of a recreated object and makes the one from before, whose UID it returns. Where the
// plan did not come to delete that one it is still there. What somebody else has made in its place is left alone.
func (c *Client) makeAgain(ctx context.Context, ch plan.Change) (types.UID, error) {
	resource, err := c.resource(ch.Ref)
	if err != nil {
		return "", err
	}
	now, err := look(ctx, resource, ch.Ref)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return "", err
	case now.GetUID() == ch.UID && now.GetDeletionTimestamp() == nil:
		return ch.UID, nil
	case now.GetUID() != ch.UID && now.GetLabels()[plan.LabelPartOfSet] != ch.Object.GetLabels()[plan.LabelPartOfSet]:
		return "", &ReplacedError{Ref: ch.Ref}
	default:
		gone := ch
		gone.UID, gone.KeepPods = now.GetUID(), ch.KeepPods && plan.PodsCanStay(ch.Live, now)
		if err := c.remove(ctx, gone); err != nil {
			return "", err
		}
	}
	back, err := ch.Back(ch.Live, nil)
	if err != nil {
		return "", err
	}
	made, err := c.apply(ctx, back.Object, applyOptions{manager: plan.FieldManager})
	if err != nil {
		return "", fmt.Errorf("it was deleted and is not made again: %w", err)
	}
	return made.GetUID(), nil
}

// restoreOnce applies what was before, and then writes who owns it where the apply has not led to that. Where it has to take the
// replicas from the scale manager, which got them from this plan, it writes to no other state of the object than it has seen.
func (c *Client) restoreOnce(ctx context.Context, ch plan.Change, now *unstructured.Unstructured) (*unstructured.Unstructured, []string, error) {
	back, err := ch.Back(ch.Live, now)
	if err != nil {
		return nil, nil, err
	}
	force := ch.Replicas != (plan.Replicas{})
	if force {
		back.Object.SetResourceVersion(now.GetResourceVersion())
	}
	applied, err := c.apply(ctx, back.Object, applyOptions{manager: plan.FieldManager, force: force})
	if err != nil {
		return nil, nil, replaced(ch, err)
	}
	owners, changed, err := back.Owners(applied)
	if err != nil || !changed {
		return applied, back.Left, err
	}
	patch, err := ownersPatch(owners, applied.GetResourceVersion())
	if err != nil {
		return nil, nil, err
	}
	resource, err := c.resource(ch.Ref)
	if err != nil {
		return nil, nil, err
	}
	o, err := resource.Patch(ctx, ch.Ref.Name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: plan.FieldManager})
	return o, back.Left, err
}

// Discard deletes what a plan created, each object only if it is in the set, waits until that is gone, and brings the set's parent
// back to what it was before, or deletes it when there was none. It is the end of the way back: call it after [Client.Restore].
func (c *Client) Discard(ctx context.Context, set Set, state State, p plan.Plan, emit func(Event)) error {
	var created []plan.Change
	for _, ch := range p.Changes {
		if ch.Object != nil && ch.Live == nil && ch.Action != plan.Keep {
			created = append(created, ch)
		}
	}
	if len(created) > 0 {
		if err := c.discard(ctx, set, created, emit); err != nil {
			return err
		}
	}
	ref := set.ParentRef()
	if state.Parent != nil {
		return c.restoreParent(ctx, state.Parent)
	}
	resource, err := c.resource(ref)
	if err != nil {
		return err
	}
	parent, err := look(ctx, resource, ref)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", ref, err)
	}
	return c.delete(ctx, []plan.Change{{Ref: ref, UID: parent.GetUID()}}, func(Event) {})
}

func (c *Client) discard(ctx context.Context, set Set, created []plan.Change, emit func(Event)) error {
	var kinds []schema.GroupKind
	for _, ch := range created {
		kinds = append(kinds, ch.Ref.GroupVersionKind().GroupKind())
	}
	var mu sync.Mutex
	there := map[plan.Ref]types.UID{}
	for _, k := range union(kinds, nil) {
		err := c.eachMember(ctx, set, k, func(o *unstructured.Unstructured) {
			mu.Lock()
			defer mu.Unlock()
			there[plan.RefOf(o)] = o.GetUID()
		})
		if err != nil {
			return err
		}
	}
	var gone []plan.Change
	for _, ch := range created {
		if uid, is := there[ch.Ref]; is {
			ch.UID = uid
			gone = append(gone, ch)
		}
	}
	if err := c.delete(ctx, gone, emit); err != nil {
		return err
	}
	return c.WaitGone(ctx, set, refsOf(gone))
}

// restoreParent applies the parent as it was.
func (c *Client) restoreParent(ctx context.Context, parent *Parent) error {
	before, err := plan.Owned(parent.Object, setFieldManager)
	if err != nil || before == nil {
		return err
	}
	before.SetUID(parent.Object.GetUID())
	ref := plan.RefOf(parent.Object)
	_, err = c.apply(ctx, before, applyOptions{manager: setFieldManager})
	return replaced(plan.Change{Ref: ref, UID: parent.Object.GetUID()}, err)
}
