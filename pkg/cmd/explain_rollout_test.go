package cmd

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

func failedState(name string, cause rollout.Cause) rollout.State {
	return rollout.State{
		Part: plan.Part{Role: plan.RoleExecutor, Executor: name}, Ref: plan.Ref{Kind: "Deployment", Namespace: "search", Name: name},
		Wanted: 2, Observed: true, Trouble: true, Failure: cause.Text(), Cause: &cause,
	}
}

func TestAFailedRolloutIsToldCauseFirst(t *testing.T) {
	crash := failedState("encoder", rollout.Cause{
		Kind: rollout.CauseCrash, Summary: "crashes: exit code 1, 2 restarts", Container: "executor", Pod: "encoder-1-a", Pods: 2,
		Logs: []string{"Traceback (most recent call last):", `  File "executor.py", line 7`, "ModuleNotFoundError: no torch"}, Remedy: "see the log",
	})
	crash.Serving = 2
	image := failedState("ranker", rollout.Cause{
		Kind: rollout.CauseImage, Summary: "image `r:1` not found", Pods: 1, Message: "manifest unknown", LogNote: "its log is empty", Remedy: "push it",
	})
	waiting := failedState("store", rollout.Cause{Kind: rollout.CauseUnschedulable, Summary: "0/3 nodes have nvidia.com/gpu free"})
	waiting.Failure, waiting.Reason = "", "0/3 nodes have nvidia.com/gpu free"
	err := explain(fmt.Errorf("up: %w", &rollout.FailedError{Targets: []rollout.State{crash, image}, Others: []rollout.State{waiting}, Done: 1, Total: 4}))
	want := "the rollout failed: 1 of 4 workloads ready\n" +
		"executor `encoder`: crashes: exit code 1, 2 restarts (2 pods)\n" +
		"    the last lines of container executor of pod encoder-1-a:\n" +
		"      | Traceback (most recent call last):\n" +
		"      |   File \"executor.py\", line 7\n" +
		"      | ModuleNotFoundError: no torch\n" +
		"    to do: see the log\n" +
		"executor `ranker`: image `r:1` not found\n" +
		"    the cluster says: manifest unknown\n" +
		"    its log is empty\n" +
		"    to do: push it\n" +
		"not ready either: executor `store`: 0/3 nodes have nvidia.com/gpu free\n" +
		"Still serving, of the revision before: executor `encoder` with 2 pods."
	if got := err.Error(); !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if last := lastLineOf(err); !strings.Contains(last, "`kubectl jina status -n search`") {
		t.Errorf("it ends with %q, which does not say what to do", last)
	}
	if exitCode(err) != codeRollout {
		t.Errorf("exit code %d", exitCode(err))
	}
}

func lastLineOf(err error) string {
	lines := strings.Split(err.Error(), "\n")
	return lines[len(lines)-1]
}

func TestATimeoutIsToldWithWhatIsStillLoading(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	loading := failedState("encoder", rollout.Cause{})
	loading.Failure, loading.Cause, loading.Reason = "", nil, "loading"
	loading.Since, loading.Allowed = at.Add(-125*time.Second), 10*time.Minute
	err := explain(&rollout.TimeoutError{Timeout: 2 * time.Minute, At: at, NotReady: []rollout.State{loading}, Done: 1, Total: 2})
	if want := "timed out after 2m0s: 1 of 2 workloads ready\n  encoder: 0/2 ready: loading for 2 min 5 s of at most 10 min\n"; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got\n%s", err)
	}
	if exitCode(err) != codeTimeout {
		t.Errorf("exit code %d", exitCode(err))
	}
	unreadable := explain(&rollout.TimeoutError{Timeout: time.Minute, NotReady: []rollout.State{loading}, Cause: errors.New("connection refused"), Total: 1})
	if last := lastLineOf(unreadable); !strings.HasSuffix(last, "the cluster could not be read at the end: connection refused") {
		t.Errorf("it ends with %q", last)
	}
}

func TestAThousandFailuresStayReadable(t *testing.T) {
	failed := &rollout.FailedError{Total: 1000}
	for i := range 1000 {
		failed.Targets = append(failed.Targets, failedState(fmt.Sprint("e", i), rollout.Cause{Summary: "image `x` not found", Remedy: "push it"}))
	}
	lines := strings.Split(explain(failed).Error(), "\n")
	if want := 1 + 2*maxExplained + maxNamed + 2; len(lines) != want {
		t.Errorf("%d lines, want %d", len(lines), want)
	}
	if n := strings.Count(explain(failed).Error(), "to do: "); n != maxExplained {
		t.Errorf("%d remedies", n)
	}
}
