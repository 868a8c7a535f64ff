package rollout

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// CauseKind says what kind of thing is wrong. The values are part of the JSON that commands print.
type CauseKind string

// The kinds of causes.
const (
	// CauseImage: the image cannot be had as it is named: no such image, no access, no valid name.
	CauseImage CauseKind = "image"
	// CauseImagePull: the pull fails for a reason that may pass.
	CauseImagePull CauseKind = "image-pull"
	// CauseConfig: something that a container refers to is not there, a Secret's key for one.
	CauseConfig CauseKind = "config"
	// CauseCrash: a container ends again and again.
	CauseCrash CauseKind = "crash"
	// CauseOutOfMemory: a container is killed at its memory limit.
	CauseOutOfMemory CauseKind = "out-of-memory"
	// CauseStartupProbe: a container is killed by its own startup probe while it loads.
	CauseStartupProbe CauseKind = "startup-probe"
	// CauseLivenessProbe: a container is killed by its own liveness probe.
	CauseLivenessProbe CauseKind = "liveness-probe"
	// CauseMeshProxy: the mesh's container in the pod ends again and again.
	CauseMeshProxy CauseKind = "mesh-proxy"
	// CauseRun: a container cannot be started at all, for want of its command for one.
	CauseRun CauseKind = "run"
	// CauseQuota: no pod can be made within the namespace's quota.
	CauseQuota CauseKind = "quota"
	// CauseRefused: the API server refuses to make the pod: PodSecurity, a webhook, a missing service account.
	CauseRefused CauseKind = "refused"
	// CauseVolume: a volume cannot be mounted.
	CauseVolume CauseKind = "volume"
	// CauseUnschedulable: no node can take the pod.
	CauseUnschedulable CauseKind = "unschedulable"
	// CausePodFailed: a pod has ended for good, evicted for one; another takes its place.
	CausePodFailed CauseKind = "pod-failed"
	// CauseStuckRevision: a StatefulSet waits for a broken pod of an earlier revision, which nobody replaces.
	CauseStuckRevision CauseKind = "stuck-revision"
	// CauseNotReady: a container runs, and its readiness probe fails.
	CauseNotReady CauseKind = "not-ready"
	// CauseDeadline: the controller has seen no progress within the workload's progress deadline.
	CauseDeadline CauseKind = "progress-deadline"
	// CausePaused: the workload's rollout is paused.
	CausePaused CauseKind = "rollout-paused"
	// CauseReplicas: somebody else has changed the replicas meanwhile.
	CauseReplicas CauseKind = "replicas-changed"
	// CauseMissing: the workload does not exist.
	CauseMissing CauseKind = "missing"
)

// Cause is what is wrong with a workload, and what shows it. Its text from the cluster is free of control sequences.
type Cause struct {
	Kind CauseKind `json:"kind"`
	// Summary says it in a few words, in which a name stands between backquotes.
	Summary string `json:"summary"`
	// Container that it is about, and its image; empty when it is about no container.
	Container string `json:"container,omitempty"`
	Image     string `json:"image,omitempty"`
	// Pods have it; Pod is one of them.
	Pods int    `json:"pods,omitempty"`
	Pod  string `json:"pod,omitempty"`
	// Restarts of the container of Pod, and how it ended the last time.
	Restarts int32 `json:"restarts,omitempty"`
	ExitCode int32 `json:"exitCode,omitempty"`
	// Limit that was exceeded: of memory, or of the quota.
	Limit string `json:"limit,omitempty"`
	// Message is what the cluster says, word for word; empty where Summary has it all.
	Message string `json:"message,omitempty"`
	// Since is when a wait has first seen it; zero for a single look.
	Since time.Time `json:"since,omitzero"`
	// Logs are the last lines of the container, of its run before when it was restarted. LogNote says why there are none.
	Logs    []string `json:"logs,omitempty"`
	LogNote string   `json:"logNote,omitempty"`
	// Remedy is what to do.
	Remedy string `json:"remedy,omitempty"`

	// previous: the run that failed is the one before the container's present one.
	previous bool
}

// Text is the summary with the number of pods that have it.
func (c Cause) Text() string {
	if c.Pods > 1 {
		return fmt.Sprintf("%s (%d pods)", c.Summary, c.Pods)
	}
	return c.Summary
}

// Lasting is the summary with the number of pods that have it and how long it has been so.
func (c Cause) Lasting(now time.Time) string {
	var details []string
	if c.Pods > 0 {
		details = append(details, podsText(int32(c.Pods), "pod"))
	}
	if lasted := now.Sub(c.Since).Round(time.Second); !c.Since.IsZero() && lasted > 0 {
		details = append(details, durationText(lasted))
	}
	if len(details) == 0 {
		return c.Summary
	}
	return fmt.Sprintf("%s (%s)", c.Summary, strings.Join(details, ", "))
}

// durationText is a duration in words as short as its precision allows: 15 s, 2 min 5 s, 1 h 3 min.
func durationText(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	default:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
}

// Subject names a part in a sentence: gateway, executor `encoder`, head of `indexer`, shard 1 of `indexer`.
func Subject(p plan.Part) string {
	name := PlainText(p.Executor)
	switch p.Role {
	case plan.RoleGateway:
		return string(plan.RoleGateway)
	case plan.RoleHead:
		return fmt.Sprintf("head of `%s`", name)
	case plan.RoleShard:
		return fmt.Sprintf("shard %d of `%s`", p.Shard, name)
	default:
		return fmt.Sprintf("executor `%s`", name)
	}
}

// Equal tells whether two states have nothing to tell apart.
func (s State) Equal(other State) bool { return reflect.DeepEqual(s, other) }

// Elapsed says how long the workload has been at what Reason says, and what it may take: "for 2 min 5 s of at most 10 min".
// It is empty when that is not known or not worth a word.
func (s State) Elapsed(now time.Time) string {
	lasted := now.Sub(s.Since)
	switch {
	case s.Since.IsZero() || s.Done || lasted < time.Second:
		return ""
	case s.Allowed > 0:
		return fmt.Sprintf("for %s of at most %s", durationText(lasted), durationText(s.Allowed))
	default:
		return "for " + durationText(lasted)
	}
}
