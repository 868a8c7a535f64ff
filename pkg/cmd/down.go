package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
)

var (
	downLong = templates.LongDesc(`
		Delete exactly what up made: the members of the Flow's apply set, and nothing else.

		Each object is deleted only if it is still the one that was listed. An interrupted down can be run again.`)

	downExample = templates.Examples(`
		# Take the only Flow of the namespace down, after a look at what that deletes
		kubectl jina down

		# A Flow by name, without a question, waiting until everything is gone
		kubectl jina down --flow search -n prod --yes`)
)

type downOptions struct {
	flowRef
	yes     bool
	wait    bool
	timeout time.Duration

	factory *factory
	genericiooptions.IOStreams
}

func newDownCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &downOptions{factory: f, IOStreams: streams}
	c := &cobra.Command{
		Use:     "down [-f FILE | --flow NAME]",
		Short:   "Delete what up made, and nothing else",
		Long:    downLong,
		Example: downExample,
		Args:    noArgs,
		RunE:    validateAndRun(o),
	}
	fs := c.Flags()
	o.bind(fs)
	fs.BoolVarP(&o.yes, "yes", "y", false, "Delete without asking")
	fs.BoolVar(&o.wait, "wait", true, "Wait until everything is gone, the pods too")
	fs.DurationVar(&o.timeout, "timeout", 5*time.Minute, "How long to wait")
	return c
}

// Validate the flags.
func (o *downOptions) Validate() error {
	if o.timeout <= 0 {
		return usageErrorf("--timeout: %s is not a time to wait", o.timeout)
	}
	return o.validate()
}

// Run deletes the Flow.
func (o *downOptions) Run(ctx context.Context) error {
	s, name, err := o.find(ctx, o.factory, o.IOStreams)
	if err != nil {
		return err
	}
	set := s.set(name)
	state, members, err := s.client.Members(ctx, set)
	if err != nil {
		return explain(err)
	}
	fmt.Fprintf(o.ErrOut, "Flow %s in namespace %s\n", name, s.namespace)
	for _, m := range members {
		fmt.Fprintf(o.ErrOut, "    - delete %s\n", m.Ref)
	}
	question := fmt.Sprintf("Delete %s?", countText(len(members), "object"))
	if err := confirm(ctx, o.IOStreams, o.yes, question, "--yes to delete"); err != nil {
		return err
	}
	waitCtx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	deleted := 0
	err = s.client.Down(waitCtx, set, state, members, o.wait, func(apply.Event) { deleted++ })
	switch {
	case ctx.Err() != nil:
		return &exitError{code: codeInterrupted, err: fmt.Errorf("interrupted: %d of %d objects were told to go; run the same command again to go on", min(deleted, len(members)), len(members))}
	case errors.Is(err, context.DeadlineExceeded):
		return &exitError{code: codeTimeout, err: fmt.Errorf("timed out after %s: %w", o.timeout, err)}
	case err != nil:
		return explain(err)
	}
	_, err = fmt.Fprintf(o.Out, "Flow %s is down: %s deleted from namespace %s\n", name, countText(len(members), "object"), s.namespace)
	return err
}
