package plan

import (
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1 "k8s.io/client-go/applyconfigurations/core/v1"
	metav1 "k8s.io/client-go/applyconfigurations/meta/v1"

	apicore "k8s.io/api/core/v1"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// builder makes the objects of a Flow as jina 3.34.0's export does (semantics 3).
type builder struct {
	flow    *flow.Flow
	options Options
	form    flow.Form
	objects []Object
	err     error
}

// pod is a workload with its Services and its ConfigMap.
type pod struct {
	part Part
	// name of the objects; deployment is the executor's name as written, or "gateway".
	name, deployment string
	podType, shardID string
	replicas         int
	args             flow.Args
	protocols        []string
	containers       []container
}

// container of a pod.
type container struct {
	name, image       string
	args              []string
	ports             []int
	startup, liveness []string
	failureThreshold  int32
	// main has the Secrets and the GPUs.
	main bool
}

func (b *builder) reference() {
	for _, e := range b.flow.Executors {
		b.executor(e)
	}
	if b.flow.Gateway != nil {
		b.gateway(b.flow.Gateway)
	}
}

func (b *builder) gateway(g *flow.Gateway) {
	protocols := g.Args.Texts("protocol", flow.Coerced)
	b.add(pod{
		part: Part{Role: RoleGateway}, name: "gateway", deployment: "gateway", podType: "GATEWAY",
		replicas: g.Args.Int("replicas"), args: g.Args, protocols: protocols,
		containers: []container{b.withProbes(container{
			name: "gateway", image: b.image(g.Uses), args: b.gatewayArguments(g), ports: gatewayPorts(g), main: true,
			failureThreshold: failureThreshold(g.Args),
		}, "gateway", protocols[0], portFirst)},
	})
}

func (b *builder) executor(e *flow.Executor) {
	if e.Shards() > 1 {
		b.head(e)
		for i := range e.Shards() {
			b.shard(e, i)
		}
		return
	}
	b.add(b.worker(e, Part{Role: RoleExecutor, Executor: e.Name}, DNSName(e.Name), "0", b.workerArguments(e)))
}

func (b *builder) shard(e *flow.Executor, shard int) {
	n := strconv.Itoa(shard)
	part := Part{Role: RoleShard, Executor: e.Name, Shard: shard}
	b.add(b.worker(e, part, DNSName(e.Name)+"-"+n, n, b.shardArguments(e, shard)))
}

// worker is a pod that runs the executor itself.
func (b *builder) worker(e *flow.Executor, part Part, name, shardID string, args []string) pod {
	protocols := e.Args.Texts("protocol", flow.Coerced)
	return pod{
		part: part, name: name, deployment: e.Name, podType: "WORKER", shardID: shardID,
		replicas: e.Replicas(), args: e.Args, protocols: protocols,
		containers: []container{b.withProbes(container{
			name: "executor", image: b.image(e.Uses), args: args, ports: []int{portFirst}, main: true,
			failureThreshold: failureThreshold(e.Args),
		}, "executor", protocols[0], portFirst)},
	}
}

func (b *builder) head(e *flow.Executor) {
	threshold := failureThreshold(e.Args)
	head := b.withProbes(container{
		name: "executor", image: b.options.gatewayImage(), args: b.headArguments(e), ports: []int{portFirst}, main: true,
		failureThreshold: threshold,
	}, "executor", e.Args.Texts("protocol", flow.Coerced)[0], portFirst)
	referenceHeadProbes(e, &head)
	containers := []container{head}
	for _, side := range []struct {
		name string
		uses *flow.Uses
		port int
	}{{"uses-before", e.UsesBefore, portUsesBefore}, {"uses-after", e.UsesAfter, portUsesAfter}} {
		if side.uses != nil {
			address := "127.0.0.1:" + strconv.Itoa(side.port)
			containers = append(containers, container{
				name: side.name, image: b.image(*side.uses), args: b.sideArguments(e, side.name, side.uses, side.port),
				ports: []int{side.port}, failureThreshold: threshold,
				startup: []string{"jina", "ping", "executor", address}, liveness: []string{"jina", "ping", "executor", address},
			})
		}
	}
	b.add(pod{
		part: Part{Role: RoleHead, Executor: e.Name}, name: DNSName(e.Name) + "-head", deployment: e.Name, podType: "HEAD",
		replicas: 1, args: e.Args, protocols: []string{"GRPC"}, containers: containers,
	})
}

// referenceHeadProbes are what the reference makes of the probes of a head with side containers (semantics D3); the
// deviation head-probes repairs them.
func referenceHeadProbes(e *flow.Executor, head *container) {
	const address = "127.0.0.1:8080"
	switch {
	case e.UsesBefore == nil && e.UsesAfter == nil:
	case e.UsesBefore == nil:
		head.startup = []string{"jina", "ping", "executor", address}
		head.liveness = []string{"jina", "ping", "executor", address, "--timeout 9500"}
	case e.UsesAfter == nil:
		head.startup = []string{"jina", "ping", "executor", address}
		head.liveness = []string{"jina", "ping", "executor", address + " - --timeout 9500"}
	default:
		head.startup = []string{"jina", "ping", "executor", "127.0.0.1:{port_uses}"}
		head.liveness = []string{"jina", "ping", "executor", address + " - --timeout 9500"}
	}
}

func (b *builder) withProbes(c container, target, protocol string, port int) container {
	address := strings.ToLower(protocol) + "://127.0.0.1:" + strconv.Itoa(port)
	c.startup = []string{"jina", "ping", target, address}
	c.liveness = append(slices.Clone(c.startup), "--timeout 9500")
	return c
}

// failureThreshold gives a container the time of timeout_ready (milliseconds, -1 is ten minutes) to start, at one
// probe in five seconds.
func failureThreshold(args flow.Args) int32 {
	ms := args.Int("timeout_ready")
	if ms == -1 {
		ms = 600_000
	}
	const perProbe = 5000
	return int32(min(max(ms/perProbe+min(1, ms%perProbe), 3), 1<<30))
}

// add makes the objects of a pod: ConfigMap, Services, workload, ServiceMonitor.
func (b *builder) add(p pod) {
	ns := b.options.Namespace
	b.object(p.part, corev1.ConfigMap(p.name+"-configmap", ns).WithData(b.configuration(p.args)))
	b.object(p.part, b.service(p))
	for i := 1; i < len(p.protocols); i++ {
		name := p.name + "-" + strconv.Itoa(i) + "-" + strings.ToLower(p.protocols[i])
		b.object(p.part, serviceFor(name, p.name, ns, servicePort("port", portFirst+i)))
	}
	b.object(p.part, b.deployment(p))
	if p.args.Flag("monitoring") {
		b.objects = append(b.objects, Object{Part: p.part, Unstructured: serviceMonitor(p.name, ns)})
	}
}

// object converts an apply configuration, which has exactly the fields that were set, and keeps it.
func (b *builder) object(part Part, configuration any) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(configuration)
	if err != nil && b.err == nil {
		b.err = err
	}
	b.objects = append(b.objects, Object{Part: part, Unstructured: &unstructured.Unstructured{Object: content}})
}

