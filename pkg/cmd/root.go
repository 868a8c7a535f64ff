// Package cmd is the command line: flags in, library calls, printers out. It is the only package that knows of
// streams and exit codes.
package cmd

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := New(streams)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && err.Error() != "" {
		fmt.Fprintf(streams.ErrOut, "error: %v\n", err)
	}
	return exitCode(err)
}

// New is the root command.
func New(streams genericiooptions.IOStreams) *cobra.Command {
	f := &factory{flags: genericclioptions.NewConfigFlags(true)}
	root := &cobra.Command{
		Use:           "kubectl-jina",
		Short:         "Take a Jina Flow to a Kubernetes cluster and keep it running there",
		SilenceUsage:  true,
		SilenceErrors: true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl jina"},
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageErrorf("%w", err) })
	f.flags.AddFlags(root.PersistentFlags())
	return root
}
