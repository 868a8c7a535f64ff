package rollout

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// MeshStatus says how many pods of a workload take part in a service mesh.
type MeshStatus struct {
	// Proxy is the mesh whose proxy the pods have: linkerd or istio; empty where no pod has one.
	Proxy string `json:"proxy,omitempty"`
	// Ready of Pods have a proxy that is ready.
	Ready int `json:"ready"`
	Pods  int `json:"pods"`
}

// AutoscalerStatus is what scales a workload by itself.
type AutoscalerStatus struct {
	// Kind is HorizontalPodAutoscaler or ScaledObject.
	Kind string `json:"kind"`
	Name string `json:"name"`
	Min  int32  `json:"min"`
	Max  int32  `json:"max"`
}

// The names that the meshes' injectors give to the container of their proxy.
const (
	linkerdProxy = "linkerd-proxy"
	istioProxy   = "istio-proxy"
)

// meshOf counts the pods with a ready proxy, which is a native sidecar or a container like the others. Pods that are on their way
// out, or at their end, do not count.
func meshOf(pods []*corev1.Pod) MeshStatus {
	var m MeshStatus
	for _, p := range pods {
		if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
			continue
		}
		m.Pods++
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if c.Name != linkerdProxy && c.Name != istioProxy {
				continue
			}
			m.Proxy = strings.TrimSuffix(c.Name, "-proxy")
			if c.Ready {
				m.Ready++
			}
			break
		}
	}
	return m
}

// jinaImage is the image that Jina publishes; its tag starts with Jina's version.
var jinaImage = regexp.MustCompile(`(?:^|/)jinaai/jina:(\d+\.\d+\.\d+(?:[.-]?(?:dev|a|b|rc)\d+)?)(?:$|[-@])`)

// jinaVersion is the version of Jina that a workload is for: that of Jina's own image where it runs that, else what up wrote in
// the label app.kubernetes.io/version. Empty where neither tells.
func jinaVersion(image string, labels map[string]string) string {
	if m := jinaImage.FindStringSubmatch(image); m != nil {
		return m[1]
	}
	if labels[plan.LabelManagedBy] != plan.FieldManager {
		return "" // what the label says of other tools' objects is not known
	}
	return PlainText(labels[plan.LabelVersion])
}

// templateOf a workload are its pods as its controller makes them.
func (w Workload) template() corev1.PodTemplateSpec {
	switch {
	case w.Deployment != nil:
		return w.Deployment.Spec.Template
	case w.StatefulSet != nil:
		return w.StatefulSet.Spec.Template
	}
	return corev1.PodTemplateSpec{}
}

// Groups are the objects of several Flows, each with those of its own.
type Groups map[FlowKey]Objects

// FlowKey names a Flow in a cluster.
type FlowKey struct{ Namespace, Flow string }

// groups takes objects apart by namespace and by their label jina.ai/flow.
func groups(all Objects) Groups {
	g := Groups{}
	for _, d := range all.Deployments {
		key := FlowKey{d.Namespace, d.Labels[plan.LabelFlow]}
		o := g[key]
		o.Deployments = append(o.Deployments, d)
		g[key] = o
	}
	for _, s := range all.StatefulSets {
		key := FlowKey{s.Namespace, s.Labels[plan.LabelFlow]}
		o := g[key]
		o.StatefulSets = append(o.StatefulSets, s)
		g[key] = o
	}
	for _, rs := range all.ReplicaSets {
		key := FlowKey{rs.Namespace, rs.Labels[plan.LabelFlow]}
		o := g[key]
		o.ReplicaSets = append(o.ReplicaSets, rs)
		g[key] = o
	}
	for _, p := range all.Pods {
		key := FlowKey{p.Namespace, p.Labels[plan.LabelFlow]}
		o := g[key]
		o.Pods = append(o.Pods, p)
		g[key] = o
	}
	return g
}
