package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printYAML prints what printJSON prints, as YAML.
func printYAML(w io.Writer, v any) error {
	text, err := yaml.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// printStatusNames prints the workloads as kubectl names them, the gateway first.
func printStatusNames(w io.Writer, status rollout.FlowStatus) error {
	var b strings.Builder
	each(status, func(_ string, workload rollout.WorkloadStatus) {
		if workload.Phase != rollout.PhaseMissing {
			fmt.Fprintf(&b, "%s.apps/%s\n", strings.ToLower(workload.Kind), workload.Name)
		}
	})
	_, err := io.WriteString(w, b.String())
	return err
}

// each visits the workloads with the names of their parts, in the order of the Flow.
func each(status rollout.FlowStatus, visit func(part string, w rollout.WorkloadStatus)) {
	if g := status.Gateway; g != nil {
		visit(string(plan.RoleGateway), *g)
	}
	for _, e := range status.Executors {
		for _, w := range e.Workloads() {
			visit(partOfStatus(e, w).String(), w)
		}
	}
}

func partOfStatus(e rollout.ExecutorStatus, w rollout.WorkloadStatus) plan.Part {
	part := plan.Part{Role: plan.RoleExecutor, Executor: e.Name}
	switch {
	case w.Shard != nil:
		part.Role, part.Shard = plan.RoleShard, *w.Shard
	case e.Head != nil && w.Name == e.Head.Name:
		part.Role = plan.RoleHead
	}
	return part
}

// statusText is the Flow as a tree, and then what is wrong.
func statusText(status rollout.FlowStatus, now time.Time, wide bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", statusTitle(status))
	for _, line := range statusTable(status, now, wide) {
		fmt.Fprintln(&b, line)
	}
	for _, line := range statusNotes(status) {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

// statusTitle is the Flow in a line.
func statusTitle(status rollout.FlowStatus) string {
	return fmt.Sprintf("Flow %s in namespace %s: %s, %d of %s ready",
		status.Flow, status.Namespace, healthText(status), status.Ready, countText(status.Workloads, "workload"))
}

func healthText(status rollout.FlowStatus) string {
	switch {
	case status.Paused && status.Healthy:
		return "paused"
	case status.Healthy:
		return "healthy"
	default:
		return "not healthy"
	}
}

func statusTable(status rollout.FlowStatus, now time.Time, wide bool) []string {
	header := []string{"NAME", "READY", "STATUS", "REPLICAS BY", "RESTARTS", "MESH", "AGE", "JINA", "NEEDS", "IMAGE"}
	if wide {
		header = append(header, "WORKLOAD", "UPDATED", "OLD")
	}
	return treeLines(header, statusTree(status, statusCells{now: now, wide: wide}))
}

// statusNotes are what stands below the table: what is wrong, and what is not known.
func statusNotes(status rollout.FlowStatus) []string {
	var lines []string
	if status.Paused {
		lines = append(lines, "", "The Flow is paused; `kubectl jina resume` starts it.")
	}
	if problems := statusProblems(status); len(problems) > 0 {
		lines = append(lines, "", "Not healthy:")
		for _, p := range problems {
			lines = append(lines, "  "+p.text)
			for _, detail := range p.details {
				lines = append(lines, "    "+detail)
			}
		}
	}
	if hidden := unreadableText(status); hidden != "" {
		lines = append(lines, "", hidden)
	}
	return lines
}

// unreadableText says what is not known for lack of rights; empty when nothing is.
func unreadableText(status rollout.FlowStatus) string {
	if len(status.Unreadable) == 0 {
		return ""
	}
	return fmt.Sprintf("Not allowed to list %s: reasons, restarts and crashes may be missing above.", joinAnd(status.Unreadable))
}

// statusTree has the executors below the gateway, and heads and shards below their executor.
func statusTree(status rollout.FlowStatus, cells statusCells) []treeNode {
	executors := make([]treeNode, 0, len(status.Executors))
	for _, e := range status.Executors {
		executors = append(executors, cells.executor(e))
	}
	if status.Gateway == nil {
		return executors
	}
	return []treeNode{{cells: cells.workload("gateway", *status.Gateway, nil), children: executors}}
}

// statusCells makes the columns of the table.
type statusCells struct {
	now  time.Time
	wide bool
}

func (c statusCells) executor(e rollout.ExecutorStatus) treeNode {
	if e.Single != nil && e.Head == nil && len(e.Shards) == 0 {
		return treeNode{cells: c.workload(e.Name, *e.Single, e.Needs)}
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
		node.children = append(node.children, treeNode{cells: c.workload(name, w, nil)})
	}
	sum := fmt.Sprintf("%d/%d", ready, wanted)
	if e.Phase == rollout.PhaseMissing || e.Phase == rollout.PhaseExternal {
		sum = "-"
	}
	node.cells = []string{e.Name, sum, string(e.Phase), "", "", "", "", "", needsText(e.Needs)}
	return node
}

func (c statusCells) workload(name string, w rollout.WorkloadStatus, needs []string) []string {
	if w.Phase == rollout.PhaseMissing {
		return []string{name, "-", string(w.Phase)}
	}
	restarts := "?"
	if w.Restarts != nil {
		restarts = fmt.Sprint(*w.Restarts)
	}
	cells := []string{
		name, fmt.Sprintf("%d/%d", w.Ready, w.Wanted), string(w.Phase), replicasByText(w), restarts, meshText(w.Mesh),
		duration.HumanDuration(c.now.Sub(w.Created)), w.JinaVersion, needsText(needs), w.Image,
	}
	if c.wide {
		cells = append(cells, strings.ToLower(w.Kind)+"/"+w.Name, fmt.Sprint(w.Updated), fmt.Sprint(w.Old))
	}
	return cells
}

func needsText(needs []string) string { return strings.Join(needs, ",") }

// replicasByText is who set the replicas, an autoscaler with its name and its limits.
func replicasByText(w rollout.WorkloadStatus) string {
	a := w.Autoscaler
	if a == nil {
		return w.ReplicasOwner
	}
	kind := a.Kind
	if kind == "HorizontalPodAutoscaler" {
		kind = "HPA" // which is what people call it
	}
	return fmt.Sprintf("%s %s (%d-%d)", kind, a.Name, a.Min, a.Max)
}

// meshText is the number of pods in the mesh.
func meshText(m *rollout.MeshStatus) string {
	switch {
	case m == nil:
		return "?"
	case m.Pods == 0:
		return "" // of no pods nothing can be said
	case m.Proxy == "":
		return "none"
	default:
		return fmt.Sprintf("%s %d/%d", m.Proxy, m.Ready, m.Pods)
	}
}

// statusProblem is what is wrong with a part, and what shows it.
type statusProblem struct {
	text    string
	details []string
}

// statusProblems says of each workload that is not healthy why.
func statusProblems(status rollout.FlowStatus) []statusProblem {
	var problems []statusProblem
	add := func(part string, w rollout.WorkloadStatus) {
		if w.Healthy {
			return
		}
		p := statusProblem{text: part + ": " + string(w.Phase)}
		reason := w.Reason
		if w.Phase == rollout.PhaseMissing {
			reason = "the Flow has it, the cluster does not; `kubectl jina up` brings it back"
		}
		if reason != "" {
			p.text += ": " + reason
		}
		if w.Old > 0 {
			verb := " still run"
			if w.Old == 1 {
				verb = " still runs"
			}
			p.text += "; of its revision before, " + countText(int(w.Old), "pod") + verb
		}
		p.details = causeDetails(w.Cause)
		problems = append(problems, p)
	}
	if g := status.Gateway; g != nil {
		add("gateway", *g)
	}
	for _, e := range status.Executors {
		if e.Phase == rollout.PhaseMissing {
			add(e.Name, rollout.WorkloadStatus{Phase: e.Phase})
		}
		for _, w := range e.Workloads() {
			add(partOfStatus(e, w).String(), w)
		}
	}
	return problems
}

// causeDetails are what stands below a problem: what the cluster says, the last lines of the container, and what to do.
func causeDetails(c *rollout.Cause) []string {
	if c == nil {
		return nil
	}
	var lines []string
	if c.Message != "" {
		lines = append(lines, c.Message)
	}
	if len(c.Logs) > 0 {
		lines = append(lines, fmt.Sprintf("the last lines of container %s of pod %s:", c.Container, c.Pod))
		for _, line := range c.Logs {
			lines = append(lines, "  "+line)
		}
	}
	if c.LogNote != "" {
		lines = append(lines, c.LogNote)
	}
	if c.Remedy != "" {
		lines = append(lines, c.Remedy)
	}
	return lines
}
