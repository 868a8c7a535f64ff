package cmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// graphNode is a workload, or an external executor, in a picture of the Flow.
type graphNode struct {
	id string
	// lines of its label.
	lines []string
	state graphState
}

// graphState is what decides on a node's colour.
type graphState string

const (
	graphHealthy   graphState = "healthy"
	graphUnhealthy graphState = "unhealthy"
	graphExternal  graphState = "external"
)

// graphGroup is an executor of several workloads, or of one, which then has no frame.
type graphGroup struct {
	id, title string
	nodes     []graphNode
	// in and out are where requests come in, and where they leave to what needs the executor.
	in  string
	out []string
	// inner edges are from the head to the shards.
	inner [][2]string
}

// flowGraph is a Flow as a picture: from the gateway along the needs.
type flowGraph struct {
	groups []graphGroup
	edges  [][2]string
}

// graphOfStatus makes the picture. Its ids are counted, so that no name can be more than text in it.
func graphOfStatus(status rollout.FlowStatus) flowGraph {
	var g flowGraph
	out := map[string][]string{} // what stands for a need: the gateway or an executor, by name
	if status.Gateway != nil {
		node := workloadNode("gateway", "gateway", *status.Gateway)
		g.groups = append(g.groups, graphGroup{nodes: []graphNode{node}, in: node.id, out: []string{node.id}})
		out[string(plan.RoleGateway)] = []string{node.id}
	}
	for i, e := range status.Executors {
		group := executorGroup(fmt.Sprintf("e%d", i), e)
		g.groups = append(g.groups, group)
		out[e.Name] = group.out
	}
	first := len(g.groups) - len(status.Executors)
	for i, e := range status.Executors {
		for _, need := range e.Needs {
			for _, from := range out[need] {
				g.edges = append(g.edges, [2]string{from, g.groups[first+i].in})
			}
		}
	}
	return g
}

func executorGroup(id string, e rollout.ExecutorStatus) graphGroup {
	group := graphGroup{id: id, title: e.Name, in: id}
	workloads := e.Workloads()
	switch {
	case len(workloads) == 0:
		state := graphUnhealthy
		if e.External {
			state = graphExternal
		}
		group.nodes, group.out = []graphNode{{id: id, lines: []string{e.Name, string(e.Phase)}, state: state}}, []string{id}
		return group
	case len(workloads) == 1 && e.Single != nil:
		group.nodes, group.out = []graphNode{workloadNode(id, e.Name, *e.Single)}, []string{id}
		return group
	}
	head := ""
	for i, w := range workloads {
		nodeID, name := fmt.Sprintf("%sw%d", id, i), string(plan.RoleHead)
		switch {
		case w.Shard != nil:
			name = fmt.Sprintf("shard %d", *w.Shard)
		case e.Single != nil && w.Name == e.Single.Name:
			name = "executor"
		default:
			head = nodeID
		}
		group.nodes = append(group.nodes, workloadNode(nodeID, name, w))
		if w.Shard != nil && head != "" {
			group.inner = append(group.inner, [2]string{head, nodeID})
		}
	}
	// Requests go through the head, and so do the answers.
	group.in = group.nodes[0].id
	if head != "" {
		group.in = head
	}
	group.out = []string{group.in}
	return group
}

func workloadNode(id, name string, w rollout.WorkloadStatus) graphNode {
	node := graphNode{id: id, lines: []string{name}, state: graphHealthy}
	if w.Phase == rollout.PhaseMissing {
		node.lines = append(node.lines, string(w.Phase))
	} else {
		node.lines = append(node.lines, fmt.Sprintf("%d/%d %s", w.Ready, w.Wanted, w.Phase))
	}
	if !w.Healthy {
		node.state = graphUnhealthy
	}
	return node
}

// printMermaid prints the Flow as a flowchart (https://mermaid.js.org/syntax/flowchart.html).
func printMermaid(w io.Writer, status rollout.FlowStatus) error {
	g := graphOfStatus(status)
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for _, group := range g.groups {
		indent := "  "
		framed := len(group.nodes) > 1
		if framed {
			fmt.Fprintf(&b, "  subgraph %s[\"%s\"]\n", group.id, mermaidText(group.title))
			indent = "    "
		}
		for _, n := range group.nodes {
			lines := make([]string, len(n.lines))
			for i, line := range n.lines {
				lines[i] = mermaidText(line)
			}
			fmt.Fprintf(&b, "%s%s[\"%s\"]:::%s\n", indent, n.id, strings.Join(lines, "<br/>"), n.state)
		}
		for _, e := range group.inner {
			fmt.Fprintf(&b, "%s%s --> %s\n", indent, e[0], e[1])
		}
		if framed {
			b.WriteString("  end\n")
		}
	}
	for _, e := range g.edges {
		fmt.Fprintf(&b, "  %s --> %s\n", e[0], e[1])
	}
	fmt.Fprintf(&b, "  classDef %s fill:#e6f4ea,stroke:#1e8e3e,color:#202124\n", graphHealthy)
	fmt.Fprintf(&b, "  classDef %s fill:#fce8e6,stroke:#d93025,color:#202124\n", graphUnhealthy)
	fmt.Fprintf(&b, "  classDef %s fill:#f1f3f4,stroke:#80868b,color:#202124,stroke-dasharray:4\n", graphExternal)
	_, err := io.WriteString(w, b.String())
	return err
}

// mermaidText writes all but letters, digits and a few harmless characters as Mermaid's entity codes, #NUMBER;.
func mermaidText(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == ' ', r == '-', r == '_', r == '/', r == '.':
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}

// printDOT prints the Flow in Graphviz' language (https://graphviz.org/doc/info/lang.html).
func printDOT(w io.Writer, status rollout.FlowStatus) error {
	g := graphOfStatus(status)
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\"];\n", dotText(status.Flow))
	for _, group := range g.groups {
		indent := "  "
		framed := len(group.nodes) > 1
		if framed {
			fmt.Fprintf(&b, "  subgraph \"cluster_%s\" {\n    label=%s;\n", group.id, dotText(group.title))
			indent = "    "
		}
		for _, n := range group.nodes {
			fmt.Fprintf(&b, "%s%s [label=%s, %s];\n", indent, n.id, dotText(n.lines...), dotStyle(n.state))
		}
		for _, e := range group.inner {
			fmt.Fprintf(&b, "%s%s -> %s;\n", indent, e[0], e[1])
		}
		if framed {
			b.WriteString("  }\n")
		}
	}
	for _, e := range g.edges {
		fmt.Fprintf(&b, "  %s -> %s;\n", e[0], e[1])
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func dotStyle(s graphState) string {
	switch s {
	case graphHealthy:
		return `color="#1e8e3e", fillcolor="#e6f4ea"`
	case graphUnhealthy:
		return `color="#d93025", fillcolor="#fce8e6"`
	default:
		return `color="#80868b", fillcolor="#f1f3f4", style="rounded,filled,dashed"`
	}
}

// dotText is a quoted string of lines. In it only the quotation mark has to be escaped, the backslash, which starts the
// sequences that labels have of their own, and the ampersand, which starts HTML's entities.
func dotText(lines ...string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `&`, `&amp;`)
	escaped := make([]string, len(lines))
	for i, line := range lines {
		escaped[i] = escape.Replace(line)
	}
	return `"` + strings.Join(escaped, `\n`) + `"`
}
