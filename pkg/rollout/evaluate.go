package rollout

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// revisionAnnotation is on a Deployment and on each of its replica sets; the equal one is the current.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// progressDeadlineExceeded is the reason of the Progressing condition that the deployment controller gives up with.
const progressDeadlineExceeded = "ProgressDeadlineExceeded"

// State is how a workload is. It is comparable: two equal states have nothing to tell apart.
type State struct {
	Part plan.Part
	Ref  plan.Ref
	// Wanted is spec.replicas.
	Wanted int32
	// Updated and Ready count pods of the current revision; Old those of earlier ones that still run.
	Updated, Ready, Old int32
	// Observed is false while the controller has not seen the newest spec; the counts are then of an earlier one.
	Observed bool
	// Done: the newest revision is available in full and nothing of an earlier one runs, as kubectl rollout status
	// has it.
	Done bool
	// Failure is why the workload cannot come up by itself; empty otherwise.
	Failure string
	// Reason is what keeps the workload from being done, or, of a done one, what is wrong with it.
	Reason string
	// Trouble tells that Reason is not a normal step of starting.
	Trouble bool
}

// String is the state in a line: part, ready/wanted and why.
func (s State) String() string {
	text := fmt.Sprintf("%s: %d/%d ready", s.Part, s.Ready, s.Wanted)
	switch {
	case s.Failure != "" && s.Reason != "":
		text += ": " + s.Failure + ": " + s.Reason
	case s.Failure != "":
		text += ": " + s.Failure
	case s.Reason != "":
		text += ": " + s.Reason
	}
	return text
}

// Verdict has one state for each workload of a view, in its order.
type Verdict struct{ States []State }

// Done tells whether every workload is done.
func (v Verdict) Done() bool { return len(v.NotDone()) == 0 }

// NotDone are the workloads that are not done.
func (v Verdict) NotDone() []State {
	return filter(v.States, func(s State) bool { return !s.Done })
}

// Failed are the workloads that cannot come up by themselves.
func (v Verdict) Failed() []State {
	return filter(v.States, func(s State) bool { return s.Failure != "" })
}

