package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// parallel is how many requests are under way at once. The API server's priority and fairness shares what it has among
// its clients; more than this gains nothing.
const parallel = 16

// State is what the cluster has of a Flow.
type State struct {
	plan.Live
	// Parent of the apply set; nil when the Flow was never applied.
	Parent *Parent
}

// Planned drops what a plan does not need any more once it is made: all objects but those that are being deleted. Of a large
// Flow that is most of the memory.
func (s *State) Planned() {
	maps.DeleteFunc(s.Members, func(_ plan.Ref, o *unstructured.Unstructured) bool { return o.GetDeletionTimestamp() == nil })
	s.Strangers = nil
}

// going are the members that are being deleted.
func (s State) going() []plan.Ref {
	var refs []plan.Ref
	for ref, o := range s.Members {
		if o.GetDeletionTimestamp() != nil {
			refs = append(refs, ref)
		}
	}
	return refs
}

// Read returns the live state of a Flow: its apply set's members, whatever else has the name of one of the objects, and what
// scales its workloads by itself. It sends one LIST a kind for the members, another one a kind that has an object which is
// not among them, and two for autoscalers, so the number of requests does not grow with the Flow.
func (c *Client) Read(ctx context.Context, set Set, objects []plan.Object) (State, error) {
	state := State{Live: plan.Live{
		Members:   map[plan.Ref]*unstructured.Unstructured{},
		Strangers: map[plan.Ref]*unstructured.Unstructured{},
	}}
	parent, err := c.readParent(ctx, set)
	if err != nil {
		return state, err
	}
	state.Parent = parent
	wanted := union(plan.Kinds(objects), nil)
	kinds := wanted
	if parent != nil {
		kinds = union(wanted, parent.Kinds)
	}
	r := &reader{client: c, set: set, objects: objects, wanted: wanted, state: &state}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	if parent == nil && len(objects) > 0 {
		g.Go(func() error { return r.readNamespace(gctx) })
	}
	if len(objects) > 0 && slices.ContainsFunc(kinds, plan.IsWorkload) {
		g.Go(func() error { return r.readAutoscalers(gctx) })
	}
	for _, k := range kinds {
		g.Go(func() error { return r.readKind(gctx, k) })
	}
	err = g.Wait()
	return state, err
}

// reader fills in a State with concurrent requests.
type reader struct {
	client  *Client
	set     Set
	objects []plan.Object
	wanted  []schema.GroupKind

	mu    sync.Mutex
	state *State
}

func (r *reader) readKind(ctx context.Context, k schema.GroupKind) error {
	members, err := r.client.members(ctx, r.set, k)
	var missing *MissingKindError
	if errors.As(err, &missing) && !slices.Contains(r.wanted, k) {
		// The definition of a kind is gone, and with it every object of the kind.
		return nil
	}
	if err != nil {
		return err
	}
	strangers, err := r.client.strangers(ctx, r.set, k, r.objects, members)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.state.Members, members)
	maps.Copy(r.state.Strangers, strangers)
	return nil
}

// readNamespace sees whether the namespace is there, which a LIST does not tell: in one that is missing it is empty. Who may not read
// namespaces is taken to work in one that exists.
func (r *reader) readNamespace(ctx context.Context) error {
	_, err := r.client.Dynamic.Resource(namespaces).Get(ctx, r.set.Namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		r.mu.Lock()
		defer r.mu.Unlock()
		r.state.NoNamespace = true
		return nil
	case apierrors.IsForbidden(err):
		return nil
	case err != nil:
		return fmt.Errorf("namespace %s: %w", r.set.Namespace, err)
	}
	return nil
}

func (r *reader) readAutoscalers(ctx context.Context) error {
	autoscalers, unread, err := r.client.Autoscalers(ctx, r.set.Namespace)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Autoscalers = autoscalers
	if unread != "" {
		r.state.Unread = append(r.state.Unread, unread)
	}
	return nil
}

func (c *Client) readParent(ctx context.Context, set Set) (*Parent, error) {
	ref := set.ParentRef()
	r, err := c.resource(ref)
	if err != nil {
		return nil, err
	}
	o, err := r.Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	return set.parseParent(o)
}

// members lists the set's objects of a kind.
func (c *Client) members(ctx context.Context, set Set, k schema.GroupKind) (map[plan.Ref]*unstructured.Unstructured, error) {
	if k == namespaceKind {
		return nil, nil
	}
	gvr, err := resourceOf(k)
	if err != nil {
		return nil, err
	}
	list, err := c.Dynamic.Resource(gvr).Namespace(set.Namespace).List(ctx, metav1.ListOptions{LabelSelector: plan.LabelPartOfSet + "=" + set.ID()})
	if apierrors.IsNotFound(err) {
		return nil, &MissingKindError{Kind: k, Before: true}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the Flow's %s: %w", gvr.Resource, err)
	}
	out := make(map[plan.Ref]*unstructured.Unstructured, len(list.Items))
	for i := range list.Items {
		out[plan.RefOf(&list.Items[i])] = &list.Items[i]
	}
	return out, nil
}

// strangers finds the objects that have the kind and name of a wanted one without being members.
func (c *Client) strangers(ctx context.Context, set Set, k schema.GroupKind, objects []plan.Object, members map[plan.Ref]*unstructured.Unstructured) (map[plan.Ref]*unstructured.Unstructured, error) {
	missing := map[plan.Ref]bool{}
	for _, o := range objects {
		if ref := o.Ref(); ref.GroupVersionKind().GroupKind() == k && members[ref] == nil {
			missing[ref] = true
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	gvr, err := resourceOf(k)
	if err != nil {
		return nil, err
	}
	list, err := c.Dynamic.Resource(gvr).Namespace(set.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot list the %s of namespace %s: %w", gvr.Resource, set.Namespace, err)
	}
	out := map[plan.Ref]*unstructured.Unstructured{}
	for i := range list.Items {
		if ref := plan.RefOf(&list.Items[i]); missing[ref] {
			out[ref] = &list.Items[i]
		}
	}
	return out, nil
}
