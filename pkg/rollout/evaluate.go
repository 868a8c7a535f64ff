package rollout

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/util/podutils"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// revisionAnnotation is on a Deployment and on each of its replica sets; the equal one is the current.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// progressDeadlineExceeded is the reason of the Progressing condition that the deployment controller gives up with.
const progressDeadlineExceeded = "ProgressDeadlineExceeded"

// State is how a workload is. Two of them are compared by [State.Equal].
type State struct {
	Part plan.Part
	Ref  plan.Ref
	// Wanted is spec.replicas.
	Wanted int32
	// Updated and Ready count pods of the current revision; Old those of earlier ones that still run.
	Updated, Ready, Old int32
	// Serving are the ready pods of earlier revisions.
	Serving int32
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
	// Cause is what is wrong; nil when nothing is. Failure and Reason have it in words.
	Cause *Cause
	// Since is when what Reason says has begun, and Allowed how long it may take, of a container that loads by its startup
	// probe; zero when that is not known.
	Since   time.Time
	Allowed time.Duration

	// due is when the workload will be in trouble or have failed if nothing changes; zero when time alone does not decide.
	due time.Time
}

// String is the state in a line: part, ready/wanted and why.
func (s State) String() string {
	return fmt.Sprintf("%s: %d/%d ready", s.Part, s.Ready, s.Wanted) + detailOf(s.Why())
}

// Why is Failure and Reason in a line; empty when there is nothing to say.
func (s State) Why() string {
	switch {
	case s.Failure != "" && s.Reason != "":
		return s.Failure + ": " + s.Reason
	case s.Failure != "":
		return s.Failure
	default:
		return s.Reason
	}
}

func detailOf(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
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

// Evaluate says how each workload of the view is. It is pure. What has to last to be a failure is none in a single look.
func Evaluate(v View) Verdict {
	waiting := false
	for _, w := range v.Workloads {
		s := State{Part: w.Target.Part}
		s.count(w)
		waiting = waiting || w.Target.Part.Role != plan.RoleGateway && !s.Done
	}
	var verdict Verdict
	for _, w := range v.Workloads {
		verdict.States = append(verdict.States, judge{now: v.Now, waitsForOthers: waiting}.evaluate(w))
	}
	return verdict
}

// evaluate says how a workload is, as far as the judge knows its past.
func (j judge) evaluate(w Workload) State {
	s := State{Part: w.Target.Part, Ref: w.Target.Ref}
	if w.object() == nil {
		j.conclude(&s, []symptom{{patience: settled, cause: Cause{
			Kind: CauseMissing, Summary: fmt.Sprintf("%s %q does not exist", w.Target.Ref.Kind, w.Target.Ref.Name),
			Remedy: "somebody has deleted it: `kubectl jina up` makes it again",
		}}})
		return s
	}
	s.count(w)
	if !s.Observed {
		s.Reason = "waiting for the controller to see the change"
		return s
	}
	if w.Target.Replicas != nil && *w.Target.Replicas != s.Wanted {
		s.Done = false
		j.conclude(&s, []symptom{{patience: settled, cause: Cause{
			Kind:    CauseReplicas,
			Summary: fmt.Sprintf("replicas are %d, not %d: changed by %s meanwhile", s.Wanted, *w.Target.Replicas, ReplicasOwner(w.object())),
			Remedy:  "agree on who decides on the replicas; an autoscaler's are changed by its minReplicas and maxReplicas",
		}}})
		return s
	}
	pods := w.newPods()
	if w.PodsKnown {
		j.past.sight(pods)
	}
	if s.Done {
		// What a past crash means for a pod that is ready now is a question for a look, not for a wait.
		if j.past != nil {
			return s
		}
		if s.Cause = whyCrashing(pods, w.Events, j.now); s.Cause != nil {
			s.Reason, s.Trouble = s.Cause.Text(), true
		}
		return s
	}
	j.conclude(&s, j.symptoms(w, pods))
	if s.Cause == nil {
		at := whyNotDone(s, pods)
		if w.Target.Part.Role == plan.RoleGateway && j.waitsForOthers && at.rank > stepNone && at.rank <= stepRestarting {
			at = step{text: "waiting for the executors", since: at.since}
		}
		s.Reason, s.Since, s.Allowed = at.text, at.since, at.allowed
	}
	return s
}

// symptoms are what is wrong with a workload and its new pods.
func (j judge) symptoms(w Workload, pods []*corev1.Pod) []symptom {
	gateway := w.Target.Part.Role == plan.RoleGateway
	symptoms := j.controllerSymptoms(w, gateway && j.waitsForOthers)
	for _, p := range pods {
		symptoms = append(symptoms, j.podSymptoms(p, w.Events, gateway)...)
	}
	return append(symptoms, j.stuckSymptoms(w)...)
}

// conclude puts the verdict on the symptoms into the state. What a controller has given up on is explained by what is wrong
// with the pods.
func (j judge) conclude(s *State, symptoms []symptom) {
	v := j.classify(symptoms)
	s.due = v.due
	if v.cause == nil {
		return
	}
	s.Cause, s.Trouble = v.cause, true
	deadline := slices.IndexFunc(symptoms, func(x symptom) bool { return x.cause.Kind == CauseDeadline })
	switch {
	case !v.failed:
		s.Reason, s.Since = v.cause.Text(), v.cause.Since
		// A pod whose volume is being made is unschedulable for a moment, too.
		if believed := v.cause.Since.Add(j.persist); v.cause.Kind == CauseUnschedulable && j.past != nil && believed.After(j.now) {
			s.Trouble = false
			if s.due.IsZero() || believed.Before(s.due) {
				s.due = believed
			}
		}
	case v.cause.Kind != CauseDeadline:
		s.Failure = v.cause.Lasting(j.now)
	default:
		s.Failure = v.cause.Summary
		others := slices.Delete(slices.Clone(symptoms), deadline, deadline+1)
		if why := (judge{now: j.now}).classify(others).cause; why != nil {
			s.Reason, s.Cause = why.Text(), why
		}
	}
}

// count fills in what the workload's own status says.
func (s *State) count(w Workload) {
	switch {
	case w.Deployment != nil:
		s.countDeployment(w)
	case w.StatefulSet != nil:
		s.countStatefulSet(w)
	}
}

// countDeployment follows kubectl rollout status
// (k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go), but for == where that has <, so that a scale down counts.
func (s *State) countDeployment(w Workload) {
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
	if w.podsAreDone(s.Wanted) {
		s.doneByPods()
	}
	if s.Done {
		s.Ready = s.Wanted
		return
	}
	// Of the Deployment's own count one cannot tell which revision is ready.
	if rs := w.newReplicaSet(); rs != nil {
		s.Ready = rs.Status.ReadyReplicas
		s.Serving = max(0, d.Status.ReadyReplicas-s.Ready)
	}
}

// controllerSymptoms are what the workload's controller says is wrong. excused: it is a gateway that others keep waiting, whose
// progress says nothing.
func (j judge) controllerSymptoms(w Workload, excused bool) []symptom {
	if w.Deployment == nil {
		return j.statefulSetSymptoms(w)
	}
	d := w.Deployment
	var symptoms []symptom
	for _, c := range d.Status.Conditions {
		switch {
		case c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse && c.Reason == progressDeadlineExceeded && !excused:
			s := symptom{patience: settled, cause: Cause{Kind: CauseDeadline, Summary: "no progress within its progress deadline",
				Remedy: "see what its pods wait for: `kubectl jina status`, `kubectl jina logs`"}}
			if d.Spec.ProgressDeadlineSeconds != nil {
				s.cause.Summary = fmt.Sprintf("no progress for %d s, its progress deadline", *d.Spec.ProgressDeadlineSeconds)
			}
			symptoms = append(symptoms, s)
		case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue && w.newReplicaSet() == nil:
			symptoms = append(symptoms, createSymptom(c.Message))
		}
	}
	// The Deployment also has the failures of earlier revisions' replica sets, which are about to go.
	if rs := w.newReplicaSet(); rs != nil {
		for _, c := range rs.Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
				symptoms = append(symptoms, createSymptom(c.Message))
			}
		}
	}
	if d.Spec.Paused {
		symptoms = append(symptoms, symptom{cause: Cause{Kind: CausePaused, Summary: "its rollout is paused (kubectl rollout resume goes on)",
			Remedy: "`kubectl rollout resume deployment " + d.Name + "`"}})
	}
	return symptoms
}

