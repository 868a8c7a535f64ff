package rollout

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/util/podutils"
)

// step is a normal step of a pod on its way to being ready. The higher the rank, the earlier the step.
type step struct {
	rank int
	text string
	// since is when the step began, and allowed how long it may take; zero when that is not known.
	since   time.Time
	allowed time.Duration
}

// The ranks.
const (
	stepNone = iota
	stepNotReady
	stepLoading
	stepRestarting
	stepCreating
	stepInit
	stepScheduling
)

// whyNotDone says what a workload is at that nothing is wrong with, and since when.
func whyNotDone(s State, newPods []*corev1.Pod) step {
	if earliest := earliestStep(newPods); earliest.rank > stepNone {
		return earliest
	}
	text := "waiting for pods to be ready"
	switch {
	case s.Failure != "":
		text = ""
	case s.Updated < s.Wanted:
		text = "waiting for new pods to be made"
	case s.Old > 0:
		text = "waiting for " + podsText(s.Old, "old pod") + " to end"
	case s.Updated > s.Wanted:
		text = "waiting for " + podsText(s.Updated-s.Wanted, "pod") + " to end"
	}
	return step{text: text}
}

func podsText(n int32, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// earliestStep is the earliest step that a pod is at, with the number of pods that are at it, since the first of them is.
func earliestStep(pods []*corev1.Pod) step {
	var earliest step
	n := int32(0)
	for _, p := range pods {
		one := stepOf(p)
		switch {
		case one.rank > earliest.rank:
			earliest, n = one, 1
		case one.rank == earliest.rank && one.rank > stepNone:
			n++
			if !one.since.IsZero() && (earliest.since.IsZero() || one.since.Before(earliest.since)) {
				earliest.since = one.since
			}
		}
	}
	if n > 1 {
		earliest.text = fmt.Sprintf("%s (%s)", earliest.text, podsText(n, "pod"))
	}
	return earliest
}

func stepOf(p *corev1.Pod) step {
	if podutils.IsPodReady(p) || p.Status.Phase == corev1.PodFailed {
		return step{}
	}
	if s := scheduling(p); s.rank > stepNone {
		return s
	}
	if name := runningInit(p); name != "" {
		return step{rank: stepInit, text: fmt.Sprintf("running its init container `%s`", name)}
	}
	earliest := step{rank: stepNotReady, text: "not ready yet"}
	for _, c := range containersOf(p, nil) {
		if s := c.step(); s.rank > earliest.rank || earliest.text == "not ready yet" && s.rank == earliest.rank {
			earliest = s
		}
	}
	return earliest
}

// step of a container that nothing is wrong with.
func (c container) step() step {
	of := ""
	if c.role != roleMain {
		of = fmt.Sprintf("container `%s` is ", PlainText(c.Name))
	}
	switch state := c.State; {
	case state.Waiting != nil && state.Waiting.Reason == "ContainerCreating":
		return step{rank: stepCreating, text: "creating its containers"}
	case state.Running != nil && c.Started != nil && !*c.Started:
		again := ""
		if c.RestartCount > 0 {
			again = ", after " + podsText(c.RestartCount, "restart")
		}
		return step{rank: stepLoading, text: of + "loading" + again, since: state.Running.StartedAt.Time, allowed: startupBudgetOf(c.spec)}
	case (state.Terminated != nil || state.Waiting != nil) && c.RestartCount > 0:
		return step{rank: stepRestarting, text: of + "restarting, for the " + ordinal(c.RestartCount) + " time"}
	case state.Running != nil && !c.Ready:
		return step{rank: stepNotReady, text: of + "running, but not ready yet", since: state.Running.StartedAt.Time}
	}
	return step{}
}

func ordinal(n int32) string {
	switch {
	case n%100 >= 11 && n%100 <= 13:
	case n%10 == 1:
		return fmt.Sprintf("%dst", n)
	case n%10 == 2:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}

func scheduling(p *corev1.Pod) step {
	since := p.CreationTimestamp.Time
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason != corev1.PodReasonUnschedulable {
			return step{rank: stepScheduling, text: "waiting for a node" + detail(c.Reason, c.Message), since: since}
		}
	}
	if p.Spec.NodeName == "" && len(p.Status.ContainerStatuses) == 0 {
		return step{rank: stepScheduling, text: "waiting for a node", since: since}
	}
	return step{}
}

// runningInit names the init container that a pod is at. A native sidecar goes on running beside the others and
// stands in the way only until it has started.
func runningInit(p *corev1.Pod) string {
	sidecar := map[string]bool{}
	for _, c := range p.Spec.InitContainers {
		sidecar[c.Name] = c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	}
	for _, c := range p.Status.InitContainerStatuses {
		started := c.Started != nil && *c.Started
		if c.State.Running != nil && (!sidecar[c.Name] || !started) {
			return PlainText(c.Name)
		}
	}
	return ""
}

// exit says how a container ended, with the last line that it left as its termination message.
func exit(t *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("exit code %d", t.ExitCode)
	if t.Reason != "" && t.Reason != "Error" {
		text += " (" + PlainText(t.Reason) + ")"
	}
	return text + detail("", lastLine(t.Message))
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// detail appends what the cluster says, made safe, where it says something.
func detail(reason, message string) string {
	text := ""
	if reason = PlainText(reason); reason != "" {
		text += ": " + reason
	}
	if message = PlainText(message); message != "" {
		text += ": " + message
	}
	return text
}

// crashMemory is how long a container has to run for the kubelet to forget its crashes.
const crashMemory = 10 * time.Minute

// whyCrashing names a container that is ready at the moment but has crashed again and again, the last time within
// [crashMemory]: the kubelet's back-off lets it look healthy in between. It is nil without a clock.
func whyCrashing(pods []*corev1.Pod, events []*corev1.Event, now time.Time) *Cause {
	if now.IsZero() {
		return nil
	}
	for _, p := range pods {
		for _, c := range containersOf(p, events) {
			last := c.LastTerminationState.Terminated
			if c.State.Running == nil || c.RestartCount < crashes || last == nil || last.ExitCode == 0 {
				continue
			}
			if ago := now.Sub(last.FinishedAt.Time); ago < crashMemory {
				cause := c.crashCause(last, c.killedBy("Startup", startupBudgetOf(c.spec)))
				cause.Summary = fmt.Sprintf("container `%s` of pod `%s` crashed %d times, last %s ago: %s",
					PlainText(c.Name), p.Name, c.RestartCount, durationText(max(0, ago)), exit(last))
				return &cause
			}
		}
	}
	return nil
}
