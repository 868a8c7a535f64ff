package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

var (
	statusLong = templates.LongDesc(`
		Show a running Flow: its gateway, executors, heads and shards, how many replicas of each are ready, and the reason
		of whatever is not healthy.

		A part is ready only when its newest revision is available in full, nothing of an earlier one runs and none of
		its containers keeps crashing. REPLICAS BY tells who set the replicas: the file, scale, an autoscaler with its
		limits, or another field manager by its name. MESH counts the pods with a mesh's proxy that is ready.

		With --watch it is shown again whenever it changes: on a terminal in place, elsewhere a line for each change. It goes
		on until it is interrupted, or until the Flow is as --for says: healthy, or ready, which is healthy with every
		part running.

		Exit codes: 0 the status was shown, or the Flow became as --for says; 5 the Flow is not healthy (with --exit-code);
		6 it did not become so in time (with --timeout).`)

	statusExample = templates.Examples(`
		# The only Flow of the current namespace
		kubectl jina status

		# One of several
		kubectl jina status --flow search -n prod

		# The Flow of a file, with the workloads' names
		kubectl jina status -f flow.yml -o wide

		# In a script: fail when the Flow is not healthy, or wait until it is
		kubectl jina status --exit-code
		kubectl jina status --watch --for healthy --timeout 10m

		# For a program, and as a picture
		kubectl jina status -o json
		kubectl jina status -o mermaid`)
)

// The formats of status, besides those that other commands have too.
const (
	outputTree    = "tree"
	outputWide    = "wide"
	outputYAML    = "yaml"
	outputMermaid = "mermaid"
	outputDOT     = "dot"
)

func statusOutputs() []string {
	return []string{outputTree, outputWide, outputJSON, outputYAML, outputName, outputMermaid, outputDOT}
}

// What status --for waits for.
const (
	forHealthy = "healthy"
	forReady   = "ready"
)

type statusOptions struct {
	flowRef
	output   string
	exitCode bool
	watch    bool
	until    string
	timeout  time.Duration

	factory *factory
	env     terminalEnv
	genericiooptions.IOStreams
}

func newStatusCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &statusOptions{factory: f, env: f.terminal(), IOStreams: streams}
	c := &cobra.Command{
		Use:     "status [-f FILE | --flow NAME]",
		Short:   "Show a running Flow, and the reason of whatever is not healthy",
		Long:    statusLong,
		Example: statusExample,
		Args:    noArgs,
		RunE:    validateAndRun(o),
	}
	o.bind(c.Flags())
	fs := c.Flags()
	fs.StringVarP(&o.output, "output", "o", outputTree, "Output format: "+joinOr(statusOutputs()))
	fs.BoolVar(&o.exitCode, "exit-code", false, "Exit with 5 when the Flow is not healthy")
	fs.BoolVarP(&o.watch, "watch", "w", false, "Show it again whenever it changes")
	fs.StringVar(&o.until, "for", "", "With --watch: end when the Flow is healthy, or ready")
	fs.DurationVar(&o.timeout, "timeout", 0, "With --for: the longest time to wait; 0 waits without an end")
	return c
}

// Validate the flags.
func (o *statusOptions) Validate() error {
	switch {
	case !slices.Contains(statusOutputs(), o.output):
		return usageErrorf("--output: %q is not known; it can be %s", o.output, joinOr(statusOutputs()))
	case o.until != "" && o.until != forHealthy && o.until != forReady:
		return usageErrorf("--for: %q is not known; it can be %s or %s", o.until, forHealthy, forReady)
	case o.until != "" && !o.watch:
		return usageErrorf("--for says when --watch ends: give both")
	case o.timeout < 0:
		return usageErrorf("--timeout: %s is not a time to wait", o.timeout)
	case o.timeout > 0 && o.until == "":
		return usageErrorf("--timeout limits the wait that --watch --for asks for: give all three")
	case o.watch && slices.Contains([]string{outputName, outputMermaid, outputDOT}, o.output):
		return usageErrorf("--watch: -o %s is for a single look", o.output)
	case o.watch && o.exitCode:
		return usageErrorf("--exit-code is for a single look: --watch --for with --timeout exits with 0 or 6")
	}
	return o.validate()
}

