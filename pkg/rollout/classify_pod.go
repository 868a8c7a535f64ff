package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/util/podutils"
)

// crashes is the number of restarts from which a crash is taken for a loop. One or two can be a node that was drained, or
// something that came up late.
const crashes = 2

// meshCrashes is the same for the mesh's containers, whose control plane may come up later than the pod.
const meshCrashes = 3

// containerRole is what a container is to its pod.
type containerRole int

const (
	roleMain containerRole = iota
	roleBeside
	roleInit
	roleSidecar // an init container that goes on running
	roleMesh
)

// container is a container of a pod, as specified and as it is.
type container struct {
	corev1.ContainerStatus
	spec corev1.Container // zero when it is not known
	role containerRole
	pod  *corev1.Pod
	// events of the namespace.
	events []*corev1.Event
}

// isMesh tells the containers that a mesh's injector adds.
func isMesh(name string) bool {
	switch name {
	case linkerdProxy, "linkerd-init", "linkerd-network-validator", istioProxy, "istio-init", "istio-validation", "kuma-sidecar", "kuma-init":
		return true
	}
	return false
}

// containersOf a pod that have a status, init containers first.
func containersOf(p *corev1.Pod, events []*corev1.Event) []container {
	find := func(specs []corev1.Container, name string) corev1.Container {
		i := slices.IndexFunc(specs, func(c corev1.Container) bool { return c.Name == name })
		if i < 0 {
			return corev1.Container{Name: name}
		}
		return specs[i]
	}
	var all []container
	for _, status := range p.Status.InitContainerStatuses {
		c := container{ContainerStatus: status, spec: find(p.Spec.InitContainers, status.Name), role: roleInit, pod: p, events: events}
		if c.spec.RestartPolicy != nil && *c.spec.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			c.role = roleSidecar
		}
		all = append(all, c)
	}
	main := mainContainer(p)
	for _, status := range p.Status.ContainerStatuses {
		c := container{ContainerStatus: status, spec: find(p.Spec.Containers, status.Name), role: roleBeside, pod: p, events: events}
		if status.Name == main {
			c.role = roleMain
		}
		all = append(all, c)
	}
	for i := range all {
		if isMesh(all[i].Name) {
			all[i].role = roleMesh
		}
	}
	return all
}