// configuration is the environment that all containers of a pod share.
func (b *builder) configuration(args flow.Args) map[string]string {
	data := map[string]string{"pythonunbuffered": "1", "worker_class": "uvicorn.workers.UvicornH11Worker"}
	if b.options.LogLevel != "" {
		data["JINA_LOG_LEVEL"] = b.options.LogLevel
	}
	if env := args.Mapping("env"); env != nil {
		for _, e := range env.Entries {
			data[e.Key] = e.Value.PlainText(b.form)
		}
	}
	return data
}

func servicePort(name string, port int) *corev1.ServicePortApplyConfiguration {
	return corev1.ServicePort().WithName(name).WithPort(int32(port)).WithTargetPort(intstr.FromInt(port)).WithProtocol(apicore.ProtocolTCP)
}

func serviceFor(name, app, ns string, ports ...*corev1.ServicePortApplyConfiguration) *corev1.ServiceApplyConfiguration {
	return corev1.Service(name, ns).WithLabels(map[string]string{"app": name}).WithSpec(corev1.ServiceSpec().
		WithType(apicore.ServiceTypeClusterIP).WithSelector(map[string]string{"app": app}).WithPorts(ports...))
}

func (b *builder) service(p pod) *corev1.ServiceApplyConfiguration {
	ports := []*corev1.ServicePortApplyConfiguration{servicePort("port", portFirst)}
	if p.args.Flag("monitoring") {
		ports = append(ports, servicePort("monitoring", portMonitoring))
	}
	return serviceFor(p.name, p.name, b.options.Namespace, ports...)
}

