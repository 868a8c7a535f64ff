package cmd

import (
	"encoding/json"
	"io"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// planAPIVersion names the form of planOutput, which docs/plan.md and docs/plan.schema.json describe.
const planAPIVersion = "cli.jina.ai/v1alpha1"

// planOutput is what `plan -o json` prints.
type planOutput struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Flow       string           `json:"flow"`
	Namespace  string           `json:"namespace"`
	Changed    bool             `json:"changed"`
	Summary    summaryOutput    `json:"summary"`
	Changes    []changeOutput   `json:"changes"`
	Conflicts  []conflictOutput `json:"conflicts,omitempty"`
	Notes      []string         `json:"notes,omitempty"`
}

// summaryOutput counts the changes by their action, and the conflicts.
type summaryOutput struct {
	Create    int `json:"create"`
	Update    int `json:"update"`
	Recreate  int `json:"recreate"`
	Adopt     int `json:"adopt"`
	Prune     int `json:"prune"`
	Unknown   int `json:"unknown"`
	Keep      int `json:"keep"`
	Conflicts int `json:"conflicts"`
}

type changeOutput struct {
	Action     plan.Action        `json:"action"`
	Kind       string             `json:"kind"`
	Name       string             `json:"name"`
	Namespace  string             `json:"namespace"`
	Part       string             `json:"part"`
	Reason     string             `json:"reason,omitempty"`
	Fields     []plan.FieldChange `json:"fields,omitempty"`
	Replicas   *replicasOutput    `json:"replicas,omitempty"`
	Migrate    []string           `json:"migrate,omitempty"`
	RepairPods []plan.Pod         `json:"repairPods,omitempty"`
	KeepPods   bool               `json:"keepPods,omitempty"`
}

type replicasOutput struct {
	Handover *int32 `json:"handover,omitempty"`
	Scale    *int32 `json:"scale,omitempty"`
	Reset    bool   `json:"reset,omitempty"`
}

type conflictOutput struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	plan.Conflict
}

// printPlanJSON writes a plan for programs.
func printPlanJSON(w io.Writer, flowName, namespace string, p plan.Plan) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(planOutputOf(flowName, namespace, p))
}

func planOutputOf(flowName, namespace string, p plan.Plan) planOutput {
	out := planOutput{
		APIVersion: planAPIVersion, Kind: "Plan", Flow: flowName, Namespace: namespace, Changed: p.Changed(), Notes: p.Notes,
		Summary: summaryOutput{
			Create: p.Count(plan.Create), Update: p.Count(plan.Update), Recreate: p.Count(plan.Recreate), Adopt: p.Count(plan.Adopt),
			Prune: p.Count(plan.Prune), Unknown: p.Count(plan.Unknown), Keep: p.Count(plan.Keep), Conflicts: len(p.Conflicts),
		},
		Changes: make([]changeOutput, 0, len(p.Changes)),
	}
	for _, c := range p.Changes {
		change := changeOutput{
			Action: c.Action, Kind: c.Ref.Kind, Name: c.Ref.Name, Namespace: c.Ref.Namespace, Part: c.Part.String(),
			Reason: c.Reason, Fields: c.Fields, Migrate: c.Migrate, RepairPods: c.RepairPods, KeepPods: c.KeepPods,
		}
		if c.Replicas != (plan.Replicas{}) {
			change.Replicas = &replicasOutput{c.Replicas.Handover, c.Replicas.Scale, c.Replicas.Reset}
		}
		out.Changes = append(out.Changes, change)
	}
	for _, c := range p.Conflicts {
		out.Conflicts = append(out.Conflicts, conflictOutput{c.Ref.Kind, c.Ref.Name, c.Ref.Namespace, c})
	}
	return out
}
