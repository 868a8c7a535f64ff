package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

var (
	horizontalPodAutoscalers = schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
	// scaledObjects are KEDA's (https://keda.sh/docs/latest/reference/scaledobject-spec/).
	scaledObjects = schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}
)

// Autoscalers are what scales the workloads of a namespace by itself, by their targets. Where the user may not list them,
// unread says so, and what follows. KEDA's ScaledObjects are read for their names' and their limits' sake: what KEDA scales has a
// HorizontalPodAutoscaler too, once it runs.
func (c *Client) Autoscalers(ctx context.Context, namespace string) (found map[plan.Ref]plan.Autoscaler, unread string, err error) {
	found = map[plan.Ref]plan.Autoscaler{}
	list, err := c.Dynamic.Resource(horizontalPodAutoscalers).Namespace(namespace).List(ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsForbidden(err):
		unread = fmt.Sprintf("the right to list horizontalpodautoscalers.autoscaling in namespace %s is missing: an autoscaler that has not scaled anything yet is not seen", namespace)
	case err != nil:
		return nil, "", fmt.Errorf("cannot list the autoscalers of namespace %s: %w", namespace, err)
	default:
		for i := range list.Items {
			add(found, &list.Items[i], limits{min: "minReplicas", max: "maxReplicas", defaultMin: 1})
		}
	}
	list, err = c.Dynamic.Resource(scaledObjects).Namespace(namespace).List(ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		// No KEDA; who may not see its objects sees the autoscalers that it makes of them.
	case err != nil:
		return nil, "", fmt.Errorf("cannot list KEDA's ScaledObjects of namespace %s: %w", namespace, err)
	default:
		for i := range list.Items {
			add(found, &list.Items[i], limits{min: "minReplicaCount", max: "maxReplicaCount", defaultMax: 100})
		}
	}
	return found, unread, nil
}

// limits are the fields of an autoscaler's spec that limit the replicas, and what counts without them.
type limits struct {
	min, max               string
	defaultMin, defaultMax int32
}

func add(found map[plan.Ref]plan.Autoscaler, o *unstructured.Unstructured, l limits) {
	target, _, _ := unstructured.NestedMap(o.Object, "spec", "scaleTargetRef")
	name, _ := target["name"].(string)
	kind, _ := target["kind"].(string)
	if kind == "" {
		kind = "Deployment" // KEDA's default
	}
	version, _ := target["apiVersion"].(string)
	gv, err := schema.ParseGroupVersion(version)
	if err != nil || version == "" {
		gv.Group = "apps"
	}
	gvr, err := resourceOf(schema.GroupKind{Group: gv.Group, Kind: kind})
	if err != nil || name == "" {
		return // nothing that a Flow has
	}
	a := plan.Autoscaler{Kind: o.GetKind(), Name: o.GetName(), Min: l.defaultMin, Max: l.defaultMax}
	if n, ok, _ := unstructured.NestedInt64(o.Object, "spec", l.min); ok {
		a.Min = int32(n) //nolint:gosec // the API server has checked that it is one
	}
	if n, ok, _ := unstructured.NestedInt64(o.Object, "spec", l.max); ok {
		a.Max = int32(n) //nolint:gosec // likewise
	}
	found[plan.Ref{Group: gvr.Group, Version: gvr.Version, Kind: kind, Namespace: o.GetNamespace(), Name: name}] = a
}
