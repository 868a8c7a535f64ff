package apply

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ScaleStep sets the replicas of one workload, if it still has those that it was read with.
type ScaleStep struct {
	Workload *unstructured.Unstructured
	Replicas int32
	// Nobodys leaves the replicas of a workload that has none to nobody in place of plan.ScaleFieldManager: when they are what the
	// file says, the next up makes them the file's.
	Nobodys bool
}

// ScaleAll carries out the steps at once, as [Client.Scale] does. done is called with the number of each step that was carried out,
// one at a time. The first step that fails ends the others: each is carried out or it is not, and done says which.
func (c *Client) ScaleAll(ctx context.Context, steps []ScaleStep, done func(step int)) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, step := range steps {
		g.Go(func() error {
			current := LiveReplicas(step.Workload)
			if err := c.scale(ctx, step.Workload, scaling{replicas: step.Replicas, current: &current, nobodys: step.Nobodys}); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done(i)
			return nil
		})
	}
	return g.Wait()
}
