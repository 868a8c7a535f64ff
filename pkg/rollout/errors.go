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
	// Done of Total workloads are done.
	Done, Total int
}

// Error names every failed workload and its cause, a line each.
func (e *FailedError) Error() string {
	return fmt.Sprintf("the rollout failed: %d of %d workloads are ready%s", e.Done, e.Total, stateLines(e.Targets))
}

// TimeoutError says that time ran out before every workload was ready.
type TimeoutError struct {
	Timeout time.Duration
	// NotReady are the workloads that were not, in the order of the request.
	NotReady []State
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
	return fmt.Sprintf("timed out after %s: %d of %d workloads are ready%s%s", e.Timeout, e.Done, e.Total, stateLines(e.NotReady), cause)
}

// Unwrap returns the cause.
func (e *TimeoutError) Unwrap() error { return e.Cause }

// maxStateLines keeps an error of a Flow of a thousand executors readable.
const maxStateLines = 20

func stateLines(states []State) string {
	var b strings.Builder
	for i, s := range states {
		if i == maxStateLines {
			fmt.Fprintf(&b, "\n  … and %d more", len(states)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s", s)
	}
	return b.String()
}
