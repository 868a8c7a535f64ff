package cmd

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// mayCarryOut stops up before its first write when a right is missing that this plan needs besides what every up needs; the
// preflight could not know of it.
func (s *session) mayCarryOut(ctx context.Context, p plan.Plan, atomic bool) error {
	return s.require(ctx, planPermissions(p, atomic))
}

// planPermissions are what a plan needs besides what every up needs. One that goes back deletes what it has created.
func planPermissions(p plan.Plan, atomic bool) []meshcheck.Permission {
	var pruned, recreated, scaled []schema.GroupKind
	repairs := false
	for _, c := range p.Changes {
		kind := c.Ref.GroupVersionKind().GroupKind()
		switch c.Action {
		case plan.Prune:
			pruned = append(pruned, kind)
		case plan.Create, plan.Unknown:
			if atomic {
				pruned = append(pruned, kind)
			}
		case plan.Recreate:
			recreated = append(recreated, kind)
		}
		repairs = repairs || len(c.RepairPods) > 0
		if c.Replicas.Scale != nil {
			scaled = append(scaled, kind)
		}
	}
	var repair []meshcheck.Permission
	if repairs {
		repair = meshcheck.RepairPermissions()
	}
	return meshcheck.MergePermissions(
		meshcheck.PrunePermissions(distinct(pruned)), meshcheck.RecreatePermissions(distinct(recreated)), meshcheck.ReplicasPermissions(distinct(scaled)), repair)
}

// mayChange stops a command that changes workloads before its first write when it lacks a right.
func (s *session) mayChange(ctx context.Context, command meshcheck.Command, workloads []livePart) error {
	var kinds []schema.GroupKind
	for _, w := range workloads {
		kinds = append(kinds, w.object.GroupVersionKind().GroupKind())
	}
	return s.require(ctx, meshcheck.ChangePermissions(command, distinct(kinds)))
}

// mayDown stops down before its first write when it lacks a right.
func (s *session) mayDown(ctx context.Context, members []plan.Change) error {
	var kinds []schema.GroupKind
	for _, m := range members {
		kinds = append(kinds, m.Ref.GroupVersionKind().GroupKind())
	}
	return s.require(ctx, meshcheck.DownPermissions(distinct(kinds)))
}

func (s *session) require(ctx context.Context, ps []meshcheck.Permission) error {
	return meshcheck.Require(ctx, s.typed.AuthorizationV1(), s.namespace, ps)
}

// distinct are the kinds, each once, in the order in which they first come.
func distinct(kinds []schema.GroupKind) []schema.GroupKind {
	var once []schema.GroupKind
	for _, k := range kinds {
		if !slices.Contains(once, k) {
			once = append(once, k)
		}
	}
	return once
}
