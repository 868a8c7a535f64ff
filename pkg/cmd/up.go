package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

var (
	upLong = templates.LongDesc(`
		Bring a Flow or Deployment file to the cluster and wait until all of it runs.

		up makes a plan, checks that the cluster can take it (API, namespace, permissions, Linkerd's injector), applies
		the objects by server-side apply as the field manager kubectl-jina, waits until every workload's new revision
		is available, and then deletes what the file no longer has. An unchanged Flow costs no write.

		Nobody's field is taken over unless --force-conflicts says so, replicas that somebody else has set (scale,
		kubectl scale, an autoscaler) stay as they are, and nothing is deleted without an answer or --yes.

		Exit codes: 0 done or nothing to do, 3 something belongs to somebody else, 4 a check failed, 5 the rollout
		failed, 6 timed out, 64 the file or the command line is wrong, 130 interrupted.`)

	upExample = templates.Examples(`
		# Bring the Flow up in the current namespace and wait for it
		kubectl jina up -f flow.yml

		# In another namespace, without a service mesh
		kubectl jina up -f flow.yml -n search --mesh none

		# Apply and return at once; nothing is deleted then
		kubectl jina up -f flow.yml --wait=false`)
)

type upOptions struct {
	flowFlags
	mesh           string
	wait           bool
	timeout        time.Duration
	forceConflicts bool
	prune          bool
	yes            bool

	factory *factory
	genericiooptions.IOStreams
}

func newUpCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &upOptions{factory: f, IOStreams: streams}
	c := &cobra.Command{
		Use:     "up -f FILE",
		Short:   "Bring a Flow to the cluster and wait until it runs",
		Long:    upLong,
		Example: upExample,
		Args:    noArgs,
		RunE:    validateAndRun(o),
	}
	o.bind(c.Flags())
	o.bindStrict(c.Flags())
	fs := c.Flags()
	fs.StringVar(&o.mesh, "mesh", string(meshcheck.MeshLinkerd), "Service mesh that balances between replicas: linkerd, or none to go on without")
	fs.BoolVar(&o.wait, "wait", true, "Wait until the new revision of every workload is available")
	fs.DurationVar(&o.timeout, "timeout", 0, "How long to wait; 0 takes what the startup probes allow, and prints it")
	fs.BoolVar(&o.forceConflicts, "force-conflicts", false, "Take over fields that belong to other field managers")
	fs.BoolVar(&o.prune, "prune", true, "Delete what is no longer in the file, after the rollout")
	fs.BoolVarP(&o.yes, "yes", "y", false, "Delete what the plan says without asking")
	return c
}

// Validate the flags.
func (o *upOptions) Validate() error {
	if _, err := meshcheck.ParseMesh(o.mesh); err != nil {
		return usageErrorf("--mesh: %w", err)
	}
	if o.timeout < 0 {
		return usageErrorf("--timeout: %s is negative", o.timeout)
	}
	if o.timeout > 0 && !o.wait {
		return usageErrorf("--timeout limits the wait that --wait=false leaves out: drop one of the two")
	}
	return nil
}

// Run brings the Flow up.
func (o *upOptions) Run(ctx context.Context) error {
	s, file, err := o.factory.open(&o.flowFlags, o.IOStreams)
	if err != nil {
		return err
	}
	if err := o.preflight(ctx, s, file); err != nil {
		return err
	}
	c, err := s.compare(ctx, file.Name, file.Objects, o.forceConflicts)
	if err != nil {
		return err
	}
	if !o.prune {
		keepPrunes(&c.plan)
	}
	printPlan(o.ErrOut, file.Name, s.namespace, c.plan)
	if err := o.mayGoOn(ctx, s, c.plan); err != nil {
		return err
	}
	progress := newProgress(o.ErrOut, o.factory.terminal())
	defer progress.Close()
	if err := o.awaitLeaving(ctx, s, file, c, progress); err != nil {
		return err
	}
	opts := apply.Options{Force: o.forceConflicts, Graph: graphOf(file.Flow)}
	result, err := s.client.Run(ctx, c.set, c.state, c.plan, opts, announce(progress, c.plan))
	if err != nil {
		return explainApply(err)
	}
	if !o.wait {
		return o.notWaited(c.plan, file, s)
	}
	if err := o.follow(ctx, s, file, c.plan, result, progress); err != nil {
		return err
	}
	err = o.withDeadline(ctx, file, func(ctx context.Context) error {
		return s.client.Prune(ctx, c.set, c.plan, opts, func(e apply.Event) {
			progress.Line(fmt.Sprintf("deleted %s", e.Ref))
		})
	})
	if err != nil {
		return err
	}
	progress.Close()
	return printRunning(o.Out, file, s.namespace)
}

