package testcluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// startLimit is many times what a start takes on an idle machine (3 s).
	startLimit = 3 * time.Minute
	stopLimit  = 90 * time.Second
)

// Options of a cluster of one's own.
type Options struct {
	// Dir keeps the state: a second start on it goes on with the same objects, port and certificates, and with the
	// same options. Its path must be short, a socket is made in it. Empty: a temporary directory that goes with the cluster.
	Dir string
	// Linkerd installs the stand-in for Linkerd.
	Linkerd bool
	// Metrics serves metrics.k8s.io from annotations.
	Metrics bool
	// Audit writes the log that Cluster.AuditEvents reads.
	Audit bool
	// NoControllers runs etcd and the API server only. No namespace gets an account or ever ends, no workload gets pods, and
	// what is deleted in the foreground stays. It excludes Linkerd and Metrics.
	NoControllers bool
	// Nodes is how many are simulated; 0 is the default, 3.
	Nodes int
	// ReadyDelay is the time until a pod is Ready that has no annotation of its own.
	ReadyDelay time.Duration
}

// SharedOptions are those of the cluster that all tests share.
func SharedOptions() Options { return Options{Linkerd: true, Metrics: true, Audit: true} }

func (o Options) args() []string {
	// With --stdin the child stops when this process ends, however it ends.
	args := []string{"start", "--stdin"}
	if o.Dir != "" {
		args = append(args, "--dir", o.Dir)
	}
	if o.Linkerd {
		args = append(args, "--linkerd")
	}
	if o.Metrics {
		args = append(args, "--metrics")
	}
	if o.Audit {
		args = append(args, "--audit-log", auditLog)
	}
	if o.NoControllers {
		args = append(args, "--no-controllers")
	}
	if o.Nodes != 0 {
		args = append(args, "--nodes", strconv.Itoa(o.Nodes))
	}
	if o.ReadyDelay != 0 {
		args = append(args, "--ready-delay", o.ReadyDelay.String())
	}
	return args
}

// Process is a cluster that this process has started. It ends with Stop, and with this process.
type Process struct {
	// Kubeconfig is the path of the administrator's.
	Kubeconfig string

	command *exec.Cmd
	stdin   io.WriteCloser
	exited  chan struct{}
	// err is what Wait returned; read it after exited is closed.
	err    error
	stderr *tail
}

// Run starts the program that Build made, and returns when the cluster is ready.
func Run(ctx context.Context, binary string, o Options) (*Process, error) {
	// Not CommandContext: the cluster outlives ctx.
	p := &Process{command: exec.Command(binary, o.args()...), exited: make(chan struct{}), stderr: &tail{}}
	stdin, err := p.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	out, stdout := io.Pipe()
	p.command.Stdout, p.command.Stderr = stdout, p.stderr
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("embedded cluster: %w", err)
	}
	go func() {
		p.err = p.command.Wait()
		_ = stdout.Close()
		close(p.exited)
	}()
	line := make(chan string, 1)
	go func() {
		r := bufio.NewReader(out)
		s, _ := r.ReadString('\n')
		line <- strings.TrimSpace(s)
		// It says nothing more; but it must never wait for a reader.
		_, _ = io.Copy(io.Discard, r)
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("not ready within %s", startLimit))
	defer cancel()
	select {
	case p.Kubeconfig = <-line:
		if p.Kubeconfig == "" {
			return nil, errors.Join(fmt.Errorf("the embedded cluster did not start: %s", p.stderr), p.Stop())
		}
		return p, nil
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("embedded cluster: %w: %s", context.Cause(ctx), p.stderr), p.Stop())
	}
}

// PID of the cluster's process.
func (p *Process) PID() int { return p.command.Process.Pid }

// User writes a kubeconfig for a user with a client certificate, who may do nothing but what is granted to its name or
// one of its groups.
func (p *Process) User(ctx context.Context, kubeconfig, name string, groups ...string) error {
	return makeUser(ctx, p.command.Path, filepath.Dir(p.Kubeconfig), kubeconfig, name, groups)
}

// AuditEvents are the requests that match, in the order in which they were answered. The cluster must have been started
// with Options.Audit. An event is written when its answer has been sent: of the last ones some may be missing.
func (p *Process) AuditEvents(match func(Event) bool) ([]Event, error) {
	return readEvents(filepath.Join(filepath.Dir(p.Kubeconfig), auditLog), match)
}

// Exited is closed when the cluster has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Stop ends the cluster and waits until its process and, without Options.Dir, its files are gone. It may be called
// more than once.
func (p *Process) Stop() error {
	// The second close of a pipe is an error that means nothing.
	_ = p.stdin.Close()
	select {
	case <-p.exited:
	case <-time.After(stopLimit):
		err := p.command.Process.Kill()
		<-p.exited
		return errors.Join(fmt.Errorf("embedded cluster: not stopped within %s: killed: %s", stopLimit, p.stderr), err)
	}
	if p.err != nil {
		return fmt.Errorf("embedded cluster: %w: %s", p.err, p.stderr)
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 4096

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = append([]byte(nil), t.text[extra:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
