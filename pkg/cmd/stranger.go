package cmd

import (
	"slices"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// refuseNamesake refuses a Flow whose name nobody chose, when a Flow of that name runs that has no executor in common with it:
// two different flow files in folders of the same name would else replace each other.
func refuseNamesake(file *flowFile, parent *apply.Parent) error {
	if file.Named || parent == nil {
		return nil
	}
	graph, err := rollout.ParseGraph(parent.Object.GetAnnotations()[apply.AnnotationGraph])
	if err != nil || len(graph) == 0 || len(file.Flow.Executors) == 0 {
		return nil // nothing is known of one of them
	}
	var running []string
	for _, node := range graph {
		running = append(running, node.Executor)
	}
	for _, e := range file.Flow.Executors {
		if slices.Contains(running, e.Name) {
			return nil
		}
	}
	return usageErrorf("the name %s was made from the file's name, and another Flow %s runs in namespace %s, with %s: name this one with --name or `with: {name: …}`, or say --name %s to replace that one",
		file.Name, file.Name, file.Namespace, joinAnd(running), file.Name)
}
