package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
)

// The values of --output of commands that change workloads.
const (
	outputJSON = "json"
	outputName = "name"
)

// scaledFlow is what scale has done. Its JSON form is what -o json prints.
type scaledFlow struct {
	Flow      string `json:"flow"`
	Namespace string `json:"namespace"`
	// DryRun is client or server where nothing was changed, else none.
	DryRun  string       `json:"dryRun"`
	Targets []scaledPart `json:"targets"`
}

// scaledPart is a target of scale.
type scaledPart struct {
	// Target as users name it.
	Target string `json:"target"`
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	// Before are the replicas that it had, Replicas those that it is to have; Changes tells whether they differ.
	Before   int32 `json:"before"`
	Replicas int32 `json:"replicas"`
	Changes  bool  `json:"changes"`

	resource string
}

func newScaledPart(p livePart, replicas int32) scaledPart {
	before := apply.LiveReplicas(p.object)
	return scaledPart{
		Target: p.part.String(), Kind: p.object.GetKind(), Name: p.object.GetName(),
		Before: before, Replicas: replicas, Changes: before != replicas, resource: p.resourceName(),
	}
}

// printScaled prints what was, or would be, scaled.
func printScaled(w io.Writer, output string, f scaledFlow) error {
	if output == outputJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(f)
	}
	var b strings.Builder
	dryRun := ""
	if f.DryRun != dryRunNone {
		dryRun = fmt.Sprintf(" (%s dry run)", f.DryRun)
	}
	for _, p := range f.Targets {
		replicas := countText(int(p.Replicas), "replica")
		switch {
		case output == outputName:
			fmt.Fprintln(&b, p.resource)
		case !p.Changes:
			fmt.Fprintf(&b, "%s has %s already%s\n", p.Target, replicas, dryRun)
		default:
			fmt.Fprintf(&b, "%s scaled from %d to %s%s\n", p.Target, p.Before, replicas, dryRun)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
