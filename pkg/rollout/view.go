package rollout

import (
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Objects are the objects of one Flow as they were read. Nobody changes them afterwards.
type Objects struct {
	Deployments  []*appsv1.Deployment
	StatefulSets []*appsv1.StatefulSet
	ReplicaSets  []*appsv1.ReplicaSet
	Pods         []*corev1.Pod
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
	// Pods of every revision, by name.
	Pods []*corev1.Pod
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
	view := View{Now: now}
	for _, t := range targets {
		view.Workloads = append(view.Workloads, s.workload(t))
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
}

func newStore() *store {
	return &store{
		deployments:  map[string]*appsv1.Deployment{},
		statefulSets: map[string]*appsv1.StatefulSet{},
		replicaSets:  owned[*appsv1.ReplicaSet]{},
		pods:         owned[*corev1.Pod]{},
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
	return w
}

// workloadOf finds an object's workload by name. A pod of a Deployment is found without its replica set, which the
// user may not be allowed to read: the controller names a replica set DEPLOYMENT-HASH, and labels the pod with the hash.
func workloadOf(o metav1.Object) workloadKey {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return workloadKey{kindDeployment, o.Name}
	case *appsv1.StatefulSet:
		return workloadKey{kindStatefulSet, o.Name}
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