func (b *builder) deployment(p pod) *appsv1.DeploymentApplyConfiguration {
	app := map[string]string{"app": p.name}
	spec := corev1.PodSpec()
	for _, secret := range p.args.Texts("image_pull_secrets", b.form) {
		spec.WithImagePullSecrets(corev1.LocalObjectReference().WithName(secret))
	}
	for _, c := range p.containers {
		spec.WithContainers(b.container(p, c))
	}
	return appsv1.Deployment(p.name, b.options.Namespace).WithSpec(appsv1.DeploymentSpec().
		WithReplicas(int32(p.replicas)).
		WithSelector(metav1.LabelSelector().WithMatchLabels(app)).
		WithStrategy(appsv1.DeploymentStrategy().WithType("RollingUpdate").WithRollingUpdate(appsv1.RollingUpdateDeployment().
			WithMaxSurge(intstr.FromInt32(1)).WithMaxUnavailable(intstr.FromInt32(0)))).
		WithTemplate(corev1.PodTemplateSpec().
			WithAnnotations(map[string]string{"linkerd.io/inject": "enabled"}).
			WithLabels(map[string]string{
				"app": p.name, "jina_deployment_name": p.deployment, "shard_id": p.shardID, "pod_type": p.podType,
				"ns": b.options.Namespace,
			}).
			WithSpec(spec)))
}

func (b *builder) container(p pod, c container) *corev1.ContainerApplyConfiguration {
	out := corev1.Container().WithName(c.name).WithImage(c.image).WithImagePullPolicy(apicore.PullIfNotPresent).
		WithCommand("jina").WithArgs(c.args...).
		WithEnvFrom(corev1.EnvFromSource().WithConfigMapRef(corev1.ConfigMapEnvSource().WithName(p.name+"-configmap"))).
		WithEnv(
			fieldEnv("POD_UID", "metadata.uid"),
			corev1.EnvVar().WithName("JINA_DEPLOYMENT_NAME").WithValue(p.deployment),
			corev1.EnvVar().WithName("K8S_DEPLOYMENT_NAME").WithValue(p.name),
			corev1.EnvVar().WithName("K8S_NAMESPACE_NAME").WithValue(b.options.Namespace),
			fieldEnv("K8S_POD_NAME", "metadata.name"),
		).
		WithLifecycle(corev1.Lifecycle().WithPreStop(corev1.LifecycleHandler().WithExec(
			corev1.ExecAction().WithCommand("/bin/sh", "-c", "sleep 2")))).
		WithStartupProbe(probe(c.startup, 5).WithFailureThreshold(c.failureThreshold)).
		WithLivenessProbe(probe(c.liveness, 30))
	for _, port := range c.ports {
		out.WithPorts(corev1.ContainerPort().WithContainerPort(int32(port)))
	}
	if c.main {
		b.secrets(p, out)
		b.gpus(p, out)
	}
	return out
}

func fieldEnv(name, path string) *corev1.EnvVarApplyConfiguration {
	return corev1.EnvVar().WithName(name).WithValueFrom(corev1.EnvVarSource().WithFieldRef(corev1.ObjectFieldSelector().WithFieldPath(path)))
}

func probe(command []string, initialDelay int32) *corev1.ProbeApplyConfiguration {
	return corev1.Probe().WithExec(corev1.ExecAction().WithCommand(command...)).
		WithInitialDelaySeconds(initialDelay).WithPeriodSeconds(5).WithTimeoutSeconds(10)
}

func (b *builder) secrets(p pod, out *corev1.ContainerApplyConfiguration) {
	secrets := p.args.Mapping("env_from_secret")
	if secrets == nil {
		return
	}
	for _, e := range secrets.Entries {
		out.WithEnv(corev1.EnvVar().WithName(e.Key).WithValueFrom(corev1.EnvVarSource().WithSecretKeyRef(corev1.SecretKeySelector().
			WithName(e.Value.Get("name").PlainText(b.form)).WithKey(e.Value.Get("key").PlainText(b.form)))))
	}
}

// gpus are counted; "all" is no count and asks for none.
func (b *builder) gpus(p pod, out *corev1.ContainerApplyConfiguration) {
	count := p.args.Text("gpus", flow.Coerced)
	if p.part.Role == RoleHead || count == "" || count == "all" {
		return
	}
	if quantity, err := resource.ParseQuantity(count); err == nil {
		out.WithResources(corev1.ResourceRequirements().WithLimits(apicore.ResourceList{"nvidia.com/gpu": quantity}))
	}
}

func serviceMonitor(name, ns string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "monitoring.coreos.com/v1",
		"kind":       "ServiceMonitor",
		"metadata":   map[string]any{"name": name, "namespace": ns, "labels": map[string]any{"app": name}},
		"spec": map[string]any{
			"endpoints":         []any{map[string]any{"port": "monitoring"}},
			"namespaceSelector": map[string]any{"matchNames": []any{ns}},
			"selector":          map[string]any{"matchLabels": map[string]any{"app": name}},
		},
	}}
}
