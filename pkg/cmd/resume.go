package cmd

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

var (
	resumeLong = templates.LongDesc(`
		Start a paused Flow again, with the replicas that it had, and wait until all of it is ready.

		Where the file's replicas have changed by an up during the pause, it starts with the file's. A workload that
		somebody has scaled up meanwhile stays as it is. The gateway is started last. An interrupted resume can be run
		again.

		Exit codes: 0 done or not paused, 4 a permission is missing, 5 the Flow cannot come up, 6 timed out.`)

	resumeExample = templates.Examples(`
		# Start the only Flow of the namespace again
		kubectl jina resume

		# One of several, without waiting for it
		kubectl jina resume --flow search -n prod --wait=false`)
)

type resumeOptions struct {
	flowRef
	waitFlags

	factory *factory
	genericiooptions.IOStreams
}

func newResumeCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &resumeOptions{factory: f, IOStreams: streams}
	c := &cobra.Command{
		Use:     "resume [-f FILE | --flow NAME]",
		Short:   "Start a paused Flow with the replicas that it had",
		Long:    resumeLong,
		Example: resumeExample,
		Args:    noArgs,
		RunE:    validateAndRun(o),
	}
	fs := c.Flags()
	o.bind(fs)
	o.bindWait(fs, "Wait until all of the Flow is ready",
		"How long to wait for another run and for the pods, each; 0 takes what the startup probes allow, and prints it")
	return c
}

// Validate the flags.
func (o *resumeOptions) Validate() error {
	return cmp.Or(o.validateWait(), o.validate())
}

// Run resumes the Flow.
func (o *resumeOptions) Run(ctx context.Context) (err error) {
	defer func() { err = interrupted(ctx, err, "run the same command again to go on") }()
	s, live, err := o.findParts(ctx, o.factory, o.IOStreams)
	if err != nil {
		return err
	}
	if !live.parent.IsPaused() {
		_, err := fmt.Fprintf(o.Out, "Flow %s in namespace %s is not paused\n", live.name, s.namespace)
		return err
	}
	if err := s.mayChange(ctx, meshcheck.CommandResume, live.parts); err != nil {
		return err
	}
	progress := o.factory.newProgress(o.ErrOut)
	defer progress.Close()
	budget := plan.StartupBudget(planObjects(live.parts))
	var targets []rollout.Target
	err = s.alone(ctx, "resume", live.set, lockWait(o.timeout, budget), progress.Line, func(ctx context.Context, _ *apply.Lock) error {
		// Another run may have changed everything while this one waited.
		if live, err = s.parts(ctx, live.name); err != nil {
			return err
		}
		if !live.parent.IsPaused() { // another resume was faster
			for _, p := range live.parts {
				targets = append(targets, p.target())
			}
			return nil
		}
		targets, err = s.start(ctx, live, progress)
		return err
	})
	if err != nil {
		return err
	}
	if o.wait {
		a := s.await(live.name, o.timeout, budget, progress, "the Flow is started again, the rollout goes on by itself")
		if err := a.ready(ctx, targets); err != nil {
			return err
		}
	}
	progress.Close()
	said := "runs again"
	if !o.wait {
		said = "is started again"
	}
	_, err = fmt.Fprintf(o.Out, "Flow %s %s in namespace %s\n", live.name, said, s.namespace)
	return err
}

// start gives all parts the replicas that they had, the gateway last, takes the record of the pause away, and returns what there
// is to wait for.
func (s *session) start(ctx context.Context, live liveFlow, progress *progress) ([]rollout.Target, error) {
	paused, err := live.parent.Paused()
	if err != nil {
		return nil, err
	}
	scalers, unread, err := s.client.Autoscalers(ctx, s.namespace)
	if err != nil {
		return nil, explain(err)
	}
	if unread != "" {
		progress.Line("warning: " + unread)
	}
	var targets []rollout.Target
	gateway, others := live.split()
	for _, parts := range [][]livePart{others, gateway} {
		var steps []apply.ScaleStep
		for _, p := range parts {
			now, wanted := apply.LiveReplicas(p.object), paused.Before(p.object)
			scaler, scaled := scalers[plan.RefOf(p.object)]
			switch {
			case now > 0:
				progress.Line(fmt.Sprintf("%s has %s already, and keeps them", p.part, countText(int(now), "replica")))
				wanted = now
			case wanted > 0:
				files := p.object.GetAnnotations()[plan.AnnotationReplicas] == strconv.Itoa(int(wanted))
				steps = append(steps, apply.ScaleStep{Workload: p.object, Replicas: wanted, Nobodys: files})
				progress.Line(fmt.Sprintf("%s gets %s", p.part, countText(int(wanted), "replica")))
			}
			if scaled {
				progress.Line(fmt.Sprintf("%s is scaled by %s/%s from then on", p.part, scaler.Kind, scaler.Name))
				targets = append(targets, p.target())
				continue
			}
			targets = append(targets, p.targetWith(wanted))
		}
		if err := s.client.ScaleAll(ctx, steps, func(int) {}); err != nil {
			return nil, fmt.Errorf("%w\nnot all of the Flow is started; run the same command again to go on", explain(err))
		}
	}
	return targets, explain(s.client.RemovePaused(ctx, live.parent))
}

// lockWait is how long a command waits for another run on the Flow to end: as asked for, or within its budget.
func lockWait(asked, budget time.Duration) time.Duration {
	if asked > 0 {
		return asked
	}
	return budget
}
