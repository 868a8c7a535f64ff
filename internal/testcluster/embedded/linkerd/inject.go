package linkerd

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	annotationInject        = "linkerd.io/inject"
	annotationCreatedBy     = "linkerd.io/created-by"
	annotationConfigPrefix  = "config.linkerd.io/"
	annotationNative        = annotationConfigPrefix + "proxy-enable-native-sidecar"
	annotationInboundPolicy = annotationConfigPrefix + "default-inbound-policy"
	annotationOpaquePorts   = annotationConfigPrefix + "opaque-ports"

	initContainer  = "linkerd-init"
	proxyContainer = "linkerd-proxy"
)

// operation is one step of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// injects is Linkerd's decision, as a dry run against edge-26.8.3 showed it: the pod's annotation goes before the
// namespace's, but a value that Linkerd does not know, on either, turns injection off without a word.
func injects(ns *corev1.Namespace, pod *corev1.Pod) bool {
	ofPod, ofNamespace := pod.Annotations[annotationInject], ns.Annotations[annotationInject]
	if !known(ofPod) || !known(ofNamespace) || pod.Spec.HostNetwork || hasSidecar(pod) {
		return false
	}
	switch wanted(ns, pod) {
	case "enabled", "ingress":
		return true
	}
	return false
}

func wanted(ns *corev1.Namespace, pod *corev1.Pod) string {
	if v := pod.Annotations[annotationInject]; v != "" {
		return v
	}
	return ns.Annotations[annotationInject]
}

func known(value string) bool {
	return slices.Contains([]string{"", "enabled", "ingress", "disabled"}, value)
}

// hasSidecar says whether a mesh's proxy is in the pod already.
func hasSidecar(pod *corev1.Pod) bool {
	for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		if c.Name == "istio-proxy" || c.Name == proxyContainer {
			return true
		}
	}
	return false
}

// proxy is what all proxies of this control plane have in common.
type proxy struct {
	// anchors is the trust bundle as PEM, anchorsHash its SHA-256 in hex.
	anchors, anchorsHash string
}

// inject is the patch that gives the pod its proxy.
func (p proxy) inject(ns *corev1.Namespace, pod *corev1.Pod) ([]operation, error) {
	annotations := configAnnotations(ns)
	maps.Copy(annotations, pod.Annotations)
	resources, err := proxyResources(annotations)
	if err != nil {
		return nil, err
	}
	init, sidecar := p.containers(annotations, wanted(ns, pod) == "ingress", pod, resources)

	initContainers, containers := []corev1.Container{init}, []corev1.Container{}
	if annotations[annotationNative] == "false" {
		containers = append(containers, sidecar)
	} else {
		always := corev1.ContainerRestartPolicyAlways
		sidecar.RestartPolicy = &always
		initContainers = append(initContainers, sidecar)
	}
	initContainers = append(initContainers, pod.Spec.InitContainers...)
	containers = append(containers, pod.Spec.Containers...)

	annotations[annotationCreatedBy] = "linkerd/proxy-injector " + version
	annotations["linkerd.io/proxy-version"] = version
	annotations["linkerd.io/trust-root-sha256"] = p.anchorsHash
	return []operation{
		{"add", "/metadata/annotations", annotations},
		{"add", "/metadata/labels", labels(pod)},
		{"add", "/spec/initContainers", initContainers},
		{"add", "/spec/containers", containers},
		{"add", "/spec/volumes", append(slices.Clone(pod.Spec.Volumes), volumes()...)},
	}, nil
}

// configAnnotations are those of the namespace that every pod in it gets.
func configAnnotations(ns *corev1.Namespace) map[string]string {
	out := map[string]string{}
	for k, v := range ns.Annotations {
		if strings.HasPrefix(k, annotationConfigPrefix) {
			out[k] = v
		}
	}
	return out
}

func labels(pod *corev1.Pod) map[string]string {
	out := map[string]string{}
	maps.Copy(out, pod.Labels)
	out["linkerd.io/control-plane-ns"] = controlPlane
	out["linkerd.io/workload-ns"] = pod.Namespace
	for _, o := range pod.OwnerReferences {
		switch o.Kind {
		case "ReplicaSet":
			if hash := pod.Labels["pod-template-hash"]; hash != "" {
				out["linkerd.io/proxy-deployment"] = strings.TrimSuffix(o.Name, "-"+hash)
			}
		case "StatefulSet":
			out["linkerd.io/proxy-statefulset"] = o.Name
		}
	}
	return out
}

