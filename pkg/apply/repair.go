package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubectl/pkg/util/podutils"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

func podsResource() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("pods")
}

// readPods reads the pods of the StatefulSets that may have some in the way of their update. Who may not list pods is told.
func (r *reader) readPods(ctx context.Context) error {
	return together(ctx, func(g *errgroup.Group, ctx context.Context) {
		for _, o := range r.blocked {
			g.Go(func() error {
				pods, err := r.client.podsOf(ctx, o)
				r.mu.Lock()
				defer r.mu.Unlock()
				switch {
				case apierrors.IsForbidden(err):
					r.state.Unread = append(r.state.Unread, fmt.Sprintf("%s: its pods may not be listed, so whether a broken one is in the way of its update is not known", plan.RefOf(o)))
					slices.Sort(r.state.Unread)
					return nil
				case err != nil:
					return err
				}
				if r.state.Pods == nil {
					r.state.Pods = map[plan.Ref][]plan.Pod{}
				}
				r.state.Pods[plan.RefOf(o)] = pods
				return nil
			})
		}
	})
}

// podsOf are the pods that a StatefulSet owns, sorted by name, without those that are on their way out.
func (c *Client) podsOf(ctx context.Context, statefulSet *unstructured.Unstructured) ([]plan.Pod, error) {
	selector, _, err := unstructured.NestedStringMap(statefulSet.Object, "spec", "selector", "matchLabels")
	if err != nil {
		return nil, err
	}
	list, err := c.Dynamic.Resource(podsResource()).Namespace(statefulSet.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: labels.Set(selector).String()})
	if err != nil {
		return nil, fmt.Errorf("the pods of %s cannot be listed: %w", plan.RefOf(statefulSet), err)
	}
	var pods []plan.Pod
	for _, item := range list.Items {
		var pod corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &pod); err != nil {
			return nil, fmt.Errorf("pod %s: %w", item.GetName(), err)
		}
		controller := metav1.GetControllerOf(&pod)
		if controller == nil || controller.UID != statefulSet.GetUID() || pod.DeletionTimestamp != nil {
			continue
		}
		pods = append(pods, plan.Pod{
			Name: pod.Name, UID: pod.UID, Revision: pod.Labels[appsv1.ControllerRevisionHashLabelKey], Ready: podutils.IsPodReady(&pod),
		})
	}
	slices.SortFunc(pods, func(a, b plan.Pod) int { return strings.Compare(a.Name, b.Name) })
	return pods, nil
}

// freePods deletes the pods that are in the way of a StatefulSet's update, after it was written: those that are not ready and not
// of its present revision. Where a plan has named some, it spares the others. Before the controller has seen what was written it would
// make them anew of the earlier revision.
func (c *Client) freePods(ctx context.Context, written *unstructured.Unstructured, named []plan.Pod) error {
	ref := plan.RefOf(written)
	seen, err := c.untilSeen(ctx, written)
	if err != nil {
		return err
	}
	pods, err := c.podsOf(ctx, seen)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if !pod.Blocks(seen) || named != nil && !slices.ContainsFunc(named, func(n plan.Pod) bool { return n.UID == pod.UID }) {
			continue
		}
		err := c.Dynamic.Resource(podsResource()).Namespace(ref.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}})
		if err != nil && !isGone(err) {
			return fmt.Errorf("%s: Pod/%s is in the way of its update and cannot be deleted: %w", ref, pod.Name, err)
		}
	}
	return nil
}

// untilSeen waits until the controller has seen what was written, and returns the object as it is then.
func (c *Client) untilSeen(ctx context.Context, written *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	ref := plan.RefOf(written)
	resource, err := c.resource(ref)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(pollGone)
	defer tick.Stop()
	for {
		o, err := look(ctx, resource, ref)
		switch {
		case apierrors.IsNotFound(err), err == nil && o.GetUID() != written.GetUID():
			return nil, &ReplacedError{Ref: ref}
		case err != nil:
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
		if n, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration"); n >= written.GetGeneration() {
			return o, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: its controller has not seen the change yet: %w", ref, ctx.Err())
		case <-tick.C:
		}
	}
}
