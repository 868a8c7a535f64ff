package rollout

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// patience says when a symptom is a verdict: that the workload cannot come up by itself.
type patience int

const (
	// never: it may pass, and only explains.
	never patience = iota
	// lasting: once it has lasted for judge.persist without a break. A tag that is pushed a moment late, a Secret that is
	// made by the next command and a cache that is not filled yet look the same as what stays broken.
	lasting
	// settled: once it has lasted for judge.settle. Right after a change the controllers' conditions may be of before it.
	settled
	// atOnce: it cannot pass.
	atOnce
)

// symptom is something that is wrong with a pod or a workload.
type symptom struct {
	cause    Cause
	patience patience
}

// symptomKey tells two symptoms apart over time and between pods: how often a container has crashed does not.
type symptomKey struct {
	kind      CauseKind
	container string
}

func (s symptom) key() symptomKey { return symptomKey{s.cause.Kind, s.cause.Container} }

// CauseKinds are all kinds, those first that explain the most: what a pod dies of says more than what it waits for.
func CauseKinds() []CauseKind {
	return []CauseKind{
		CauseMissing, CauseReplicas, CauseOutOfMemory, CauseImage, CauseConfig, CauseRun, CauseStartupProbe, CauseLivenessProbe,
		CauseMeshProxy, CauseCrash, CauseStuckRevision, CauseQuota, CauseRefused, CauseVolume, CauseImagePull,
		CauseUnschedulable, CausePodFailed, CausePaused, CauseNotReady, CauseDeadline,
	}
}

// weight is the higher the more a kind explains.
func (k CauseKind) weight() int {
	kinds := CauseKinds()
	return len(kinds) - slices.Index(kinds, k)
}

// judge has what a verdict needs besides the objects.
type judge struct {
	// now is the time of the snapshot; zero leaves out what only time can tell.
	now             time.Time
	persist, settle time.Duration
	// waitsForOthers: other workloads, which a gateway waits for before it opens its port, are not ready.
	waitsForOthers bool
	// patient: only what no time can help is a failure.
	patient bool
	// past has what earlier snapshots have shown; nil for a single look, for which nothing has lasted.
	past *history
}

// history is what earlier snapshots of a workload said, of what a later one may say no more.
type history struct {
	// since is when a symptom was first seen without a break.
	since map[symptomKey]time.Time
	// pulls is what the last failed pull for a pod's container said: between two attempts many kubelets only say that
	// they wait.
	pulls map[containerKey]string
	// restarts of the containers at first sight: those that were restarted before the wait.
	restarts map[containerKey]int32
	sighted  bool
}

// containerKey names a container of a pod.
type containerKey struct {
	pod       types.UID
	container string
}

func newHistory() *history {
	return &history{since: map[symptomKey]time.Time{}, pulls: map[containerKey]string{}, restarts: map[containerKey]int32{}}
}

// sight remembers the restarts of before the wait, once.
func (h *history) sight(pods []*corev1.Pod) {
	if h == nil || h.sighted {
		return
	}
	h.sighted = true
	for _, p := range pods {
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if c.RestartCount > 0 {
				h.restarts[containerKey{p.UID, c.Name}] = c.RestartCount
			}
		}
	}
}

// restartedSince tells whether a container was restarted while somebody looked; a single look takes any restart.
func (h *history) restartedSince(pod types.UID, c corev1.ContainerStatus) bool {
	return h == nil || c.RestartCount > h.restarts[containerKey{pod, c.Name}]
}

// pull remembers what a failed pull said, and returns what the last one said that said anything.
func (h *history) pull(pod types.UID, container, message string) string {
	if h == nil {
		return message
	}
	key := containerKey{pod, container}
	if message != "" {
		h.pulls[key] = message
	}
	return h.pulls[key]
}

// verdict is what a workload's symptoms come to.
type verdict struct {
	// cause is the one that says most; nil when nothing is wrong.
	cause *Cause
	// failed: the workload cannot come up by itself.
	failed bool
	// due is when it will have lasted long enough to be a failure, if it does; zero when it will not.
	due time.Time
}

