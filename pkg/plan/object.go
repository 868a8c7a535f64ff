// Package plan turns a Flow into Kubernetes objects, and objects and live state into a Plan. It is pure: no
// cluster, clock or environment, and no map order in its result.
package plan

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Role is what a workload does in the Flow.
type Role string

// The roles, also the values of the label app.kubernetes.io/component.
const (
	RoleGateway  Role = "gateway"
	RoleExecutor Role = "executor"
	RoleHead     Role = "head"
	RoleShard    Role = "shard"
)

// Part names the part of the Flow that an object belongs to.
type Part struct {
	Role Role
	// Executor is the executor's name as written in the Flow; empty for the gateway.
	Executor string
	// Shard counts from 0; it has a meaning for RoleShard only.
	Shard int
}

// String is how users name a part: gateway, EXECUTOR, EXECUTOR/head, EXECUTOR/SHARD.
func (p Part) String() string {
	switch p.Role {
	case RoleGateway:
		return "gateway"
	case RoleHead:
		return p.Executor + "/head"
	case RoleShard:
		return fmt.Sprintf("%s/%d", p.Executor, p.Shard)
	default:
		return p.Executor
	}
}

// Ref identifies an object in a cluster. It is comparable.
type Ref struct {
	Group, Version, Kind string
	Namespace, Name      string
}

// RefOf returns the reference of an object.
func RefOf(o *unstructured.Unstructured) Ref {
	gvk := o.GroupVersionKind()
	return Ref{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

// GroupVersionKind of the object.
func (r Ref) GroupVersionKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
}

// String is Kind/name, as it stands in plans and messages.
func (r Ref) String() string { return r.Kind + "/" + r.Name }

// Object is a Kubernetes object exactly as it is applied, and the part of the Flow that it belongs to.
type Object struct {
	*unstructured.Unstructured
	Part Part
	// Note says in a plan, where the object is written, what is not as its author wrote it. Empty otherwise.
	Note string
}

// Ref identifies the object.
func (o Object) Ref() Ref { return RefOf(o.Unstructured) }

// Kinds are those of the objects, each once, in the order in which they come.
func Kinds(objects []Object) []schema.GroupKind {
	var kinds []schema.GroupKind
	for _, o := range objects {
		if k := o.GroupVersionKind().GroupKind(); !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}
