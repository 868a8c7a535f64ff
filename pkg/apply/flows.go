package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Flows lists the Flows of a namespace by their sets' parents, sorted by name.
func (c *Client) Flows(ctx context.Context, namespace string) ([]string, error) {
	parents, err := c.Parents(ctx, namespace)
	names := make([]string, len(parents))
	for i, o := range parents {
		names[i] = o.GetLabels()[plan.LabelFlow]
	}
	return names, err
}

// Parents lists the parents of the Flows' sets, by namespace and Flow, of a namespace or, where that is empty, of all.
func (c *Client) Parents(ctx context.Context, namespace string) ([]*unstructured.Unstructured, error) {
	list, err := c.Dynamic.Resource(resources[Set{}.ParentRef().GroupVersionKind().GroupKind()]).Namespace(namespace).
		List(ctx, metav1.ListOptions{LabelSelector: labelSetID + "," + plan.LabelManagedBy + "=" + plan.FieldManager})
	switch {
	case err != nil && namespace == "":
		return nil, fmt.Errorf("cannot list the Flows of all namespaces: %w", err)
	case err != nil:
		return nil, fmt.Errorf("cannot list the Flows of namespace %s: %w", namespace, err)
	}
	parents := make([]*unstructured.Unstructured, len(list.Items))
	for i := range list.Items {
		parents[i] = &list.Items[i]
	}
	slices.SortFunc(parents, func(a, b *unstructured.Unstructured) int {
		if d := strings.Compare(a.GetNamespace(), b.GetNamespace()); d != 0 {
			return d
		}
		return strings.Compare(a.GetLabels()[plan.LabelFlow], b.GetLabels()[plan.LabelFlow])
	})
	return parents, nil
}
