package rollout

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/util/podutils"
)

// freshEvent is how old the event of a failed creation may be: the controller of a StatefulSet, which has no condition for it,
// tells each attempt, and the pauses between them grow.
const freshEvent = 2 * time.Minute

// statefulSetSymptoms are what a StatefulSet's controller says is wrong, by events alone.
func (j judge) statefulSetSymptoms(w Workload) []symptom {
	set := w.StatefulSet
	if set.Status.Replicas >= replicasOf(set.Spec.Replicas) {
		return nil
	}
	var newest *corev1.Event
	for _, e := range eventsOf(w.Events, set.UID, "FailedCreate") {
		if newest == nil || lastSeen(e).After(lastSeen(newest)) {
			newest = e
		}
	}
	if newest == nil || !j.now.IsZero() && j.now.Sub(lastSeen(newest)) > freshEvent {
		return nil
	}
	for _, p := range w.Pods { // one that was made later tells that the trouble is over
		if p.CreationTimestamp.After(lastSeen(newest)) {
			return nil
		}
	}
	return []symptom{createSymptom(newest.Message)}
}

// StuckPods are the pods of earlier revisions that keep a StatefulSet from being updated: its controller makes pods one after
// the other, waits for each to be ready, and never replaces one that is not
// (https://github.com/kubernetes/kubernetes/issues/67250). Deleting them is the only way on.
func StuckPods(w Workload) []*corev1.Pod {
	set := w.StatefulSet
	if set == nil || set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType ||
		set.Spec.PodManagementPolicy == appsv1.ParallelPodManagement || set.Status.ObservedGeneration < set.Generation {
		return nil
	}
	return filterPods(w.Pods, func(p *corev1.Pod) bool {
		revision := p.Labels[appsv1.ControllerRevisionHashLabelKey]
		return p.DeletionTimestamp == nil && metav1.IsControlledBy(p, set) && revision != set.Status.UpdateRevision && !podutils.IsPodReady(p)
	})
}

// stuckSymptoms name the broken pods of earlier revisions that a StatefulSet waits for. One that merely starts is not broken.
func (j judge) stuckSymptoms(w Workload) []symptom {
	var symptoms []symptom
	for _, p := range StuckPods(w) {
		past := j
		past.past = nil
		broken := past.podSymptoms(p, w.Events, false)
		if len(broken) == 0 {
			continue
		}
		symptoms = append(symptoms, symptom{patience: lasting, cause: Cause{
			Kind: CauseStuckRevision, Pods: 1, Pod: p.Name, Container: broken[0].cause.Container, Image: broken[0].cause.Image,
			Summary: fmt.Sprintf("stuck: pod `%s` is of an earlier revision that is broken (%s), and the controller waits for it to be ready", p.Name, broken[0].cause.Summary),
			Remedy:  fmt.Sprintf("delete the pod: `kubectl jina up` does it, or `kubectl delete pod %s`", p.Name),
		}})
	}
	return symptoms
}
