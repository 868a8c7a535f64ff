// Package flow reads Jina's YAML (Flow and Deployment files) into a [Flow] whose values remember where
// they were written. It knows nothing of Kubernetes.
package flow

// Kind is the jtype of a file.
type Kind string

// The kinds that can be deployed.
const (
	KindFlow       Kind = "Flow"
	KindDeployment Kind = "Deployment"
)

// Flow is a graph of executors behind a gateway, or, for a Deployment file, one executor alone.
type Flow struct {
	Kind Kind
	// Name is with.name as written; empty when the file has none.
	Name string
	// Position of the document.
	Position Position
	// Gateway is nil for a Deployment.
	Gateway *Gateway
	// Executors in the order of the file.
	Executors []*Executor
}

// Gateway is the entry of a Flow.
type Gateway struct {
	Position Position
	Args     Args
}

// Executor is a node of the graph.
type Executor struct {
	// Name as written in the file.
	Name     string
	Position Position
	Args     Args
	// Needs are the names of the nodes before this one, "gateway" among them; never empty in a Flow.
	Needs []string
}