// countStatefulSet follows the same command. A partition keeps the pods below it at their revision.
func (s *State) countStatefulSet(w Workload) {
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
	if toUpdate == s.Wanted && w.podsAreDone(s.Wanted) {
		s.doneByPods()
	}
	if s.Done {
		s.Ready = s.Wanted
	} else if pods := w.newPods(); len(pods) > 0 {
		s.Ready = int32(len(filterPods(pods, podutils.IsPodReady)))
		s.Serving = max(0, set.Status.ReadyReplicas-s.Ready)
	}
}

// doneByPods has the counts that the workload's status is about to have, so that it says nothing new when it comes.
func (s *State) doneByPods() {
	s.Done, s.Updated, s.Old = true, s.Wanted, 0
}

// podsAreDone tells from the pods alone what the controllers are about to count: that all of the new revision are there and ready,
// and none of another one. With thousands of pods the counts come half a second later. It is false where that cannot be told: a
// pod that is ready is not available yet when the workload has minReadySeconds.
func (w Workload) podsAreDone(wanted int32) bool {
	switch {
	case !w.PodsKnown:
		return false
	case w.Deployment != nil && (w.Deployment.Spec.MinReadySeconds > 0 || w.newReplicaSet() == nil),
		w.StatefulSet != nil && (w.StatefulSet.Spec.MinReadySeconds > 0 || w.StatefulSet.Status.UpdateRevision == ""):
		return false
	}
	active := filterPods(w.Pods, func(p *corev1.Pod) bool {
		return p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodFailed && p.Status.Phase != corev1.PodSucceeded
	})
	ready := filterPods(w.newPods(), podutils.IsPodReady)
	return int32(len(active)) == wanted && int32(len(ready)) == wanted
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

// replicasOf has the API's default: an absent count is 1.
func replicasOf(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}
