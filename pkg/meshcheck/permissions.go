package meshcheck

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Permission is one right in the Flow's namespace.
type Permission struct {
	Verb        string
	Group       string
	Resource    string
	Subresource string
	// Optional: without it the command goes on, with less; the check warns and does not fail.
	Optional bool
	// For says what it is needed for, as the end of a sentence that starts with "to".
	For string
	// Without says what happens where it is missing, as the end of a sentence that starts with "else"; empty for what is required.
	Without string
	// OnlyWith is the API group without which nobody misses the right; empty for Kubernetes' own.
	OnlyWith string
}

// Target is the resource as RBAC rules and kubectl name it: deployments.apps, deployments.apps/scale, pods.
func (p Permission) Target() string {
	s := schema.GroupResource{Group: p.Group, Resource: p.Resource}.String()
	if p.Subresource != "" {
		s += "/" + p.Subresource
	}
	return s
}

// UpPermissions are what up needs to write the objects of the given kinds and to follow their rollout, whatever its plan is. The
// Flow's own record, a ConfigMap, is included. What depends on the plan is in PrunePermissions, RecreatePermissions and
// ReplicasPermissions.
func UpPermissions(kinds []schema.GroupKind) []Permission {
	return reviewable(kinds, CommandUp, NeedAlways, NeedOptional)
}

// PrunePermissions are what up needs besides when its plan deletes objects of the given kinds.
func PrunePermissions(kinds []schema.GroupKind) []Permission {
	return conditional(kinds, NeedPrune)
}

// RecreatePermissions are what up needs besides when its plan deletes and creates again objects of the given kinds.
func RecreatePermissions(kinds []schema.GroupKind) []Permission {
	return conditional(kinds, NeedRecreate)
}

// ReplicasPermissions are what up needs besides when its plan sets the replicas of workloads of the given kinds that somebody
// else has scaled.
func ReplicasPermissions(kinds []schema.GroupKind) []Permission {
	return conditional(kinds, NeedReplicas)
}

// RepairPermissions are what up needs besides when broken pods are in the way of its plan.
func RepairPermissions() []Permission {
	return conditional([]schema.GroupKind{{Kind: "Pod"}}, NeedRepair)
}

// ChangePermissions are what a command needs that changes running workloads of the given kinds (scale, pause, resume, restart), to
// do that and to follow it.
func ChangePermissions(c Command, kinds []schema.GroupKind) []Permission {
	return reviewable(kinds, c, NeedAlways, NeedOptional)
}

// DownPermissions are what down needs to delete the objects of the given kinds.
func DownPermissions(kinds []schema.GroupKind) []Permission {
	return reviewable(kinds, CommandDown, NeedAlways, NeedOptional)
}

// CheckPermissions are what the command check asks for: all that up always needs, and, as optional ones, what up may come to
// need and what the other commands need beyond that.
func CheckPermissions(kinds []schema.GroupKind) []Permission {
	ps := permissions(UpPermissions(kinds))
	for _, c := range RoleCommands() {
		for _, p := range reviewable(kinds, c, everyNeed()...) {
			p.Optional = true
			ps.insert(p)
		}
	}
	return ps
}

// RoleCommands are the commands that a Role can be made for.
func RoleCommands() []Command {
	return []Command{CommandUp, CommandScale, CommandRestart, CommandPause, CommandResume, CommandStatus, CommandList, CommandLogs, CommandPing, CommandPortForward, CommandDown}
}

// RolePermissions are what the commands need in the Flow's namespace, with everything that they may come to do. What one of
// them requires is required.
func RolePermissions(commands []Command, kinds []schema.GroupKind) []Permission {
	lists := make([][]Permission, len(commands))
	for i, c := range commands {
		lists[i] = permissionsOf(Rights(kinds), c, everyNeed()...)
	}
	return MergePermissions(lists...)
}

// MergePermissions has each of the permissions once. What is required in one of the lists is required.
func MergePermissions(lists ...[]Permission) []Permission {
	var ps permissions
	for _, list := range lists {
		for _, p := range list {
			ps.insert(p)
		}
	}
	return ps
}

func everyNeed() []Need {
	return []Need{NeedAlways, NeedPrune, NeedRecreate, NeedReplicas, NeedRepair, NeedOptional}
}

// reviewable are the permissions of a command that it has to be asked for; the others show by the checks' own requests.
func reviewable(kinds []schema.GroupKind, c Command, ways ...Need) permissions {
	return permissionsOf(slices.DeleteFunc(Rights(kinds), func(r Right) bool { return r.told }), c, ways...)
}

// conditional are the rights of one need of up, for no other kinds than those given.
func conditional(kinds []schema.GroupKind, need Need) []Permission {
	asked := resourcesOf(kinds)
	return slices.DeleteFunc(reviewable(kinds, CommandUp, need), func(p Permission) bool {
		return !slices.Contains(asked, schema.GroupResource{Group: p.Group, Resource: p.Resource})
	})
}

// permissionsOf a command are the rights that it needs, in one of the given ways, in the Flow's namespace.
func permissionsOf(rights []Right, c Command, ways ...Need) permissions {
	var ps permissions
	for _, r := range rights {
		need, needed := r.Needs[c]
		if !needed || r.Scope != ScopeNamespace || !slices.Contains(ways, need) {
			continue
		}
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				p := Permission{
					Verb: verb, Group: resource.Group, Resource: resource.Resource, Subresource: r.Subresource,
					Optional: need == NeedOptional, For: r.For, OnlyWith: r.Group,
				}
				if p.Optional {
					p.Without = r.Without
				}
				ps.insert(p)
			}
		}
	}
	return ps
}

type permissions []Permission

// insert adds p unless it is there; a permission that is both optional and required is required.
func (ps *permissions) insert(p Permission) {
	for i := range *ps {
		q := &(*ps)[i]
		if q.Verb == p.Verb && q.Target() == p.Target() {
			if q.Optional && !p.Optional {
				*q = p
			}
			return
		}
	}
	*ps = append(*ps, p)
}

// kedaGroup is the API group of KEDA, which scales workloads by events (https://keda.sh).
const kedaGroup = "keda.sh"

var (
	// record is the kind of the Flow's own record, the parent of its apply set.
	record = schema.GroupKind{Kind: "ConfigMap"}
	// lease is the kind of what keeps two runs on one Flow apart.
	lease = schema.GroupKind{Group: "coordination.k8s.io", Kind: "Lease"}
)

// withRecord are the kinds of a Flow's objects and of its record, each once, the record's first.
func withRecord(kinds []schema.GroupKind) []schema.GroupKind {
	all := []schema.GroupKind{record}
	for _, k := range kinds {
		if !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	return all
}

// allWorkloads are the kinds that run pods and have replicas.
func allWorkloads() []schema.GroupKind {
	return []schema.GroupKind{{Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "StatefulSet"}}
}

func workloadsOf(kinds []schema.GroupKind) []schema.GroupKind {
	return slices.DeleteFunc(slices.Clone(kinds), func(k schema.GroupKind) bool { return !slices.Contains(allWorkloads(), k) })
}

func resourcesOf(kinds []schema.GroupKind) []schema.GroupResource {
	resources := make([]schema.GroupResource, len(kinds))
	for i, k := range kinds {
		plural, _ := meta.UnsafeGuessKindToResource(k.WithVersion("v1"))
		resources[i] = plural.GroupResource()
	}
	return resources
}
