package cmd

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

var (
	planLong = templates.LongDesc(`
		Show what up would do, object by object and field by field, without writing anything.

		What an update would change is asked of the API server by a dry run, so the answer includes what admission
		webhooks do. The values of environment variables and ConfigMaps are masked.

		Exit codes: 0 done, 2 something would change (with --exit-code), 3 something belongs to somebody else.`)

	planExample = templates.Examples(`
		# What would happen to the Flow of flow.yml in the current namespace
		kubectl jina plan -f flow.yml

		# In CI: fail when the cluster is not as the file says
		kubectl jina plan -f flow.yml --exit-code

		# For a program
		kubectl jina plan -f flow.yml -o json`)
)

type planOptions struct {
	flowFlags
	exitCode      bool
	resetReplicas bool
	output        string

	factory *factory
	genericiooptions.IOStreams
}

func newPlanCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &planOptions{factory: f, IOStreams: streams}
	c := &cobra.Command{
		Use:     "plan -f FILE",
		Short:   "Show what up would change, without changing it",
		Long:    planLong,
		Example: planExample,
		Args:    noArgs,
		RunE:    validateAndRun(o),
	}
	o.bind(c.Flags())
	o.bindStrict(c.Flags())
	c.Flags().BoolVar(&o.exitCode, "exit-code", false, "Exit with 2 when something would change")
	c.Flags().BoolVar(&o.resetReplicas, "reset-replicas", false, "Plan for an up --reset-replicas")
	c.Flags().StringVarP(&o.output, "output", "o", "", "Output format: json")
	return c
}

// Validate the flags.
func (o *planOptions) Validate() error { return validatePlanOutput(o.output) }

func validatePlanOutput(output string) error {
	if output != "" && output != "json" {
		return usageErrorf("--output: %q is not known; it can be json", output)
	}
	return nil
}

// Run makes the plan and prints it.
func (o *planOptions) Run(ctx context.Context) error {
	s, file, err := o.factory.open(&o.flowFlags, o.IOStreams)
	if err != nil {
		return err
	}
	c, err := s.compare(ctx, file, plan.CompareOptions{ResetReplicas: o.resetReplicas})
	if err != nil {
		return err
	}
	if err := c.show(o.Out, o.output, file); err != nil {
		return err
	}
	if o.exitCode && c.plan.Changed() {
		return &exitError{code: codeChanges}
	}
	return nil
}

// show prints the plan as the result of a command; its conflicts are the command's error.
func (c *comparison) show(w io.Writer, output string, file *flowFile) error {
	if output == "json" {
		if err := printPlanJSON(w, file.Name, c.set.Namespace, c.plan); err != nil {
			return err
		}
	} else {
		printPlan(w, time.Now(), file.Name, c.set.Namespace, c.plan)
	}
	if len(c.plan.Conflicts) > 0 {
		return explainApply(&apply.ConflictError{Conflicts: c.plan.Conflicts}, time.Now())
	}
	return nil
}
