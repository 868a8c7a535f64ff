package cmd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

var (
	scaleLong = templates.LongDesc(`
		Change the replicas of parts of a running Flow, live, and wait until that many are ready and no more are left.

		A target is gateway, EXECUTOR, EXECUTOR/SHARD or EXECUTOR/head. An executor with shards gets the replicas in
		each of its shards; its head is scaled only by name.

		The replicas are written through the scale subresource as the field manager kubectl-jina-scale, which owns
		them from then on: a later up leaves them alone.

		Nothing is changed at all when one of the targets is unknown, is scaled by an autoscaler, is a stateful executor
		that would lose its quorum, or has other replicas than --current-replicas says; nor while the Flow is paused.

		Exit codes: 0 done, 1 the Flow is paused or has other replicas than expected, 3 an autoscaler owns the replicas, or
		somebody else has scaled in this moment, 4 a permission is missing, 5 the replicas cannot become ready or somebody
		else changes them during the wait, 6 timed out, 64 an unknown target or a quorum that would be lost.`)

	scaleExample = templates.Examples(`
		# Three gateways
		kubectl jina scale gateway --replicas 3

		# Two replicas in each shard of an executor, and of another one
		kubectl jina scale indexer encoder --replicas 2

		# Only shard 1, and only if it has 2 replicas now
		kubectl jina scale indexer/1 --current-replicas 2 --replicas 3

		# What would it do?
		kubectl jina scale encoder --replicas 3 --dry-run=server`)
)

type scaleOptions struct {
	flowRef
	targets  []string
	replicas int32
	current  int32
	waitFlags
	dryRun string
	output string

	hasReplicas, hasCurrent bool

	factory *factory
	genericiooptions.IOStreams
}

func newScaleCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &scaleOptions{factory: f, IOStreams: streams}
	c := &cobra.Command{
		Use:     "scale (gateway | EXECUTOR[/SHARD | /head])... --replicas N",
		Short:   "Change the replicas of a gateway, executor, shard or head, live",
		Long:    scaleLong,
		Example: scaleExample,
		RunE: func(c *cobra.Command, args []string) error {
			o.Complete(c, args)
			if err := o.Validate(); err != nil {
				return err
			}
			return o.Run(c.Context())
		},
	}
	fs := c.Flags()
	o.bind(fs)
	fs.Int32Var(&o.replicas, "replicas", 0, "The replicas that each target shall have")
	fs.Int32Var(&o.current, "current-replicas", 0, "Change nothing unless each target has that many replicas now")
	o.bindWait(fs, "Wait until that many replicas are ready, and no more are left",
		"How long to wait; 0 takes what the startup probes and the time to end allow, and prints it")
	fs.StringVar(&o.dryRun, "dry-run", dryRunNone, "none; client: only look; server: ask the API server, and change nothing")
	fs.StringVarP(&o.output, "output", "o", "", "Output format: json or name")
	return c
}

// Complete takes over what was given.
func (o *scaleOptions) Complete(c *cobra.Command, args []string) {
	o.targets = args
	o.hasReplicas = c.Flags().Changed("replicas")
	o.hasCurrent = c.Flags().Changed("current-replicas")
}

// Validate the command line.
func (o *scaleOptions) Validate() error {
	switch {
	case len(o.targets) == 0:
		return usageErrorf("what shall be scaled? Name gateway, EXECUTOR, EXECUTOR/SHARD or EXECUTOR/head")
	case !o.hasReplicas:
		return usageErrorf("--replicas N is needed")
	case o.replicas < 0:
		return usageErrorf("--replicas: %d is negative", o.replicas)
	case o.hasCurrent && o.current < 0:
		return usageErrorf("--current-replicas: %d is negative", o.current)
	case !slices.Contains([]string{dryRunNone, dryRunClient, dryRunServer}, o.dryRun):
		return usageErrorf("--dry-run: %q is not known; it can be none, client or server", o.dryRun)
	case !slices.Contains([]string{"", outputJSON, outputName}, o.output):
		return usageErrorf("--output: %q is not known; it can be json or name", o.output)
	}
	return cmp.Or(o.validateWait(), o.validate())
}

