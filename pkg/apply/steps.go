package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// ReplacedError says that an object is not the one that was read: it was deleted, or deleted and made again, since.
type ReplacedError struct{ Ref plan.Ref }

func (e *ReplacedError) Error() string {
	return fmt.Sprintf("%s was deleted or replaced by somebody since it was read; it was left as it is: run the command again", e.Ref)
}

// migrateTries is how often the owners of an object's fields are read again when somebody writes to it at the same time.
const migrateTries = 5

// pollGone is how often it is looked whether an object is gone. A poll needs no right to watch.
const pollGone = 300 * time.Millisecond

// carryOut does what the plan says about one object. An error with touched comes after something was written already.
// Each step can be done again: a run that was stopped in between is continued by the next one.
func (c *Client) carryOut(ctx context.Context, ch plan.Change, force bool) (o *unstructured.Unstructured, touched bool, err error) {
	object := ch.Object.Unstructured
	switch ch.Action {
	case plan.Recreate:
		if err := c.remove(ctx, ch); err != nil {
			return nil, true, err
		}
		if o, err = c.apply(ctx, object, applyOptions{manager: plan.FieldManager}); err != nil {
			return nil, true, fmt.Errorf("%s was deleted and is not made again: %w", ch.Ref, err)
		}
		return o, true, nil
	case plan.Adopt:
		touched = true
		if err := c.migrate(ctx, ch); err != nil {
			return nil, touched, err
		}
	}
	if ch.UID != "" {
		// With its UID an object that was deleted since the plan is not made anew, and another of its name not changed.
		object = withUID(object, ch.UID)
	}
	if n := ch.Replicas.Handover; n != nil {
		touched = true
		if err := c.handOver(ctx, ch, *n); err != nil {
			return nil, touched, err
		}
	}
	if n := ch.Replicas.Scale; n != nil {
		touched = true
		if err := c.Scale(ctx, ch.Live, *n, nil); err != nil {
			return nil, touched, err
		}
	}
	o, err = c.apply(ctx, object, applyOptions{manager: plan.FieldManager, force: force || ch.Replicas.Reset})
	if err == nil && len(ch.RepairPods) > 0 {
		return o, true, c.freePods(ctx, o, ch.RepairPods)
	}
	return o, touched, replaced(ch, err)
}

func withUID(o *unstructured.Unstructured, uid types.UID) *unstructured.Unstructured {
	c := o.DeepCopy()
	c.SetUID(uid)
	return c
}

// replaced recognises the answers to an apply with a UID that no object of that name has: a conflict where there is none
// (k8s.io/apiserver's pkg/endpoints/handlers/patch.go), and another object's UID that cannot be changed.
func replaced(ch plan.Change, err error) error {
	var conflict *ConflictError
	if ch.UID == "" || errors.As(err, &conflict) {
		return err
	}
	var status apierrors.APIStatus
	switch {
	case apierrors.IsConflict(err) && strings.Contains(err.Error(), "uid mismatch"):
		return &ReplacedError{Ref: ch.Ref}
	case apierrors.IsInvalid(err) && errors.As(err, &status) && status.Status().Details != nil &&
		slices.ContainsFunc(status.Status().Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" }):
		return &ReplacedError{Ref: ch.Ref}
	}
	return err
}

// handOver lets the scale manager take part in owning the replicas that the workload has, so that they stay when the object is
// applied without them. Somebody who has scaled it since the plan owns them already.
func (c *Client) handOver(ctx context.Context, ch plan.Change, replicas int32) error {
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": ch.Object.GetAPIVersion(), "kind": ch.Object.GetKind(),
		"metadata": map[string]any{"name": ch.Ref.Name, "namespace": ch.Ref.Namespace, "uid": string(ch.UID)},
		"spec":     map[string]any{"replicas": int64(replicas)},
	}}
	_, err := c.apply(ctx, o, applyOptions{manager: plan.ScaleFieldManager})
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		return nil
	}
	return replaced(ch, err)
}

