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
func (s *session) mayCarryOut(ctx context.Context, p plan.Plan) error {
	return s.require(ctx, planPermissions(p))
}

// planPermissions are what a plan needs besides what every up needs.
func planPermissions(p plan.Plan) []meshcheck.Permission {
	var pruned, recreated, scaled []schema.GroupKind
	for _, c := range p.Changes {
		kind := c.Ref.GroupVersionKind().GroupKind()
		switch c.Action {
		case plan.Prune:
			pruned = append(pruned, kind)
		case plan.Recreate:
			recreated = append(recreated, kind)
		}
		if c.Replicas.Scale != nil {
			scaled = append(scaled, kind)
		}
	}
	return meshcheck.MergePermissions(
		meshcheck.PrunePermissions(distinct(pruned)), meshcheck.RecreatePermissions(distinct(recreated)), meshcheck.ReplicasPermissions(distinct(scaled)))
}

// mayScale stops scale before its first write when it lacks a right.
func (s *session) mayScale(ctx context.Context, workloads []livePart) error {
	var kinds []schema.GroupKind
	for _, w := range workloads {
		kinds = append(kinds, w.object.GroupVersionKind().GroupKind())
	}
	return s.require(ctx, meshcheck.ScalePermissions(distinct(kinds)))
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
