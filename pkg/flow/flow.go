// Package flow reads Jina's YAML (Flow and Deployment files) into a [Flow] whose values remember where
// they were written. It knows nothing of Kubernetes.
//
// The rules are those of jina 3.34.0's own reader, found by running it. Where that reader drops or corrupts what the
// author wrote, this one reports a [Problem] instead.
package flow

import "slices"

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

// Last is the executor that leads to the end of the Flow: the last one that does not float. It is nil when there is
// none.
func (f *Flow) Last() *Executor {
	for _, e := range slices.Backward(f.Executors) {
		if !e.Floating() {
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
}

// Executor is a node of the graph.
type Executor struct {
	// Name as written in the file.
	Name string
	// Position of the executor, NamePosition of its name.
	Position     Position
	NamePosition Position
	Args         Args
	Uses         Uses
	// UsesBefore and UsesAfter stand beside the head of a sharded executor; nil when there are none.
	UsesBefore, UsesAfter *Uses
	// Needs are the names of the nodes before this one, "gateway" among them, sorted; never empty in a Flow.
	Needs []string
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
