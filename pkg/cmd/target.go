package cmd

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// liveFlow is a Flow as it is in the cluster, for the commands that name its parts.
type liveFlow struct {
	name   string
	set    apply.Set
	parent *apply.Parent
	// parts are in the order in which they are listed: the gateway, then by executor, its head and its shards.
	parts []livePart
}

// livePart is a live workload and the part of the Flow that it is.
type livePart struct {
	part   plan.Part
	object *unstructured.Unstructured
}

// parts reads the workloads of a Flow.
func (s *session) parts(ctx context.Context, flowName string) (liveFlow, error) {
	set := s.set(flowName)
	running, err := s.client.Running(ctx, set)
	if err != nil {
		return liveFlow{}, explain(err)
	}
	return liveFlow{name: flowName, set: set, parent: running.Parent, parts: partsOf(running.Workloads)}, nil
}

// findParts connects, and reads the parts of the Flow.
func (o *flowRef) findParts(ctx context.Context, f *factory, streams genericiooptions.IOStreams) (*session, liveFlow, error) {
	s, name, err := o.find(ctx, f, streams)
	if err != nil {
		return nil, liveFlow{}, err
	}
	live, err := s.parts(ctx, name)
	return s, live, err
}

// partsOf are the workloads of a Flow: gateway first, then by executor and shard. Executors are named as in the file, by the
// label that Jina itself puts on their pods.
func partsOf(workloads []*unstructured.Unstructured) []livePart {
	parts := make([]livePart, 0, len(workloads))
	for _, o := range workloads {
		part := plan.PartOf(o)
		if name, ok, _ := unstructured.NestedString(o.Object, "spec", "template", "metadata", "labels", plan.LabelJinaDeployment); ok && part.Role != plan.RoleGateway {
			part.Executor = rollout.PlainText(name)
		}
		parts = append(parts, livePart{part, o})
	}
	slices.SortFunc(parts, func(a, b livePart) int {
		if d := strings.Compare(a.part.Executor, b.part.Executor); d != 0 {
			return d
		}
		if d := strings.Compare(string(a.part.Role), string(b.part.Role)); d != 0 {
			return d
		}
		return a.part.Shard - b.part.Shard
	})
	return parts
}

// pick finds what the targets name, each part once, in the order in which they are named. An executor with shards stands for all
// of them, without its head.
func pick(parts []livePart, targets []string) ([]livePart, error) {
	var picked []livePart
	seen := map[plan.Part]bool{}
	for _, t := range targets {
		known := false
		for _, p := range parts {
			if !p.matches(t) {
				continue
			}
			known = true
			if !seen[p.part] {
				seen[p.part] = true
				picked = append(picked, p)
			}
		}
		if !known {
			return nil, unknownTarget(parts, t)
		}
	}
	return picked, nil
}

// matches tells whether a target names the part, by the executor's name in the file or by that of its objects.
func (p livePart) matches(target string) bool {
	if p.part.Role == plan.RoleGateway {
		return target == string(plan.RoleGateway)
	}
	for _, name := range []string{p.part.Executor, p.object.GetLabels()[plan.LabelExecutor]} {
		rest, named := strings.CutPrefix(target, name)
		switch {
		case !named || name == "":
		case rest == "":
			return p.part.Role != plan.RoleHead
		case p.part.Role == plan.RoleHead && rest == "/"+string(plan.RoleHead),
			p.part.Role == plan.RoleShard && rest == "/"+strconv.Itoa(p.part.Shard):
			return true
		}
	}
	return false
}

// unknownTarget says what there is instead of a target, and which of it may be meant.
func unknownTarget(parts []livePart, target string) error {
	const most = 30
	names := targetNames(parts)
	if len(names) == 0 {
		return usageErrorf("the Flow has no %q, nor any workload at all", target)
	}
	hint := ""
	if near := flow.Nearest(target, names); near != "" {
		hint = fmt.Sprintf("; did you mean %s?", near)
	}
	listed := names
	if len(names) > most {
		listed = append(slices.Clone(names[:most]), fmt.Sprintf("and %d more", len(names)-most))
	}
	return usageErrorf("the Flow has no %q%s; it has: %s", target, hint, strings.Join(listed, ", "))
}

// targetNames are all targets that there are.
func targetNames(parts []livePart) []string {
	names := make([]string, 0, len(parts))
	last := ""
	for _, p := range parts {
		if (p.part.Role == plan.RoleHead || p.part.Role == plan.RoleShard) && p.part.Executor != last {
			last = p.part.Executor
			names = append(names, last)
		}
		names = append(names, p.part.String())
	}
	return names
}
