package meshcheck

import (
	"errors"
	"net/http"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
)

// healthy are the facts of a cluster with Linkerd edge-26.8.3 (default values, Kubernetes v1.34.4) as a real one showed
// them, seen by an administrator.
func healthy(changes ...func(*Facts)) Facts {
	f := Facts{
		Request:   Request{Namespace: "shop", Mesh: MeshLinkerd, MultiReplicaParts: []string{"encoder"}},
		Server:    "https://10.0.0.1:6443",
		Version:   asked(version.Info{Major: "1", Minor: "34", GitVersion: "v1.34.4"}, nil),
		Groups:    asked([]string{"apps", "linkerd.io", "policy.linkerd.io", "workload.linkerd.io", "gateway.networking.k8s.io"}, nil),
		Namespace: asked(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}, nil),
		Access: []Access{
			{Permission: Permission{Verb: "create", Resource: "configmaps"}, Allowed: true},
			{Permission: Permission{Verb: "patch", Group: "apps", Resource: "deployments"}, Allowed: true},
		},
		DryRun:       asked(injectedPod(true), nil),
		Webhook:      asked(injectorConfiguration("linkerd"), nil),
		ControlPlane: asked(ControlPlane{Namespace: "linkerd", Pods: controlPlanePods("destination", "identity", "proxy-injector")}, nil),
	}
	for _, change := range changes {
		change(&f)
	}
	return f
}

// without are the facts of a cluster that never had Linkerd.
func without(changes ...func(*Facts)) Facts {
	return healthy(append([]func(*Facts){func(f *Facts) {
		f.Groups.Value = []string{"apps"}
		f.DryRun.Value = bare()
		f.Webhook = asked[*admissionregistrationv1.MutatingWebhookConfiguration](nil, notFound("mutatingwebhookconfigurations", injectorWebhook))
		f.ControlPlane = Fact[ControlPlane]{}
	}}, changes...)...)
}

// tenant sees the same cluster with the rights of one namespace.
func tenant(changes ...func(*Facts)) Facts {
	return healthy(append([]func(*Facts){func(f *Facts) {
		f.Webhook = asked[*admissionregistrationv1.MutatingWebhookConfiguration](nil, userForbidden("get", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", ""))
		f.ControlPlane.Value.Pods = nil
		f.ControlPlane.Err = userForbidden("list", "", "pods", "linkerd")
	}}, changes...)...)
}

func noMesh(parts ...string) func(*Facts) {
	return func(f *Facts) {
		f.Request.Mesh, f.Request.MultiReplicaParts = MeshNone, parts
		f.DryRun, f.ControlPlane = Fact[*corev1.Pod]{}, Fact[ControlPlane]{}
		f.Webhook = Fact[*admissionregistrationv1.MutatingWebhookConfiguration]{}
	}
}

func dryRunFails(err error) func(*Facts) {
	return func(f *Facts) { f.DryRun = asked[*corev1.Pod](nil, err) }
}

func namespaceFails(err error) func(*Facts) {
	return func(f *Facts) { f.Namespace = asked[*corev1.Namespace](nil, err) }
}

// comesBackBare: the pod is admitted as it was sent.
func comesBackBare(f *Facts) { f.DryRun = asked(bare(), nil) }

func bare() *corev1.Pod { return probePod("shop", nil) }

func injectedPod(native bool) *corev1.Pod {
	p := bare()
	p.Labels[controlPlaneLabel] = "linkerd"
	p.Annotations[proxyVersionAnnotation] = "edge-26.8.3"
	p.Annotations["linkerd.io/created-by"] = "linkerd/proxy-injector edge-26.8.3"
	proxy := corev1.Container{Name: proxyContainer}
	p.Spec.InitContainers = []corev1.Container{{Name: proxyInitContainer}}
	if native {
		always := corev1.ContainerRestartPolicyAlways
		proxy.RestartPolicy = &always
		p.Spec.InitContainers = append(p.Spec.InitContainers, proxy)
	} else {
		p.Spec.Containers = append([]corev1.Container{proxy}, p.Spec.Containers...)
	}
	return p
}

func injectorConfiguration(namespace string) *admissionregistrationv1.MutatingWebhookConfiguration {
	ignore := admissionregistrationv1.Ignore
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: injectorWebhook},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name:          injectorWebhookName,
			FailurePolicy: &ignore,
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				Service: &admissionregistrationv1.ServiceReference{Namespace: namespace, Name: "linkerd-proxy-injector"},
			},
		}},
	}
}

func controlPlanePods(components ...string) []corev1.Pod {
	var pods []corev1.Pod
	for _, c := range components {
		pods = append(pods, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "linkerd-" + c, Labels: map[string]string{componentLabel: c}},
			Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
		})
	}
	return pods
}

// The errors are as the API server words them.

func userForbidden(verb, group, resource, namespace string) error {
	text := `User "ann" cannot ` + verb + ` resource "` + resource + `" in API group "` + group + `"`
	if namespace == "" {
		text += " at the cluster scope"
	} else {
		text += ` in the namespace "` + namespace + `"`
	}
	return apierrors.NewForbidden(schema.GroupResource{Group: group, Resource: resource}, "", errors.New(text))
}

func admissionForbids(text string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "jina-preflight-x", errors.New(text))
}

func notFound(resource, name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: resource}, name)
}

func terminating() error {
	err := admissionForbids("unable to create new content in namespace shop because it is being terminated")
	var status *apierrors.StatusError
	errors.As(err, &status)
	status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause})
	return err
}

func unauthorized() error { return apierrors.NewUnauthorized("Unauthorized") }

func serverError(code int, text string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: int32(code), Reason: metav1.StatusReasonInternalError, Message: http.StatusText(code) + ": " + text,
	}}
}
