package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// carryOut carries out what was shown. When there is something to write it does so alone, and on a plan made again then.
func (o *upOptions) carryOut(ctx context.Context, s *session, file *flowFile, shown *comparison, progress *progress) error {
	if !shown.plan.Changed() {
		return o.apply(ctx, s, file, shown, progress)
	}
	return s.alone(ctx, "up", shown.set, o.deadline(file), progress.Line, func(ctx context.Context, _ *apply.Lock) error {
		now, err := o.compare(ctx, s, file)
		if err != nil {
			return err
		}
		if err := o.stillAsShown(s, shown, now, progress); err != nil {
			return err
		}
		return o.apply(ctx, s, file, now, progress)
	})
}

// stillAsShown stops when the cluster has moved on so that something would be written that the plan did not show.
func (o *upOptions) stillAsShown(s *session, shown, now *comparison, progress *progress) error {
	changes, conflicts := now.plan.Beyond(shown.plan)
	if len(changes) == 0 && len(conflicts) == 0 {
		return nil
	}
	progress.Line("\nThe cluster has changed. This would now be done, and was not shown:")
	progress.Plan(now.set.Flow, s.namespace, plan.Plan{Changes: changes, Conflicts: conflicts})
	return &exitError{code: codeConflict, err: errors.New("the cluster has changed since the plan was made: nothing was applied; look at the difference above and run the command again")}
}

// apply applies the plan, waits for the rollout and deletes what is to go.
func (o *upOptions) apply(ctx context.Context, s *session, file *flowFile, c *comparison, progress *progress) error {
	if err := o.awaitLeaving(ctx, s, file, c, progress); err != nil {
		return err
	}
	opts := apply.Options{Force: o.forceConflicts, Record: apply.Record{Graph: graphOf(file.Flow), Options: file.Recorded}}
	var result apply.Result
	err := o.withDeadline(ctx, file, func(ctx context.Context) error {
		var err error
		result, err = s.client.Run(ctx, c.set, c.state, c.plan, opts, progress.Objects("applied", "applied", changedObjects(c.plan)))
		return err
	})
	if err != nil {
		return o.orGoBack(ctx, s, file, c, progress, explainApply(err, time.Now()))
	}
	o.paused = c.state.Parent.IsPaused()
	if !o.wait {
		return nil
	}
	// Nothing of a paused Flow runs: there is nothing to wait for, and nobody who still calls what is to go.
	if !o.paused {
		if err := o.follow(ctx, s, file, c.plan, result, progress); err != nil {
			return o.orGoBack(ctx, s, file, c, progress, err)
		}
		if err := o.verify(ctx, s, file, progress); err != nil {
			return o.orGoBack(ctx, s, file, c, progress, err)
		}
	}
	err = o.withDeadline(ctx, file, func(ctx context.Context) error {
		return s.client.Prune(ctx, c.set, c.state, c.plan, opts, progress.Objects("pruned", "deleted", c.plan.Count(plan.Prune)))
	})
	return interrupted(ctx, err, "everything is applied, but not all is gone that is no longer in the file; run the same command again to go on")
}

// awaitLeaving waits for wanted objects that an earlier command has told to go.
func (o *upOptions) awaitLeaving(ctx context.Context, s *session, file *flowFile, c *comparison, progress *progress) error {
	if len(c.leaving) == 0 {
		return nil
	}
	progress.Line(fmt.Sprintf("waiting for %s to be gone that are still being deleted", countText(len(c.leaving), "object")))
	return o.withDeadline(ctx, file, func(ctx context.Context) error { return s.client.WaitGone(ctx, c.set, c.leaving) })
}

// deadline is how long up waits: what was asked for, else what the startup probes allow.
func (o *upOptions) deadline(file *flowFile) time.Duration {
	if o.timeout > 0 {
		return o.timeout
	}
	return plan.StartupBudget(file.Objects)
}

// withDeadline runs a step within the deadline; when that ends it the error says so.
func (o *upOptions) withDeadline(ctx context.Context, file *flowFile, wait func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, o.deadline(file))
	defer cancel()
	err := wait(limited)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return &exitError{code: codeTimeout, err: fmt.Errorf("timed out after %s: %w", o.deadline(file), err)}
	}
	return explain(err)
}