// migrate makes what the object's former tools own ours, so that applying it takes away what they wrote and we do not want.
// It changes managedFields only.
func (c *Client) migrate(ctx context.Context, ch plan.Change) error {
	r, err := c.resource(ch.Ref)
	if err != nil || len(ch.Migrate) == 0 {
		return err
	}
	live := ch.Live
	for try := 1; ; try++ {
		patch, err := migration(live, ch.Migrate)
		if err != nil {
			return fmt.Errorf("%s: %w", ch.Ref, err)
		}
		_, err = r.Patch(ctx, ch.Ref.Name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: plan.FieldManager})
		switch {
		case err == nil:
			return nil
		case apierrors.IsNotFound(err):
			return &ReplacedError{Ref: ch.Ref}
		case !apierrors.IsConflict(err) || try == migrateTries:
			return fmt.Errorf("%s: the owners of its fields cannot be changed: %w", ch.Ref, err)
		}
		if live, err = look(ctx, r, ch.Ref); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s: %w", ch.Ref, err)
		}
		if err != nil || live.GetUID() != ch.UID {
			return &ReplacedError{Ref: ch.Ref}
		}
	}
}

func migration(live *unstructured.Unstructured, managers []string) ([]byte, error) {
	fields, err := plan.MigrateFields(live, managers)
	if err != nil {
		return nil, err
	}
	return ownersPatch(fields, live.GetResourceVersion())
}

// ownersPatch is a JSON patch of an object's managedFields. With its resourceVersion it is refused as a conflict when somebody has
// written to the object meanwhile: "replace" leads to that, where "test" would make it an invalid request.
func ownersPatch(owners []metav1.ManagedFieldsEntry, resourceVersion string) ([]byte, error) {
	// "add" replaces too, and an object whose managedFields were taken away has none.
	return json.Marshal([]map[string]any{
		{"op": "add", "path": "/metadata/managedFields", "value": owners},
		{"op": "replace", "path": "/metadata/resourceVersion", "value": resourceVersion},
	})
}

// remove deletes an object, if it is still the one of the plan, and waits until it is gone: with its pods, or without them where a
// StatefulSet is to find them again.
func (c *Client) remove(ctx context.Context, ch plan.Change) error {
	r, err := c.resource(ch.Ref)
	if err != nil {
		return err
	}
	err = c.deleteOne(ctx, ch)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case isGone(err):
		return &ReplacedError{Ref: ch.Ref}
	case err != nil:
		return fmt.Errorf("%s: %w", ch.Ref, err)
	}
	tick := time.NewTicker(pollGone)
	defer tick.Stop()
	for {
		o, err := look(ctx, r, ch.Ref)
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case ctx.Err() != nil:
			return &StillThereError{Refs: []plan.Ref{ch.Ref}, Err: ctx.Err()}
		case err != nil:
			return fmt.Errorf("%s: %w", ch.Ref, err)
		case o.GetUID() != ch.UID:
			return &ReplacedError{Ref: ch.Ref}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// look reads one object by a list of it: the right to list is one that up has anyway, the right to get is not.
func look(ctx context.Context, r dynamic.ResourceInterface, ref plan.Ref) (*unstructured.Unstructured, error) {
	list, err := r.List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, ref.Name).String()})
	if err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, apierrors.NewNotFound(schema.GroupResource{Group: ref.Group, Resource: ref.Kind}, ref.Name)
	}
	return &list.Items[0], nil
}

// propagation of a deletion. The foreground keeps a workload until its pods are gone. Other objects have nobody to wait for, and
// would only stay until the garbage collector comes: the set's parent must not, or the next up writes to one that is about to go.
func propagation(ch plan.Change) metav1.DeletionPropagation {
	switch {
	case ch.KeepPods:
		return metav1.DeletePropagationOrphan
	case plan.IsWorkload(ch.Ref.GroupVersionKind().GroupKind()):
		return metav1.DeletePropagationForeground
	default:
		return metav1.DeletePropagationBackground
	}
}
