package meshcheck

import (
	"fmt"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/version"
)

// Mesh is what shall spread gRPC requests over the replicas of a part.
type Mesh string

// The meshes that can be asked for.
const (
	// MeshLinkerd asks for Linkerd's proxy in every pod.
	MeshLinkerd Mesh = "linkerd"
	// MeshNone goes on without one: the replicas of a part then do not share its load.
	MeshNone Mesh = "none"
)

// ParseMesh reads the value of the flag --mesh. The error names the values that exist.
func ParseMesh(s string) (Mesh, error) {
	switch m := Mesh(s); m {
	case MeshLinkerd, MeshNone:
		return m, nil
	default:
		return "", fmt.Errorf("unknown mesh %q: it is %s or %s", s, MeshLinkerd, MeshNone)
	}
}

// Request says what the checks are about.
type Request struct {
	// Namespace is where the Flow is to run.
	Namespace string
	// Mesh is what is expected to balance; with MeshNone nothing is asked about Linkerd.
	Mesh Mesh
	// Pod is the gateway's pod template. Nil stands for a minimal pod of the same shape, annotated
	// linkerd.io/inject: enabled.
	Pod *corev1.PodTemplateSpec
	// Permissions are what the command needs; see UpPermissions.
	Permissions []Permission
	// MultiReplicaParts are the names of the Flow's parts that have more than one replica, in the Flow's order.
	MultiReplicaParts []string
}

// Fact is one answer of the cluster. When Asked is false the question was not put, and Value and Err mean nothing.
type Fact[T any] struct {
	Asked bool
	Value T
	Err   error
}

// Known tells that the question was put and answered.
func (f Fact[T]) Known() bool { return f.Asked && f.Err == nil }

func asked[T any](value T, err error) Fact[T] { return Fact[T]{Asked: true, Value: value, Err: err} }

// ControlPlane is what was found of Linkerd's control plane.
type ControlPlane struct {
	// Namespace that was looked in.
	Namespace string
	// Pods of the control plane's components, with the label linkerd.io/control-plane-component.
	Pods []corev1.Pod
}

// Access is the answer to whether the user has a permission.
type Access struct {
	Permission Permission
	Allowed    bool
	// Reason is the authorizer's own explanation; often empty.
	Reason string
	// Err is why the question was not answered.
	Err error
}

// Facts are all that the checks know. They are collected once, by Collect, and only read after that.
type Facts struct {
	Request Request
	// Server is the API server's address, as the kubeconfig has it.
	Server string
	// Version is the API server's.
	Version Fact[version.Info]
	// Groups are the API groups that the server offers.
	Groups Fact[[]string]
	// Namespace is the Flow's.
	Namespace Fact[*corev1.Namespace]
	// Access has an entry for each of the request's permissions, in their order.
	Access []Access
	// DryRun is the gateway-shaped pod as it would have been admitted.
	DryRun Fact[*corev1.Pod]
	// Webhook is the configuration of Linkerd's injector.
	Webhook Fact[*admissionregistrationv1.MutatingWebhookConfiguration]
	// ControlPlane are Linkerd's own pods.
	ControlPlane Fact[ControlPlane]
}

// offers tells that the server is known to offer an API group.
func (f Facts) offers(group string) bool {
	return f.Groups.Known() && slices.Contains(f.Groups.Value, group)
}
