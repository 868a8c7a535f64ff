package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
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
func (o *downOptions) Run(ctx context.Context) (err error) {
	defer func() { err = interrupted(ctx, err, "nothing was deleted") }()
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
	if err := s.mayDown(ctx, members); err != nil {
		return err
	}
	question := fmt.Sprintf("Delete %s?", countText(len(members), "object"))
	if err := confirm(ctx, o.IOStreams, o.yes, question, "--yes to delete"); err != nil {
		return err
	}
	waitCtx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	say := func(line string) { fmt.Fprintln(o.ErrOut, line) }
	deleted := 0
	var left []plan.Ref
	err = s.alone(waitCtx, "down", set, 0, say, func(lockCtx context.Context, lock *apply.Lock) error {
		var err error
		if state, members, err = o.again(lockCtx, s, set, state, members); err != nil {
			return err
		}
		left, err = s.client.Down(lockCtx, set, state, members, o.wait, func(apply.Event) { deleted++ })
		if err != nil || len(left) > 0 || lock == nil {
			return err
		}
		return lock.Remove()
	})
	switch {
	case ctx.Err() != nil:
		return &exitError{code: codeInterrupted, err: fmt.Errorf("interrupted: %d of %d objects were told to go; run the same command again to go on", min(deleted, len(members)), len(members))}
	case errors.Is(err, context.DeadlineExceeded):
		return &exitError{code: codeTimeout, err: fmt.Errorf("timed out after %s: %w", o.timeout, err)}
	case err != nil:
		return explain(err)
	}
	if len(left) > 0 {
		_, err = fmt.Fprintf(o.Out, "Flow %s: %s told to go from namespace %s; still there: %s; run the command again to end what is left\n",
			name, countText(len(members), "object"), s.namespace, listOfRefs(left))
		return err
	}
	_, err = fmt.Fprintf(o.Out, "Flow %s is down: %s deleted from namespace %s\n", name, countText(len(members), "object"), s.namespace)
	return err
}

// again reads the members once no other run can add to them. What was not shown is not deleted without --yes.
func (o *downOptions) again(ctx context.Context, s *session, set apply.Set, before apply.State, shown []plan.Change) (apply.State, []plan.Change, error) {
	state, now, err := s.client.Members(ctx, set)
	var gone *apply.NotFoundError
	if errors.As(err, &gone) {
		return before, nil, nil // another down was faster
	}
	if err != nil {
		return state, nil, err
	}
	for _, m := range now {
		if !o.yes && !slices.ContainsFunc(shown, func(c plan.Change) bool { return c.Ref == m.Ref }) {
			return state, nil, &exitError{code: codeConflict, err: fmt.Errorf("the Flow has got %s since it was listed: nothing was deleted; run the command again", m.Ref)}
		}
	}
	return state, now, nil
}

// listOfRefs names some objects.
func listOfRefs(refs []plan.Ref) string {
	const most = 12
	names := make([]string, 0, most+1)
	for i, r := range refs {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(refs)-most))
			break
		}
		names = append(names, r.String())
	}
	return strings.Join(names, ", ")
}
