package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	goruntime "runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// parallel is how many requests are under way at once. The API server's priority and fairness shares what it has among its
// clients, the controllers that start to work on the first objects among them: with 16, a large new Flow takes half as long again.
const parallel = 48

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
	s.Strangers, s.Settled = nil, nil
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
// scales its workloads by itself. The objects are labelled as members of the set, and what of it is settled is not kept whole. It
// sends one LIST a kind for the members, another one a kind that has an object which is not among them, and two for
// autoscalers, so the number of requests does not grow with the Flow.
func (c *Client) Read(ctx context.Context, set Set, objects []plan.Object, opts plan.CompareOptions) (State, error) {
	state := State{Live: plan.Live{
		Members:   map[plan.Ref]*unstructured.Unstructured{},
		Settled:   map[plan.Ref]plan.Settled{},
		Strangers: map[plan.Ref]*unstructured.Unstructured{},
	}}
	parent, err := c.readParent(ctx, set)
	if err != nil {
		return state, err
	}
	state.Parent, opts.Paused = parent, parent.IsPaused()
	wanted := union(plan.Kinds(objects), nil)
	kinds := wanted
	if parent != nil {
		kinds = union(wanted, parent.Kinds)
	}
	r := &reader{client: c, set: set, objects: objects, wanted: wanted, opts: opts, state: &state}
	// What scales a workload decides about its replicas, so it has to be known when the workload comes.
	err = together(ctx, func(g *errgroup.Group, ctx context.Context) {
		if parent == nil && len(objects) > 0 {
			g.Go(func() error { return r.readNamespace(ctx) })
		}
		if len(objects) > 0 && slices.ContainsFunc(kinds, plan.IsWorkload) {
			g.Go(func() error { return r.readAutoscalers(ctx) })
		}
	})
	if err != nil {
		return state, err
	}
	byRef := make(map[plan.Ref]plan.Object, len(objects))
	for _, o := range objects {
		byRef[o.Ref()] = o
	}
	err = together(ctx, func(g *errgroup.Group, ctx context.Context) {
		for _, k := range kinds {
			g.Go(func() error { return r.readMembers(ctx, k, byRef) })
		}
	})
	if err != nil {
		return state, err
	}
	err = together(ctx, func(g *errgroup.Group, ctx context.Context) {
		for _, k := range wanted {
			g.Go(func() error { return r.readStrangers(ctx, k) })
		}
		if len(r.blocked) > 0 {
			g.Go(func() error { return r.readPods(ctx) })
		}
	})
	return state, err
}

// together runs requests at once; the first that fails ends the others.
func together(ctx context.Context, start func(*errgroup.Group, context.Context)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	start(g, ctx)
	return g.Wait()
}

// reader fills in a State with concurrent requests.
type reader struct {
	client  *Client
	set     Set
	objects []plan.Object
	wanted  []schema.GroupKind
	opts    plan.CompareOptions

	mu    sync.Mutex
	state *State
	// blocked are the StatefulSets whose pods have to be read.
	blocked []*unstructured.Unstructured
}

// readMembers reads the members of a kind and keeps of each what the plan needs.
func (r *reader) readMembers(ctx context.Context, k schema.GroupKind, wanted map[plan.Ref]plan.Object) error {
	err := r.client.eachMember(ctx, r.set, k, func(o *unstructured.Unstructured) {
		ref := plan.RefOf(o)
		if len(r.objects) == 0 {
			o = nameOnly(o) // all that a deletion needs
		}
		var (
			settled plan.Settled
			is      bool
		)
		if object, has := wanted[ref]; has {
			var scaler *plan.Autoscaler
			if s, has := r.state.Autoscalers[ref]; has {
				scaler = &s
			}
			var standIn *unstructured.Unstructured
			if settled, standIn, is = plan.Settle(object, o, scaler, r.opts); is {
				o = standIn
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.state.Members[ref] = o
		if is {
			r.state.Settled[ref] = settled
		}
		if _, has := wanted[ref]; has && !is && plan.NeedsPods(o) {
			r.blocked = append(r.blocked, o)
		}
	})
	var missing *MissingKindError
	if errors.As(err, &missing) && !slices.Contains(r.wanted, k) {
		// The definition of a kind is gone, and with it every object of the kind.
		return nil
	}
	return err
}

// nameOnly is an object without all that is in it, and without who owns that.
func nameOnly(o *unstructured.Unstructured) *unstructured.Unstructured {
	metadata := o.Object["metadata"]
	if m, isMap := metadata.(map[string]any); isMap {
		delete(m, "managedFields")
	}
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": o.GetAPIVersion(), "kind": o.GetKind(), "metadata": metadata}}
}

// readStrangers looks for wanted objects of a kind that are no members.
func (r *reader) readStrangers(ctx context.Context, k schema.GroupKind) error {
	strangers, err := r.client.strangers(ctx, r.set, k, r.objects, r.state.Members)
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.state.Strangers, strangers)
	return err
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

// eachMember lists the set's objects of a kind and hands each over as it comes: several at once, in no order.
func (c *Client) eachMember(ctx context.Context, set Set, k schema.GroupKind, use func(*unstructured.Unstructured)) error {
	if k == namespaceKind {
		return nil
	}
	gvr, err := resourceOf(k)
	if err != nil {
		return err
	}
	prefix := []string{"apis", gvr.Group, gvr.Version}
	if gvr.Group == "" {
		prefix = []string{"api", gvr.Version}
	}
	text, err := c.REST.Get().AbsPath(prefix...).Namespace(set.Namespace).Resource(gvr.Resource).
		Param("labelSelector", plan.LabelPartOfSet+"="+set.ID()).SetHeader("Accept", runtime.ContentTypeJSON).Stream(ctx)
	if apierrors.IsNotFound(err) {
		return &MissingKindError{Kind: k, Before: true}
	}
	if err == nil {
		defer text.Close()
		err = decodeItems(text, gvr.GroupVersion().WithKind(k.Kind), use)
	}
	if err != nil {
		return fmt.Errorf("cannot list the Flow's %s: %w", gvr.Resource, err)
	}
	return nil
}

// decodeItems decodes the items of a list on all processors.
func decodeItems(list io.Reader, kind schema.GroupVersionKind, use func(*unstructured.Unstructured)) error {
	var g errgroup.Group
	g.SetLimit(goruntime.GOMAXPROCS(0))
	err := readItems(list, func(item []byte) {
		g.Go(func() error {
			o := &unstructured.Unstructured{}
			if err := json.Unmarshal(item, &o.Object); err != nil {
				return err
			}
			o.SetGroupVersionKind(kind) // the items of a list do not say it
			use(o)
			return nil
		})
	})
	return cmp.Or(g.Wait(), err)
}

// members lists the set's objects of a kind.
func (c *Client) members(ctx context.Context, set Set, k schema.GroupKind) (map[plan.Ref]*unstructured.Unstructured, error) {
	var mu sync.Mutex
	out := map[plan.Ref]*unstructured.Unstructured{}
	err := c.eachMember(ctx, set, k, func(o *unstructured.Unstructured) {
		mu.Lock()
		defer mu.Unlock()
		out[plan.RefOf(o)] = o
	})
	return out, err
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
