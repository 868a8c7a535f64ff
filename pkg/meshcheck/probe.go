package meshcheck

import (
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What Linkerd reads and writes on pods and namespaces.
const (
	injectAnnotation       = "linkerd.io/inject"
	proxyVersionAnnotation = "linkerd.io/proxy-version"
	webhooksLabel          = "config.linkerd.io/admission-webhooks"
	proxyContainer         = "linkerd-proxy"
	proxyInitContainer     = "linkerd-init"
	injectorWebhookName    = "linkerd-proxy-injector.linkerd.io"
)

// probeName is what the dry-run pod is called, with a suffix of the server's, and what stands in its labels where a
// Service or a workload of the Flow would look.
const probeName = "jina-preflight"

// selectingLabels are the labels that the Flow's Services and workloads select by, and those that the plugin finds
// the Flow's pods by. A dry run keeps nothing, so nothing can select the pod; but should anything downstream of
// admission ever look at it, it must not be taken for a part of the Flow.
var selectingLabels = [...]string{
	"app", "jina_deployment_name", "ns",
	"app.kubernetes.io/instance", "app.kubernetes.io/part-of", "app.kubernetes.io/component",
	"jina.ai/flow", "jina.ai/executor",
}

// probePod is the pod of a template as a workload's controller would make it, but for the labels that something
// selects by and without an owner. Admission policies often demand labels, so the keys stay.
func probePod(namespace string, template *corev1.PodTemplateSpec) *corev1.Pod {
	if template == nil {
		template = minimalTemplate()
	}
	template = template.DeepCopy()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: probeName + "-",
			Namespace:    namespace,
			Labels:       template.Labels,
			Annotations:  template.Annotations,
		},
		Spec: template.Spec,
	}
	for _, key := range selectingLabels {
		if _, there := pod.Labels[key]; there {
			pod.Labels[key] = probeName
		}
	}
	return pod
}

// minimalTemplate has the shape of the gateway that Jina's own export makes: one container without a security
// context, and the annotation that asks for Linkerd's proxy.
func minimalTemplate() *corev1.PodTemplateSpec {
	return &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      map[string]string{"app": "gateway"},
			Annotations: map[string]string{injectAnnotation: "enabled"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name:    "gateway",
			Image:   "jinaai/jina:latest",
			Command: []string{"jina"},
			Args:    []string{"gateway"},
			Ports:   []corev1.ContainerPort{{ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
		}}},
	}
}

// answer is what a dry run came to.
type answer int

const (
	// notAsked: no dry run was made.
	notAsked answer = iota
	// injected: the pod would be admitted with Linkerd's proxy.
	injected
	// notInjected: the pod would be admitted without it.
	notInjected
	// quotaExceeded: a quota leaves no room for one more pod now; what would have been injected is not told.
	quotaExceeded
	// quotaDemands: a quota demands requests or limits that the pod does not name; no pod of this shape ever passes.
	quotaDemands
	// rejected: admission refuses this pod, and would refuse the workload's.
	rejected
	// forbidden: the user may not create pods in the namespace.
	forbidden
	// noDryRun: a webhook that has side effects stands in the way of dry runs.
	noDryRun
	// injectorDown: Linkerd's injector was called and did not answer, and its failure policy is Fail.
	injectorDown
	// otherWebhookDown: another webhook did not answer.
	otherWebhookDown
	// namespaceGone: there is no such namespace, or it is going away.
	namespaceGone
	// unanswered: anything else; the dry run says nothing.
	unanswered
)

// classify reads the answer to a dry-run create of a pod. The messages are those of Kubernetes' own admission plugins
// (plugin/pkg/admission/resourcequota and serviceaccount, apiserver's admission/plugin/webhook/errors); the API gives
// them all the same few status reasons, so that only the text tells them apart.
func classify(dryRun Fact[*corev1.Pod]) answer {
	err := dryRun.Err
	switch {
	case !dryRun.Asked:
		return notAsked
	case err == nil:
		if proxyOf(dryRun.Value) != nil {
			return injected
		}
		return notInjected
	case isNamespaceMissing(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return namespaceGone
	case isForbiddenByAuthorizer(err):
		return forbidden
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "does not support dry run"):
		return noDryRun
	case strings.Contains(text, `failed calling webhook "`+injectorWebhookName+`"`):
		return injectorDown
	case strings.Contains(text, "failed calling webhook"):
		return otherWebhookDown
	case apierrors.IsForbidden(err) && strings.Contains(text, "failed quota:"):
		return quotaDemands
	case apierrors.IsForbidden(err) && strings.Contains(text, "quota"):
		return quotaExceeded
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err),
		strings.Contains(text, "denied the request"):
		return rejected
	default:
		return unanswered
	}
}

// proxyOf returns Linkerd's proxy container of a pod, or nil. It is an init container when it runs as a native
// sidecar (the default since Linkerd 2.20), else an ordinary one.
func proxyOf(pod *corev1.Pod) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if list[i].Name == proxyContainer {
				return &list[i]
			}
		}
	}
	return nil
}

// isNativeSidecar tells whether a container of the pod is an init container that keeps running.
func isNativeSidecar(pod *corev1.Pod, name string) bool {
	for _, c := range pod.Spec.InitContainers {
		if c.Name == name {
			return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		}
	}
	return false
}

// isForbiddenByAuthorizer tells a missing right from an admission plugin's refusal: both are 403 Forbidden, and only
// the authorizer's names the user and the verb.
func isForbiddenByAuthorizer(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), ` cannot `) && strings.Contains(err.Error(), `User "`)
}

func isNamespaceMissing(err error) bool {
	var status apierrors.APIStatus
	return apierrors.IsNotFound(err) && errors.As(err, &status) &&
		status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
}
