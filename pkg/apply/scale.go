package apply

import (
	"context"
	"encoding/json"
	"fmt"

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
	ref := plan.RefOf(workload)
	r, err := c.resource(ref)
	if err != nil {
		return err
	}
	live, _, _ := unstructured.NestedInt64(workload.Object, "spec", "replicas")
	ops := []map[string]any{{"op": "test", "path": "/metadata/uid", "value": workload.GetUID()}}
	if current != nil {
		if live != int64(*current) {
			return &ReplicasError{Ref: ref, Want: int64(*current), Got: live}
		}
		ops = append(ops, testReplicas(*current))
	}
	// "add" replaces too, and the Scale of a workload with 0 replicas has no such field.
	ops = append(ops, map[string]any{"op": "add", "path": "/spec/replicas", "value": replicas})
	body, err := json.Marshal(ops)
	if err != nil {
		return err
	}
	_, err = r.Patch(ctx, ref.Name, types.JSONPatchType, body, metav1.PatchOptions{FieldManager: plan.ScaleFieldManager}, "scale")
	if apierrors.IsInvalid(err) {
		if scaled(ctx, r, workload, replicas) {
			return nil
		}
		return fmt.Errorf("%s was replaced or scaled by somebody else in this moment: nothing was changed; run the command again (%w)", ref, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	return nil
}

// scaled tells whether a workload that failed the tests of the patch has the wanted replicas already: the patch was carried out,
// its answer was lost, and it was sent again. Somebody else who has scaled to the same in this moment did no harm either.
func scaled(ctx context.Context, r dynamic.ResourceInterface, workload *unstructured.Unstructured, replicas int32) bool {
	now, err := look(ctx, r, plan.RefOf(workload))
	if err != nil || now.GetUID() != workload.GetUID() {
		return false
	}
	n, _, err := unstructured.NestedInt64(now.Object, "spec", "replicas")
	return err == nil && n == int64(replicas)
}

func testReplicas(n int32) map[string]any {
	if n == 0 {
		return map[string]any{"op": "test", "path": "/spec/replicas", "value": nil}
	}
	return map[string]any{"op": "test", "path": "/spec/replicas", "value": n}
}
