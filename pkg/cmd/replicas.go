package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// refusePaused stops a command that a paused Flow has no use for.
func (f liveFlow) refusePaused(namespace string) error {
	if !f.parent.IsPaused() {
		return nil
	}
	return fmt.Errorf("the Flow %s is paused, so nothing of it runs: nothing was changed; `kubectl jina resume --flow %s -n %s` starts it again", f.name, f.name, namespace)
}

// refuseCurrent stops when a part does not have the replicas that the user expects, before any of them is changed.
func refuseCurrent(parts []livePart, current int32) error {
	for _, p := range parts {
		if now := apply.LiveReplicas(p.object); now != current {
			return &apply.ReplicasError{Ref: plan.RefOf(p.object), Want: int64(current), Got: int64(now)}
		}
	}
	return nil
}

// refuseQuorum stops when a stateful executor would have fewer replicas than its consensus needs.
func refuseQuorum(parts []livePart, replicas int32) error {
	var lines []string
	for _, p := range parts {
		quorum := plan.Quorum(p.object)
		if int64(replicas) < quorum {
			lines = append(lines, fmt.Sprintf("%s is stateful: with %s it would have no quorum, which is %d, and could neither read nor write",
				p.part, countText(int(replicas), "replica"), quorum))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return usageErrorf("%s; nothing was changed", strings.Join(lines, "\n"))
}

// refuseAutoscaled stops when an autoscaler would undo what is to be done about a part. Where autoscalers may not be listed it says
// so, and goes by who has written the replicas last.
func (s *session) refuseAutoscaled(ctx context.Context, parts []livePart, warn io.Writer) error {
	scalers, unread, err := s.client.Autoscalers(ctx, s.namespace)
	if err != nil {
		return explain(err)
	}
	if unread != "" {
		fmt.Fprintf(warn, "warning: %s\n", unread)
	}
	var lines []string
	for _, p := range parts {
		ref := plan.RefOf(p.object)
		scaler, is := scalers[ref]
		switch {
		case is:
			lines = append(lines, fmt.Sprintf("%s is scaled by %s/%s%s, which would undo it; %s", p.part, scaler.Kind, scaler.Name, limitsText(scaler), wayOut(scaler, s.namespace)))
		case unread != "" && slices.ContainsFunc(plan.ReplicasOwners(p.object), plan.IsAutoscaler):
			lines = append(lines, fmt.Sprintf("the replicas of %s were last set by an autoscaler, which would undo it", p.part))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return &exitError{code: codeConflict, err: errors.New(strings.Join(lines, "\n") + "\nnothing was changed")}
}

func limitsText(a plan.Autoscaler) string {
	if a.Max == 0 {
		return ""
	}
	return fmt.Sprintf(" between %d and %d replicas", a.Min, a.Max)
}

// wayOut says how to change what an autoscaler does.
func wayOut(a plan.Autoscaler, namespace string) string {
	if a.Kind == "ScaledObject" {
		return fmt.Sprintf("change its minReplicaCount and maxReplicaCount where it is written, or with `kubectl edit scaledobject %s -n %s`, or delete it", a.Name, namespace)
	}
	return fmt.Sprintf("change its minReplicas and maxReplicas where it is written, or with `kubectl edit hpa %s -n %s`, or delete it", a.Name, namespace)
}

// caller is who sends a part its requests, and so decides which replica gets them: the gateway, of a shard its head; nobody of the
// Flow calls the gateway itself, or the one executor of a Deployment file.
func (f liveFlow) caller(of plan.Part) (livePart, bool) {
	for _, p := range f.parts {
		switch {
		case of.Role == plan.RoleGateway:
		case of.Role == plan.RoleShard:
			if p.part.Role == plan.RoleHead && p.part.Executor == of.Executor {
				return p, true
			}
		case p.part.Role == plan.RoleGateway:
			return p, true
		}
	}
	return livePart{}, false
}

// balancesItself tells whether a caller's own arguments make it balance between replicas, without a mesh.
func (p livePart) balancesItself() bool {
	text, err := p.object.MarshalJSON()
	return err == nil && strings.Contains(string(text), "round_robin")
}

// sayWhoShares says of parts that are to have several replicas when the load will not be shared between them, for want of a mesh.
// It looks at the pods that call them.
func (s *session) sayWhoShares(ctx context.Context, f liveFlow, parts []livePart, replicas int32, out io.Writer) {
	if replicas < 2 {
		return
	}
	asked := map[plan.Part]bool{}
	unmeshed := map[plan.Part]bool{}
	for _, p := range parts {
		from, called := f.caller(p.part)
		if !called {
			from = p
		}
		if !asked[from.part] {
			asked[from.part] = true
			meshed, known := meshcheck.Meshed(ctx, s.typed.CoreV1(), s.namespace, podLabels(f.name, from))
			unmeshed[from.part] = known && !meshed
		}
		switch {
		case !unmeshed[from.part], called && from.balancesItself():
		case called:
			fmt.Fprintf(out, "note: no mesh in the pods of %s: each of them keeps its one connection to one replica of %s, so that the others get none of its requests; with Linkerd they share the load (`kubectl jina check` tells what is missing)\n", from.part, p.part)
		default:
			fmt.Fprintf(out, "note: no mesh in the pods of %s: all requests of a client's connection go to one replica, only its new connections to others\n", p.part)
		}
	}
}

// podLabels select the pods of a part.
func podLabels(flowName string, p livePart) labels.Set {
	set := labels.Set{plan.LabelFlow: flowName}
	own := p.object.GetLabels()
	for _, key := range []string{plan.LabelComponent, plan.LabelExecutor, plan.LabelShard} {
		if value := own[key]; value != "" {
			set[key] = value
		}
	}
	return set
}
