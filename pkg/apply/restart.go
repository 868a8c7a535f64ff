package apply

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// annotationRestarted is what kubectl rollout restart writes on a pod template
// (k8s.io/kubectl/pkg/polymorphichelpers/objectrestarter.go), so that one tool sees what the other did.
const annotationRestarted = "kubectl.kubernetes.io/restartedAt"

// restartTime is RFC 3339, as kubectl writes it, with milliseconds: two restarts within a second are two.
const restartTime = "2006-01-02T15:04:05.000Z07:00"

// Restart replaces the pods of a workload one after the other, by an annotation on its pod template that
// plan.RestartFieldManager owns: up, which applies as another one, neither takes it away nor sees a change in it. It returns the
// generation that the workload has then. A workload that is another object by now is a *ReplacedError.
func (c *Client) Restart(ctx context.Context, workload *unstructured.Unstructured, now time.Time) (generation int64, err error) {
	ref, uid := plan.RefOf(workload), workload.GetUID()
	template := map[string]any{"metadata": map[string]any{"annotations": map[string]any{annotationRestarted: now.Format(restartTime)}}}
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": workload.GetAPIVersion(), "kind": workload.GetKind(),
		"metadata": map[string]any{"name": ref.Name, "namespace": ref.Namespace, "uid": string(uid)},
		"spec":     map[string]any{"template": template},
	}}
	out, err := c.apply(ctx, o, applyOptions{manager: plan.RestartFieldManager, force: true})
	if err != nil {
		return 0, replaced(plan.Change{Ref: ref, UID: uid}, err)
	}
	if out.GetGeneration() == workload.GetGeneration() {
		return 0, fmt.Errorf("%s was not restarted: the API server, or a webhook, has taken the annotation %s away again", ref, annotationRestarted)
	}
	return out.GetGeneration(), nil
}
