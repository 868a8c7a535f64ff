// testenv runs a command with one embedded cluster that all tests in it share:
//
//	go run ./internal/testcluster/cmd/testenv -- go test ./...
//
// It builds the cluster if need be, starts it, runs the command with KUBECTL_JINA_TESTCLUSTER set to the path of its
// kubeconfig, stops the cluster, and exits with the command's code. When the variable is set already, that cluster is
// used and left alone. With -build it only builds, and prints the path of the program that is the cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// The codes of what is not the command's own; the second is a shell's for a command that was ended by a signal.
const (
	codeFailed      = 1
	codeUsage       = 64
	codeInterrupted = 128 + int(syscall.SIGINT)
)

// commandEnds is how long an interrupted command may take to end.
const commandEnds = 30 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("testenv", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: testenv -- COMMAND [ARGUMENT]...\n       testenv -build")
		flags.PrintDefaults()
	}
	buildOnly := flags.Bool("build", false, "only build the cluster, and print the path of the program")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return codeUsage
	}
	if *buildOnly == (flags.NArg() > 0) {
		flags.Usage()
		return codeUsage
	}
	code, err := 0, error(nil)
	if *buildOnly {
		err = printBuild(ctx, stdout, stderr)
	} else {
		code, err = withCluster(ctx, flags.Args(), stdout, stderr)
	}
	switch {
	case err == nil:
		return code
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "testenv: interrupted:", err)
		return codeInterrupted
	}
	fmt.Fprintln(stderr, "testenv:", err)
	return max(code, codeFailed)
}

func printBuild(ctx context.Context, stdout, stderr io.Writer) error {
	binary, err := testcluster.Build(ctx, stderr)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, binary)
	return err
}

func withCluster(ctx context.Context, command []string, stdout, stderr io.Writer) (code int, err error) {
	if os.Getenv(testcluster.EnvKubeconfig) != "" {
		return runCommand(ctx, command, os.Environ(), nil, stdout, stderr)
	}
	binary, err := testcluster.Build(ctx, stderr)
	if err != nil {
		return 0, err
	}
	cluster, err := testcluster.Run(ctx, binary, testcluster.SharedOptions())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	env := append(os.Environ(), testcluster.EnvKubeconfig+"="+cluster.Kubeconfig)
	return runCommand(ctx, command, env, cluster.Exited(), stdout, stderr)
}

// runCommand returns the command's exit code. It and what it has started are interrupted when ctx ends or the cluster
// has ended by itself: its tests would wait for nothing.
func runCommand(ctx context.Context, command, env []string, clusterExited <-chan struct{}, stdout, stderr io.Writer) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-clusterExited:
			cancel(errors.New("the embedded cluster has ended"))
		case <-ctx.Done():
		}
	}()
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Env, c.Stdout, c.Stderr = env, stdout, stderr
	c.SysProcAttr = ownGroup()
	c.Cancel = func() error { return interruptGroup(c.Process) }
	c.WaitDelay = commandEnds
	err := c.Run()
	if ctx.Err() != nil {
		return exitCode(c.ProcessState), fmt.Errorf("%s: %w", command[0], context.Cause(ctx))
	}
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		return exitCode(c.ProcessState), nil
	}
	return 0, err
}
