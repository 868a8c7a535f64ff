package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
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

// Read returns the live state of a Flow: its apply set's members, and whatever else has the name of one of the objects.
// It sends one LIST a kind for the members, and one (metadata only) a kind that has an object which is not among them, so the number
// of requests does not grow with the Flow.
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
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, k := range kinds {
		g.Go(func() error {
			members, err := c.members(gctx, set, k)
			var missing *MissingKindError
			if errors.As(err, &missing) && !slices.Contains(wanted, k) {
				// The definition of a kind is gone, and with it every object of the kind.
				return nil
			}
			if err != nil {
				return err
			}
			strangers, err := c.strangers(gctx, set, k, objects, members)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for ref, o := range members {
				state.Members[ref] = o
			}
			for ref, o := range strangers {
				state.Strangers[ref] = o
			}
			return nil
		})
	}
	return state, g.Wait()
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
	gvr, err := resourceOf(k)
	if err != nil {
		return nil, err
	}
	list, err := c.Dynamic.Resource(gvr).Namespace(set.Namespace).List(ctx, metav1.ListOptions{LabelSelector: plan.LabelPartOfSet + "=" + set.ID()})
	if apierrors.IsNotFound(err) {
		return nil, &MissingKindError{Kind: k}
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
	missing := map[string]plan.Ref{}
	for _, o := range objects {
		ref := o.Ref()
		if ref.GroupVersionKind().GroupKind() == k && members[ref] == nil {
			missing[ref.Name] = ref
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	gvr, err := resourceOf(k)
	if err != nil {
		return nil, err
	}
	list, err := c.Metadata.Resource(gvr).Namespace(set.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot list the %s of namespace %s: %w", gvr.Resource, set.Namespace, err)
	}
	out := map[plan.Ref]*unstructured.Unstructured{}
	for i := range list.Items {
		item := &list.Items[i]
		ref, ok := missing[item.Name]
		if !ok {
			continue
		}
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(item)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
		out[ref] = &unstructured.Unstructured{Object: fields}
	}
	return out, nil
}

// DryRun asks the API server what applying each object would do. Nothing is stored. An object that the server refuses for
// another reason than a conflict is an error; all of them are named. With force the answer to an object with conflicts also says
// what taking the fields over would make of it.
func (c *Client) DryRun(ctx context.Context, objects []plan.Object, force bool) (map[plan.Ref]plan.Answer, error) {
	answers := make(map[plan.Ref]plan.Answer, len(objects))
	var mu sync.Mutex
	var refused []error
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, o := range objects {
		g.Go(func() error {
			answer, err := c.dryRun(gctx, o, force)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				answers[o.Ref()] = answer
			case isNoDryRun(err):
				answers[o.Ref()] = plan.Answer{Unknown: "an admission webhook does not support dry runs"}
			case gctx.Err() != nil:
				return gctx.Err()
			default:
				refused = append(refused, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return answers, errors.Join(refused...)
}

func (c *Client) dryRun(ctx context.Context, o plan.Object, force bool) (plan.Answer, error) {
	var answer plan.Answer
	var conflict *ConflictError
	var err error
	answer.Object, err = c.apply(ctx, o.Unstructured, applyOptions{manager: plan.FieldManager, dryRun: true})
	if errors.As(err, &conflict) {
		answer.Conflicts, err = conflict.Conflicts, nil
		if force {
			answer.Object, err = c.apply(ctx, o.Unstructured, applyOptions{manager: plan.FieldManager, dryRun: true, force: true})
		}
	}
	return answer, err
}

// isNoDryRun recognises the API server's refusal of a dry run that would call a webhook with side effects
// (apiserver's admission/plugin/webhook/errors).
func isNoDryRun(err error) bool {
	return apierrors.IsBadRequest(err) && strings.Contains(err.Error(), "does not support dry run")
}
