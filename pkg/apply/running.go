package apply

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Running is what a Flow has in the cluster that runs: its workloads, and the parent of its set, which says whether it is paused.
type Running struct {
	Parent    *Parent
	Workloads []*unstructured.Unstructured
}

// Running reads the live Deployments and StatefulSets of the Flow, and nothing else but the set's parent. Those that are being
// deleted do not count: nothing that is written to them has an effect. A Flow that is not there is a *NotFoundError.
func (c *Client) Running(ctx context.Context, set Set) (Running, error) {
	parent, err := c.readParent(ctx, set)
	if err != nil {
		return Running{}, err
	}
	if parent == nil {
		return Running{}, &NotFoundError{Flow: set.Flow, Namespace: set.Namespace}
	}
	running := Running{Parent: parent}
	for _, k := range parent.Kinds {
		if !plan.IsWorkload(k) {
			continue
		}
		members, err := c.members(ctx, set, k)
		if err != nil {
			return Running{}, err
		}
		for _, o := range members {
			if o.GetDeletionTimestamp() == nil {
				running.Workloads = append(running.Workloads, o)
			}
		}
	}
	return running, nil
}
