package plan

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// builder makes the objects of a Flow as jina 3.34.0's export does (semantics 3).
type builder struct {
	flow    *flow.Flow
	options Options
	form    flow.Form
	objects []Object
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
	// volumes make it a StatefulSet.
	volumes []flow.Volume
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
		if !e.External {
			b.executor(e)
		}
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
		replicas: e.Replicas(), args: e.Args, protocols: protocols, volumes: e.Volumes,
		containers: []container{b.withProbes(container{
			name: "executor", image: b.image(e.Uses), args: args, ports: []int{portFirst}, main: true,
			failureThreshold: failureThreshold(e.Args),
		}, "executor", protocols[0], portFirst)},
	}
}

// head is a pod that spreads requests over shards. With volumes the reference makes it a StatefulSet as well and forgets
// its side containers (semantics D4).
func (b *builder) head(e *flow.Executor) {
	p := b.headPod(e)
	if p.volumes = e.Volumes; len(p.volumes) > 0 {
		p.containers = []container{b.withProbes(p.containers[0], "executor", e.Args.Texts("protocol", flow.Coerced)[0], portFirst)}
	}
	b.add(p)
}

// headPod is the head with its side containers.
func (b *builder) headPod(e *flow.Executor) pod {
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
	return pod{
		part: Part{Role: RoleHead, Executor: e.Name}, name: DNSName(e.Name) + "-head", deployment: e.Name, podType: "HEAD",
		replicas: 1, args: e.Args, protocols: []string{"GRPC"}, containers: containers,
	}
}

// referenceHeadProbes are what the reference makes of the probes of a head with side containers (semantics D3); the
// deviation native-probes replaces them.
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
	return int32(min(max(ms/perProbe+min(1, ms%perProbe), 3), math.MaxInt32))
}

// add makes the objects of a pod: ConfigMap, Services, workload, ServiceMonitor.
func (b *builder) add(p pod) {
	b.object(p.part, "v1", "ConfigMap", p.name+"-configmap", map[string]any{"data": b.configuration(p.args)})
	ports := []any{servicePort("port", portFirst)}
	if p.args.Flag("monitoring") {
		ports = append(ports, servicePort("monitoring", portMonitoring))
	}
	b.service(p, p.name, ports...)
	for i := 1; i < len(p.protocols); i++ {
		b.service(p, serviceName(p.name, i, p.protocols[i]), servicePort("port", portFirst+i))
	}
	b.workload(p)
	if p.args.Flag("monitoring") {
		b.objects = append(b.objects, Object{Part: p.part, Unstructured: serviceMonitor(p.name, b.options.Namespace)})
	}
}

// object keeps an object and returns its content. The objects are written as they are applied: to convert typed ones takes
// longer than all the rest of an export together. That no field is misspelt is what the conformance tests and the strict
// decoding of FuzzObjects are for.
func (b *builder) object(part Part, apiVersion, kind, name string, content map[string]any) map[string]any {
	content["apiVersion"], content["kind"] = apiVersion, kind
	childOf(content, "metadata")["name"] = name
	childOf(content, "metadata")["namespace"] = b.options.Namespace
	b.objects = append(b.objects, Object{Part: part, Unstructured: &unstructured.Unstructured{Object: content}})
	return content
}

// configuration is the environment that all containers of a pod share.
func (b *builder) configuration(args flow.Args) map[string]any {
	data := map[string]any{"pythonunbuffered": "1", "worker_class": "uvicorn.workers.UvicornH11Worker"}
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

func servicePort(name string, port int) map[string]any {
	return map[string]any{"name": name, "port": int64(port), "targetPort": int64(port), "protocol": "TCP"}
}

// service leads to the pods of a workload.
func (b *builder) service(p pod, name string, ports ...any) {
	b.object(p.part, "v1", "Service", name, map[string]any{
		"metadata": map[string]any{"labels": map[string]any{"app": name}},
		"spec":     map[string]any{"type": "ClusterIP", "selector": map[string]any{"app": p.name}, "ports": ports},
	})
}

// workloadSpec is what a Deployment and a StatefulSet of the reference have in common.
func (b *builder) workloadSpec(p pod) map[string]any {
	return map[string]any{
		"replicas": int64(p.replicas),
		"selector": map[string]any{"matchLabels": map[string]any{"app": p.name}},
		"strategy": map[string]any{
			"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxSurge": int64(1), "maxUnavailable": int64(0)},
		},
		"template": b.template(p),
	}
}