// announce prints what is applied, a line an object; of many objects only how far it is, ten times.
func announce(progress *progress, p plan.Plan) func(apply.Event) {
	const few = 30
	total := p.Count(plan.Create, plan.Update, plan.Unknown)
	done := 0
	return func(e apply.Event) {
		done++
		switch {
		case total <= few:
			progress.Line(fmt.Sprintf("applied %s", e.Ref))
		case done*10/total > (done-1)*10/total:
			progress.Line(fmt.Sprintf("applied %d of %d objects", done, total))
		}
	}
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

// withDeadline runs a wait for objects to be gone.
func (o *upOptions) withDeadline(ctx context.Context, file *flowFile, wait func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, o.deadline(file))
	defer cancel()
	err := wait(limited)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return &exitError{code: codeTimeout, err: fmt.Errorf("timed out after %s: %w", o.deadline(file), err)}
	}
	return explain(err)
}

// mayGoOn stops at conflicts, and before something is deleted sees to the right to do so, and asks.
func (o *upOptions) mayGoOn(ctx context.Context, s *session, p plan.Plan) error {
	if err := apply.Refuse(p, o.forceConflicts); err != nil {
		return explainApply(err)
	}
	if n := p.Count(plan.Prune); n > 0 && o.wait {
		if err := s.mayPrune(ctx, p); err != nil {
			return err
		}
		question := fmt.Sprintf("The plan deletes %s that the file no longer has. Go on?", countText(n, "object"))
		return confirm(ctx, o.IOStreams, o.yes, question, "--yes to delete, or --prune=false to keep them")
	}
	return nil
}

// mayPrune checks the right to delete what the plan deletes; the preflight could not know of it.
func (s *session) mayPrune(ctx context.Context, p plan.Plan) error {
	var kinds []schema.GroupKind
	for _, c := range p.Changes {
		if c.Action == plan.Prune {
			kinds = append(kinds, c.Ref.GroupVersionKind().GroupKind())
		}
	}
	facts := meshcheck.Collect(ctx, meshcheck.ClientsFor(s.typed), meshcheck.Request{
		Namespace: s.namespace, Mesh: meshcheck.MeshNone, Permissions: meshcheck.PrunePermissions(kinds),
	})
	return meshcheck.Failed(meshcheck.Evaluate(facts))
}

// keepPrunes turns what would be deleted into what is kept.
func keepPrunes(p *plan.Plan) {
	for i := range p.Changes {
		if p.Changes[i].Action == plan.Prune {
			p.Changes[i].Action, p.Changes[i].Reason = plan.Keep, "no longer in the Flow; kept because of --prune=false"
		}
	}
}

func (o *upOptions) notWaited(p plan.Plan, file *flowFile, s *session) error {
	if n := p.Count(plan.Prune); n > 0 {
		fmt.Fprintf(o.ErrOut, "%s not deleted: nothing is without a wait; run up again without --wait=false\n", countText(n, "object"))
	}
	_, err := fmt.Fprintf(o.Out, "Flow %s is applied in namespace %s; `kubectl jina status -n %s` shows how far it is\n", file.Name, s.namespace, s.namespace)
	return err
}

// preflight runs the checks; only what decides can fail.
func (o *upOptions) preflight(ctx context.Context, s *session, file *flowFile) error {
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
	printNotable(o.ErrOut, results)
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
		if c.Object != nil && isWorkload(c.Ref.Kind) {
			targets = append(targets, rollout.Target{Part: c.Part, Ref: c.Ref, MinGeneration: result.Generations[c.Ref]})
		}
	}
	progress.Line(fmt.Sprintf("waiting for %s, at most %s", countText(len(targets), "workload"), timeout))
	err := rollout.Wait(ctx, s.typed, rollout.Request{Namespace: s.namespace, Flow: file.Name, Targets: targets, Timeout: timeout}, progress.Handle)
	if errors.Is(err, context.Canceled) {
		return &exitError{code: codeInterrupted, err: fmt.Errorf("interrupted while waiting: everything is applied, the rollout goes on by itself; "+
			"`kubectl jina status -n %s` shows how far it is", s.namespace)}
	}
	return explain(err)
}

func isWorkload(kind string) bool { return kind == "Deployment" || kind == "StatefulSet" }