// proxyResources are the requests and limits that annotations ask for; none by default.
func proxyResources(annotations map[string]string) (corev1.ResourceRequirements, error) {
	out := corev1.ResourceRequirements{}
	for _, r := range []struct {
		suffix string
		name   corev1.ResourceName
		list   *corev1.ResourceList
	}{
		{"proxy-cpu-request", corev1.ResourceCPU, &out.Requests},
		{"proxy-memory-request", corev1.ResourceMemory, &out.Requests},
		{"proxy-cpu-limit", corev1.ResourceCPU, &out.Limits},
		{"proxy-memory-limit", corev1.ResourceMemory, &out.Limits},
	} {
		text := annotations[annotationConfigPrefix+r.suffix]
		if text == "" {
			continue
		}
		q, err := resource.ParseQuantity(text)
		if err != nil {
			return out, fmt.Errorf("annotation %s%s: %w", annotationConfigPrefix, r.suffix, err)
		}
		if *r.list == nil {
			*r.list = corev1.ResourceList{}
		}
		(*r.list)[r.name] = q
	}
	return out, nil
}

// containers are linkerd-init and linkerd-proxy; both have the same image.
func (p proxy) containers(annotations map[string]string, ingress bool, pod *corev1.Pod, resources corev1.ResourceRequirements) (init, sidecar corev1.Container) {
	image := "cr.l5d.io/linkerd/proxy:" + version
	init = corev1.Container{
		Name: initContainer, Image: image, Resources: resources,
		// These capabilities are why the PodSecurity levels baseline and restricted refuse an injected pod.
		SecurityContext: securityContext(65534, "NET_ADMIN", "NET_RAW"),
		VolumeMounts:    []corev1.VolumeMount{{Name: "linkerd-proxy-init-xtables-lock", MountPath: "/run"}},
	}
	sidecar = corev1.Container{
		Name: proxyContainer, Image: image, Resources: resources,
		Env:             p.environment(annotations, ingress, pod),
		SecurityContext: securityContext(2102),
		Ports:           []corev1.ContainerPort{{Name: "linkerd-proxy", ContainerPort: 4143}, {Name: "linkerd-admin", ContainerPort: 4191}},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "linkerd-identity-end-entity", MountPath: "/var/run/linkerd/identity/end-entity"},
			{Name: "linkerd-identity-token", MountPath: "/var/run/secrets/tokens"},
		},
		StartupProbe:   adminProbe("/ready", 1),
		ReadinessProbe: adminProbe("/ready", 10),
		LivenessProbe:  adminProbe("/live", 10),
	}
	return init, sidecar
}

func (p proxy) environment(annotations map[string]string, ingress bool, pod *corev1.Pod) []corev1.EnvVar {
	policy := annotations[annotationInboundPolicy]
	if policy == "" {
		policy = defaultInboundPolicy
	}
	opaque := annotations[annotationOpaquePorts]
	if opaque == "" {
		opaque = defaultOpaquePorts
	}
	env := []corev1.EnvVar{
		{Name: "_l5d_ns", Value: controlPlane},
		{Name: "LINKERD2_PROXY_INBOUND_PORTS", Value: inboundPorts(pod)},
		{Name: "LINKERD2_PROXY_INBOUND_DEFAULT_POLICY", Value: policy},
		{Name: "LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", Value: opaque},
		{Name: "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", Value: p.anchors},
	}
	if ingress {
		env = append(env, corev1.EnvVar{Name: "LINKERD2_PROXY_INGRESS_MODE", Value: "true"})
	}
	return env
}

func inboundPorts(pod *corev1.Pod) string {
	var ports []int
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			ports = append(ports, int(p.ContainerPort))
		}
	}
	slices.Sort(ports)
	var out []string
	for _, p := range slices.Compact(ports) {
		out = append(out, strconv.Itoa(p))
	}
	return strings.Join(out, ",")
}

func securityContext(user int64, capabilities ...corev1.Capability) *corev1.SecurityContext {
	no, yes := false, true
	c := &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, RunAsNonRoot: &yes, RunAsUser: &user,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	if len(capabilities) > 0 {
		c.Capabilities = &corev1.Capabilities{Add: capabilities}
	}
	return c
}

func adminProbe(path string, periodSeconds int32) *corev1.Probe {
	probe := &corev1.Probe{PeriodSeconds: periodSeconds}
	probe.HTTPGet = &corev1.HTTPGetAction{Path: path}
	probe.HTTPGet.Port.IntVal = 4191
	return probe
}

func volumes() []corev1.Volume {
	seconds := int64(24 * 60 * 60)
	memory := corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}
	return []corev1.Volume{
		{Name: "linkerd-proxy-init-xtables-lock", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "linkerd-identity-end-entity", VolumeSource: corev1.VolumeSource{EmptyDir: &memory}},
		{Name: "linkerd-identity-token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
				Path: "linkerd-identity-token", Audience: "identity.l5d.io", ExpirationSeconds: &seconds}}}}}},
	}
}

// inheritOpaquePorts gives a Service the namespace's opaque ports unless it names its own.
func inheritOpaquePorts(ns *corev1.Namespace, service *corev1.Service) []operation {
	ports, has := ns.Annotations[annotationOpaquePorts]
	if _, own := service.Annotations[annotationOpaquePorts]; own || !has {
		return nil
	}
	annotations := map[string]string{}
	maps.Copy(annotations, service.Annotations)
	annotations[annotationOpaquePorts] = ports
	return []operation{{"add", "/metadata/annotations", annotations}}
}
