package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

var (
	scaleLong = templates.LongDesc(`
		Change the replicas of parts of a running Flow, live, and wait until that many are ready.

		A target is gateway, EXECUTOR, EXECUTOR/SHARD or EXECUTOR/head. An executor with shards gets the replicas in
		each of its shards; its head is scaled only by name.

		The replicas are written through the scale subresource as the field manager kubectl-jina-scale, which owns
		them from then on: a later up leaves them alone.`)

	scaleExample = templates.Examples(`
		# Three gateways
		kubectl jina scale gateway --replicas 3

		# Two replicas in each shard of an executor, and four of another one
		kubectl jina scale indexer --replicas 2
		kubectl jina scale encoder --replicas 4

		# Only shard 1, and only if it has 2 replicas now
		kubectl jina scale indexer/1 --current-replicas 2 --replicas 3`)
)

type scaleOptions struct {
	flowRef
	targets  []string
	replicas int32
	current  int32
	wait     bool
	timeout  time.Duration

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
	fs.BoolVar(&o.wait, "wait", true, "Wait until that many replicas are ready, and no more are left")
	fs.DurationVar(&o.timeout, "timeout", 10*time.Minute, "How long to wait")
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
	case o.timeout <= 0:
		return usageErrorf("--timeout: %s is not a time to wait", o.timeout)
	}
	return o.validate()
}

// Run scales and waits.
func (o *scaleOptions) Run(ctx context.Context) error {
	s, name, err := o.find(ctx, o.factory, o.IOStreams)
	if err != nil {
		return err
	}
	live, err := s.client.Workloads(ctx, s.set(name))
	if err != nil {
		return explain(err)
	}
	workloads, err := pickWorkloads(partsOf(live), o.targets)
	if err != nil {
		return err
	}
	if err := s.mayScale(ctx, workloads); err != nil {
		return err
	}
	var current *int32
	if o.hasCurrent {
		current = &o.current
	}
	var targets []rollout.Target
	for _, w := range workloads {
		before, _, _ := unstructured.NestedInt64(w.object.Object, "spec", "replicas")
		if before == int64(o.replicas) && current == nil {
			fmt.Fprintf(o.Out, "%s has %s already\n", w.part, countText(int(before), "replica"))
		} else {
			if err := s.client.Scale(ctx, w.object, o.replicas, current); err != nil {
				return interrupted(ctx, explain(err), "no more was scaled than is said above, and perhaps "+w.part.String())
			}
			fmt.Fprintf(o.Out, "%s scaled from %d to %s\n", w.part, before, countText(int(o.replicas), "replica"))
		}
		targets = append(targets, rollout.Target{Part: w.part, Ref: plan.RefOf(w.object), Replicas: &o.replicas})
	}
	if !o.wait {
		return nil
	}
	return o.follow(ctx, s, name, targets)
}

func (o *scaleOptions) follow(ctx context.Context, s *session, flowName string, targets []rollout.Target) error {
	progress := o.factory.newProgress(o.ErrOut)
	defer progress.Close()
	err := rollout.Wait(ctx, s.typed, rollout.Request{Namespace: s.namespace, Flow: flowName, Targets: targets, Timeout: o.timeout}, progress.Handle)
	if errors.Is(err, context.Canceled) {
		return &exitError{code: codeInterrupted, err: errors.New("interrupted while waiting: the replicas are set, the rollout goes on by itself")}
	}
	return explain(err)
}

// livePart is a live workload and the part of the Flow that it is.
type livePart struct {
	part   plan.Part
	object *unstructured.Unstructured
}

// partsOf are the workloads of a Flow: gateway first, then by executor and shard. Executors are named as in the file, by the
// label that Jina itself puts on their pods.
func partsOf(workloads []*unstructured.Unstructured) []livePart {
	var parts []livePart
	for _, o := range workloads {
		part := plan.PartOf(o)
		if name, ok, _ := unstructured.NestedString(o.Object, "spec", "template", "metadata", "labels", plan.LabelJinaDeployment); ok && part.Role != plan.RoleGateway {
			part.Executor = name
		}
		parts = append(parts, livePart{part, o})
	}
	slices.SortFunc(parts, func(a, b livePart) int {
		if d := strings.Compare(a.part.Executor, b.part.Executor); d != 0 {
			return d
		}
		if d := strings.Compare(string(a.part.Role), string(b.part.Role)); d != 0 {
			return d
		}
		return a.part.Shard - b.part.Shard
	})
	return parts
}

// pickWorkloads finds what the targets name. An executor with shards stands for all of them, without its head.
func pickWorkloads(parts []livePart, targets []string) ([]livePart, error) {
	var picked []livePart
	for _, t := range targets {
		n := len(picked)
		for _, p := range parts {
			if p.matches(t) && !slices.ContainsFunc(picked, func(q livePart) bool { return q.part == p.part }) {
				picked = append(picked, p)
			}
		}
		if len(picked) == n && !slices.ContainsFunc(picked, func(p livePart) bool { return p.matches(t) }) {
			return nil, usageErrorf("the Flow has no %q; it has: %s", t, strings.Join(targetNames(parts), ", "))
		}
	}
	return picked, nil
}

func (p livePart) matches(target string) bool {
	name, rest, sub := strings.Cut(target, "/")
	if p.part.Role == plan.RoleGateway {
		return target == "gateway"
	}
	if name != p.part.Executor && name != p.object.GetLabels()[plan.LabelExecutor] {
		return false
	}
	switch p.part.Role {
	case plan.RoleHead:
		return sub && rest == "head"
	case plan.RoleShard:
		return !sub || rest == strconv.Itoa(p.part.Shard)
	default:
		return !sub
	}
}

func targetNames(parts []livePart) []string {
	var names []string
	for _, p := range parts {
		if (p.part.Role == plan.RoleHead || p.part.Role == plan.RoleShard) && !slices.Contains(names, p.part.Executor) {
			names = append(names, p.part.Executor)
		}
		names = append(names, p.part.String())
	}
	return names
}
