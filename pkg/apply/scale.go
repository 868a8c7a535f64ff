package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// ReplicasError says that a workload does not have the replicas that the caller expected.
type ReplicasError struct {
	Ref       plan.Ref
	Want, Got int64
}

func (e *ReplicasError) Error() string {
	return fmt.Sprintf("%s has %d replicas, not %d as --current-replicas says: nothing was changed", e.Ref, e.Got, e.Want)
}

// Scale sets the replicas of a live workload through its scale subresource, as the field manager plan.ScaleFieldManager,
// which thereby owns them: a later `up` leaves them alone. It writes only if the workload is still the one given (by UID)
// and, with current, only if it has that many replicas, else *ReplicasError.
func (c *Client) Scale(ctx context.Context, workload *unstructured.Unstructured, replicas int32, current *int32) error {
	return c.scale(ctx, workload, scaling{replicas: replicas, current: current})
}

// DryRunScale asks the API server for all that Scale does, but to store it.
func (c *Client) DryRunScale(ctx context.Context, workload *unstructured.Unstructured, replicas int32, current *int32) error {
	return c.scale(ctx, workload, scaling{replicas: replicas, current: current, dryRun: []string{metav1.DryRunAll}})
}

// scaling is how a workload is scaled.
type scaling struct {
	replicas int32
	// current are the replicas without which nothing is written; nil for any.
	current *int32
	dryRun  []string
	// nobodys leaves replicas that nobody owns, because they were 0, to nobody.
	nobodys bool
}

func (c *Client) scale(ctx context.Context, workload *unstructured.Unstructured, how scaling) error {
	ref := plan.RefOf(workload)
	r, err := c.resource(ref)
	if err != nil {
		return err
	}
	live := LiveReplicas(workload)
	if how.current != nil && live != *how.current {
		return &ReplicasError{Ref: ref, Want: int64(*how.current), Got: int64(live)}
	}
	if live == 0 && how.replicas > 0 && !how.nobodys {
		if done, err := scaleFromZero(ctx, r, workload, how); done || err != nil {
			return err
		}
	}
	ops := []map[string]any{{"op": "test", "path": "/metadata/uid", "value": workload.GetUID()}}
	if how.current != nil {
		ops = append(ops, testReplicas(*how.current))
	}
	// "add" replaces too, and the Scale of a workload with 0 replicas has no such field.
	ops = append(ops, map[string]any{"op": "add", "path": "/spec/replicas", "value": how.replicas})
	body, err := json.Marshal(ops)
	if err != nil {
		return err
	}
	_, err = r.Patch(ctx, ref.Name, types.JSONPatchType, body, metav1.PatchOptions{FieldManager: plan.ScaleFieldManager, DryRun: how.dryRun}, "scale")
	if apierrors.IsInvalid(err) {
		return notScaled(ctx, r, workload, how.replicas, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	return nil
}

// fromZeroTries is how often a scale from 0 is tried again because somebody else, mostly a controller about its status, has written
// to the workload meanwhile.
const fromZeroTries = 5

// scaleFromZero sets the replicas of a workload that has none. The API server keeps no record of who does that by an update or a
// patch, for there is no field in such a Scale whose owner could change (apimachinery's managedfields/internal/skipnonapplied.go),
// but of who applies one. An apply has no tests, so it is for one version of the workload only. It is not done where the workload
// has replicas by now, or changes too often.
func scaleFromZero(ctx context.Context, r dynamic.ResourceInterface, workload *unstructured.Unstructured, how scaling) (done bool, err error) {
	ref, version, force := plan.RefOf(workload), workload.GetResourceVersion(), true
	for range fromZeroTries {
		body, err := json.Marshal(map[string]any{
			"apiVersion": "autoscaling/v1", "kind": "Scale",
			"metadata": map[string]any{"name": ref.Name, "namespace": ref.Namespace, "uid": workload.GetUID(), "resourceVersion": version},
			"spec":     map[string]any{"replicas": how.replicas},
		})
		if err != nil {
			return false, err
		}
		_, err = r.Patch(ctx, ref.Name, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: plan.ScaleFieldManager, Force: &force, DryRun: how.dryRun}, "scale")
		if err == nil {
			return true, nil
		}
		if !apierrors.IsConflict(err) {
			return false, fmt.Errorf("%s: %w", ref, err)
		}
		now, err := look(ctx, r, ref)
		switch {
		case apierrors.IsNotFound(err), err == nil && now.GetUID() != workload.GetUID():
			return false, &ScaledMeanwhileError{Ref: ref, Replaced: true}
		case err != nil:
			return false, fmt.Errorf("%s: %w", ref, err)
		case LiveReplicas(now) != 0:
			return false, nil
		}
		version = now.GetResourceVersion()
	}
	return false, nil
}

// ScaledMeanwhileError says that a workload was scaled by somebody else, or made again, after it was read: nothing was changed.
type ScaledMeanwhileError struct {
	Ref plan.Ref
	// Replicas that it has now.
	Replicas int64
	// Managers that own them; none where the API server keeps no record of it, or where Replaced.
	Managers []string
	// Replaced: it is another object by now.
	Replaced bool
}

func (e *ScaledMeanwhileError) Error() string {
	if e.Replaced {
		return fmt.Sprintf("%s was deleted and made again in this moment: nothing was changed; run the command again", e.Ref)
	}
	who := "somebody"
	if len(e.Managers) > 0 {
		who = strings.Join(e.Managers, ", ")
	}
	return fmt.Sprintf("%s was scaled to %d by %s in this moment: nothing was changed; run the command again", e.Ref, e.Replicas, who)
}

// notScaled says why a workload failed the tests of the patch; it is nil where it has the wanted replicas already: the patch was
// carried out, its answer was lost, and it was sent again. Somebody else who has scaled to the same in this moment did no harm either.
func notScaled(ctx context.Context, r dynamic.ResourceInterface, workload *unstructured.Unstructured, replicas int32, refusal error) error {
	ref := plan.RefOf(workload)
	now, err := look(ctx, r, ref)
	switch {
	case apierrors.IsNotFound(err), err == nil && now.GetUID() != workload.GetUID():
		return &ScaledMeanwhileError{Ref: ref, Replaced: true}
	case err != nil:
		return fmt.Errorf("%s: %w", ref, refusal)
	case LiveReplicas(now) == replicas:
		return nil
	case LiveReplicas(now) == LiveReplicas(workload):
		return fmt.Errorf("%s: %w", ref, refusal) // it was refused for something else
	}
	meanwhile := &ScaledMeanwhileError{Ref: ref, Replicas: int64(LiveReplicas(now))}
	for _, m := range plan.ReplicasOwners(now) {
		meanwhile.Managers = append(meanwhile.Managers, m.Manager)
	}
	return meanwhile
}

func testReplicas(n int32) map[string]any {
	if n == 0 {
		return map[string]any{"op": "test", "path": "/spec/replicas", "value": nil}
	}
	return map[string]any{"op": "test", "path": "/spec/replicas", "value": n}
}
