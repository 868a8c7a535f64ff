package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/pager"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// The resources that tell about a Flow.
const (
	resourceDeployments  = "deployments"
	resourceStatefulSets = "statefulsets"
	resourceReplicaSets  = "replicasets"
	resourcePods         = "pods"
	resourceEvents       = "events"
)

// pace is how often things are tried.
type pace struct {
	// poll is the time between two lists where watch is forbidden.
	poll time.Duration
	// retryMin and retryMax bound the pause after a failure, which doubles from one to the next.
	retryMin, retryMax time.Duration
	// refused is how long a once allowed request may be refused: an API server that has just started refuses
	// everything until it has read its roles.
	refused time.Duration
	// failed is how long a controller's verdict has to last: right after a change its conditions may be of before it.
	failed time.Duration
	// persist is how long trouble has to last that may pass by itself.
	persist time.Duration
	// events is how long a workload may take before the namespace's events are read for the reason.
	events time.Duration
}

func defaultPace() pace {
	return pace{
		poll: 2 * time.Second, retryMin: 100 * time.Millisecond, retryMax: 2 * time.Second, refused: 30 * time.Second,
		failed: 2 * time.Second, persist: 15 * time.Second, events: 5 * time.Second,
	}
}

// watchTimeout ends a watch at the server's side; the next one goes on where it ended.
const watchTimeout int64 = 290

// source reads one resource.
type source struct {
	resource string
	list     func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch    func(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// warnings selects the events that say that something is wrong.
const warnings = "type=Warning"

// sourcesOf the resources in a namespace.
func sourcesOf(c Clients, namespace string) map[string]source {
	deployments, sets := c.AppsV1().Deployments(namespace), c.AppsV1().StatefulSets(namespace)
	replicaSets, pods := c.AppsV1().ReplicaSets(namespace), c.CoreV1().Pods(namespace)
	events := c.CoreV1().Events(namespace)
	return map[string]source{
		resourceDeployments: {resourceDeployments, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return deployments.List(ctx, o)
		}, deployments.Watch},
		resourceStatefulSets: {resourceStatefulSets, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return sets.List(ctx, o)
		}, sets.Watch},
		resourceReplicaSets: {resourceReplicaSets, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return replicaSets.List(ctx, o)
		}, replicaSets.Watch},
		resourcePods: {resourcePods, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return pods.List(ctx, o)
		}, pods.Watch},
		resourceEvents: {resourceEvents, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return events.List(ctx, onlyWarnings(o))
		}, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return events.Watch(ctx, onlyWarnings(o))
		}},
	}
}

// onlyWarnings replaces the Flow's label, which no event has.
func onlyWarnings(o metav1.ListOptions) metav1.ListOptions {
	o.LabelSelector, o.FieldSelector = "", warnings
	return o
}

// read lists everything that selector matches, page by page, and the version to watch from. The list is a
// consistent one, never out of a cache that lags behind our own writes.
func (s source) read(ctx context.Context, selector string) ([]metav1.Object, string, error) {
	list, _, err := pager.New(s.list).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, "", err
	}
	accessor, err := meta.ListAccessor(list)
	if err != nil {
		return nil, "", err
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		return nil, "", err
	}
	objects := make([]metav1.Object, 0, len(items))
	for _, item := range items {
		o, err := meta.Accessor(item)
		if err != nil {
			return nil, "", err
		}
		objects = append(objects, trimmed(o))
	}
	return objects, accessor.GetResourceVersion(), nil
}

// trimmed drops what nobody here reads and what thousands of pods would fill the memory with. The object is ours: it
// was just decoded.
func trimmed(o metav1.Object) metav1.Object {
	switch o := o.(type) {
	case *appsv1.ReplicaSet:
		o.ManagedFields = nil
		o.Spec.Template = corev1.PodTemplateSpec{}
	case *corev1.Pod:
		o.ManagedFields = nil
		o.Spec = corev1.PodSpec{
			NodeName: o.Spec.NodeName, InitContainers: trimmedContainers(o.Spec.InitContainers), Containers: trimmedContainers(o.Spec.Containers),
		}
	case *corev1.Event:
		o.ManagedFields = nil
	}
	return o
}

