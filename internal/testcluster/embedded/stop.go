package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/statedir"
)

func stopCommand() *cobra.Command {
	var dir string
	var remove bool
	c := &cobra.Command{
		Use:   "stop",
		Short: "Stop the cluster that runs on a state directory, and wait until it is gone",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			say := func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
			return stop(cmd.Context(), dir, remove, say)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "state directory")
	c.Flags().BoolVar(&remove, "rm", false, "remove the state directory too")
	// The flag has just been defined: this cannot fail.
	_ = c.MarkFlagRequired("dir")
	return c
}

// stop is done, not wrong, when no cluster runs there.
func stop(ctx context.Context, path string, remove bool, say func(string, ...any)) error {
	pid, err := statedir.Holder(path)
	if err != nil {
		return err
	}
	if pid == 0 {
		say("no cluster runs on %s", path)
	} else if err := stopProcess(ctx, path, pid); err != nil {
		return err
	} else {
		say("stopped the cluster on %s", path)
	}
	if !remove {
		return nil
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	// Only a cluster's state is removed, and not under a cluster that has just been started on it.
	d, err := statedir.Open(path)
	if err != nil {
		return err
	}
	return d.Remove()
}

// stopProcess ends the process that holds the directory: as long as it is locked, the id is not another process's.
func stopProcess(ctx context.Context, path string, pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit+10*time.Second)
	defer cancel()
	for {
		holder, err := statedir.Holder(path)
		if err != nil {
			return err
		}
		if holder != pid {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d has not stopped: %w", pid, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
