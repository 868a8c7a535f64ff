package rollout

import (
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Objects are the objects of one Flow as they were read. Nobody changes them afterwards.
type Objects struct {
	Deployments  []*appsv1.Deployment
	StatefulSets []*appsv1.StatefulSet
	ReplicaSets  []*appsv1.ReplicaSet
	Pods         []*corev1.Pod
	// Events of the namespace that say what is wrong, see [ReadEvents]; nil where nobody read them.
	Events []*corev1.Event
	// Unreadable are the resources, in the plural, that the user may not list.
	Unreadable []string
}

// Workload is a target and all that tells how it is. At most one of Deployment and StatefulSet is set; neither means
// that the object does not exist.
type Workload struct {
	Target      Target
	Deployment  *appsv1.Deployment
	StatefulSet *appsv1.StatefulSet
	// ReplicaSets of the Deployment, of every revision, by name.
	ReplicaSets []*appsv1.ReplicaSet
	// Pods of every revision, by name. PodsKnown tells that these are all there are.
	Pods      []*corev1.Pod
	PodsKnown bool
	// Events about the workload and its pods.
	Events []*corev1.Event
}

// View is a snapshot of the workloads, in the order of the targets.
type View struct {
	// Now is the time of the snapshot; zero leaves out what only time can tell (a pod that crashes now and then).
	Now       time.Time
	Workloads []Workload
}

// NewView sorts objects by the workloads that they belong to.
func NewView(targets []Target, objects Objects, now time.Time) View {
	s := newStore()
	for _, o := range objects.Deployments {
		s.put(o)
	}
	for _, o := range objects.StatefulSets {
		s.put(o)
	}
	for _, o := range objects.ReplicaSets {
		s.put(o)
	}
	for _, o := range objects.Pods {
		s.put(o)
	}
	for _, o := range objects.Events {
		s.put(o)
	}
	view := View{Now: now}
	for _, t := range targets {
		w := s.workload(t)
		w.PodsKnown = !slices.Contains(objects.Unreadable, resourcePods)
		view.Workloads = append(view.Workloads, w)
	}
	return view
}

// workloadKey names a workload within a namespace.
type workloadKey struct{ kind, name string }

func keyOf(t Target) workloadKey { return workloadKey{kind: t.Ref.Kind, name: t.Ref.Name} }

const (
	kindDeployment  = "Deployment"
	kindStatefulSet = "StatefulSet"
	kindReplicaSet  = "ReplicaSet"
)

// store holds the newest version of each object, findable by workload.
type store struct {
	deployments  map[string]*appsv1.Deployment
	statefulSets map[string]*appsv1.StatefulSet
	replicaSets  owned[*appsv1.ReplicaSet]
	pods         owned[*corev1.Pod]
	// events by the object that they are about, then by name.
	events map[types.UID]map[string]*corev1.Event
}

func newStore() *store {
	return &store{
		deployments:  map[string]*appsv1.Deployment{},
		statefulSets: map[string]*appsv1.StatefulSet{},
		replicaSets:  owned[*appsv1.ReplicaSet]{},
		pods:         owned[*corev1.Pod]{},
		events:       map[types.UID]map[string]*corev1.Event{},
	}
}

// put stores an object and returns the workload that it says something about.
func (s *store) put(o metav1.Object) workloadKey {
	key := workloadOf(o)
	switch o := o.(type) {
	case *appsv1.Deployment:
		s.deployments[o.Name] = o
	case *appsv1.StatefulSet:
		s.statefulSets[o.Name] = o
	case *appsv1.ReplicaSet:
		s.replicaSets.put(key, o)
	case *corev1.Pod:
		s.pods.put(key, o)
	case *corev1.Event:
		if !telling(o) {
			return workloadKey{}
		}
		about := o.InvolvedObject.UID
		if s.events[about] == nil {
			s.events[about] = map[string]*corev1.Event{}
		}
		s.events[about][o.Name] = o
	}
	return key
}

// remove forgets an object and returns the workload that it said something about.
func (s *store) remove(o metav1.Object) workloadKey {
	key := workloadOf(o)
	switch o := o.(type) {
	case *appsv1.Deployment:
		delete(s.deployments, o.Name)
	case *appsv1.StatefulSet:
		delete(s.statefulSets, o.Name)
	case *appsv1.ReplicaSet:
		delete(s.replicaSets[key], o.Name)
	case *corev1.Pod:
		delete(s.pods[key], o.Name)
		delete(s.events, o.UID)
	case *corev1.Event:
		delete(s.events[o.InvolvedObject.UID], o.Name)
	}
	return key
}

// forget drops all objects of a resource, before a new list of them.
func (s *store) forget(resource string) {
	switch resource {
	case resourceDeployments:
		clear(s.deployments)
	case resourceStatefulSets:
		clear(s.statefulSets)
	case resourceReplicaSets:
		clear(s.replicaSets)
	case resourcePods:
		clear(s.pods)
	case resourceEvents:
		clear(s.events)
	}
}

func (s *store) workload(t Target) Workload {
	key := keyOf(t)
	w := Workload{Target: t, ReplicaSets: s.replicaSets.of(key), Pods: s.pods.of(key)}
	switch t.Ref.Kind {
	case kindDeployment:
		w.Deployment = s.deployments[t.Ref.Name]
	case kindStatefulSet:
		w.StatefulSet = s.statefulSets[t.Ref.Name]
	}
	w.Events = s.eventsOf(w)
	return w
}

// eventsOf are the events about a workload and its pods, by name.
func (s *store) eventsOf(w Workload) []*corev1.Event {
	if len(s.events) == 0 {
		return nil
	}
	var events []*corev1.Event
	take := func(uid types.UID) {
		for _, e := range s.events[uid] {
			events = append(events, e)
		}
	}
	if o := w.object(); o != nil {
		take(o.GetUID())
	}
	for _, p := range w.Pods {
		take(p.UID)
	}
	slices.SortFunc(events, func(a, b *corev1.Event) int { return strings.Compare(a.Name, b.Name) })
	return events
}

// telling tells whether an event says something that the objects do not.
func telling(e *corev1.Event) bool {
	switch e.Reason {
	case "Failed", "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreate", "Unhealthy", "Killing":
		return true
	}
	return false
}

// workloadOf finds an object's workload by name. A pod of a Deployment is found without its replica set, which the
// user may not be allowed to read: the controller names a replica set DEPLOYMENT-HASH, and labels the pod with the hash.
func workloadOf(o metav1.Object) workloadKey {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return workloadKey{kindDeployment, o.Name}
	case *appsv1.StatefulSet:
		return workloadKey{kindStatefulSet, o.Name}
	case *corev1.Event:
		return workloadOfEvent(o)
	}
	owner := metav1.GetControllerOfNoCopy(o)
	if owner == nil {
		return workloadKey{}
	}
	if owner.Kind == kindReplicaSet {
		hash := o.GetLabels()[appsv1.DefaultDeploymentUniqueLabelKey]
		return workloadKey{kindDeployment, strings.TrimSuffix(owner.Name, "-"+hash)}
	}
	return workloadKey{owner.Kind, owner.Name}
}

