package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// JinaVersion is the version of Jina that the objects conform to.
const JinaVersion = "3.34.0"

// Options are what the objects of a Flow depend on besides the Flow.
type Options struct {
	// FlowName names the Flow in labels; [NameFlow] makes one.
	FlowName string
	// Namespace of the objects, also part of the addresses in their arguments.
	Namespace string
	// JinaVersion is the tag of the gateway's image; the zero value means [JinaVersion].
	JinaVersion string
	// GatewayImage is the image of gateway, heads and executors without an image (JINA_GATEWAY_IMAGE);
	// the zero value means jinaai/jina at JinaVersion.
	GatewayImage string
	// LogLevel is JINA_LOG_LEVEL of whoever exports: the reference copies it into every pod. Empty leaves it out.
	LogLevel string
	// WorkingDir is the folder against which the reference makes relative workspaces absolute; it is looked at with
	// Compat only.
	WorkingDir string
	// Storage of volumes.
	Storage Storage
	// Compat leaves out the named deviations: the objects are those of Jina's own export.
	Compat bool
}

// Objects are the Kubernetes objects of a Flow, in the order of the Flow, the gateway last; inside a part the
// ConfigMap comes first, then the Services, then the workload. It returns no objects when one of the problems is an
// error.
func Objects(f *flow.Flow, o Options) ([]Object, flow.Problems) {
	if !o.Compat {
		o.WorkingDir, o.LogLevel = "", ""
	}
	problems := Check(f, o)
	if problems.Err() != nil {
		return nil, problems
	}
	b := &builder{flow: f, options: o, form: flow.Coerced}
	b.reference()
	if !o.Compat {
		return Deviate(f, o, b.objects, nil), problems
	}
	return b.objects, problems
}

// GatewayPod is the pod template of the gateway, or of the first workload when there is no gateway; nil without a
// workload.
func GatewayPod(objects []Object) *corev1.PodTemplateSpec {
	var found *Object
	for i := range objects {
		if len(containersOf(objects[i])) > 0 && (found == nil || objects[i].Part.Role == RoleGateway) {
			found = &objects[i]
		}
	}
	if found == nil {
		return nil
	}
	var template corev1.PodTemplateSpec
	content := childOf(found.DeepCopy().Object, "spec", "template")
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &template); err != nil {
		return nil // objects of this package always convert
	}
	for _, claim := range claimTemplatesOf(*found) { // which the StatefulSet's controller would make and mount
		name, _, _ := unstructured.NestedString(claim, "metadata", "name")
		template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{
			Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		})
	}
	return &template
}

// File is the path of a part's objects in the folder that Jina's own export makes.
func File(f *flow.Flow, p Part) string {
	if p.Role == RoleGateway {
		return "gateway/gateway.yml"
	}
	name := DNSName(p.Executor)
	switch p.Role {
	case RoleHead:
		name += "-head"
	case RoleShard:
		name += fmt.Sprintf("-%d", p.Shard)
	}
	if f.Kind == flow.KindDeployment {
		return name + ".yml"
	}
	folder := p.Executor
	if e := f.Executor(p.Executor); e != nil {
		folder = e.Node // of an executor in a file of its own
	}
	return folder + "/" + name + ".yml"
}
