package meshcheck

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// istioContainer is the name of Istio's proxy in a pod.
const istioContainer = "istio-proxy"

// mostPods is how many pods are looked at to tell whether a mesh is in them: those of one workload are all alike, but for
// some moments.
const mostPods = 20

// Meshed tells of the pods with the labels whether any of them has a mesh's proxy, Linkerd's or Istio's. It sends one request;
// known is false where that fails, or where no such pod is there.
func Meshed(ctx context.Context, pods corev1client.PodsGetter, namespace string, selector labels.Set) (meshed, known bool) {
	list, err := pods.Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String(), Limit: mostPods})
	if err != nil || len(list.Items) == 0 {
		return false, false
	}
	return slices.ContainsFunc(list.Items, hasProxy), true
}

// hasProxy looks among the init containers too, where a native sidecar stands.
func hasProxy(pod corev1.Pod) bool {
	return slices.ContainsFunc(slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers), func(c corev1.Container) bool {
		return c.Name == proxyContainer || c.Name == istioContainer
	})
}
