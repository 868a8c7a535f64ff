package cmd

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

var (
	upLong = templates.LongDesc(`
		Bring a Flow or Deployment file to the cluster and wait until all of it runs.

		up makes a plan, checks that the cluster can take it (API, namespace, permissions, Linkerd's injector), applies
		the objects by server-side apply as the field manager kubectl-jina, waits until every workload's new revision
		is available and the Flow answers, and then deletes what the file no longer has. An unchanged Flow costs no write.

		What is applied is what the plan showed: when the cluster has moved on meanwhile so that something else would be
		written, up shows the difference and stops. A Lease keeps two runs on one Flow apart.

		Nobody's field is taken over unless --force-conflicts says so. Replicas that somebody else has set (scale, kubectl
		scale, an autoscaler) stay as they are, unless the file's have changed or --reset-replicas is given. Nothing is
		deleted without an answer or --yes; objects that kubectl has made of Jina's export are taken over with an answer
		or --adopt; what cannot be changed in place is made again with --recreate.

		With --atomic a run that does not end well goes back: what it changed is what it was, with the owners of each field, what
		was new is deleted, and up waits for that, too. The exit code is still that of the cause.

		Options that the last run had and this one lacks (--image, --context-var, --jina-version) need an answer or --yes
		when the plan changes something.

		Exit codes: 0 done or nothing to do, 3 something belongs to somebody else or has changed since the plan, 4 a check
		failed, 5 the rollout failed, 6 timed out, 64 the file or the command line is wrong or nobody could answer, 130
		interrupted.`)

	upExample = templates.Examples(`
		# Bring the Flow up in the current namespace and wait for it
		kubectl jina up -f flow.yml

		# In another namespace, made if there is none, without a service mesh
		kubectl jina up -f flow.yml -n search --create-namespace --mesh none

		# What would it do?
		kubectl jina up -f flow.yml --dry-run=server

		# Take over what "jina export kubernetes" and kubectl apply have made
		kubectl jina up -f flow.yml --adopt

		# Go back to what was there before when the new one does not come up
		kubectl jina up -f flow.yml --atomic

		# Events for a program, an object a line
		kubectl jina up -f flow.yml --yes -o jsonl

		# Apply and return at once; nothing is deleted then
		kubectl jina up -f flow.yml --wait=false`)
)

type upOptions struct {
	flowFlags
	mesh            string
	wait            bool
	verifies        bool
	timeout         time.Duration
	failFast        string
	atomic          bool
	forceConflicts  bool
	resetReplicas   bool
	createNamespace bool
	prune           bool
	dryRun          string
	output          string
	consent         consent
	// paused: the Flow was when it was applied.
	paused bool

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
	fs.BoolVar(&o.verifies, "verify", true, "Ask the Flow after the rollout whether it answers, and fail when it does not; see docs/verify.md for what that proves")
	fs.DurationVar(&o.timeout, "timeout", 0, "How long to wait for another run, for the API server, for the rollout and for the Flow to answer, each; 0 takes what the startup probes allow, and prints it")
	fs.StringVar(&o.failFast, "fail-fast", string(rollout.FailFastAuto), "auto: give up as soon as it is plain that a pod cannot come up by itself; never: wait until the deadline, to mend the cluster meanwhile")
	fs.BoolVar(&o.atomic, "atomic", false, "Go back to what was before when it cannot be applied in full, when the rollout fails or times out, or when the Flow does not answer; not when it is interrupted")
	fs.BoolVar(&o.forceConflicts, "force-conflicts", false, "Take over fields that belong to other field managers")
	fs.BoolVar(&o.prune, "prune", true, "Delete what is no longer in the file, after the rollout")
	fs.BoolVarP(&o.consent.yes, "yes", "y", false, "Delete and take over what the plan says without asking")
	fs.BoolVar(&o.consent.adopt, "adopt", false, "Take over objects that are provably Jina's and that kubectl or the like has made, without asking")
	fs.BoolVar(&o.consent.recreate, "recreate", false, "Delete and create again what cannot be changed in place")
	fs.BoolVar(&o.resetReplicas, "reset-replicas", false, "Take the file's replicas, whoever has set others (autoscalers keep theirs)")
	fs.BoolVar(&o.createNamespace, "create-namespace", false, "Make the namespace when there is none")
	fs.StringVar(&o.dryRun, "dry-run", dryRunNone, "none; client: print the objects' names without asking the cluster; server: show the plan and change nothing")
	fs.StringVarP(&o.output, "output", "o", "", "tree: the workloads drawn again in place; plain: lines; jsonl: events for programs on standard output, an object a line (docs/events.md). Without it a tree where the terminal has one, else lines. With --dry-run=server: json")
	return c
}

// The values of --dry-run, which are kubectl's.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

