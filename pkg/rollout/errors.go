package rollout

import (
	"fmt"
	"strings"
	"time"
)

// FailedError says that workloads cannot come up by themselves.
type FailedError struct {
	// Targets that failed, in the order of the request.
	Targets []State
	// Others are not done either, and something is wrong with them that may pass.
	Others []State
	// At is when the wait gave up.
	At time.Time
	// Done of Total workloads are done.
	Done, Total int
}

// Error names every failed workload and its cause, a line each.
func (e *FailedError) Error() string {
	return fmt.Sprintf("the rollout failed: %d of %d workloads are ready%s", e.Done, e.Total, stateLines(e.Targets, failureLine))
}

// TimeoutError says that time ran out before every workload was ready.
type TimeoutError struct {
	Timeout time.Duration
	// NotReady are the workloads that were not, in the order of the request.
	NotReady []State
	// At is when the wait gave up.
	At time.Time
	// Done of Total workloads are done.
	Done, Total int
	// Cause is why the cluster could not be read at the end; nil when it could.
	Cause error
}

// Error names the workloads that are not ready and what was seen on their pods, a line each.
func (e *TimeoutError) Error() string {
	cause := ""
	if e.Cause != nil {
		cause = "\n  the cluster could not be read at the end: " + PlainText(e.Cause.Error())
	}
	return fmt.Sprintf("timed out after %s: %d of %d workloads are ready%s%s", e.Timeout, e.Done, e.Total, stateLines(e.NotReady, State.String), cause)
}

// Unwrap returns the cause.
func (e *TimeoutError) Unwrap() error { return e.Cause }

// maxStateLines keeps an error of a Flow of a thousand executors readable.
const maxStateLines = 20

// failureLine is a failed state in the Flow's words.
func failureLine(s State) string { return Subject(s.Part) + detailOf(s.Why()) }

func stateLines(states []State, line func(State) string) string {
	var b strings.Builder
	for i, s := range states {
		if i == maxStateLines {
			fmt.Fprintf(&b, "\n  … and %d more", len(states)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s", line(s))
	}
	return b.String()
}
