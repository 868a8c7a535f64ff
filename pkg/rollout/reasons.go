package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// finding is what keeps one pod from being ready. The higher the rank, the more it explains.
type finding struct {
	rank int
	text string
}

// The ranks. From rankEvicted on a finding is trouble, not a step of starting.
const (
	rankNone = iota
	rankNotReady
	rankStarting
	rankCreating
	rankInit
	rankScheduling
	rankEvicted
	rankUnschedulable
	rankExited
	rankWaiting
)

// whyNotDone says why a workload that its controller has seen is not done, and whether that is trouble.
func whyNotDone(s State, newPods []*corev1.Pod) (reason string, trouble bool) {
	if worst, pods := worstFinding(newPods); worst.rank > rankNone {
		if pods > 1 {
			return fmt.Sprintf("%d pods: %s", pods, worst.text), worst.rank >= rankEvicted
		}
		return worst.text, worst.rank >= rankEvicted
	}
	switch {
	case s.Failure != "":
		return "", false
	case s.Updated < s.Wanted:
		return "waiting for new pods to be made", false
	case s.Old > 0:
		return "waiting for " + podsText(s.Old, "old pod") + " to end", false
	case s.Updated > s.Wanted:
		return "waiting for " + podsText(s.Updated-s.Wanted, "pod") + " to end", false
	default:
		return "waiting for pods to be ready", false
	}
}

func podsText(n int32, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// worstFinding is the finding of the highest rank, of these the most frequent, and the number of pods that have it.
func worstFinding(pods []*corev1.Pod) (finding, int) {
	count := map[finding]int{}
	var found []finding
	for _, p := range pods {
		f := findingOf(p)
		if count[f] == 0 {
			found = append(found, f)
		}
		count[f]++
	}
	if len(found) == 0 {
		return finding{}, 0
	}
	worst := slices.MaxFunc(found, func(a, b finding) int {
		if a.rank != b.rank {
			return a.rank - b.rank
		}
		return count[a] - count[b]
	})
	return worst, count[worst]
}

func findingOf(p *corev1.Pod) finding {
	switch {
	case p.Status.Phase == corev1.PodFailed:
		return finding{rankEvicted, "pod failed" + detail(p.Status.Reason, p.Status.Message)}
	case podReady(p):
		return finding{}
	}
	if f := scheduling(p); f.rank > rankNone {
		return f
	}
	worst := finding{}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if f := containerFinding(c); f.rank > worst.rank {
			worst = f
		}
	}
	if worst.rank < rankEvicted {
		if name := runningInit(p); name != "" {
			return finding{rankInit, fmt.Sprintf("running its init container %s", name)}
		}
	}
	if worst.rank == rankNone {
		return finding{rankNotReady, "not ready yet"}
	}
	return worst
}

func scheduling(p *corev1.Pod) finding {
	for _, c := range p.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse {
			continue
		}
		if c.Reason == corev1.PodReasonUnschedulable {
			return finding{rankUnschedulable, "unschedulable: " + PlainText(c.Message)}
		}
		return finding{rankScheduling, "waiting for a node" + detail(c.Reason, c.Message)}
	}
	if p.Spec.NodeName == "" && len(p.Status.ContainerStatuses) == 0 {
		return finding{rankScheduling, "waiting for a node"}
	}
	return finding{}
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

func containerFinding(c corev1.ContainerStatus) finding {
	name := PlainText(c.Name)
	switch {
	case c.State.Waiting != nil:
		return waitingFinding(c, name)
	case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
		return finding{rankExited, fmt.Sprintf("container %s ended: %s", name, exit(c.State.Terminated))}
	case c.State.Running != nil && c.Started != nil && !*c.Started:
		return finding{rankStarting, fmt.Sprintf("container %s is starting", name)}
	case c.State.Running != nil && !c.Ready:
		return finding{rankNotReady, fmt.Sprintf("container %s runs but is not ready yet", name)}
	}
	return finding{}
}

func waitingFinding(c corev1.ContainerStatus, name string) finding {
	waiting := c.State.Waiting
	switch waiting.Reason {
	case "", "PodInitializing":
		return finding{}
	case "ContainerCreating":
		return finding{rankCreating, "creating its containers"}
	case "CrashLoopBackOff":
		// The message only repeats the pod's name and the back-off, which differ from pod to pod.
		if last := c.LastTerminationState.Terminated; last != nil {
			return finding{rankWaiting, fmt.Sprintf("container %s crashes: %s", name, exit(last))}
		}
		return finding{rankWaiting, fmt.Sprintf("container %s crashes", name)}
	case "ErrImagePull", "ImagePullBackOff":
		return finding{rankWaiting, fmt.Sprintf("container %s: cannot pull image %s", name, PlainText(c.Image)) + detail("", waiting.Message)}
	default:
		return finding{rankWaiting, fmt.Sprintf("container %s", name) + detail(waiting.Reason, waiting.Message)}
	}
}

// exit says how a container ended, with the last line that it left as its termination message.
func exit(t *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("exit code %d", t.ExitCode)
	if t.Reason != "" && t.Reason != "Error" {
		text += " (" + PlainText(t.Reason) + ")"
	}
	lines := strings.Split(strings.TrimSpace(t.Message), "\n")
	return text + detail("", lines[len(lines)-1])
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

const (
	// crashes is the number of restarts from which a running container may be between two crashes. One restart can
	// be a node that was drained or a sidecar that came up late.
	crashes = 2
	// crashMemory is how long a container has to run for the kubelet to forget its crashes.
	crashMemory = 10 * time.Minute
)

// whyCrashing names a container that is ready at the moment but has crashed again and again, the last time within
// [crashMemory]: the kubelet's back-off lets it look healthy in between.
func whyCrashing(pods []*corev1.Pod, now time.Time) string {
	if now.IsZero() {
		return ""
	}
	for _, p := range pods {
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			last := c.LastTerminationState.Terminated
			if c.State.Running == nil || c.RestartCount < crashes || last == nil || last.ExitCode == 0 {
				continue
			}
			if ago := now.Sub(last.FinishedAt.Time); ago < crashMemory {
				return fmt.Sprintf("container %s of pod %s crashed %d times, last %s ago: %s",
					PlainText(c.Name), p.Name, c.RestartCount, max(0, ago).Round(time.Second), exit(last))
			}
		}
	}
	return ""
}