func joinOr(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Run prints the status.
func (o *statusOptions) Run(ctx context.Context) error {
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, errTimedOut)
		defer cancel()
	}
	s, record, err := o.begin(ctx)
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errTimedOut):
		return &exitError{code: codeTimeout, err: fmt.Errorf("timed out after %s: the cluster did not answer in that time", o.timeout)}
	case err != nil:
		return err
	case o.watch:
		return o.follow(ctx, s, record)
	}
	status, err := s.status(ctx, record, o.env.now())
	if err != nil {
		return err
	}
	if err := o.print(o.Out, status); err != nil {
		return err
	}
	if o.exitCode && !status.Healthy {
		return &exitError{code: codeRollout}
	}
	return nil
}

// begin connects and reads the Flow's record.
func (o *statusOptions) begin(ctx context.Context) (*session, rollout.Record, error) {
	s, name, err := o.find(ctx, o.factory, o.IOStreams)
	if err != nil {
		return nil, rollout.Record{}, err
	}
	record, err := s.record(ctx, name)
	return s, record, err
}

// status reads how a Flow is. What only explains is read when there is something to explain.
func (s *session) status(ctx context.Context, record rollout.Record, now time.Time) (rollout.FlowStatus, error) {
	objects, err := rollout.Read(ctx, s.typed, s.namespace, record.Flow)
	if err != nil {
		return rollout.FlowStatus{}, explain(err)
	}
	status := rollout.Status(record, objects, now)
	if status.Healthy {
		return status, nil
	}
	if err := rollout.ReadEvents(ctx, s.typed, s.namespace, &objects); err != nil {
		return status, explain(err)
	}
	status = rollout.Status(record, objects, now)
	rollout.AddLogs(ctx, s.typed, s.namespace, &status)
	return status, nil
}

func (o *statusOptions) print(w io.Writer, status rollout.FlowStatus) error {
	switch o.output {
	case outputJSON:
		return printJSON(w, status)
	case outputYAML:
		return printYAML(w, status)
	case outputName:
		return printStatusNames(w, status)
	case outputMermaid:
		return printMermaid(w, status)
	case outputDOT:
		return printDOT(w, status)
	default:
		_, err := io.WriteString(w, statusText(status, o.env.now(), o.output == outputWide))
		return err
	}
}

// recordError says that a Flow has no record, or none that can be used: to ask again would be of no use.
type recordError struct{ error }

func (e *recordError) Unwrap() error { return e.error }

// record reads what up recorded of a Flow on its apply set's parent, and what scales its parts.
func (s *session) record(ctx context.Context, flowName string) (rollout.Record, error) {
	parent := s.set(flowName).ParentRef()
	record := rollout.Record{Flow: flowName, Namespace: s.namespace}
	configMap, err := s.typed.CoreV1().ConfigMaps(s.namespace).Get(ctx, parent.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return record, s.noSuchFlow(ctx, flowName)
	case err != nil:
		return record, explain(fmt.Errorf("cannot read the Flow's record: %w", err))
	}
	if record, err = parentRecord(flowName, s.namespace, configMap.Annotations); err != nil {
		return record, &recordError{fmt.Errorf("%s%w", parent, err)}
	}
	// Who may not list them sees an autoscaler by what it has written.
	record.Autoscalers, _, err = s.client.Autoscalers(ctx, s.namespace)
	if err != nil {
		return record, explain(err)
	}
	return record, nil
}

// parentRecord reads the annotations of an apply set's parent. Its errors go on from the parent's name.
func parentRecord(flowName, namespace string, annotations map[string]string) (rollout.Record, error) {
	record := rollout.Record{
		Flow: flowName, Namespace: namespace, Tooling: annotations[apply.AnnotationTooling], Paused: annotations[apply.AnnotationPaused] != "",
	}
	if tool, _, _ := strings.Cut(record.Tooling, "/"); tool != plan.FieldManager {
		return record, errors.New(" is not the record of a Flow that kubectl jina brought up")
	}
	var err error
	if record.Graph, err = rollout.ParseGraph(annotations[apply.AnnotationGraph]); err != nil {
		return record, fmt.Errorf(": %w", err)
	}
	return record, nil
}

// noSuchFlow says which Flows there are instead.
func (s *session) noSuchFlow(ctx context.Context, flowName string) error {
	names, err := s.client.Flows(ctx, s.namespace)
	switch {
	case err != nil:
		return explain(err)
	case len(names) == 0:
		return &recordError{fmt.Errorf("no Flow %q in namespace %s, nor any other; `kubectl jina up -f FILE` brings one up, -n picks another namespace", flowName, s.namespace)}
	default:
		return &recordError{fmt.Errorf("no Flow %q in namespace %s; it has: %s", flowName, s.namespace, strings.Join(names, ", "))}
	}
}
