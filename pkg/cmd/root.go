// Package cmd is the command line: flags in, library calls, printers out. It is the only package that knows of
// streams and exit codes.
package cmd

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal is not caught: it ends the process at once, should the first have no effect.
	defer context.AfterFunc(ctx, stop)()
	// client-go logs what it then returns as an error too, in words that are no user's.
	ctx = logr.NewContext(ctx, logr.Discard())
	root := New(streams)
	root.SetArgs(args)
	err := interrupted(ctx, root.ExecuteContext(ctx), "")
	switch {
	case err == nil || err.Error() == "":
	case flow.IsInvalid(err): // its lines start with file:line:column: error
		fmt.Fprintln(streams.ErrOut, err)
	default:
		fmt.Fprintf(streams.ErrOut, "error: %s\n", plainLines(err.Error()))
	}
	return exitCode(err)
}

// plainLines makes a text of several lines safe to print. An error may have in it what the API server, a webhook or another user
// has written.
func plainLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = rollout.PlainLine(line)
	}
	return strings.Join(lines, "\n")
}

// New is the root command.
func New(streams genericiooptions.IOStreams) *cobra.Command {
	f := &factory{
		flags:   genericclioptions.NewConfigFlags(true),
		notices: newNotices(func(line string) { fmt.Fprintln(streams.ErrOut, line) }),
	}
	root := &cobra.Command{
		Use:   "kubectl-jina",
		Short: "Take a Jina Flow to a Kubernetes cluster and keep it running there",
		Long: templates.LongDesc(`
			Take a Jina Flow to a Kubernetes cluster and keep it running there.

			One file is the source: up plans, checks, applies and waits; a later up changes only what differs.`),
		SilenceUsage:  true,
		SilenceErrors: true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl jina"},
		Args:          cobra.ArbitraryArgs,
		RunE:          helpOrUnknown,

		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	f.flags.AddFlags(root.PersistentFlags())
	groups := templates.CommandGroups{
		{Message: "Take a Flow to a cluster:", Commands: []*cobra.Command{
			newUpCommand(f, streams), newPlanCommand(f, streams), newDownCommand(f, streams),
		}},
		{Message: "Look after a running Flow:", Commands: []*cobra.Command{
			newStatusCommand(f, streams), newListCommand(f, streams), newLogsCommand(f, streams), newScaleCommand(f, streams),
			newRestartCommand(f, streams), newPauseCommand(f, streams), newResumeCommand(f, streams),
			newPingCommand(f, streams), newPortForwardCommand(f, streams),
		}},
		{Message: "Without touching anything:", Commands: []*cobra.Command{
			newExportCommand(f, streams), newValidateCommand(f, streams), newCheckCommand(f, streams), newSchemaCommand(streams), newCompletionCommand(streams), newVersionCommand(streams),
		}},
	}
	groups.Add(root)
	templates.ActsAsRootCommand(root, nil, groups...)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageErrorf("%w; see `%s --help`", err, c.CommandPath())
	})
	root.AddCommand(newOptionsCommand())
	f.addCompletions(root)
	root.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help"})
	return root
}

// validateAndRun is what a command does whose options need nothing of the arguments.
func validateAndRun(o interface {
	Validate() error
	Run(context.Context) error
}) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		if err := o.Validate(); err != nil {
			return err
		}
		return o.Run(c.Context())
	}
}

// newOptionsCommand lists the flags that all commands have, which kubectl's help leaves out of each. kubectl's own command for it
// drags in packages that take longer to start than the whole plugin.
func newOptionsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "options",
		Short: "Print the list of flags inherited by all commands",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Usage() },
	}
	templates.UseOptionsTemplates(c)
	return c
}

// helpOrUnknown is what the root command does by itself.
func helpOrUnknown(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	hint := "see `kubectl jina --help`"
	if names := c.SuggestionsFor(args[0]); len(names) > 0 {
		hint = fmt.Sprintf("did you mean %s?", strings.Join(names, ", "))
	}
	return usageErrorf("there is no command %q; %s", args[0], hint)
}
