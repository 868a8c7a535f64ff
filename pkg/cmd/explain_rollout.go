package cmd

import (
	"fmt"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

const (
	// maxExplained workloads are explained in full; a Flow of a thousand executors mostly fails for one reason.
	maxExplained = 5
	// maxNamed more are named, a line each.
	maxNamed = 15
)

// explainFailed says why a rollout has failed: the causes first, then what still runs, then what to do.
func explainFailed(e *rollout.FailedError) string {
	return failedText(e) + whatToDo(e.Targets)
}

// failedText is the causes and what still runs.
func failedText(e *rollout.FailedError) string {
	var b strings.Builder
	fmt.Fprintf(&b, "the rollout failed: %d of %s ready", e.Done, countText(e.Total, "workload"))
	writeCauses(&b, e.Targets, func(s rollout.State) string { return rollout.Subject(s.Part) + after(": ", s.Why()) })
	for i, s := range e.Others {
		if i == maxExplained {
			fmt.Fprintf(&b, "\nnot ready either: %d more", len(e.Others)-i)
			break
		}
		fmt.Fprintf(&b, "\nnot ready either: %s%s", rollout.Subject(s.Part), after(": ", s.Why()))
	}
	writeWhatRuns(&b, e.Targets)
	return b.String()
}

// explainTimeout says what a rollout was at when its time was up.
func explainTimeout(e *rollout.TimeoutError) string {
	if e.Cause != nil {
		return timeoutText(e)
	}
	return timeoutText(e) + whatToDo(e.NotReady)
}

// timeoutText is what was not ready, why, and what still runs.
func timeoutText(e *rollout.TimeoutError) string {
	var b strings.Builder
	fmt.Fprintf(&b, "timed out after %s: %d of %s ready", e.Timeout, e.Done, countText(e.Total, "workload"))
	writeCauses(&b, e.NotReady, func(s rollout.State) string { return "  " + s.String() + after(" ", s.Elapsed(e.At)) })
	if e.Cause != nil {
		fmt.Fprintf(&b, "\n  the cluster could not be read at the end: %s", rollout.PlainText(e.Cause.Error()))
		return b.String()
	}
	writeWhatRuns(&b, e.NotReady)
	return b.String()
}

// writeCauses writes a line for each state, and below it what shows the cause and what helps.
func writeCauses(b *strings.Builder, states []rollout.State, line func(rollout.State) string) {
	for i, s := range states {
		if i == maxExplained+maxNamed {
			fmt.Fprintf(b, "\n  … and %d more", len(states)-i)
			return
		}
		fmt.Fprintf(b, "\n%s", line(s))
		if i < maxExplained && s.Cause != nil {
			writeEvidence(b, *s.Cause)
		}
	}
}

func writeEvidence(b *strings.Builder, c rollout.Cause) {
	if c.Message != "" && !strings.Contains(c.Summary, c.Message) {
		fmt.Fprintf(b, "\n    the cluster says: %s", c.Message)
	}
	if len(c.Logs) > 0 {
		fmt.Fprintf(b, "\n    the last lines of container %s of pod %s:", c.Container, c.Pod)
		for _, l := range c.Logs {
			fmt.Fprintf(b, "\n      | %s", l)
		}
	}
	if c.LogNote != "" {
		fmt.Fprintf(b, "\n    %s", c.LogNote)
	}
	if c.Remedy != "" {
		fmt.Fprintf(b, "\n    to do: %s", c.Remedy)
	}
}

// writeWhatRuns names what still serves of the revisions before.
func writeWhatRuns(b *strings.Builder, states []rollout.State) {
	var serving []string
	for _, s := range states {
		if s.Serving > 0 {
			serving = append(serving, fmt.Sprintf("%s with %s", rollout.Subject(s.Part), countText(int(s.Serving), "pod")))
		}
	}
	const few = 5
	if more := len(serving) - few; more > 0 {
		serving = append(serving[:few], fmt.Sprintf("%d more", more))
	}
	if len(serving) > 0 {
		fmt.Fprintf(b, "\nStill serving, of the revision before: %s.", strings.Join(serving, ", "))
	}
}

// whatToDo is the end of a text about a rollout whose objects stay as they were applied.
func whatToDo(states []rollout.State) string {
	at := ""
	if len(states) > 0 && states[0].Ref.Namespace != "" {
		at = " -n " + states[0].Ref.Namespace
	}
	return fmt.Sprintf("\nWhat was applied stays applied, and the cluster goes on trying. Mend the cause and run the same command again; `kubectl jina status%s` shows how far it is.", at)
}

// after is text behind a separator, or nothing when there is none.
func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}
