// Package flow reads Jina's YAML (Flow and Deployment files) into a [Flow] whose values remember where
// they were written. It knows nothing of Kubernetes.
//
// The rules are those of jina 3.34.0's own reader, found by running it. Where that reader drops or corrupts what the
// author wrote, this one reports a [Problem] instead.
package flow

// Kind is the jtype of a file.
type Kind string

// The kinds that can be deployed.
const (
	KindFlow       Kind = "Flow"
	KindDeployment Kind = "Deployment"
)

// GatewayName is the name of the gateway in needs.
const GatewayName = "gateway"

// Flow is a graph of executors behind a gateway, or, for a Deployment file, one executor alone.
type Flow struct {
	Kind Kind
	// Name is with.name as written; empty when the file has none. The name of a Deployment is that of its executor.
	Name string
	// Position of the document.
	Position Position
	// Args are the arguments of the Flow itself: env, inspect, workspace and the like.
	Args Args
	// Gateway is nil for a Deployment.
	Gateway *Gateway
	// Executors in the order of the file.
	Executors []*Executor
	// declared are the executors and those that inspect: REMOVE has taken out; nil when it has not.
	declared []*Executor
	// last is the node that leads to the end of the Flow; empty when there is none.
	last string
}

// Executor returns the executor of that name, or nil.
func (f *Flow) Executor(name string) *Executor {
	for _, e := range f.Executors {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// NamesOf are the names of the executors at some nodes of the graph: an executor in a file of its own has another name than
// its node. The gateway, and what is no node, keeps its name.
func (f *Flow) NamesOf(nodes []string) []string {
	names := append([]string{}, nodes...)
	for _, e := range f.Executors {
		if e.File == "" {
			continue
		}
		for i, node := range nodes {
			if node == e.Node {
				names[i] = e.Name
			}
		}
	}
	return names
}

// Declared are the executors with those that inspect: REMOVE has taken out: Jina's gateway is still told about their
// conditions.
func (f *Flow) Declared() []*Executor {
	if f.declared != nil {
		return f.declared
	}
	return f.Executors
}

// Last is the executor that leads to the end of the Flow: the last one that does not float. It is nil when there is
// none.
func (f *Flow) Last() *Executor {
	for _, e := range f.Executors {
		if e.Node == f.last {
			return e
		}
	}
	return nil
}

// Gateway is the entry of a Flow.
type Gateway struct {
	Position Position
	Args     Args
	Uses     Uses
	// Ports counts the ports that the file gives it, 1 when it gives none. They are never used, but the reference looks at
	// their number.
	Ports int
}

// HasOwnClass tells that the file says what the gateway's container runs.
func (g *Gateway) HasOwnClass() bool { return g.Uses.Image != "" || g.Uses.Builtin != "" }

// Executor is a node of the graph.
type Executor struct {
	// Name as written in the file; the objects are called after it.
	Name string
	// Node is the name in the graph, in needs and for the gateway. It differs from Name when the executor is a file of its
	// own.
	Node string
	// File is the text that names the file of such an executor; SearchPaths is what Jina tells it of where files are.
	File        string
	SearchPaths []string
	// Helper is an executor that the file does not have: it stands beside one with method: inspect and passes on what it
	// gets. Jina's export makes its objects, with names that no cluster accepts.
	Helper     bool
	place      Position // of the text that names the file
	inspection inspection
	// Position of the executor, NamePosition of its name.
	Position     Position
	NamePosition Position
	Args         Args
	Uses         Uses
	// UsesBefore and UsesAfter stand beside the head of a sharded executor; nil when there are none.
	UsesBefore, UsesAfter *Uses
	// External executors run elsewhere: nothing is deployed for them.
	External bool
	// Hosts has one host, or several that are replicas of each other.
	Hosts []Host
	// Volumes in the order of the file.
	Volumes []Volume
	// Needs are the names of the nodes before this one, "gateway" among them, sorted; never empty in a Flow.
	Needs []string
}

// position is where the executor stands in the Flow.
func (e *Executor) position() Position {
	if e.File != "" {
		return e.place
	}
	return e.NamePosition
}

// Floating tells that the Flow's answer does not wait for the executor.
func (e *Executor) Floating() bool { return e.Args.Flag("floating") }

// Shards is the number of shards, at least 1.
func (e *Executor) Shards() int { return e.Args.Int("shards") }

// Replicas is the number of replicas of the executor, or of each of its shards; at least 1.
func (e *Executor) Replicas() int { return e.Args.Int("replicas") }

// Uses is what runs in a container.
type Uses struct {
	Position Position
	// Image of a containerised executor; empty when Jina's own image serves.
	Image string
	// Builtin is a class that Jina's own image has; empty for an image and for the executor that passes documents on
	// as they are.
	Builtin string
}