// classify makes one verdict of all symptoms: those that are the same are counted together, those that have lasted long enough
// decide. It is pure but for the history, which it brings up to date.
func (j judge) classify(symptoms []symptom) verdict {
	groups := grouped(symptoms)
	j.remember(groups)
	var best, failed *symptom
	var v verdict
	for i := range groups {
		g := &groups[i]
		if j.past != nil {
			g.cause.Since = j.past.since[g.key()]
		}
		due, ever := j.dueAt(*g)
		switch {
		case ever && !due.After(j.now):
			failed = heavier(failed, g)
		case ever && (v.due.IsZero() || due.Before(v.due)):
			v.due = due
		}
		best = heavier(best, g)
	}
	switch {
	case failed != nil:
		v.cause, v.failed, v.due = &failed.cause, true, time.Time{}
	case best != nil:
		v.cause = &best.cause
	}
	return v
}

// dueAt is when a symptom becomes a failure, and whether it ever does. A single look believes what it sees of a
// controller, and calls nothing a failure that has to last.
func (j judge) dueAt(s symptom) (time.Time, bool) {
	if j.patient && s.cause.Kind != CauseMissing && s.cause.Kind != CauseReplicas {
		return time.Time{}, false
	}
	switch s.patience {
	case atOnce:
		return j.now, true
	case settled:
		if j.past == nil {
			return j.now, true
		}
		return s.cause.Since.Add(j.settle), true
	case lasting:
		if j.past == nil {
			return time.Time{}, false
		}
		return s.cause.Since.Add(j.persist), true
	default:
		return time.Time{}, false
	}
}

// remember keeps since when each of the symptoms has been seen, and forgets those that are gone.
func (j judge) remember(groups []symptom) {
	if j.past == nil {
		return
	}
	since := make(map[symptomKey]time.Time, len(groups))
	for _, g := range groups {
		first, seen := j.past.since[g.key()]
		if !seen {
			first = j.now
		}
		since[g.key()] = first
	}
	j.past.since = since
}

// grouped has each symptom once, with the number of pods that have it: as the impatient one of them has it, and of equal ones
// as the one that was restarted most.
func grouped(symptoms []symptom) []symptom {
	index := map[symptomKey]int{}
	var groups []symptom
	for _, s := range symptoms {
		i, known := index[s.key()]
		if !known {
			index[s.key()] = len(groups)
			groups = append(groups, s)
			continue
		}
		pods := groups[i].cause.Pods + s.cause.Pods
		if s.patience > groups[i].patience || s.patience == groups[i].patience && s.cause.Restarts > groups[i].cause.Restarts {
			groups[i] = s
		}
		groups[i].cause.Pods = pods
	}
	return groups
}

func heavier(a, b *symptom) *symptom {
	if a == nil || b.cause.Kind.weight() > a.cause.Kind.weight() ||
		b.cause.Kind == a.cause.Kind && b.cause.Pods > a.cause.Pods {
		return b
	}
	return a
}

// eventsOf are the events about an object that have one of the reasons.
func eventsOf(events []*corev1.Event, uid types.UID, reasons ...string) []*corev1.Event {
	var found []*corev1.Event
	for _, e := range events {
		if e.InvolvedObject.UID == uid && slices.Contains(reasons, e.Reason) {
			found = append(found, e)
		}
	}
	return found
}

// lastSeen is when an event was last told. Newer recorders fill other fields than older ones.
func lastSeen(e *corev1.Event) time.Time {
	last := e.LastTimestamp.Time
	if e.Series != nil && e.Series.LastObservedTime.After(last) {
		last = e.Series.LastObservedTime.Time
	}
	for _, t := range []time.Time{e.EventTime.Time, e.CreationTimestamp.Time} {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// aboutContainer tells whether a kubelet's event is about a container; an event that names none is about any.
func aboutContainer(e *corev1.Event, container string) bool {
	path := e.InvolvedObject.FieldPath
	return path == "" || strings.HasSuffix(path, "{"+container+"}")
}
