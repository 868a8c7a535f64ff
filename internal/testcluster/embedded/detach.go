package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/statedir"
)

// startDetached runs this program again, without --detach and in a session of its own, and waits until the cluster is
// ready.
func (o *startOptions) startDetached(ctx context.Context) error {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	log, err := os.Create(statedir.Log(o.dir))
	if err != nil {
		return err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(a string) bool {
		return a == "--detach" || strings.HasPrefix(a, "--detach=")
	})
	// Not CommandContext: the cluster outlives this process.
	child := exec.Command(self, args...)
	child.Stderr = log
	child.SysProcAttr = ownSession()
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	unwatch := context.AfterFunc(ctx, func() { _ = child.Process.Kill() })
	defer unwatch()
	kubeconfig, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		// It has closed its output without the line: it failed, and its log says why.
		_ = child.Wait()
		return fmt.Errorf("the cluster did not start: %s", lastLine(log.Name()))
	}
	if _, err := io.WriteString(o.out, kubeconfig); err != nil {
		return errors.Join(err, child.Process.Kill())
	}
	return child.Process.Release()
}

func lastLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "error: ")
}
