package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
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
		its containers keeps crashing. REPLICAS BY tells who set the replicas: the file, scale, an autoscaler, or another
		field manager by its name.

		Exit codes: 0 the status was shown, 5 the Flow is not healthy (with --exit-code).`)

	statusExample = templates.Examples(`
		# The only Flow of the current namespace
		kubectl jina status

		# One of several
		kubectl jina status --flow search -n prod

		# The Flow of a file
		kubectl jina status -f flow.yml

		# In a script: fail when the Flow is not healthy
		kubectl jina status --exit-code

		# For a program
		kubectl jina status -o json`)
)

type statusOptions struct {
	flowRef
	output   string
	exitCode bool

	factory *factory
	now     func() time.Time
	genericiooptions.IOStreams
}

func newStatusCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &statusOptions{factory: f, now: time.Now, IOStreams: streams}
	c := &cobra.Command{
		Use:     "status [-f FILE | --flow NAME]",
		Short:   "Show a running Flow, and the reason of whatever is not healthy",
		Long:    statusLong,
		Example: statusExample,
		Args:    noArgs,
		RunE:    validateAndRun(o),
	}
	o.bind(c.Flags())
	c.Flags().StringVarP(&o.output, "output", "o", "tree", "Output format: tree or json")
	c.Flags().BoolVar(&o.exitCode, "exit-code", false, "Exit with 5 when the Flow is not healthy")
	return c
}

// Validate the flags.
func (o *statusOptions) Validate() error {
	if o.output != "tree" && o.output != "json" {
		return usageErrorf("--output: %q is not known; it can be tree or json", o.output)
	}
	return o.validate()
}

// Run prints the status.
func (o *statusOptions) Run(ctx context.Context) error {
	s, name, err := o.find(ctx, o.factory, o.IOStreams)
	if err != nil {
		return err
	}
	record, err := s.record(ctx, name)
	if err != nil {
		return err
	}
	objects, err := rollout.Read(ctx, s.typed, s.namespace, name)
	if err != nil {
		return explain(err)
	}
	status := rollout.Status(record, objects, o.now())
	if o.output == "json" {
		err = printStatusJSON(o.Out, status)
	} else {
		err = printStatus(o.Out, status, o.now())
	}
	if err != nil {
		return err
	}
	if o.exitCode && !status.Healthy {
		return &exitError{code: codeRollout}
	}
	return nil
}

// record reads what up recorded of a Flow on its apply set's parent.
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
	record.Tooling = configMap.Annotations[apply.AnnotationTooling]
	if tool, _, _ := strings.Cut(record.Tooling, "/"); tool != plan.FieldManager {
		return record, fmt.Errorf("%s is not the record of a Flow that kubectl jina brought up", parent)
	}
	record.Graph, err = rollout.ParseGraph(configMap.Annotations[apply.AnnotationGraph])
	if err != nil {
		return record, fmt.Errorf("%s: %w", parent, err)
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
		return fmt.Errorf("no Flow %q in namespace %s, nor any other; `kubectl jina up -f FILE` brings one up, -n picks another namespace", flowName, s.namespace)
	default:
		return fmt.Errorf("no Flow %q in namespace %s; it has: %s", flowName, s.namespace, strings.Join(names, ", "))
	}
}

func printStatusJSON(w io.Writer, status rollout.FlowStatus) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(status)
}

// printStatus prints the Flow as a tree, and then what is wrong.
func printStatus(w io.Writer, status rollout.FlowStatus, now time.Time) error {
	health := "healthy"
	if !status.Healthy {
		health = "not healthy"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Flow %s in namespace %s: %s, %d of %s ready\n\n",
		status.Flow, status.Namespace, health, status.Ready, countText(status.Workloads, "workload"))
	header := []string{"NAME", "READY", "STATUS", "REPLICAS BY", "RESTARTS", "AGE", "NEEDS", "IMAGE"}
	for _, line := range treeLines(header, statusTree(status, now)) {
		fmt.Fprintln(&b, line)
	}
	if problems := statusProblems(status); len(problems) > 0 {
		fmt.Fprintf(&b, "\nNot healthy:\n")
		for _, p := range problems {
			fmt.Fprintf(&b, "  %s\n", p)
		}
	}
	if len(status.Unreadable) > 0 {
		fmt.Fprintf(&b, "\nNot allowed to list %s: reasons, restarts and crashes may be missing above.\n", strings.Join(status.Unreadable, " and "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// statusTree has the executors below the gateway, and heads and shards below their executor.
func statusTree(status rollout.FlowStatus, now time.Time) []treeNode {
	executors := make([]treeNode, 0, len(status.Executors))
	for _, e := range status.Executors {
		executors = append(executors, executorNode(e, now))
	}
	if status.Gateway == nil {
		return executors
	}
	return []treeNode{{cells: workloadCells("gateway", *status.Gateway, nil, now), children: executors}}
}

func executorNode(e rollout.ExecutorStatus, now time.Time) treeNode {
	if e.Single != nil && e.Head == nil && len(e.Shards) == 0 {
		return treeNode{cells: workloadCells(e.Name, *e.Single, e.Needs, now)}
	}
	node := treeNode{}
	var ready, wanted int32
	for _, w := range e.Workloads() {
		ready, wanted = ready+w.Ready, wanted+w.Wanted
		name := "head"
		switch {
		case w.Shard != nil:
			name = fmt.Sprintf("shard %d", *w.Shard)
		case e.Single != nil && w.Name == e.Single.Name:
			name = "executor"
		}
		node.children = append(node.children, treeNode{cells: workloadCells(name, w, nil, now)})
	}
	sum := fmt.Sprintf("%d/%d", ready, wanted)
	if e.Phase == rollout.PhaseMissing || e.Phase == rollout.PhaseExternal {
		sum = "-"
	}
	node.cells = []string{e.Name, sum, string(e.Phase), "", "", "", needsText(e.Needs)}
	return node
}

func workloadCells(name string, w rollout.WorkloadStatus, needs []string, now time.Time) []string {
	if w.Phase == rollout.PhaseMissing {
		return []string{name, "-", string(w.Phase)}
	}
	restarts := "?"
	if w.Restarts != nil {
		restarts = fmt.Sprint(*w.Restarts)
	}
	return []string{
		name, fmt.Sprintf("%d/%d", w.Ready, w.Wanted), string(w.Phase), w.ReplicasOwner, restarts,
		duration.HumanDuration(now.Sub(w.Created)), needsText(needs), w.Image,
	}
}

func needsText(needs []string) string { return strings.Join(needs, ",") }

// statusProblems says of each workload that is not healthy why.
func statusProblems(status rollout.FlowStatus) []string {
	var problems []string
	add := func(part string, w rollout.WorkloadStatus) {
		if w.Healthy {
			return
		}
		text := part + ": " + string(w.Phase)
		if w.Reason != "" {
			text += ": " + w.Reason
		}
		if w.Old > 0 {
			text += "; of its revision before, " + countText(int(w.Old), "pod") + " still run"
		}
		problems = append(problems, text)
	}
	const missing = "the Flow has it, the cluster does not; `kubectl jina up` brings it back"
	if g := status.Gateway; g != nil {
		if g.Phase == rollout.PhaseMissing {
			g = &rollout.WorkloadStatus{Phase: g.Phase, Reason: missing}
		}
		add("gateway", *g)
	}
	for _, e := range status.Executors {
		if e.Phase == rollout.PhaseMissing {
			add(e.Name, rollout.WorkloadStatus{Phase: e.Phase, Reason: missing})
		}
		for _, w := range e.Workloads() {
			part := plan.Part{Role: plan.RoleExecutor, Executor: e.Name}
			switch {
			case w.Shard != nil:
				part.Role, part.Shard = plan.RoleShard, *w.Shard
			case e.Head != nil && w.Name == e.Head.Name:
				part.Role = plan.RoleHead
			}
			add(part.String(), w)
		}
	}
	return problems
}
