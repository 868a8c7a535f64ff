package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/cluster"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/statedir"
)

// stopLimit is how long a stop may take; then the process ends anyway, with its files removed.
const stopLimit = time.Minute

type startOptions struct {
	dir      string
	remove   bool
	stdin    bool
	detach   bool
	lifetime time.Duration
	settings statedir.Settings

	in       io.Reader
	out, err io.Writer
}

func startCommand() *cobra.Command {
	o := &startOptions{}
	c := &cobra.Command{
		Use:   "start",
		Short: "Start a cluster, print the path of its kubeconfig, and stay until it is stopped",
		Long: `Start a cluster, print the path of its kubeconfig as the only line on standard output, and stay.

It stops on SIGTERM, on Ctrl-C, after --lifetime, and with --stdin when standard input is closed, so also when the
process that started it is killed.

Without --dir its state is in a new temporary directory that is removed when it stops. With --dir the state stays, and
a start on the same directory goes on with the same objects, certificates, port and settings.`,
		Example: `  # For as long as the terminal is there
  jina-testcluster start --linkerd

  # In the background, with state that stays; twice the same
  jina-testcluster start --dir /tmp/c1 --detach
  jina-testcluster stop --dir /tmp/c1
  jina-testcluster start --dir /tmp/c1 --detach
  jina-testcluster stop --dir /tmp/c1 --rm`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.in, o.out, o.err = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return o.run(cmd.Context(), cmd.Flags().Changed)
		},
	}
	f := c.Flags()
	f.StringVar(&o.dir, "dir", "", "state directory (default: a new temporary one, removed on stop)")
	f.BoolVar(&o.remove, "rm", false, "remove the state directory on stop")
	f.BoolVar(&o.stdin, "stdin", false, "stop when standard input is closed")
	f.BoolVar(&o.detach, "detach", false, "return when it is ready and let it run in the background; needs --dir")
	f.DurationVar(&o.lifetime, "lifetime", 0, "stop by itself after this time (0: never)")
	f.IntVar(&o.settings.Port, "port", 0, "port of the API server on 127.0.0.1 (0: any, and the same one at the next start)")
	f.IntVar(&o.settings.Nodes, "nodes", 3, "simulated nodes")
	f.DurationVar(&o.settings.ReadyDelay, "ready-delay", 0, "time until a pod is Ready that has no annotation sim.test/ready-after")
	f.BoolVar(&o.settings.Linkerd, "linkerd", false, "install the stand-in for Linkerd: its injector works, its proxy does not exist")
	f.BoolVar(&o.settings.Metrics, "metrics", false, "serve metrics.k8s.io from annotations, for autoscalers")
	f.BoolVar(&o.settings.NoControllers, "no-controllers", false, "run etcd and the API server only: no controller, no scheduler, no node acts on what is stored")
	f.StringVar(&o.settings.AuditLog, "audit-log", "", "write what clients ask the API server, as JSON lines, to this file (relative: in the state directory)")
	return c
}

func (o *startOptions) validate() error {
	switch {
	case o.settings.Nodes < 1:
		return fmt.Errorf("--nodes %d: at least one is needed", o.settings.Nodes)
	case o.settings.Port < 0 || o.settings.Port > 65535:
		return fmt.Errorf("--port %d: not a port", o.settings.Port)
	case o.settings.ReadyDelay < 0:
		return fmt.Errorf("--ready-delay %s: must not be negative", o.settings.ReadyDelay)
	case o.lifetime < 0:
		return fmt.Errorf("--lifetime %s: must not be negative", o.lifetime)
	case o.settings.NoControllers && (o.settings.Linkerd || o.settings.Metrics):
		return errors.New("--no-controllers excludes --linkerd and --metrics: what they install would never run")
	case o.detach && o.dir == "":
		return errors.New("--detach needs --dir: `stop` finds the cluster by it")
	case o.detach && o.stdin:
		return errors.New("--detach and --stdin exclude each other")
	}
	return nil
}

func (o *startOptions) run(ctx context.Context, given func(flag string) bool) error {
	if err := o.validate(); err != nil {
		return err
	}
	if o.detach {
		return o.startDetached(ctx)
	}
	ctx, cancel := o.untilStopped(ctx)
	defer cancel()
	dir, err := o.openDir()
	if err != nil {
		return err
	}
	err = o.serve(ctx, dir, given)
	if o.remove || o.dir == "" {
		return errors.Join(err, dir.Remove())
	}
	// The directory is given back by the end of the process: who waits for it to be free finds the process gone.
	return err
}

// untilStopped is a context that ends when the cluster is to stop.
func (o *startOptions) untilStopped(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	if o.stdin {
		go func() {
			// An error ends it as well: then nobody can close it any more.
			_, _ = io.Copy(io.Discard, o.in)
			cancel()
		}()
	}
	return ctx, cancel
}

func (o *startOptions) openDir() (*statedir.Dir, error) {
	if o.dir != "" {
		return statedir.Open(o.dir)
	}
	path, err := os.MkdirTemp("", "jina-testcluster-")
	if err != nil {
		return nil, err
	}
	return statedir.Open(path)
}

// serve runs the cluster until ctx ends or a component fails.
func (o *startOptions) serve(ctx context.Context, dir *statedir.Dir, given func(string) bool) error {
	settings, err := o.merged(dir, given)
	if err != nil {
		return err
	}
	begin := time.Now()
	progress := func(what string) {
		fmt.Fprintf(o.err, "%5.1fs %s\n", time.Since(begin).Seconds(), what)
	}
	c, err := cluster.Start(ctx, dir, settings, progress)
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped before the cluster was ready")
		}
		return err
	}
	progress("the cluster is ready")
	// Nobody may be there to read it any more; then ctx ends too.
	fmt.Fprintln(o.out, c.Kubeconfig())

	var failure error
	select {
	case <-ctx.Done():
	case failure = <-c.Failed():
	case <-after(o.lifetime):
		progress("its lifetime is over")
	}
	timer := time.AfterFunc(stopLimit, func() {
		fmt.Fprintf(o.err, "error: the cluster did not stop within %s\n", stopLimit)
		if o.remove || o.dir == "" {
			_ = dir.Remove()
		}
		os.Exit(1)
	})
	defer timer.Stop()
	return errors.Join(failure, c.Stop())
}

// after never fires for 0.
func after(d time.Duration) <-chan time.Time {
	if d == 0 {
		return nil
	}
	return time.After(d)
}

// merged are the settings of the earlier run on dir, but for what the command line says.
func (o *startOptions) merged(dir *statedir.Dir, given func(string) bool) (statedir.Settings, error) {
	s, found, err := dir.Settings()
	if err != nil || !found {
		return o.settings, err
	}
	if given("port") {
		s.Port = o.settings.Port
	}
	if given("nodes") {
		s.Nodes = o.settings.Nodes
	}
	if given("ready-delay") {
		s.ReadyDelay = o.settings.ReadyDelay
	}
	if given("linkerd") {
		s.Linkerd = o.settings.Linkerd
	}
	if given("metrics") {
		s.Metrics = o.settings.Metrics
	}
	if given("no-controllers") {
		s.NoControllers = o.settings.NoControllers
	}
	if given("audit-log") {
		s.AuditLog = o.settings.AuditLog
	}
	return s, nil
}