// trimmedContainers keep what explains a failure: what is run, within which memory, and how long it may load.
func trimmedContainers(specs []corev1.Container) []corev1.Container {
	kept := make([]corev1.Container, 0, len(specs))
	for _, c := range specs {
		one := corev1.Container{Name: c.Name, Image: c.Image, RestartPolicy: c.RestartPolicy}
		if limit, limited := c.Resources.Limits[corev1.ResourceMemory]; limited {
			one.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: limit}
		}
		if p := c.StartupProbe; p != nil {
			one.StartupProbe = &corev1.Probe{InitialDelaySeconds: p.InitialDelaySeconds, PeriodSeconds: p.PeriodSeconds, FailureThreshold: p.FailureThreshold}
		}
		kept = append(kept, one)
	}
	return kept
}

// changeType says what a [change] means.
type changeType int

const (
	replaced    changeType = iota // objects are all there are
	stored                        // objects are new or different
	removed                       // objects are gone
	interrupted                   // err: the cluster cannot be read; it is tried again
	polling                       // err: watch is refused; from now on it is listed every pace.poll
	refused                       // err: the user may not read it; nothing more will come
)

// change is what a feed tells.
type change struct {
	resource string
	kind     changeType
	objects  []metav1.Object
	err      error
}

// feed lists and watches one resource and sends what changes. It is a loop of its own and not client-go's reflector,
// because that one logs to the process's standard error, pauses for up to a minute after an API server's restart, and
// takes a forbidden watch for a failure to be tried again.
type feed struct {
	source
	selector string
	pace     pace
	out      chan<- change
}

var (
	errWatchRefused = errors.New("watch is not allowed")
	errExpired      = errors.New("the watch's version has expired")
)

// run returns when ctx ends, or after a change of kind refused.
func (f feed) run(ctx context.Context) {
	var (
		pause        = f.pace.retryMin
		poll         bool
		everRead     bool
		refusedSince time.Time
	)
	for ctx.Err() == nil {
		began := time.Now()
		err := f.once(ctx, poll, &everRead)
		if ctx.Err() != nil {
			return
		}
		lasted := time.Since(began)
		switch {
		case err == nil || errors.Is(err, errExpired): // poll, or list again at once
			refusedSince = time.Time{}
		case errors.Is(err, errWatchRefused):
			poll = true
			f.send(ctx, change{kind: polling, err: err})
		case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			if refusedSince.IsZero() {
				refusedSince = began
			}
			if !everRead || time.Since(refusedSince) >= f.pace.refused {
				f.send(ctx, change{kind: refused, err: err})
				return
			}
			f.send(ctx, change{kind: interrupted, err: err})
		default:
			f.send(ctx, change{kind: interrupted, err: err})
		}
		switch {
		case poll:
			pause = f.pace.poll
		case lasted > f.pace.retryMax:
			pause = f.pace.retryMin
		}
		sleep(ctx, pause)
		pause = min(2*pause, f.pace.retryMax)
	}
}

// once lists, and unless polling, watches until that ends.
func (f feed) once(ctx context.Context, poll bool, everRead *bool) error {
	objects, version, err := f.read(ctx, f.selector)
	if err != nil {
		return err
	}
	*everRead = true
	f.send(ctx, change{kind: replaced, objects: objects})
	if poll {
		return nil
	}
	for ctx.Err() == nil {
		began := time.Now()
		version, err = f.follow(ctx, version)
		if err != nil {
			return err
		}
		// A server on its way down ends each watch as soon as it is made.
		if time.Since(began) < f.pace.retryMin {
			sleep(ctx, f.pace.retryMin)
		}
	}
	return ctx.Err()
}

