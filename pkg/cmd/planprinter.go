package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// signs of the actions in the text of a plan.
func sign(a plan.Action) string {
	switch a {
	case plan.Create:
		return "+"
	case plan.Update:
		return "~"
	case plan.Prune:
		return "-"
	case plan.Unknown:
		return "?"
	default:
		return " "
	}
}

// printPlan writes a plan for people: one line an object, grouped by the part of the Flow, unchanged objects only counted
// unless there is something to say about them.
func printPlan(w io.Writer, flowName, namespace string, p plan.Plan) {
	fmt.Fprintf(w, "Flow %s in namespace %s\n", flowName, namespace)
	part := ""
	for _, c := range p.Changes {
		if c.Action == plan.Keep && c.Reason == "" {
			continue
		}
		if c.Part.String() != part {
			part = c.Part.String()
			fmt.Fprintf(w, "  %s\n", part)
		}
		fmt.Fprintf(w, "    %s %s %s%s\n", sign(c.Action), actionText(c), c.Ref, reasonText(c.Reason))
		for _, f := range c.Fields {
			fmt.Fprintf(w, "        %s\n", fieldText(f))
		}
	}
	for _, c := range p.Conflicts {
		if c.Field == "" {
			fmt.Fprintf(w, "    ! conflict %s  (belongs to %s)\n", c.Ref, c.Owner)
		} else {
			fmt.Fprintf(w, "    ! conflict %s  (%s is owned by %s)\n", c.Ref, c.Field, c.Owner)
		}
	}
	fmt.Fprintln(w, planSummary(p))
}

func actionText(c plan.Change) string {
	if c.Action == plan.Prune {
		return "delete"
	}
	return string(c.Action)
}

func reasonText(reason string) string {
	if reason == "" {
		return ""
	}
	return "  (" + reason + ")"
}

func fieldText(f plan.FieldChange) string {
	switch {
	case f.Live == plan.Masked && f.Ours == plan.Masked:
		return f.Path + ": changes (values masked)"
	case f.Live == "":
		return fmt.Sprintf("%s: + %s", f.Path, f.Ours)
	case f.Ours == "":
		return fmt.Sprintf("%s: - %s", f.Path, f.Live)
	default:
		return fmt.Sprintf("%s: %s → %s", f.Path, f.Live, f.Ours)
	}
}

// planSummary is the last line of a plan.
func planSummary(p plan.Plan) string {
	if !p.Changed() {
		return fmt.Sprintf("Nothing to do: %s unchanged", countText(p.Count(plan.Keep), "object"))
	}
	var parts []string
	for _, s := range []struct {
		action plan.Action
		text   string
	}{{plan.Create, "to create"}, {plan.Update, "to update"}, {plan.Prune, "to delete"}, {plan.Unknown, "unknown"}, {plan.Keep, "unchanged"}} {
		if n := p.Count(s.action); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s.text))
		}
	}
	return "Plan: " + strings.Join(parts, ", ")
}

func countText(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// planOutput is what `plan -o json` prints.
type planOutput struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Flow       string           `json:"flow"`
	Namespace  string           `json:"namespace"`
	Changed    bool             `json:"changed"`
	Changes    []changeOutput   `json:"changes"`
	Conflicts  []conflictOutput `json:"conflicts,omitempty"`
}

type changeOutput struct {
	Action plan.Action        `json:"action"`
	Kind   string             `json:"kind"`
	Name   string             `json:"name"`
	Part   string             `json:"part"`
	Reason string             `json:"reason,omitempty"`
	Fields []plan.FieldChange `json:"fields,omitempty"`
}

type conflictOutput struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	plan.Conflict
}

// planAPIVersion names the form of planOutput.
const planAPIVersion = "cli.jina.ai/v1alpha1"

func printPlanJSON(w io.Writer, flowName, namespace string, p plan.Plan) error {
	out := planOutput{APIVersion: planAPIVersion, Kind: "Plan", Flow: flowName, Namespace: namespace, Changed: p.Changed(), Changes: []changeOutput{}}
	for _, c := range p.Changes {
		out.Changes = append(out.Changes, changeOutput{c.Action, c.Ref.Kind, c.Ref.Name, c.Part.String(), c.Reason, c.Fields})
	}
	for _, c := range p.Conflicts {
		out.Conflicts = append(out.Conflicts, conflictOutput{c.Ref.Kind, c.Ref.Name, c})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}
