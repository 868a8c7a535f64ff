package cmd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"strings"

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
	pauseLong = templates.LongDesc(`
		Stop a whole Flow and keep everything about it: all of its workloads go to 0 replicas, and their counts are
		written down in the cluster for resume.

		The gateway is stopped first, so that the requests under way are answered before the executors go. Volumes,
		Services and configuration stay. An interrupted pause can be run again, and never forgets a count.

		While the Flow is paused, up applies what the file says and starts nothing, scale and restart refuse, and down
		works as ever. A Flow of which an autoscaler scales a part is not paused: it would be scaled up again.

		Exit codes: 0 done, 3 an autoscaler owns the replicas of a part, 4 a permission is missing, 6 timed out.`)

	pauseExample = templates.Examples(`
		# Stop the only Flow of the namespace for the night
		kubectl jina pause

		# And in the morning
		kubectl jina resume`)
)

type pauseOptions struct {
	flowRef
	waitFlags

	factory *factory
	genericiooptions.IOStreams
}

func newPauseCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &pauseOptions{factory: f, IOStreams: streams}
	c := &cobra.Command{
		Use:     "pause [-f FILE | --flow NAME]",
		Short:   "Stop all of a Flow, and remember its replicas",
		Long:    pauseLong,
		Example: pauseExample,
		Args:    noArgs,
		RunE:    validateAndRun(o),
	}
	fs := c.Flags()
	o.bind(fs)
	o.bindWait(fs, "Wait until no pod is left; without, the executors do not wait for the gateway either",
		"How long to wait for another run and for the pods to end, each; 0 takes what the pods' time to end allows, and prints it")
	return c
}

// Validate the flags.
func (o *pauseOptions) Validate() error {
	return cmp.Or(o.validateWait(), o.validate())
}

// Run pauses the Flow.
func (o *pauseOptions) Run(ctx context.Context) (err error) {
	defer func() { err = interrupted(ctx, err, "run the same command again to go on, or resume") }()
	s, live, err := o.findParts(ctx, o.factory, o.IOStreams)
	if err != nil {
		return err
	}
	if err := s.mayPause(ctx, live, o.ErrOut); err != nil {
		return err
	}
	progress := o.factory.newProgress(o.ErrOut)
	defer progress.Close()
	budget := 2 * plan.StopBudget(planObjects(live.parts)) // the gateway's pods, then the others'
	var stopped int
	var waiting *awaiting
	err = s.alone(ctx, "pause", live.set, lockWait(o.timeout, budget), progress.Line, func(ctx context.Context, _ *apply.Lock) error {
		// Another run may have changed everything while this one waited.
		if live, err = s.parts(ctx, live.name); err != nil {
			return err
		}
		if err := s.refuseAutoscaled(ctx, live.parts, io.Discard); err != nil {
			return err
		}
		if err := s.recordPause(ctx, live); err != nil {
			return err
		}
		if o.wait {
			waiting = s.await(live.name, o.timeout, budget, progress, "the Flow is being paused; run the same command again to go on, or resume")
		}
		stopped, err = o.stop(ctx, s, live, waiting)
		return err
	})
	if err != nil {
		return err
	}
	if o.wait {
		if err := waiting.gone(ctx, targetsWith(live.parts, 0)); err != nil {
			return err
		}
	}
	progress.Close()
	return printPaused(o.Out, live, stopped, s.namespace)
}

// mayPause looks at what stops a pause before another run is waited for, and says what a pause costs.
func (s *session) mayPause(ctx context.Context, live liveFlow, warn io.Writer) error {
	if len(live.parts) == 0 {
		return fmt.Errorf("the Flow %s has no workload in namespace %s: nothing is to be paused", live.name, s.namespace)
	}
	if err := s.refuseAutoscaled(ctx, live.parts, warn); err != nil {
		return err
	}
	if err := s.mayChange(ctx, meshcheck.CommandPause, live.parts); err != nil {
		return err
	}
	for _, p := range live.parts {
		if plan.Quorum(p.object) > 0 && p.object.GetKind() != "StatefulSet" {
			fmt.Fprintf(warn, "warning: %s is stateful and has no volumes: what its replicas hold goes with their pods\n", p.part)
		}
	}
	return nil
}

// recordPause writes the counts down, before the first workload is stopped.
func (s *session) recordPause(ctx context.Context, live liveFlow) error {
	before, err := live.parent.Paused()
	if err != nil {
		return err
	}
	workloads := make([]*unstructured.Unstructured, len(live.parts))
	for i, p := range live.parts {
		workloads[i] = p.object
	}
	if now := before.With(workloads); before == nil || !maps.Equal(before, now) {
		return explain(s.client.WritePaused(ctx, live.parent, now))
	}
	return nil
}

// stop takes the gateway to 0 replicas, and when its pods have ended all others.
func (o *pauseOptions) stop(ctx context.Context, s *session, live liveFlow, waiting *awaiting) (stopped int, err error) {
	gateway, others := live.split()
	if stopped, err = s.stopAll(ctx, gateway); err != nil {
		return stopped, err
	}
	if o.wait {
		if err := waiting.gone(ctx, targetsWith(gateway, 0)); err != nil {
			return stopped, err
		}
	}
	more, err := s.stopAll(ctx, others)
	return stopped + more, err
}

// stopAll takes the parts that run to 0 replicas, and counts them.
func (s *session) stopAll(ctx context.Context, parts []livePart) (stopped int, err error) {
	var steps []apply.ScaleStep
	for _, p := range parts {
		if apply.LiveReplicas(p.object) > 0 {
			steps = append(steps, apply.ScaleStep{Workload: p.object})
		}
	}
	if err := s.client.ScaleAll(ctx, steps, func(int) { stopped++ }); err != nil {
		return stopped, fmt.Errorf("%w\nthe replicas of all parts are written down, and not all parts are stopped; run the same command again to go on, or resume", explain(err))
	}
	return stopped, nil
}

// split are the gateway, and all other parts.
func (f liveFlow) split() (gateway, others []livePart) {
	for _, p := range f.parts {
		if p.part.Role == plan.RoleGateway {
			gateway = append(gateway, p)
		} else {
			others = append(others, p)
		}
	}
	return gateway, others
}

func targetsWith(parts []livePart, replicas int32) []rollout.Target {
	targets := make([]rollout.Target, len(parts))
	for i, p := range parts {
		targets[i] = p.targetWith(replicas)
	}
	return targets
}

// printPaused says what has become of a Flow, as it was read before.
func printPaused(w io.Writer, live liveFlow, stopped int, namespace string) error {
	var b strings.Builder
	if stopped == 0 && live.parent.IsPaused() {
		fmt.Fprintf(&b, "Flow %s is paused already in namespace %s\n", live.name, namespace)
	} else {
		fmt.Fprintf(&b, "Flow %s is paused in namespace %s: %s stopped\n", live.name, namespace, countText(stopped, "workload"))
	}
	fmt.Fprintf(&b, "  `kubectl jina resume --flow %s -n %s` starts it again with the replicas that it had\n", live.name, namespace)
	_, err := io.WriteString(w, b.String())
	return err
}
