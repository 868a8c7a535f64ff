package rollout

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FollowRequest says what to follow without an end in sight.
type FollowRequest struct {
	Namespace string
	// Flow is the value of the label jina.ai/flow.
	Flow string
	// PodsOnly reads the pods and nothing else; not being allowed to is then an error.
	PodsOnly bool
	// Every is the longest time between two calls of show, for what time alone changes; 0 waits for a change.
	Every time.Duration
	// Pause is the shortest time between two calls of show that changes bring about.
	Pause time.Duration
	// Notice is told what cannot be seen, and that the connection was lost or is back. It may be nil.
	Notice func(text string)
}

// Follow keeps the objects of a Flow up to date by one list and watch a kind, and shows them: first when all have been read, then
// after every burst of changes. It returns nil when show returns false, ctx.Err() when ctx ends, and the API's own error where
// the user may not read what is needed. What was shown is never changed afterwards. show is called from the caller's goroutine.
func Follow(ctx context.Context, c Clients, req FollowRequest, show func(Objects) bool) error {
	return follow(ctx, c, req, defaultPace(), show)
}

func follow(ctx context.Context, c Clients, req FollowRequest, p pace, show func(Objects) bool) error {
	feeds := newFeeds(c, req.Namespace, req.Flow, p)
	feedCtx, cancel := context.WithCancel(ctx)
	defer feeds.running.Wait()
	defer cancel()

	f := newFollower(req, p)
	for _, resource := range f.resources {
		feeds.start(feedCtx, resource)
	}
	var every <-chan time.Time
	if req.Every > 0 {
		ticker := time.NewTicker(req.Every)
		defer ticker.Stop()
		every = ticker.C
	}
	var (
		shown time.Time
		later <-chan time.Time // the pause after the last call ends, and there is something to show
	)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-every:
		case <-later:
			later = nil
		case first := <-feeds.out:
			if err := f.takeAll(first, feeds.out); err != nil {
				return err
			}
			if left := req.Pause - time.Since(shown); left > 0 {
				if later == nil {
					later = time.After(left)
				}
				continue
			}
		}
		if !f.synced() {
			continue
		}
		if !show(f.objects()) {
			return nil
		}
		shown = time.Now()
	}
}

// follower is the state of one Follow. One goroutine owns it.
type follower struct {
	req       FollowRequest
	pace      pace
	resources []string
	store     *store
	read      map[string]bool // resources that have been listed, or never will be
	down      map[string]bool // resources that cannot be read at the moment
	// unreadable may not be listed.
	unreadable []string
}

func newFollower(req FollowRequest, p pace) *follower {
	f := &follower{
		req: req, pace: p, store: newStore(), read: map[string]bool{}, down: map[string]bool{},
		resources: []string{resourceDeployments, resourceStatefulSets, resourceReplicaSets, resourcePods, resourceEvents},
	}
	if req.PodsOnly {
		f.resources = []string{resourcePods}
	}
	return f
}

func (f *follower) notice(format string, args ...any) {
	if f.req.Notice != nil {
		f.req.Notice(fmt.Sprintf(format, args...))
	}
}

// takeAll takes in a change, and whatever is there already besides.
func (f *follower) takeAll(c change, more <-chan change) error {
	for {
		if err := f.take(c); err != nil {
			return err
		}
		select {
		case c = <-more:
		default:
			return nil
		}
	}
}

func (f *follower) take(c change) error {
	switch c.kind {
	case replaced:
		f.store.forget(c.resource)
		for _, o := range c.objects {
			f.store.put(o)
		}
		f.read[c.resource] = true
		f.reachable(c.resource)
	case stored:
		for _, o := range c.objects {
			f.store.put(o)
		}
	case removed:
		for _, o := range c.objects {
			f.store.remove(o)
		}
	case interrupted:
		if len(f.down) == 0 {
			f.notice("the cluster cannot be read at the moment, trying again: %s", PlainText(c.err.Error()))
		}
		f.down[c.resource] = true
	case polling:
		f.notice("not allowed to watch %s in namespace %q: looking every %s instead", c.resource, f.req.Namespace, f.pace.poll)
	case refused:
		if f.req.PodsOnly || c.resource == resourceDeployments || c.resource == resourceStatefulSets {
			return fmt.Errorf("cannot read %s in namespace %q: %w", c.resource, f.req.Namespace, c.err)
		}
		f.store.forget(c.resource)
		f.read[c.resource] = true
		f.unreadable = append(f.unreadable, c.resource)
		slices.Sort(f.unreadable)
		f.reachable(c.resource)
	}
	return nil
}

func (f *follower) reachable(resource string) {
	if !f.down[resource] {
		return
	}
	delete(f.down, resource)
	if len(f.down) == 0 {
		f.notice("the cluster can be read again")
	}
}

func (f *follower) synced() bool {
	return !slices.ContainsFunc(f.resources, func(resource string) bool { return !f.read[resource] })
}

// objects are all there are, by name.
func (f *follower) objects() Objects {
	o := Objects{Unreadable: slices.Clone(f.unreadable)}
	for _, d := range f.store.deployments {
		o.Deployments = append(o.Deployments, d)
	}
	for _, s := range f.store.statefulSets {
		o.StatefulSets = append(o.StatefulSets, s)
	}
	for key := range f.store.replicaSets {
		o.ReplicaSets = append(o.ReplicaSets, f.store.replicaSets.of(key)...)
	}
	for key := range f.store.pods {
		o.Pods = append(o.Pods, f.store.pods.of(key)...)
	}
	for _, events := range f.store.events {
		for _, e := range events {
			o.Events = append(o.Events, e)
		}
	}
	slices.SortFunc(o.Deployments, func(a, b *appsv1.Deployment) int { return byName(a, b) })
	slices.SortFunc(o.StatefulSets, func(a, b *appsv1.StatefulSet) int { return byName(a, b) })
	slices.SortFunc(o.ReplicaSets, func(a, b *appsv1.ReplicaSet) int { return byName(a, b) })
	slices.SortFunc(o.Pods, func(a, b *corev1.Pod) int { return byName(a, b) })
	slices.SortFunc(o.Events, func(a, b *corev1.Event) int { return byName(a, b) })
	return o
}

func byName(a, b metav1.Object) int { return cmp.Compare(a.GetName(), b.GetName()) }

// WorkloadOf names the Deployment or StatefulSet that a pod or a replica set belongs to; both are empty for one of nobody.
func WorkloadOf(o metav1.Object) (kind, name string) {
	key := workloadOf(o)
	return key.kind, key.name
}
