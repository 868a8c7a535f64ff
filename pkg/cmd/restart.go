package cmd

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

var (
	restartLong = templates.LongDesc(`
		Replace the pods of parts of a Flow one after the other, and wait until all are new and ready.

		A target is gateway, EXECUTOR, EXECUTOR/SHARD or EXECUTOR/head; an executor with shards stands for all of its
		shards. With --all every part is restarted, the gateway when all others are ready.

		It writes what kubectl rollout restart writes, an annotation on the pod template, as the field manager
		kubectl-jina-restart: a later up neither takes it away nor sees a change in it.

		Exit codes: 0 done, 4 a permission is missing, 5 the new pods cannot become ready, 6 timed out, 64 an unknown
		target.`)

	restartExample = templates.Examples(`
		# New pods for an executor
		kubectl jina restart encoder

		# One shard and the gateway
		kubectl jina restart indexer/1 gateway

		# Everything
		kubectl jina restart --all`)
)

type restartOptions struct {
	flowRef
	targets []string
	all     bool
	waitFlags

	factory *factory
	now     func() time.Time
	genericiooptions.IOStreams
}

func newRestartCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &restartOptions{factory: f, now: time.Now, IOStreams: streams}
	c := &cobra.Command{
		Use:     "restart (gateway | EXECUTOR[/SHARD | /head])... | --all",
		Short:   "Replace the pods of parts of a Flow, one after the other",
		Long:    restartLong,
		Example: restartExample,
		RunE: func(c *cobra.Command, args []string) error {
			o.targets = args
			if err := o.Validate(); err != nil {
				return err
			}
			return o.Run(c.Context())
		},
	}
	fs := c.Flags()
	o.bind(fs)
	fs.BoolVar(&o.all, "all", false, "Restart every part of the Flow")
	o.bindWait(fs, "Wait until all pods are new and ready; without, the gateway does not wait for the others either",
		"How long to wait; 0 takes what the startup probes and the time to end allow for each pod after the other, and prints it")
	return c
}

// Validate the command line.
func (o *restartOptions) Validate() error {
	switch {
	case len(o.targets) == 0 && !o.all:
		return usageErrorf("what shall be restarted? Name gateway, EXECUTOR, EXECUTOR/SHARD or EXECUTOR/head, or pass --all")
	case len(o.targets) > 0 && o.all:
		return usageErrorf("--all restarts every part: name none, or leave it out")
	}
	return cmp.Or(o.validateWait(), o.validate())
}

// Run restarts and waits.
func (o *restartOptions) Run(ctx context.Context) (err error) {
	defer func() { err = interrupted(ctx, err, "no more was restarted than is said above") }()
	s, live, err := o.findParts(ctx, o.factory, o.IOStreams)
	if err != nil {
		return err
	}
	if !o.all {
		if live.parts, err = pick(live.parts, o.targets); err != nil {
			return err
		}
	}
	if err := live.refusePaused(s.namespace); err != nil {
		return err
	}
	if err := refuseHalted(live.parts); err != nil {
		return err
	}
	if err := s.mayChange(ctx, meshcheck.CommandRestart, live.parts); err != nil {
		return err
	}
	progress := o.factory.newProgress(o.ErrOut)
	defer progress.Close()
	var waiting *awaiting
	if o.wait {
		waiting = s.await(live.name, o.timeout, live.restartBudget(), progress, "what is said above to be restarted goes on by itself, the rest was not touched")
	}
	gateway, others := live.split()
	for _, parts := range [][]livePart{others, gateway} {
		targets, err := o.restart(ctx, s, parts)
		if err != nil {
			return err
		}
		if o.wait {
			if err := waiting.ready(ctx, targets); err != nil {
				return err
			}
		}
	}
	return nil
}

// restartBudget is how long the restart may take: the gateway's comes after that of all others.
func (f liveFlow) restartBudget() time.Duration {
	gateway, others := f.split()
	var budget time.Duration
	for _, parts := range [][]livePart{others, gateway} {
		if len(parts) > 0 {
			budget += plan.RestartBudget(planObjects(parts))
		}
	}
	return budget
}

// refuseHalted stops when the pods of a part would stay as they are: somebody has halted the rollouts of a Deployment (kubectl
// rollout pause), or a StatefulSet's strategy leaves all or some of its pods to the user.
func refuseHalted(parts []livePart) error {
	for _, p := range parts {
		strategy, _, _ := unstructured.NestedString(p.object.Object, "spec", "updateStrategy", "type")
		partition, _, _ := unstructured.NestedInt64(p.object.Object, "spec", "updateStrategy", "rollingUpdate", "partition")
		if strategy == "OnDelete" || partition > 0 {
			return fmt.Errorf("the updateStrategy of %s (%s) leaves pods as they are: nothing was restarted; change it to RollingUpdate without a partition, or delete the pods yourself",
				p.part, p.resourceName())
		}
		if halted, _, _ := unstructured.NestedBool(p.object.Object, "spec", "paused"); halted {
			return fmt.Errorf("the rollouts of %s are halted (kubectl rollout pause): nothing was restarted; `kubectl rollout resume %s -n %s` first",
				p.part, p.resourceName(), p.object.GetNamespace())
		}
	}
	return nil
}

// restart restarts the parts that run, and returns what there is to wait for.
func (o *restartOptions) restart(ctx context.Context, s *session, parts []livePart) ([]rollout.Target, error) {
	var targets []rollout.Target
	for _, p := range parts {
		if apply.LiveReplicas(p.object) == 0 {
			fmt.Fprintf(o.Out, "%s has no replicas: nothing to restart\n", p.part)
			continue
		}
		generation, err := s.client.Restart(ctx, p.object, o.now())
		if err != nil {
			return nil, interrupted(ctx, explain(err), "no more was restarted than is said above, and perhaps "+p.part.String())
		}
		fmt.Fprintf(o.Out, "%s restarted\n", p.part)
		target := p.target()
		target.MinGeneration = generation
		targets = append(targets, target)
	}
	return targets, nil
}