func filter(states []State, keep func(State) bool) []State {
	var kept []State
	for _, s := range states {
		if keep(s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// Evaluate says how each workload of the view is. It is pure.
func Evaluate(v View) Verdict {
	var verdict Verdict
	for _, w := range v.Workloads {
		verdict.States = append(verdict.States, evaluate(w, v.Now))
	}
	return verdict
}

func evaluate(w Workload, now time.Time) State {
	s := State{Part: w.Target.Part, Ref: w.Target.Ref}
	switch {
	case w.Deployment != nil:
		evaluateDeployment(&s, w)
	case w.StatefulSet != nil:
		evaluateStatefulSet(&s, w)
	default:
		s.Failure = fmt.Sprintf("%s %q does not exist", w.Target.Ref.Kind, w.Target.Ref.Name)
		s.Trouble = true
		return s
	}
	if s.Failure == "" && s.Observed && w.Target.Replicas != nil && *w.Target.Replicas != s.Wanted {
		s.Done, s.Trouble = false, true
		s.Failure = fmt.Sprintf("replicas are %d, not %d: changed by %s meanwhile", s.Wanted, *w.Target.Replicas, ReplicasOwner(w.object()))
	}
	switch {
	case !s.Observed:
		s.Reason = "waiting for the controller to see the change"
	case !s.Done && s.Reason == "":
		var trouble bool
		s.Reason, trouble = whyNotDone(s, w.newPods())
		s.Trouble = s.Trouble || trouble
	case s.Done:
		s.Reason = whyCrashing(w.newPods(), now)
		s.Trouble = s.Reason != ""
	}
	return s
}

// evaluateDeployment follows kubectl rollout status
// (k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go), but for == where that has <, so that a scale down counts.
func evaluateDeployment(s *State, w Workload) {
	d := w.Deployment
	s.Wanted = replicasOf(d.Spec.Replicas)
	s.Updated = d.Status.UpdatedReplicas
	s.Old = max(0, d.Status.Replicas-d.Status.UpdatedReplicas)
	s.Ready = min(d.Status.UpdatedReplicas, d.Status.ReadyReplicas)
	s.Observed = d.Status.ObservedGeneration >= max(d.Generation, w.Target.MinGeneration)
	if !s.Observed {
		return
	}
	s.Done = d.Status.UpdatedReplicas == s.Wanted && d.Status.Replicas == s.Wanted && d.Status.AvailableReplicas == s.Wanted
	if s.Done {
		s.Ready = s.Wanted
		return
	}
	// Of the Deployment's own count one cannot tell which revision is ready.
	if rs := w.newReplicaSet(); rs != nil {
		s.Ready = rs.Status.ReadyReplicas
	}
	for _, c := range d.Status.Conditions {
		switch {
		case c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse && c.Reason == progressDeadlineExceeded:
			s.Failure = "no progress within its progress deadline"
			if d.Spec.ProgressDeadlineSeconds != nil {
				s.Failure = fmt.Sprintf("no progress for %d s, its progress deadline", *d.Spec.ProgressDeadlineSeconds)
			}
			s.Trouble = true
		case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue:
			s.Reason, s.Trouble = "cannot create pods: "+PlainText(c.Message), true
		}
	}
	if d.Spec.Paused && s.Reason == "" {
		s.Reason, s.Trouble = "its rollout is paused (kubectl rollout resume goes on)", true
	}
}

// evaluateStatefulSet follows the same command. A partition keeps the pods below it at their revision.
func evaluateStatefulSet(s *State, w Workload) {
	set := w.StatefulSet
	s.Wanted = replicasOf(set.Spec.Replicas)
	s.Updated = set.Status.UpdatedReplicas
	s.Observed = set.Status.ObservedGeneration >= max(set.Generation, w.Target.MinGeneration)
	s.Ready = min(set.Status.UpdatedReplicas, set.Status.ReadyReplicas)
	if !s.Observed {
		return
	}
	toUpdate := s.Wanted
	if rolling := set.Spec.UpdateStrategy.RollingUpdate; rolling != nil && rolling.Partition != nil {
		toUpdate = max(0, s.Wanted-*rolling.Partition)
	}
	if set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		toUpdate = 0
	}
	s.Old = max(0, set.Status.Replicas-max(set.Status.UpdatedReplicas, s.Wanted-toUpdate))
	s.Done = set.Status.UpdatedReplicas >= toUpdate && set.Status.Replicas == s.Wanted && set.Status.AvailableReplicas == s.Wanted
	if s.Done {
		s.Ready = s.Wanted
	} else if pods := w.newPods(); len(pods) > 0 {
		s.Ready = int32(len(filterPods(pods, podReady)))
	}
}

// object is the workload's API object, or nil.
func (w Workload) object() metav1.Object {
	switch {
	case w.Deployment != nil:
		return w.Deployment
	case w.StatefulSet != nil:
		return w.StatefulSet
	}
	return nil
}

// newReplicaSet is the Deployment's replica set of the current revision; nil when it is not known.
func (w Workload) newReplicaSet() *appsv1.ReplicaSet {
	revision := w.Deployment.Annotations[revisionAnnotation]
	if revision == "" {
		return nil
	}
	for _, rs := range w.ReplicaSets {
		if metav1.IsControlledBy(rs, w.Deployment) && rs.Annotations[revisionAnnotation] == revision {
			return rs
		}
	}
	return nil
}

// newPods are the pods of the current revision that are not on their way out. Where the revision's replica set is not
// known, they are known only when all pods are of one template.
func (w Workload) newPods() []*corev1.Pod {
	pods := filterPods(w.Pods, func(p *corev1.Pod) bool { return p.DeletionTimestamp == nil })
	if w.StatefulSet != nil {
		return filterPods(pods, func(p *corev1.Pod) bool {
			return metav1.IsControlledBy(p, w.StatefulSet) && p.Labels[appsv1.ControllerRevisionHashLabelKey] == w.StatefulSet.Status.UpdateRevision
		})
	}
	if rs := w.newReplicaSet(); rs != nil {
		return filterPods(pods, func(p *corev1.Pod) bool { return metav1.IsControlledBy(p, rs) })
	}
	if len(w.ReplicaSets) > 0 || len(pods) == 0 {
		return nil
	}
	hash := pods[0].Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	for _, p := range pods {
		if p.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != hash {
			return nil
		}
	}
	return pods
}

func filterPods(pods []*corev1.Pod, keep func(*corev1.Pod) bool) []*corev1.Pod {
	var kept []*corev1.Pod
	for _, p := range pods {
		if keep(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// replicasOf has the API's default: an absent count is 1.
func replicasOf(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}
