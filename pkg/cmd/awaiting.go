package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// waitFlags are those of the commands that wait for what they have set going, within a budget of its own.
type waitFlags struct {
	wait    bool
	timeout time.Duration
}

// bindWait adds the flags; the texts say what is waited for, and what a timeout of 0 takes.
func (w *waitFlags) bindWait(fs *pflag.FlagSet, wait, timeout string) {
	fs.BoolVar(&w.wait, "wait", true, wait)
	fs.DurationVar(&w.timeout, "timeout", 0, timeout)
}

func (w *waitFlags) validateWait() error {
	if w.timeout < 0 {
		return usageErrorf("--timeout: %s is negative", w.timeout)
	}
	return nil
}

// awaiting follows what a command has set going in a Flow. One deadline holds for all that it waits for.
type awaiting struct {
	session  *session
	flow     string
	timeout  time.Duration
	until    time.Time
	progress *progress
	// goesOn says what becomes of it without the command, for who interrupts the wait.
	goesOn string
}

// await starts the clock, and says how long it runs: as asked for, or where that is 0, within the budget.
func (s *session) await(flowName string, asked, budget time.Duration, progress *progress, goesOn string) *awaiting {
	if asked == 0 {
		asked = budget
		progress.Line(fmt.Sprintf("waiting at most %s, which the probes and the time to end allow; --timeout takes another", asked))
	}
	return &awaiting{session: s, flow: flowName, timeout: asked, until: time.Now().Add(asked), progress: progress, goesOn: goesOn}
}

// ready waits until the newest revision of each target is available in full.
func (a *awaiting) ready(ctx context.Context, targets []rollout.Target) error {
	return a.wait(ctx, rollout.Wait, targets, a.progress.Handle)
}

// gone waits until no target has more pods than it is to have, those that are on their way out included. Where that is so from the
// beginning it says nothing.
func (a *awaiting) gone(ctx context.Context, targets []rollout.Target) error {
	var held []rollout.Event
	quiet := true
	return a.wait(ctx, rollout.WaitGone, targets, func(e rollout.Event) {
		held = append(held, e)
		if quiet = quiet && e.Type != rollout.WorkloadProgress && e.Type != rollout.Notice; quiet {
			return
		}
		for _, h := range held {
			a.progress.Handle(h)
		}
		held = nil
	})
}

// waitFunc is rollout.Wait, or one like it.
type waitFunc func(context.Context, rollout.Clients, rollout.Request, func(rollout.Event)) error

func (a *awaiting) wait(ctx context.Context, how waitFunc, targets []rollout.Target, emit func(rollout.Event)) error {
	if len(targets) == 0 {
		return nil
	}
	// 0 would be no limit at all.
	left := max(time.Until(a.until), time.Millisecond)
	err := how(ctx, a.session.typed, rollout.Request{Namespace: a.session.namespace, Flow: a.flow, Targets: targets, Timeout: left}, emit)
	var timeout *rollout.TimeoutError
	switch {
	case errors.Is(err, context.Canceled):
		return &exitError{code: codeInterrupted, err: fmt.Errorf("interrupted while waiting: %s", a.goesOn)}
	case errors.As(err, &timeout):
		timeout.Timeout = a.timeout // what was left of it says nothing
	}
	return explain(err)
}

// planObjects are live parts as the plan's functions about time take them.
func planObjects(parts []livePart) []plan.Object {
	objects := make([]plan.Object, len(parts))
	for i, p := range parts {
		objects[i] = plan.Object{Unstructured: p.object, Part: p.part}
	}
	return objects
}

// target is a part to wait for.
func (p livePart) target() rollout.Target {
	return rollout.Target{Part: p.part, Ref: plan.RefOf(p.object)}
}

// targetWith is a part that is to have a number of replicas.
func (p livePart) targetWith(replicas int32) rollout.Target {
	t := p.target()
	t.Replicas = &replicas
	return t
}