// template of a workload's pods.
func (b *builder) template(p pod) map[string]any {
	var containers []any
	for _, c := range p.containers {
		containers = append(containers, b.container(p, c))
	}
	spec := map[string]any{"containers": containers}
	if secrets := p.args.Texts("image_pull_secrets", b.form); len(secrets) > 0 {
		var names []any
		for _, secret := range secrets {
			names = append(names, map[string]any{"name": secret})
		}
		spec["imagePullSecrets"] = names
	}
	return map[string]any{
		"metadata": map[string]any{
			"annotations": map[string]any{"linkerd.io/inject": "enabled"},
			"labels": map[string]any{
				"app": p.name, "jina_deployment_name": p.deployment, "shard_id": p.shardID, "pod_type": p.podType,
				"ns": b.options.Namespace,
			},
		},
		"spec": spec,
	}
}

func (b *builder) container(p pod, c container) map[string]any {
	var ports []any
	for _, port := range c.ports {
		ports = append(ports, map[string]any{"containerPort": int64(port)})
	}
	env := []any{
		fieldEnv("POD_UID", "metadata.uid"),
		map[string]any{"name": "JINA_DEPLOYMENT_NAME", "value": p.deployment},
		map[string]any{"name": workloadVariable(p), "value": p.name},
		map[string]any{"name": "K8S_NAMESPACE_NAME", "value": b.options.Namespace},
		fieldEnv("K8S_POD_NAME", "metadata.name"),
	}
	startup := probe(c.startup, 5)
	startup["failureThreshold"] = int64(c.failureThreshold)
	out := map[string]any{
		"name": c.name, "image": c.image, "imagePullPolicy": "IfNotPresent",
		"command": []any{"jina"}, "args": anys(c.args), "ports": ports,
		"envFrom": []any{map[string]any{"configMapRef": map[string]any{"name": p.name + "-configmap"}}},
		"lifecycle": map[string]any{"preStop": map[string]any{"exec": map[string]any{
			"command": []any{"/bin/sh", "-c", "sleep 2"},
		}}},
		"startupProbe": startup, "livenessProbe": probe(c.liveness, 30),
	}
	if c.main {
		env = append(env, b.secrets(p)...)
		if len(p.volumes) > 0 {
			out["volumeMounts"] = []any{map[string]any{"name": claimName(p.name, 0), "mountPath": p.volumes[0].Text}}
		}
	}
	out["env"] = env
	return out
}

func fieldEnv(name, path string) map[string]any {
	return map[string]any{"name": name, "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": path}}}
}

func probe(command []string, initialDelay int64) map[string]any {
	return map[string]any{
		"exec":                map[string]any{"command": anys(command)},
		"initialDelaySeconds": initialDelay, "periodSeconds": int64(5), "timeoutSeconds": int64(10),
	}
}

// secrets are the variables of env_from_secret.
func (b *builder) secrets(p pod) []any {
	secrets := p.args.Mapping("env_from_secret")
	if secrets == nil {
		return nil
	}
	var env []any
	for _, e := range secrets.Entries {
		env = append(env, map[string]any{"name": e.Key, "valueFrom": map[string]any{"secretKeyRef": map[string]any{
			"name": e.Value.Get("name").PlainText(b.form), "key": e.Value.Get("key").PlainText(b.form),
		}}})
	}
	return env
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
