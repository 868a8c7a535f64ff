package meshcheck

import (
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
}

// Target is the resource as RBAC rules and kubectl name it: deployments.apps, deployments.apps/scale, pods.
func (p Permission) Target() string {
	s := schema.GroupResource{Group: p.Group, Resource: p.Resource}.String()
	if p.Subresource != "" {
		s += "/" + p.Subresource
	}
	return s
}

// UpPermissions are what up needs to write the objects of the given kinds and to follow their rollout. The Flow's own record, a ConfigMap, is included. Kinds are those of
// Kubernetes itself, whose resource is the regular plural of the kind. The order is that of the kinds.
func UpPermissions(apply []schema.GroupKind) []Permission {
	var ps permissions
	ps.add(record, "to find the Flow's own record", false, "get")
	for _, k := range append([]schema.GroupKind{record}, apply...) {
		// create: the API server asks for it when a server-side apply, a patch, makes an object.
		ps.add(k, "to apply the Flow's objects", false, "list", "create", "patch")
		if isWorkload(k) {
			ps.add(k, "to follow the rollout; it is polled without", true, "watch")
		}
	}
	pods := schema.GroupKind{Kind: "Pod"}
	ps.add(pods, "to tell why a pod is not ready", false, "list")
	ps.add(pods, "to follow the rollout; it is polled without", true, "watch")
	ps.add(pods, "to prove by a dry run that the mesh injects its proxy", true, "create")
	return ps
}

// PrunePermissions are what up needs besides when its plan deletes objects of the given kinds.
func PrunePermissions(kinds []schema.GroupKind) []Permission {
	var ps permissions
	for _, k := range kinds {
		ps.add(k, "to delete what the Flow no longer has", false, "delete")
	}
	return ps
}

// ScalePermissions are what scale needs to change the replicas of workloads of the given kinds.
func ScalePermissions(kinds []schema.GroupKind) []Permission {
	var ps permissions
	ps.add(record, "to find the Flow", false, "get", "list")
	for _, k := range kinds {
		if !isWorkload(k) {
			continue
		}
		ps.add(k, "to find the Flow's workloads", false, "list")
		ps.addSubresource(k, "scale", "to change replicas", "patch")
	}
	return ps
}

// DownPermissions are what down needs to delete the objects of the given kinds.
func DownPermissions(kinds []schema.GroupKind) []Permission {
	var ps permissions
	ps.add(record, "to find the Flow", false, "get")
	for _, k := range append([]schema.GroupKind{record}, kinds...) {
		ps.add(k, "to delete the Flow", false, "list", "delete")
	}
	return ps
}

// CheckPermissions are what the command check asks for: all that up needs, and, as optional ones, what scale and
// down need beyond that.
func CheckPermissions(kinds []schema.GroupKind) []Permission {
	ps := permissions(UpPermissions(kinds))
	for _, more := range [][]Permission{ScalePermissions(kinds), DownPermissions(kinds)} {
		for _, p := range more {
			p.Optional = true
			ps.insert(p)
		}
	}
	return ps
}

// record is the kind of the Flow's own record, the parent of its apply set.
var record = schema.GroupKind{Kind: "ConfigMap"}

// isWorkload tells whether a kind runs pods and has replicas.
func isWorkload(k schema.GroupKind) bool {
	return k.Group == "apps" && (k.Kind == "Deployment" || k.Kind == "StatefulSet")
}

type permissions []Permission

func (ps *permissions) add(k schema.GroupKind, why string, optional bool, verbs ...string) {
	for _, verb := range verbs {
		ps.insert(Permission{Verb: verb, Group: k.Group, Resource: resourceOf(k), Optional: optional, For: why})
	}
}

func (ps *permissions) addSubresource(k schema.GroupKind, subresource, why string, verbs ...string) {
	for _, verb := range verbs {
		ps.insert(Permission{Verb: verb, Group: k.Group, Resource: resourceOf(k), Subresource: subresource, For: why})
	}
}

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

func resourceOf(k schema.GroupKind) string {
	plural, _ := meta.UnsafeGuessKindToResource(k.WithVersion("v1"))
	return plural.Resource
}