// follow watches from a version until the server ends the watch, and returns the version to go on from.
func (f feed) follow(ctx context.Context, version string) (string, error) {
	timeout := watchTimeout
	w, err := f.watch(ctx, metav1.ListOptions{
		LabelSelector: f.selector, ResourceVersion: version, AllowWatchBookmarks: true, TimeoutSeconds: &timeout,
	})
	switch {
	case apierrors.IsForbidden(err), apierrors.IsMethodNotSupported(err):
		return "", fmt.Errorf("%w: %w", errWatchRefused, err)
	case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		return "", errExpired
	case err != nil:
		return "", err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return version, ctx.Err()
		case event, open := <-w.ResultChan():
			if !open {
				return version, nil
			}
			if event.Type == watch.Error {
				err := apierrors.FromObject(event.Object)
				if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
					return "", errExpired
				}
				return "", err
			}
			o, err := meta.Accessor(event.Object)
			if err != nil {
				return "", err
			}
			version = o.GetResourceVersion()
			switch event.Type {
			case watch.Added, watch.Modified:
				f.send(ctx, change{kind: stored, objects: []metav1.Object{trimmed(o)}})
			case watch.Deleted:
				f.send(ctx, change{kind: removed, objects: []metav1.Object{o}})
			}
		}
	}
}

func (f feed) send(ctx context.Context, c change) {
	c.resource = f.resource
	select {
	case f.out <- c:
	case <-ctx.Done():
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Read lists the objects of a Flow once. Replica sets and pods that the user may not list are named in Unreadable; any
// other failure is an error.
func Read(ctx context.Context, c Clients, namespace, flow string) (Objects, error) {
	return readSelected(ctx, c, namespace, flowSelector(flow))
}

// ReadAll lists the objects of every Flow of a namespace, or of all namespaces where that is empty, by as many requests as Read.
func ReadAll(ctx context.Context, c Clients, namespace string) (Groups, []string, error) {
	objects, err := readSelected(ctx, c, namespace, plan.LabelFlow)
	return groups(objects), objects.Unreadable, err
}

func readSelected(ctx context.Context, c Clients, namespace, selector string) (Objects, error) {
	resources := []string{resourceDeployments, resourceStatefulSets, resourceReplicaSets, resourcePods}
	sources := sourcesOf(c, namespace)
	type answer struct {
		objects []metav1.Object
		err     error
	}
	answers := make([]chan answer, len(resources))
	for i, resource := range resources {
		answers[i] = make(chan answer, 1)
		go func() {
			objects, _, err := sources[resource].read(ctx, selector)
			answers[i] <- answer{objects, err}
		}()
	}
	var (
		objects Objects
		errs    []error
	)
	for i, resource := range resources {
		a := <-answers[i]
		switch {
		case apierrors.IsForbidden(a.err) && supporting(resource):
			objects.Unreadable = append(objects.Unreadable, resource)
		case a.err != nil:
			errs = append(errs, fmt.Errorf("cannot list %s in %s: %w", resource, namespaceText(namespace), a.err))
		}
		for _, o := range a.objects {
			objects.add(o)
		}
	}
	if len(errs) > 0 {
		return Objects{}, errs[0]
	}
	slices.Sort(objects.Unreadable)
	return objects, nil
}

func namespaceText(namespace string) string {
	if namespace == "" {
		return "all namespaces"
	}
	return fmt.Sprintf("namespace %q", namespace)
}

func (x *Objects) add(o metav1.Object) {
	switch o := o.(type) {
	case *appsv1.Deployment:
		x.Deployments = append(x.Deployments, o)
	case *appsv1.StatefulSet:
		x.StatefulSets = append(x.StatefulSets, o)
	case *appsv1.ReplicaSet:
		x.ReplicaSets = append(x.ReplicaSets, o)
	case *corev1.Pod:
		x.Pods = append(x.Pods, o)
	case *corev1.Event:
		x.Events = append(x.Events, o)
	}
}

// ReadEvents adds to what was read the events of the namespace that say what is wrong. A user who may not list them has them
// named in Unreadable.
func ReadEvents(ctx context.Context, c Clients, namespace string, o *Objects) error {
	read, _, err := sourcesOf(c, namespace)[resourceEvents].read(ctx, "")
	switch {
	case apierrors.IsForbidden(err):
		o.Unreadable = append(o.Unreadable, resourceEvents)
		slices.Sort(o.Unreadable)
		return nil
	case err != nil:
		return fmt.Errorf("cannot list events in namespace %q: %w", namespace, err)
	}
	for _, e := range read {
		o.add(e)
	}
	return nil
}

// supporting resources explain; without them one still knows whether the workloads are done.
func supporting(resource string) bool {
	return resource == resourceReplicaSets || resource == resourcePods
}
