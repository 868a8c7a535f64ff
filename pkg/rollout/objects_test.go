package rollout

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

const testNamespace = "search"

// testNow is the time of every snapshot.
var testNow = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

// executorTarget is the Deployment NAME of the executor NAME.
func executorTarget(name string) Target {
	return Target{
		Part: plan.Part{Role: plan.RoleExecutor, Executor: name},
		Ref:  plan.Ref{Group: "apps", Version: "v1", Kind: kindDeployment, Namespace: testNamespace, Name: name},
	}
}

// deployment has n replicas, all of them of revision 1 and available.
func deployment(name string, n int32, change ...func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: testNamespace, UID: types.UID("uid-" + name), Generation: 1,
			Labels:      map[string]string{plan.LabelFlow: "search", plan.LabelComponent: "executor", plan.LabelExecutor: name},
			Annotations: map[string]string{revisionAnnotation: "1"},
		},
		Spec: appsv1.DeploymentSpec{Replicas: &n},
		Status: appsv1.DeploymentStatus{
			ObservedGeneration: 1, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n,
		},
	}
	for _, c := range change {
		c(d)
	}
	return d
}

func notReady(d *appsv1.Deployment) { d.Status.ReadyReplicas, d.Status.AvailableReplicas = 0, 0 }

func condition(t appsv1.DeploymentConditionType, s corev1.ConditionStatus, reason, message string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{Type: t, Status: s, Reason: reason, Message: message})
	}
}

// replicaSet of a deployment's revision; its hash is REVISIONREVISION.
func replicaSet(d *appsv1.Deployment, revision int, ready int32) *appsv1.ReplicaSet {
	name := fmt.Sprintf("%s-%d%d", d.Name, revision, revision)
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: testNamespace, UID: types.UID("uid-" + name),
			Labels:          map[string]string{plan.LabelFlow: "search", appsv1.DefaultDeploymentUniqueLabelKey: fmt.Sprintf("%d%d", revision, revision)},
			Annotations:     map[string]string{revisionAnnotation: fmt.Sprint(revision)},
			OwnerReferences: []metav1.OwnerReference{controller("Deployment", d.Name, d.UID)},
		},
		Status: appsv1.ReplicaSetStatus{ReadyReplicas: ready},
	}
}

func controller(kind, name string, uid types.UID) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "apps/v1", Kind: kind, Name: name, UID: uid, Controller: ptr(true)}
}

// pod of a replica set, running and ready.
func pod(rs *appsv1.ReplicaSet, suffix string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: rs.Name + "-" + suffix, Namespace: testNamespace, UID: types.UID("uid-" + rs.Name + suffix),
			Labels:          map[string]string{plan.LabelFlow: "search", appsv1.DefaultDeploymentUniqueLabelKey: rs.Labels[appsv1.DefaultDeploymentUniqueLabelKey]},
			OwnerReferences: []metav1.OwnerReference{controller("ReplicaSet", rs.Name, rs.UID)},
		},
		Spec: corev1.PodSpec{NodeName: "node-0"},
		Status: corev1.PodStatus{
			Phase:             corev1.PodRunning,
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "executor", Image: "img:1", Ready: true, Started: ptr(true), State: running()}},
		},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func running() corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func terminated(code int32, reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, Message: message, FinishedAt: metav1.NewTime(testNow.Add(-20 * time.Second)),
	}}
}

// unready makes the pod's only container be in a state.
func unready(state corev1.ContainerState) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
		p.Status.ContainerStatuses[0].Ready = false
		p.Status.ContainerStatuses[0].State = state
	}
}

// crashedBefore gives the pod's container a past.
func crashedBefore(restarts int32, last corev1.ContainerState) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].RestartCount = restarts
		p.Status.ContainerStatuses[0].LastTerminationState = last
	}
}

func pending(reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.NodeName = ""
		p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message},
		}}
	}
}

func terminating(p *corev1.Pod) { p.DeletionTimestamp = ptr(metav1.NewTime(testNow)) }

// statefulSet has n replicas, all of them of revision "r1" and available.
func statefulSet(name string, n int32, change ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: testNamespace, UID: types.UID("uid-" + name), Generation: 1,
			Labels: map[string]string{plan.LabelFlow: "search", plan.LabelComponent: "executor"}},
		Spec: appsv1.StatefulSetSpec{Replicas: &n},
		Status: appsv1.StatefulSetStatus{
			ObservedGeneration: 1, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n,
			CurrentRevision: "r1", UpdateRevision: "r1",
		},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

// setPod is a pod of a stateful set's revision.
func setPod(s *appsv1.StatefulSet, ordinal int, revision string, change ...func(*corev1.Pod)) *corev1.Pod {
	rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: s.Name}}
	p := pod(rs, fmt.Sprint(ordinal), change...)
	p.Labels = map[string]string{plan.LabelFlow: "search", appsv1.ControllerRevisionHashLabelKey: revision}
	p.OwnerReferences = []metav1.OwnerReference{controller("StatefulSet", s.Name, s.UID)}
	return p
}
