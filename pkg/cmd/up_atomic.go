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
		return notGoneBack(ctx, cause)
	case !c.plan.Changed():
		return &exitError{code: exitCode(cause), err: fmt.Errorf("%w\n--atomic: this run had nothing to change, so there is nothing to go back to", causeOnly(cause))}
	}
	progress.Settle()
	progress.Line(strings.TrimSuffix(firstLine(cause), ":") + "; going back to what was before, as --atomic says")
	progress.Failed(cause)
	restored, ready, err := o.goBack(ctx, s, file, c, progress)
	left := restored.Left
	var b strings.Builder
	if err != nil {
		fmt.Fprintf(&b, "The way back (--atomic) was not completed: %v\n%s\nRun up again, with the file from before or with a better one: it goes on from any state.",
			wayBackError(ctx, err), howFarBack(len(restored.Generations), c.plan))
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

// notGoneBack says of a run that was interrupted, or has lost the Flow to another one, that it did not go back, and how to.
func notGoneBack(ctx context.Context, cause error) error {
	if lost := (*apply.LostError)(nil); errors.As(context.Cause(ctx), &lost) {
		return fmt.Errorf("%w\n--atomic does not go back when another run has taken over: what is there now may be its; look at it with `kubectl jina status` and `kubectl jina plan`", cause)
	}
	cause = interrupted(ctx, cause, "") // said here already: whoever does it later would leave out what follows
	return &exitError{code: exitCode(cause), err: fmt.Errorf("%w\n--atomic does not go back when it is interrupted: to go back, run up with the file from before", cause)}
}

// wayBackError is why the way back has ended before its end.
func wayBackError(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return explain(err)
}

// howFarBack says how much of what a run has changed is as it was before.
func howFarBack(restored int, p plan.Plan) string {
	var parts []string
	there := wereThere(p)
	if there > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s that this run was to change are as before it", restored, countText(there, "object")))
	}
	if changedObjects(p) > there {
		parts = append(parts, "what it has made is there, as far as it is not said to be deleted")
	}
	return strings.Join(parts, "; ") + "."
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

// changedObjects counts what a run writes, but for prunes.
func changedObjects(p plan.Plan) int {
	return p.Count(plan.Create, plan.Update, plan.Recreate, plan.Adopt, plan.Unknown)
}

// wereThere counts those of them that were there before.
func wereThere(p plan.Plan) int {
	n := 0
	for _, ch := range p.Changes {
		if ch.Object != nil && ch.Live != nil && ch.Action != plan.Keep {
			n++
		}
	}
	return n
}

// goBack restores what was changed, waits for it, and deletes what was new; that comes last, as a prune does. What does not come up
// again is no reason to leave behind what was new: it may be what stands in the way. What could not be restored is one: it may
// need what was new. Left are the fields that somebody has changed
// since; ready tells that all workloads were waited for.
func (o *upOptions) goBack(ctx context.Context, s *session, file *flowFile, c *comparison, progress *progress) (restored apply.Restored, ready bool, err error) {
	there := wereThere(c.plan)
	err = o.withDeadline(ctx, file, func(ctx context.Context) error {
		var err error
		restored, err = s.client.Restore(ctx, c.plan, progress.Objects("restored", "restored", there))
		return err
	})
	if err != nil {
		return restored, false, err
	}
	ready, waited := o.awaitBack(ctx, s, file, c, restored, progress)
	if ctx.Err() != nil {
		return restored, false, waited
	}
	discarded := o.withDeadline(ctx, file, func(ctx context.Context) error {
		return s.client.Discard(ctx, c.set, c.state, c.plan, progress.Objects("discarded", "deleted", changedObjects(c.plan)-there))
	})
	return restored, ready, errors.Join(waited, discarded)
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
