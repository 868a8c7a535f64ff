// Package rollout tells the truth about what runs: it reads the workloads and pods of a Flow, says of each workload
// how far it is and why it is not ready, and waits for all of them.
//
// The truth is pure: [Evaluate] maps API objects ([View]) to a [Verdict]. [Wait] keeps a view up to date by one list and
// watch a kind and gives what changes as an [Event]; nothing here writes to a stream.
package rollout

import (
	"time"

	appsv1client "k8s.io/client-go/kubernetes/typed/apps/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Clients are what this package needs of a cluster; kubernetes.Interface is one.
type Clients interface {
	AppsV1() appsv1client.AppsV1Interface
	CoreV1() corev1client.CoreV1Interface
}

// Target is a workload to follow: a Deployment or a StatefulSet.
type Target struct {
	Part plan.Part
	Ref  plan.Ref
	// MinGeneration is metadata.generation as our own write left it: an older state says nothing about it. 0 takes
	// the workload as it is.
	MinGeneration int64
	// Replicas is what spec.replicas has to be; another count means that somebody else changed it since. Nil takes
	// any.
	Replicas *int32
}

// Request says what to wait for.
type Request struct {
	Namespace string
	// Flow is the value of the label jina.ai/flow on the workloads, replica sets and pods.
	Flow    string
	Targets []Target
	// Timeout of the whole wait; 0 waits until the context ends.
	Timeout time.Duration
	// FailFast says what ends the wait before that; empty is FailFastAuto.
	FailFast FailFast
	// Persist is how long trouble that may pass by itself has to last to be a failure; 0 is 15 seconds.
	Persist time.Duration
}

// FailFast says when a wait gives up on pods before its time is up.
type FailFast string

const (
	// FailFastAuto: as soon as it is plain that a workload cannot come up by itself.
	FailFastAuto FailFast = "auto"
	// FailFastNever: not because of what its pods do. Who repairs a cluster by hand wants the wait to go on.
	FailFastNever FailFast = "never"
)

// EventType says what an [Event] is about.
type EventType string

// The event types.
const (
	// Started comes once, first. Total is set.
	Started EventType = "started"
	// WorkloadProgress: State is new or different, and not done.
	WorkloadProgress EventType = "workload-progress"
	// WorkloadDone: State is done. A workload may leave that state again while others are waited for; it then has a
	// WorkloadProgress.
	WorkloadDone EventType = "workload-done"
	// Notice: Text says what the wait cannot see, or that the connection was lost or is back.
	Notice EventType = "notice"
	// Finished comes last, and only when every workload is done.
	Finished EventType = "finished"
)

// Event is something that a wait has seen. Text from the cluster is free of control sequences.
type Event struct {
	Type EventType
	// State of the workload, for WorkloadProgress and WorkloadDone.
	State State
	// Done of Total workloads are done.
	Done, Total int
	// Text of a Notice.
	Text string
}
