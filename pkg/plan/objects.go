package plan

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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
	if problems := checkNames(f, o); problems.Err() != nil {
		return nil, problems
	}
	b := &builder{flow: f, options: o, form: flow.Coerced}
	b.reference()
	problems := append(checkImages(f, o), checkObjects(f, b.objects)...)
	if b.err != nil {
		problems = append(problems, flow.Problem{Position: f.Position, Severity: flow.Error, ID: "objects", Message: b.err.Error()})
	}
	if problems.Err() != nil {
		problems.Sort()
		return nil, problems
	}
	if !o.Compat {
		deviate(newDeviationContext(f, o, b.objects))
	}
	return b.objects, problems
}

// StartupAllowance is added to the time that a workload's own probes give it: for scheduling and for pulling images.
const StartupAllowance = 5 * time.Minute

// StartupBudget is the longest time that one of the workloads may take to start by its own startup probes, plus
// [StartupAllowance].
func StartupBudget(objects []Object) time.Duration {
	var longest time.Duration
	for _, o := range objects {
		if o.GetKind() == "Deployment" {
			longest = max(longest, probeBudget(o))
		}
	}
	return longest + StartupAllowance
}

// GatewayPod is the pod template of the gateway, or of the first workload when there is no gateway; nil without a
// workload.
func GatewayPod(objects []Object) *corev1.PodTemplateSpec {
	var found *Object
	for i := range objects {
		if objects[i].GetKind() == "Deployment" && (found == nil || objects[i].Part.Role == RoleGateway) {
			found = &objects[i]
		}
	}
	if found == nil {
		return nil
	}
	var d appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, &d); err != nil {
		return nil // objects of this package always convert
	}
	return &d.Spec.Template
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
	return p.Executor + "/" + name + ".yml"
}