// Run scales and waits.
func (o *scaleOptions) Run(ctx context.Context) (err error) {
	defer func() { err = interrupted(ctx, err, "nothing was scaled") }()
	s, live, err := o.findParts(ctx, o.factory, o.IOStreams)
	if err != nil {
		return err
	}
	picked, err := o.pick(ctx, s, live)
	if err != nil {
		return err
	}
	if o.dryRun == dryRunNone {
		s.sayWhoShares(ctx, live, picked, o.replicas, o.ErrOut)
	}
	results, err := o.scale(ctx, s, picked)
	if printErr := printScaled(o.Out, o.output, scaledFlow{Flow: live.name, Namespace: s.namespace, DryRun: o.dryRun, Targets: results}); err == nil {
		err = printErr
	}
	if err != nil || !o.wait || o.dryRun != dryRunNone {
		return err
	}
	return o.follow(ctx, s, live.name, picked)
}

// pick finds the targets, and refuses all of them where one must not be scaled like this.
func (o *scaleOptions) pick(ctx context.Context, s *session, live liveFlow) ([]livePart, error) {
	picked, err := pick(live.parts, o.targets)
	if err != nil {
		return nil, err
	}
	if err := live.refusePaused(s.namespace); err != nil {
		return nil, err
	}
	if o.hasCurrent {
		if err := refuseCurrent(picked, o.current); err != nil {
			return nil, err
		}
	}
	if err := refuseQuorum(picked, o.replicas); err != nil {
		return nil, err
	}
	if err := s.refuseAutoscaled(ctx, picked, o.ErrOut); err != nil {
		return nil, err
	}
	if o.dryRun == dryRunClient {
		return picked, nil
	}
	return picked, s.mayChange(ctx, meshcheck.CommandScale, picked)
}

// scale writes the replicas, target by target in their order, and returns what was done also where it stops before the end.
func (o *scaleOptions) scale(ctx context.Context, s *session, picked []livePart) ([]scaledPart, error) {
	results := make([]scaledPart, 0, len(picked))
	for _, p := range picked {
		result := newScaledPart(p, o.replicas)
		var err error
		switch {
		case !result.Changes, o.dryRun == dryRunClient:
		case o.dryRun == dryRunServer:
			err = s.client.DryRunScale(ctx, p.object, o.replicas, o.expected())
		default:
			err = s.client.Scale(ctx, p.object, o.replicas, o.expected())
		}
		if err != nil && o.dryRun == dryRunNone {
			left := fmt.Sprintf("no more was scaled than is said above, and perhaps %s", p.part)
			if len(results) == 0 {
				left = fmt.Sprintf("nothing was scaled but perhaps %s", p.part)
			}
			return results, interrupted(ctx, explain(err), left)
		}
		if err != nil {
			return results, explain(err)
		}
		results = append(results, result)
	}
	return results, nil
}

// expected are the replicas without which nothing is written; nil for any.
func (o *scaleOptions) expected() *int32 {
	if !o.hasCurrent {
		return nil
	}
	return &o.current
}

// follow waits until the replicas are ready, and, where there were more, until the others have ended.
func (o *scaleOptions) follow(ctx context.Context, s *session, flowName string, picked []livePart) error {
	var targets, fewer []rollout.Target
	var ending []plan.Object
	for _, p := range picked {
		targets = append(targets, p.targetWith(o.replicas))
		if apply.LiveReplicas(p.object) > o.replicas {
			fewer = append(fewer, p.targetWith(o.replicas))
			ending = append(ending, planObjects([]livePart{p})...)
		}
	}
	budget := plan.StopBudget(ending)
	if o.replicas > 0 {
		budget = max(budget, plan.StartupBudget(planObjects(picked)))
	}
	progress := o.factory.newProgress(o.ErrOut)
	defer progress.Close()
	a := s.await(flowName, o.timeout, budget, progress, "the replicas are set, the rollout goes on by itself")
	if err := a.ready(ctx, targets); err != nil {
		return err
	}
	return a.gone(ctx, fewer)
}

// resourceName is a workload as kubectl's -o name has it.
func (p livePart) resourceName() string {
	kind := p.object.GroupVersionKind()
	return strings.ToLower(kind.Kind) + "." + kind.Group + "/" + p.object.GetName()
}
