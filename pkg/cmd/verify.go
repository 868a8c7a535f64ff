package cmd

import (
	"context"
	"errors"
	"fmt"
	"net"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/portforward"
	"github.com/kubectl-jina/kubectl-jina/pkg/verify"
)

// verify finds out whether the Flow answers, after its rollout and before anything is deleted: until then the old gateway may be
// the one that works. It is bounded by --timeout.
func (o *upOptions) verify(ctx context.Context, s *session, file *flowFile, progress *progress) error {
	if !o.verifies {
		return nil
	}
	progress.Line("asking the Flow whether it answers")
	limited, cancel := context.WithTimeout(ctx, o.deadline(file))
	defer cancel()
	report, err := verify.Run(limited, s.dialer(), s.verification(file.Name, objectParts(file.Objects), func(ctx context.Context) ([]plan.Part, error) {
		return s.stoppedParts(ctx, file.Name, plan.Kinds(file.Objects))
	}))
	progress.Verified(report, err)
	var failed *verify.FailedError
	switch {
	case errors.As(err, &failed):
		return &exitError{code: codeRollout, err: fmt.Errorf("%w. Everything is applied and runs, and nothing was deleted; "+
			"`kubectl jina ping -n %s --flow %s` asks again, `up --verify=false` does not ask", err, s.namespace, file.Name)}
	case err != nil:
		return interrupted(ctx, explain(err), "everything is applied and rolled out, but whether the Flow answers is not known, and nothing was deleted")
	}
	return nil
}

// verification is what is to be found out about a Flow in the cluster.
func (s *session) verification(flowName string, parts []plan.Part, stopped func(context.Context) ([]plan.Part, error)) verify.Request {
	return verify.Request{
		Parts: parts,
		Servers: func(ctx context.Context) ([]verify.Server, error) {
			return verify.Servers(ctx, s.typed.CoreV1().Pods(s.namespace), flowName)
		},
		Stopped: stopped,
	}
}

// objectParts are the parts that have a workload, named as their pods are.
func objectParts(objects []plan.Object) []plan.Part {
	var parts []plan.Part
	for _, o := range objects {
		if plan.IsWorkload(o.GroupVersionKind().GroupKind()) {
			labels, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
			parts = append(parts, verify.PartOf(labels))
		}
	}
	return parts
}

// stoppedParts reads which parts of a Flow are to have no pods. Only the kinds of its workloads are read: the rights need not
// be for more.
func (s *session) stoppedParts(ctx context.Context, flowName string, kinds []schema.GroupKind) ([]plan.Part, error) {
	var parts []plan.Part
	selected := metav1.ListOptions{LabelSelector: plan.LabelFlow + "=" + flowName}
	add := func(replicas *int32, template corev1.PodTemplateSpec) {
		if replicas != nil && *replicas == 0 {
			parts = append(parts, verify.PartOf(template.Labels))
		}
	}
	for _, k := range kinds {
		switch k {
		case appsv1.SchemeGroupVersion.WithKind("Deployment").GroupKind():
			list, err := s.typed.AppsV1().Deployments(s.namespace).List(ctx, selected)
			if err != nil {
				return nil, err
			}
			for _, d := range list.Items {
				add(d.Spec.Replicas, d.Spec.Template)
			}
		case appsv1.SchemeGroupVersion.WithKind("StatefulSet").GroupKind():
			list, err := s.typed.AppsV1().StatefulSets(s.namespace).List(ctx, selected)
			if err != nil {
				return nil, err
			}
			for _, d := range list.Items {
				add(d.Spec.Replicas, d.Spec.Template)
			}
		}
	}
	return parts, nil
}

// dialer reaches the pods of the session's namespace.
func (s *session) dialer() podDialer {
	return podDialer{s.forwarder()}
}

// podDialer dials by port-forward, and says which of its errors are not the pod's.
type podDialer struct{ forward *portforward.Dialer }

func (d podDialer) Dial(ctx context.Context, pod string, port int) (net.Conn, error) {
	conn, err := d.forward.Dial(ctx, pod, port)
	if connect := (*portforward.ConnectError)(nil); errors.As(err, &connect) {
		return nil, &verify.UnreachableError{Err: connect}
	}
	return conn, err
}

// endpoints are the ports that the pods of a live part serve.
func (p livePart) endpoints() []plan.Endpoint {
	containers, _, _ := unstructured.NestedSlice(p.object.Object, "spec", "template", "spec", "containers")
	for _, c := range containers {
		container, _ := c.(map[string]any)
		args, _, _ := unstructured.NestedStringSlice(container, "args")
		if served := plan.Endpoints(args); len(served) > 0 {
			return served
		}
	}
	return nil
}