// mayGoOn stops at conflicts, sees to the rights that this plan needs, and asks for what destroys.
func (o *upOptions) mayGoOn(ctx context.Context, s *session, file *flowFile, c *comparison) error {
	if err := apply.Refuse(c.plan, o.forceConflicts); err != nil {
		return explainApply(err, time.Now())
	}
	if err := s.mayCarryOut(ctx, c.plan, o.atomic); err != nil {
		return err
	}
	var dropped []string
	if c.state.Parent != nil {
		dropped = droppedOptions(c.state.Parent.Options(), file.Recorded)
	}
	ask := func(ctx context.Context, question, instead string) error {
		return confirm(ctx, o.IOStreams, false, question, instead)
	}
	return o.consent.seek(ctx, ask, c.plan, dropped)
}

func (o *upOptions) notWaited(c *comparison, file *flowFile, s *session, progress *progress) error {
	if n := keptMembers(c.plan); o.prune && n > 0 {
		progress.Line(countText(n, "object") + " not deleted: nothing is without a wait; run up again without --wait=false")
	}
	if o.paused {
		return o.stayedPaused(file, s)
	}
	_, err := fmt.Fprintf(o.Out, "Flow %s is applied in namespace %s; `kubectl jina status -n %s` shows how far it is\n", file.Name, s.namespace, s.namespace)
	return err
}

// stayedPaused says what became of a Flow that is paused.
func (o *upOptions) stayedPaused(file *flowFile, s *session) error {
	_, err := fmt.Fprintf(o.Out, "Flow %s is applied in namespace %s, and stays paused: nothing of it runs; `kubectl jina resume --flow %s -n %s` starts it\n",
		file.Name, s.namespace, file.Name, s.namespace)
	return err
}

// keptMembers counts the objects that are no longer in the Flow and stay.
func keptMembers(p plan.Plan) int {
	n := 0
	for _, c := range p.Changes {
		if c.Action == plan.Keep && c.Object == nil {
			n++
		}
	}
	return n
}

// preflight runs the checks; only what decides can fail.
func (o *upOptions) preflight(ctx context.Context, s *session, file *flowFile, progress *progress) error {
	facts := meshcheck.Collect(ctx, meshcheck.ClientsFor(s.typed), meshcheck.Request{
		Namespace:         s.namespace,
		Mesh:              meshcheck.Mesh(o.mesh),
		Pod:               plan.GatewayPod(file.Objects),
		Permissions:       meshcheck.UpPermissions(plan.Kinds(file.Objects)),
		MultiReplicaParts: multiReplicaParts(file.Objects),
	})
	if err := facts.Unreachable(); err != nil {
		return err
	}
	results := meshcheck.Evaluate(facts)
	progress.Checks(results)
	return meshcheck.Failed(results)
}

// multiReplicaParts names the parts of the Flow with more than one replica.
func multiReplicaParts(objects []plan.Object) []string {
	var parts []string
	for _, o := range objects {
		if n, ok, _ := unstructured.NestedInt64(o.Object, "spec", "replicas"); ok && n > 1 {
			parts = append(parts, o.Part.String())
		}
	}
	return parts
}

// follow waits for the rollout of the workloads.
func (o *upOptions) follow(ctx context.Context, s *session, file *flowFile, p plan.Plan, result apply.Result, progress *progress) error {
	timeout := o.deadline(file)
	var targets []rollout.Target
	for _, c := range p.Changes {
		if c.Object != nil && plan.IsWorkload(c.Ref.GroupVersionKind().GroupKind()) {
			targets = append(targets, rollout.Target{Part: c.Part, Ref: c.Ref, MinGeneration: result.Generations[c.Ref]})
		}
	}
	progress.Line(fmt.Sprintf("waiting for %s, at most %s", countText(len(targets), "workload"), timeout))
	err := rollout.Wait(ctx, s.typed, rollout.Request{
		Namespace: s.namespace, Flow: file.Name, Targets: targets, Timeout: timeout, FailFast: rollout.FailFast(o.failFast),
	}, progress.Handle)
	if errors.Is(err, context.Canceled) {
		return &exitError{code: codeInterrupted, err: fmt.Errorf("interrupted while waiting: everything is applied, the rollout goes on by itself; "+
			"`kubectl jina status -n %s` shows how far it is", s.namespace)}
	}
	return explain(err)
}
