package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
	"github.com/kubectl-jina/kubectl-jina/pkg/verify"
)

// orGoBack is what becomes of a run that has failed: with --atomic everything goes back to what it was before, and the error says
// so behind its cause. Its exit code stays that of the cause. A run that was interrupted, or has lost the Flow to another run, does
// not go back: who interrupts wants an end, and what is there now is perhaps another's.
func (o *upOptions) orGoBack(ctx context.Context, s *session, file *flowFile, c *comparison, progress *progress, cause error) error {
	switch {
	case !o.atomic:
		return cause
	case ctx.Err() != nil:
		return o.notGoneBack(cause)
	case !c.plan.Changed():
		return &exitError{code: exitCode(cause), err: fmt.Errorf("%w\n--atomic: this run had nothing to change, so there is nothing to go back to", causeOnly(cause))}
	}
	progress.Settle()
	progress.Line(firstLine(cause) + "; going back to what was before, as --atomic says")
	progress.Failed(cause)
	left, ready, err := o.goBack(ctx, s, file, c, progress)
	var b strings.Builder
	if err != nil {
		fmt.Fprintf(&b, "The way back (--atomic) was not completed: %v\nRun up again, with the file from before or with a better one: it goes on from any state.", explain(err))
		if ctx.Err() != nil {
			return &exitError{code: codeInterrupted, err: fmt.Errorf("%w\n%s", causeOnly(cause), b.String())}
		}
	} else {
		b.WriteString(wentBackText(c, file.Name, s.namespace, ready))
	}
	if len(left) > 0 {
		fmt.Fprintf(&b, "\nSomebody has changed this since, and it stays: %s.", strings.Join(left, ", "))
	}
	return &exitError{code: exitCode(cause), err: fmt.Errorf("%w\n%s", causeOnly(cause), b.String())}
}

// notGoneBack says of an interrupted run that it did not go back, and how to.
func (o *upOptions) notGoneBack(cause error) error {
	return fmt.Errorf("%w\n--atomic does not go back when it is interrupted: to go back, run up with the file from before", cause)
}

// causeOnly is a failure without what it says to do about it, which holds only where what was applied stays.
func causeOnly(err error) error {
	var failed *rollout.FailedError
	var timeout *rollout.TimeoutError
	var partial *apply.PartialError
	var silent *verify.FailedError
	switch {
	case errors.As(err, &failed):
		return &explained{failedText(failed), err}
	case errors.As(err, &timeout):
		return &explained{timeoutText(timeout), err}
	case errors.As(err, &partial) && exitCode(err) == codeTimeout:
		return fmt.Errorf("timed out while it was applied: %w", partial.Err)
	case errors.As(err, &partial):
		return partial.Err
	case errors.As(err, &silent):
		return silent
	}
	return err
}

// wentBackText says what is there after the way back.
func wentBackText(c *comparison, flowName, namespace string, ready bool) string {
	if c.state.Parent == nil && c.plan.Count(plan.Create, plan.Unknown) == changedObjects(c.plan) {
		return fmt.Sprintf("Went back (--atomic): Flow %s was new in namespace %s, and all of it is deleted.", flowName, namespace)
	}
	text := fmt.Sprintf("Went back (--atomic): Flow %s in namespace %s is as it was before this run", flowName, namespace)
	if ready {
		return text + ", and ready."
	}
	return text + "."
}

func changedObjects(p plan.Plan) int {
	return p.Count(plan.Create, plan.Update, plan.Recreate, plan.Adopt, plan.Unknown)
}

// goBack restores what was changed, waits for it, and deletes what was new; that comes last, as a prune does. What does not come up
// again is no reason to leave behind what was new: it may be what stands in the way. What could not be restored is one: it may
// need what was new. Left are the fields that somebody has changed
// since; ready tells that all workloads were waited for.
func (o *upOptions) goBack(ctx context.Context, s *session, file *flowFile, c *comparison, progress *progress) (left []string, ready bool, err error) {
	var restored apply.Restored
	err = o.withDeadline(ctx, file, func(ctx context.Context) error {
		var err error
		restored, err = s.client.Restore(ctx, c.plan, func(e apply.Event) { progress.Object("restored", "restored", e) })
		return err
	})
	if err != nil {
		return restored.Left, false, err
	}
	ready, waited := o.awaitBack(ctx, s, file, c, restored, progress)
	if ctx.Err() != nil {
		return restored.Left, false, waited
	}
	discarded := o.withDeadline(ctx, file, func(ctx context.Context) error {
		return s.client.Discard(ctx, c.set, c.state, c.plan, func(e apply.Event) { progress.Object("discarded", "deleted", e) })
	})
	return restored.Left, ready, errors.Join(waited, discarded)
}

// awaitBack waits for the workloads as they were before. Those of a Flow that is paused have no pods to wait for.
func (o *upOptions) awaitBack(ctx context.Context, s *session, file *flowFile, c *comparison, restored apply.Restored, progress *progress) (ready bool, err error) {
	targets := backTargets(c.plan, restored, file.Name)
	if len(targets) == 0 || c.state.Parent.IsPaused() {
		return false, nil
	}
	timeout := o.deadline(file)
	progress.Line(fmt.Sprintf("waiting for %s to be ready as before, at most %s", countText(len(targets), "workload"), timeout))
	err = rollout.Wait(ctx, s.typed, rollout.Request{Namespace: s.namespace, Flow: file.Name, Targets: targets, Timeout: timeout}, progress.Handle)
	return err == nil, causeOnly(explain(err))
}

// backTargets are the workloads that are there after the way back. What was adopted is not followed: before that it had no label
// of the Flow.
func backTargets(p plan.Plan, restored apply.Restored, flowName string) []rollout.Target {
	var targets []rollout.Target
	for _, ch := range p.Changes {
		if ch.Object == nil || !plan.IsWorkload(ch.Ref.GroupVersionKind().GroupKind()) {
			continue
		}
		generation := ch.Generation
		if ch.Action != plan.Keep {
			g, is := restored.Generations[ch.Ref]
			if !is || ch.Live.GetLabels()[plan.LabelFlow] != flowName {
				continue
			}
			generation = g
		}
		targets = append(targets, rollout.Target{Part: ch.Part, Ref: ch.Ref, MinGeneration: generation})
	}
	return targets
}