// workloadOfEvent finds a pod's workload by the pod's name, which its controller makes from its own: a Deployment's pods are
// DEPLOYMENT-HASH-SUFFIX, a StatefulSet's SET-ORDINAL.
func workloadOfEvent(e *corev1.Event) workloadKey {
	name := e.InvolvedObject.Name
	if e.InvolvedObject.Kind != "Pod" {
		return workloadKey{e.InvolvedObject.Kind, name}
	}
	cut := func() string {
		i := strings.LastIndexByte(name, '-')
		if i < 0 {
			return ""
		}
		last := name[i+1:]
		name = name[:i]
		return last
	}
	if last := cut(); last != "" && strings.Trim(last, "0123456789") == "" {
		return workloadKey{kindStatefulSet, name}
	}
	cut()
	return workloadKey{kindDeployment, name}
}

// owned are objects by workload and name. Names can outlive their owner, so whoever reads them compares UIDs.
type owned[T metav1.Object] map[workloadKey]map[string]T

func (x owned[T]) put(key workloadKey, o T) {
	if x[key] == nil {
		x[key] = map[string]T{}
	}
	x[key][o.GetName()] = o
}

func (x owned[T]) of(key workloadKey) []T {
	objects := make([]T, 0, len(x[key]))
	for _, o := range x[key] {
		objects = append(objects, o)
	}
	slices.SortFunc(objects, func(a, b T) int { return strings.Compare(a.GetName(), b.GetName()) })
	return objects
}