// mainContainer names the container that the pod is for: the first that no mesh has put there.
func mainContainer(p *corev1.Pod) string {
	for _, c := range p.Spec.Containers {
		if !isMesh(c.Name) {
			return c.Name
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		if !isMesh(c.Name) {
			return c.Name
		}
	}
	return ""
}

// cause has what every cause about the container says.
func (c container) cause(kind CauseKind, format string, args ...any) Cause {
	summary := fmt.Sprintf(format, args...)
	name := PlainText(c.Name)
	switch c.role {
	case roleBeside:
		summary = fmt.Sprintf("container `%s`: %s", name, summary)
	case roleInit:
		summary = fmt.Sprintf("init container `%s`: %s", name, summary)
	case roleSidecar:
		summary = fmt.Sprintf("sidecar `%s`: %s", name, summary)
	case roleMesh:
		summary = fmt.Sprintf("the mesh's container `%s`: %s", name, summary)
	case roleMain:
	}
	return Cause{
		Kind: kind, Summary: summary, Container: name, Image: c.image(), Pods: 1, Pod: c.pod.Name, Restarts: c.RestartCount,
	}
}

// image as specified: what the kubelet says of it may be how it was found.
func (c container) image() string {
	if c.spec.Image != "" {
		return PlainText(c.spec.Image)
	}
	return PlainText(c.Image)
}

// lastRun is how the container's last run ended, of whatever it is now; nil when it has not ended.
func (c container) lastRun() *corev1.ContainerStateTerminated {
	if c.State.Terminated != nil {
		return c.State.Terminated
	}
	return c.LastTerminationState.Terminated
}

// podSymptoms are what is wrong with a pod of the new revision.
func (j judge) podSymptoms(p *corev1.Pod, events []*corev1.Event, gateway bool) []symptom {
	switch {
	case p.Status.Phase == corev1.PodFailed:
		return []symptom{{cause: Cause{
			Kind: CausePodFailed, Pods: 1, Pod: p.Name, Summary: "pod failed" + detail(p.Status.Reason, p.Status.Message),
			Remedy: "its controller makes another; if that fails as well, see to what the message names",
		}}}
	case podutils.IsPodReady(p):
		return nil
	}
	if s, found := unschedulable(p); found {
		return []symptom{s}
	}
	var symptoms []symptom
	for _, c := range containersOf(p, events) {
		if s, found := j.containerSymptom(c, gateway); found {
			symptoms = append(symptoms, s)
		}
	}
	if len(symptoms) > 0 {
		return symptoms
	}
	for _, find := range []func(*corev1.Pod, []*corev1.Event) (symptom, bool){volumeSymptom, unreadySymptom} {
		if s, found := find(p, events); found {
			symptoms = append(symptoms, s)
		}
	}
	return symptoms
}

// unreadySymptom is of a pod whose containers run, as long as the kubelet says that a readiness probe fails.
func unreadySymptom(p *corev1.Pod, events []*corev1.Event) (symptom, bool) {
	for _, c := range containersOf(p, events) {
		if c.State.Running == nil || c.Ready || c.Started == nil || !*c.Started {
			continue
		}
		for _, e := range eventsOf(events, p.UID, "Unhealthy") {
			if strings.HasPrefix(e.Message, "Readiness probe") && aboutContainer(e, c.Name) && !lastSeen(e).Before(c.State.Running.StartedAt.Time) {
				cause := c.cause(CauseNotReady, "runs, but is not ready%s", detail("", e.Message))
				cause.Remedy = "see its log for what it is busy with, or why it does not serve its port"
				return symptom{cause: cause}, true
			}
		}
	}
	return symptom{}, false
}

// containerSymptom is what is wrong with a container.
func (j judge) containerSymptom(c container, gateway bool) (symptom, bool) {
	if waiting := c.State.Waiting; waiting != nil {
		switch waiting.Reason {
		case "", "PodInitializing", "ContainerCreating", "CrashLoopBackOff":
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
			return j.imageSymptom(c, waiting), true
		case "CreateContainerConfigError":
			return configSymptom(c, waiting), true
		default:
			return runSymptom(c, waiting), true
		}
	}
	return j.crashSymptom(c, gateway)
}

// crashSymptom is of a container that has ended though it should run, or an init container that has failed.
func (j judge) crashSymptom(c container, gateway bool) (symptom, bool) {
	last := c.lastRun()
	inLoop := c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff"
	ended := c.State.Terminated != nil && (last.ExitCode != 0 || c.role != roleInit && c.role != roleMesh)
	killed := last != nil && c.killedBy("Startup", startupBudgetOf(c.spec))
	switch {
	case inLoop || ended:
	case c.State.Running == nil || c.Ready || last == nil:
		return symptom{}, false
	case c.RestartCount < crashes && !killed:
		return symptom{}, false // restarted once, and on its way again
	}
	cause := c.crashCause(last, killed)
	if gateway && j.waitsForOthers && c.role == roleMain && byProbe(last, killed) {
		// It opens no port before every executor has answered it, so that its probe says nothing about it.
		return symptom{}, false
	}
	enough := int32(crashes)
	if c.role == roleMesh {
		enough = meshCrashes
	}
	s := symptom{cause: cause}
	switch {
	case !inLoop && !ended, c.RestartCount < enough: // it is on its way again, or may be the next time
	case j.past.restartedSince(c.pod.UID, c.ContainerStatus):
		s.patience = atOnce
	default: // the loop is from before the wait: what it lacked may be there now, for the next attempt to find
		s.patience = lasting
	}
	return s, true
}

// byProbe tells whether a container's last run may have been ended by the kubelet and not by itself.
func byProbe(last *corev1.ContainerStateTerminated, killed bool) bool {
	if killed || last == nil {
		return true
	}
	return last.Reason != reasonOOM && (last.ExitCode == exitKilled || last.ExitCode == exitTerminated || last.ExitCode == 0)
}

const (
	reasonOOM = "OOMKilled"
	// exitKilled and exitTerminated are 128 and the number of the signal.
	exitKilled     = 137
	exitTerminated = 143
)

func (c container) crashCause(last *corev1.ContainerStateTerminated, killed bool) Cause {
	restarts := ""
	if c.RestartCount > 0 {
		restarts = ", " + podsText(c.RestartCount, "restart")
	}
	if last == nil {
		return c.fill(c.cause(CauseCrash, "crashes%s", restarts), last)
	}
	ran := last.FinishedAt.Sub(last.StartedAt.Time)
	switch {
	case last.Reason == reasonOOM:
		return c.fill(c.outOfMemory(last, restarts), last)
	case killed:
		cause := c.cause(CauseStartupProbe, "killed by its own startup probe after %s of loading%s", durationText(ran), restarts)
		cause.Limit = durationText(startupBudgetOf(c.spec))
		cause.Remedy = "give it more time to load: `timeout_ready` of the executor, in milliseconds (-1 is no limit)"
		return c.fill(cause, last)
	case c.killedBy("Liveness", 0):
		cause := c.cause(CauseLivenessProbe, "killed by its own liveness probe%s", restarts)
		cause.Remedy = "it has answered nothing for minutes: see its log for what it hangs in"
		return c.fill(cause, last)
	case last.Reason == "StartError" || last.Reason == "ContainerCannotRun":
		cause := c.cause(CauseRun, "cannot be run%s%s", detail("", lastLine(last.Message)), restarts)
		cause.Remedy = remedyRun
		return c.fill(cause, last)
	}
	kind, remedy := CauseCrash, "see the last lines of its log; an exception in the executor's __init__ is the usual cause"
	if c.role == roleMesh {
		kind, remedy = CauseMeshProxy, "the mesh's control plane does not serve this pod: see `kubectl jina check`, and the proxy's log"
	}
	cause := c.cause(kind, "crashes: %s%s", exit(last), restarts)
	cause.Remedy = remedy
	return c.fill(cause, last)
}

func (c container) outOfMemory(last *corev1.ContainerStateTerminated, restarts string) Cause {
	limit := c.spec.Resources.Limits.Memory()
	if limit.IsZero() {
		cause := c.cause(CauseOutOfMemory, "out of memory: killed with exit code %d, without a limit of its own%s", last.ExitCode, restarts)
		cause.Remedy = "its node or namespace has too little memory for it: ask for what it needs (`resources` of the executor), or use a smaller model"
		return cause
	}
	cause := c.cause(CauseOutOfMemory, "out of memory: killed at its limit of %s with exit code %d%s", limit, last.ExitCode, restarts)
	cause.Limit = limit.String()
	cause.Remedy = "raise its memory limit (`resources` of the executor), or use a smaller model"
	return cause
}

// fill adds how the container ended, and which of its runs has the log that tells why.
func (c container) fill(cause Cause, last *corev1.ContainerStateTerminated) Cause {
	cause.previous = c.State.Terminated == nil && last != nil
	if last != nil {
		cause.ExitCode = last.ExitCode
		cause.Message = PlainText(last.Message)
	}
	return cause
}

// killedBy tells whether the kubelet has ended the container's last run for a failed probe. Where a run has been as long as
// its startup probe allows and was never ready, nothing else ends it; the kubelet's events also tell, if they may be read and
// were not dropped: it sends few about one pod.
func (c container) killedBy(probe string, budget time.Duration) bool {
	last := c.lastRun()
	if last == nil || last.Reason == reasonOOM {
		return false
	}
	if probe == "Startup" && c.wasReadyIn(last) {
		return false
	}
	if budget > 0 && last.FinishedAt.Sub(last.StartedAt.Time) >= budget-probeSlack(c.spec) {
		return true
	}
	if last.ExitCode != exitKilled && last.ExitCode != exitTerminated {
		return false
	}
	for _, e := range eventsOf(c.events, c.pod.UID, "Unhealthy", "Killing") {
		if aboutContainer(e, c.Name) && strings.Contains(strings.ToLower(e.Message), strings.ToLower(probe)+" probe") {
			return true
		}
	}
	return false
}

// probeSlack is how much sooner than its startup probe seems to allow a container may be killed: the last attempt is at the
// beginning of its period, and both times are in whole seconds.
func probeSlack(c corev1.Container) time.Duration {
	return time.Duration(max(1, c.StartupProbe.PeriodSeconds))*time.Second + 2*time.Second
}

// wasReadyIn tells whether the pod was ready during a run of one of its containers: its condition has changed since the run
// began.
func (c container) wasReadyIn(run *corev1.ContainerStateTerminated) bool {
	for _, condition := range c.pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.LastTransitionTime.After(run.StartedAt.Time.Add(time.Second))
		}
	}
	return false
}

// startupBudgetOf is the time that a container may take to load, by its startup probe; 0 without one.
func startupBudgetOf(c corev1.Container) time.Duration {
	p := c.StartupProbe
	if p == nil {
		return 0
	}
	return time.Duration(p.InitialDelaySeconds+max(1, p.PeriodSeconds)*max(1, p.FailureThreshold)) * time.Second
}