// Validate the flags.
func (o *upOptions) Validate() error {
	if _, err := meshcheck.ParseMesh(o.mesh); err != nil {
		return usageErrorf("--mesh: %w", err)
	}
	if !slices.Contains([]string{dryRunNone, dryRunClient, dryRunServer}, o.dryRun) {
		return usageErrorf("--dry-run: %q is not known; it can be none, client or server", o.dryRun)
	}
	if err := o.validateOutput(); err != nil {
		return err
	}
	if o.atomic && !o.wait {
		return usageErrorf("--atomic goes back when the rollout fails, which --wait=false does not wait for")
	}
	if o.timeout < 0 {
		return usageErrorf("--timeout: %s is negative", o.timeout)
	}
	if f := rollout.FailFast(o.failFast); f != rollout.FailFastAuto && f != rollout.FailFastNever {
		return usageErrorf("--fail-fast: %q is not known; it can be auto or never", o.failFast)
	}
	return nil
}

// validateOutput: the plan of a dry run and the progress of a run have forms of their own.
func (o *upOptions) validateOutput() error {
	switch {
	case o.dryRun == dryRunServer:
		return validatePlanOutput(o.output)
	case o.dryRun == dryRunClient && o.output != "":
		return usageErrorf("--output: --dry-run=client prints names and has no other form")
	case o.output == "json":
		return usageErrorf("--output: json is the form of the plan that --dry-run=server shows; %s has what happens, an event a line", progressJSONL)
	case o.output != "" && !slices.Contains(progressForms(), o.output):
		return usageErrorf("--output: %q is not known; it can be %s, or json with --dry-run=server", o.output, strings.Join(progressForms(), ", "))
	}
	return nil
}

// Run brings the Flow up, or shows what that would do.
func (o *upOptions) Run(ctx context.Context) error {
	switch o.dryRun {
	case dryRunClient:
		return o.printObjects()
	case dryRunServer:
		return interrupted(ctx, o.showPlan(ctx), "nothing was applied")
	}
	defer outliveReaders()()
	progress := o.factory.newProgressAs(o.output, o.IOStreams)
	defer progress.Close()
	if o.output == progressJSONL {
		o.Out, o.In = io.Discard, strings.NewReader("") // a program reads the events, and nobody can be asked
	}
	err := interrupted(ctx, o.bringUp(ctx, progress), "nothing was applied")
	return progress.End(err)
}

func (o *upOptions) showPlan(ctx context.Context) error {
	s, file, err := o.factory.open(&o.flowFlags, o.IOStreams)
	if err != nil {
		return err
	}
	c, err := o.compare(ctx, s, file)
	if err != nil {
		return err
	}
	return c.show(o.Out, o.output, file)
}

func (o *upOptions) bringUp(ctx context.Context, progress *progress) error {
	s, file, err := o.factory.open(&o.flowFlags, o.IOStreams)
	if err != nil {
		return err
	}
	if o.createNamespace {
		if err := s.createNamespace(ctx, progress.Line); err != nil {
			return err
		}
	}
	if err := o.preflight(ctx, s, file, progress); err != nil {
		return err
	}
	shown, err := o.compare(ctx, s, file)
	if err != nil {
		return err
	}
	progress.Plan(file.Name, s.namespace, shown.plan)
	if err := o.mayGoOn(ctx, s, file, shown); err != nil {
		return err
	}
	if err := o.carryOut(ctx, s, file, shown, progress); err != nil {
		return err
	}
	progress.Close()
	if !o.wait {
		return o.notWaited(shown, file, s, progress)
	}
	if o.paused {
		return o.stayedPaused(file, s)
	}
	return printRunning(o.Out, file, s.namespace)
}

// compare makes the plan of this run. Nothing is deleted without a wait: until the new gateway answers, the old one calls the
// executors that are to go. A --timeout limits this too; without one the transport's own patience does.
func (o *upOptions) compare(ctx context.Context, s *session, file *flowFile) (c *comparison, err error) {
	opts := plan.CompareOptions{Force: o.forceConflicts, ResetReplicas: o.resetReplicas, KeepPruned: !o.prune || !o.wait}
	if o.timeout == 0 {
		return s.compare(ctx, file, opts)
	}
	err = o.withDeadline(ctx, file, func(ctx context.Context) error {
		c, err = s.compare(ctx, file, opts)
		return err
	})
	return c, err
}

// printObjects is the dry run that asks nobody.
func (o *upOptions) printObjects() error {
	file, err := o.factory.read(&o.flowFlags, o.IOStreams)
	if err != nil {
		return err
	}
	for _, object := range file.Objects {
		if _, err := fmt.Fprintf(o.Out, "%s (client dry run)\n", object.Ref()); err != nil {
			return err
		}
	}
	return nil
}
