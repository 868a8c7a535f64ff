package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// Deviation is a named difference between the objects of the plugin and those of Jina's own export. Each has a row in
// docs/deviations.md, which is made from this declaration.
type Deviation struct {
	ID string
	// Reference says what Jina's export does, Reason why that is no good on a cluster, Instead what the plugin does.
	Reference, Reason, Instead string
	// Paths are the fields that it touches.
	Paths []string
	// Always tells that export --compat has it too: Kubernetes or Jina would read something else than was written.
	Always bool
	apply  func(c *deviationContext, o Object)
	// leavesOut tells which objects are not made at all; apply is for those that remain.
	leavesOut func(c *deviationContext, o Object) bool
}

// deviationContext is what a deviation may look at.
type deviationContext struct {
	// flow is without the helpers that the reference's own has.
	flow, reference *flow.Flow
	options         Options
	objects         []Object
	executors       map[string]*flow.Executor
	configMaps      map[string]*unstructured.Unstructured
	// workloads has the workload of each part.
	workloads map[Part]Object
}

func newDeviationContext(f *flow.Flow, o Options, objects []Object) *deviationContext {
	c := &deviationContext{
		flow: f.WithoutHelpers(), reference: f, options: o, objects: objects,
		executors: map[string]*flow.Executor{}, configMaps: map[string]*unstructured.Unstructured{}, workloads: map[Part]Object{},
	}
	for _, e := range f.Executors {
		c.executors[e.Name] = e
	}
	for _, object := range objects {
		if object.GetKind() == "ConfigMap" {
			c.configMaps[object.GetName()] = object.Unstructured
		}
		if len(containersOf(object)) > 0 {
			c.workloads[object.Part] = object
		}
	}
	return c
}

// args are the arguments of the part that an object belongs to.
func (c *deviationContext) args(p Part) flow.Args {
	if p.Role == RoleGateway {
		return c.flow.Gateway.Args
	}
	return c.executors[p.Executor].Args
}

// Deviate applies the named deviations, in their order, to the objects that the reference makes of a Flow, and returns the
// result; it changes the objects that it is given. After each one it calls after, unless that is nil: conformance tests
// count what each changes.
func Deviate(f *flow.Flow, o Options, objects []Object, after func(Deviation, []Object)) []Object {
	c := newDeviationContext(f, o, objects)
	for _, d := range Deviations() {
		if d.apply == nil {
			continue
		}
		if d.leavesOut != nil {
			c.objects = slices.DeleteFunc(slices.Clone(c.objects), func(object Object) bool { return d.leavesOut(c, object) })
		}
		for _, object := range c.objects {
			d.apply(c, object)
		}
		if after != nil {
			after(d, c.objects)
		}
	}
	return c.objects
}

// AnnotationConfigChecksum is on the pod template: the checksum of its ConfigMap.
const AnnotationConfigChecksum = "jina.ai/config-checksum"

// Deviations are all named deviations, in the order in which they are applied.
func Deviations() []Deviation {
	const containers = "spec.template.spec.containers[*]."
	return []Deviation{
		{
			ID:        "gateway-image",
			Reference: "asks the Hub for the newest image of the gateway, over the network, unless JINA_GATEWAY_IMAGE is set",
			Reason:    "the same file gives other objects on another day, and none without a network",
			Instead:   "the image's tag follows --jina-version; JINA_GATEWAY_IMAGE still wins",
			Paths:     []string{containers + "image"},
			Always:    true,
		},
		{
			ID:        "text-intact",
			Reference: "passes arguments through Python's and YAML's quoting and its own templates, and doubles newlines",
			Reason:    "backslashes, quotes, letters beyond ASCII, newlines and braces reach the executor as something else, and words like on or null are no text for Kubernetes",
			Instead:   "every text arrives as it stands in the file",
			Paths:     []string{containers + "args", containers + "image", "data"},
			Always:    true,
		},
		{
			ID:        "inspect-helper",
			Reference: "makes of method: inspect two executors, NAME and _aux_NAME, which passes on what it gets to the executors behind",
			Reason:    "the objects of the second are called -aux-NAME, a name that no cluster accepts, so that the gateway waits for it for ever",
			Instead:   "the second is left out: who is behind it needs what it would have passed on",
			Paths:     []string{containers + "args"},
			apply:     graphWithoutHelpers,
			leavesOut: ofHelper,
		},
		{
			ID:        "head-stateless",
			Reference: "makes a StatefulSet of the head too when an executor has shards and volumes, and forgets the containers of uses_before and uses_after",
			Reason:    "the head keeps nothing, and it calls containers that are not there",
			Instead:   "the head is a Deployment with its side containers, as it is without volumes",
			Paths: []string{
				"kind", "spec.strategy", "spec.volumeClaimTemplates", "spec.template.spec.containers",
			},
			apply: headWithoutVolumes,
		},
		{
			ID:        "legal-statefulset",
			Reference: "writes the strategy of a Deployment into StatefulSets, and no serviceName",
			Reason:    "the API server refuses the unknown field",
			Instead:   "updateStrategy: RollingUpdate; serviceName is the workload's own Service, which is there anyway: nobody calls single pods, so a headless one is not needed",
			Paths:     []string{"spec.strategy", "spec.updateStrategy", "spec.serviceName"},
			apply:     legalStatefulSet,
		},
		{
			ID:        "parallel-start",
			Reference: "has the replicas of a StatefulSet start one after the other, each when the one before is ready",
			Reason:    "replicas do not need each other: three that load for ten minutes take half an hour",
			Instead:   "podManagementPolicy: Parallel; updates still go pod by pod",
			Paths:     []string{"spec.podManagementPolicy"},
			apply:     parallelStart,
		},
		{
			ID:        "volume-mounts",
			Reference: "mounts the first of volumes, at the text of the file, be it HOST:CONTAINER",
			Reason:    "nobody writes to a folder of that name: the data goes into the container and is lost with it; the other volumes are dropped",
			Instead:   "each volume is mounted at its folder in the container, with a claim of its own",
			Paths:     []string{containers + "volumeMounts", "spec.volumeClaimTemplates"},
			apply:     mountVolumes,
		},
		{
			ID:        "storage-class",
			Reference: "asks for the storage class standard unless JINA_K8S_STORAGE_CLASS_NAME is set",
			Reason:    "only some clusters have a class of that name; elsewhere the claims wait for ever",
			Instead:   "the cluster's default class; JINA_K8S_STORAGE_CLASS_NAME still wins",
			Paths:     []string{"spec.volumeClaimTemplates[*].spec.storageClassName"},
			apply:     clusterStorageClass,
		},
		{
			ID:        "gateway-class",
			Reference: "lets the gateway of Jina's own image read its class from config.yml when it has several ports for one protocol, or a runtime_cls",
			Reason:    "the image has no such file, and the gateway does not start",
			Instead:   "the class of its protocols; ports and runtime_cls have no effect on Kubernetes, which a warning says",
			Paths:     []string{containers + "args"},
			apply:     gatewayRunsBuiltin,
		},
		{
			ID:        "external-hosts",
			Reference: "tells the gateway the first host of an external executor only, and no TLS when the port stands in host",
			Reason:    "the other hosts get nothing, and a host that speaks TLS only refuses the connection",
			Instead:   "all hosts, between which the gateway takes turns; TLS where the scheme, tls or a certificate says so",
			Paths:     []string{containers + "args"},
			apply:     externalReplicas,
		},
		{
			ID:        "executor-plaintext",
			Reference: "has the gateway call executors with TLS when with has a certificate, but gives them none",
			Reason:    "their handshake fails, and gRPC goes on without encryption and without a word",
			Instead:   "the certificate is the gateway's; executors are called as they listen, which a warning says; a mesh encrypts what goes between pods",
			Paths:     []string{containers + "args"},
			apply:     plaintextExecutors,
		},
		{
			ID:        "text-kept",
			Reference: "reads quoted text that looks like a number, boolean or list as one, and writes environment variables as Python prints them",
			Reason:    "a postal code loses its zeros, version 1.10 becomes 1.1, true becomes True and an empty text None",
			Instead:   "what is quoted stays text; environment variables have the text of the file",
			Paths: []string{
				containers + "args", "data", containers + "env[*].valueFrom.secretKeyRef", "spec.template.spec.imagePullSecrets[*].name",
			},
			apply: keepText,
		},
		{
			ID:        "workspace-kept",
			Reference: "makes a relative workspace absolute against the folder in which the export runs",
			Reason:    "the container has no such folder",
			Instead:   "the path stays relative, to the container's working folder",
			Paths:     []string{containers + "args"},
			apply:     keepWorkspace,
		},
		{
			ID:        "flow-env",
			Reference: "gives the env of with to the gateway alone, and not even to it when the gateway has an env",
			Reason:    "the Flow's environment is meant for all of it",
			Instead:   "every pod has it; an executor's or the gateway's own variables win",
			Paths:     []string{"data"},
			apply:     shareFlowEnv,
		},
		{
			ID:        "shell-log-level",
			Reference: "copies JINA_LOG_LEVEL of the shell that exports into every ConfigMap",
			Reason:    "the same file gives other objects in another shell",
			Instead:   "write it under env, where it is seen",
			Paths:     []string{"data.JINA_LOG_LEVEL"},
			apply:     dropShellLogLevel,
		},
		{
			ID:        "replicas-argument",
			Reference: "tells each container the number of replicas",
			Reason:    "nothing in the container needs it, and another number would restart every pod",
			Instead:   "the argument is left out",
			Paths:     []string{containers + "args"},
			apply:     dropReplicasArgument,
		},
		{
			ID:        "dns-resolver",
			Reference: "leaves gRPC to its own DNS resolver, and writes addresses as NAME.NAMESPACE.svc",
			Reason:    "the resolver goes through the whole search list and asks outside of the cluster at last: each connection takes 8 seconds where nobody answers there",
			Instead:   "GRPC_DNS_RESOLVER=native in every pod, which takes the pod's own resolver; the env of the file wins",
			Paths:     []string{"data.GRPC_DNS_RESOLVER"},
			apply:     dnsResolver,
		},
		{
			ID:        "native-probes",
			Reference: "has each container started and kept alive by `jina ping`, and has no readiness probe. The ping cannot speak TLS, and that of a head with uses_before is broken: a literal {port_uses}, an address and an option in one word",
			Reason:    "a ping starts Python: 350 times the CPU of a native probe, 23 % of a core for every pod, and on a busy node it takes so long that healthy pods are killed; a gateway with a certificate and a head with side containers never start",
			Instead:   "the kubelet asks itself: the gRPC health service without a name, GET / for HTTP and WebSocket, GET / over HTTPS for TLS, also of gRPC; the startup probe each second for as long as the reference's, readiness with 30 seconds of patience, liveness with 5 minutes, more if timeout_send says that requests take longer",
			Paths:     []string{containers + "startupProbe", containers + "readinessProbe", containers + "livenessProbe"},
			apply:     nativeProbes,
		},
		{
			ID:        "startup-budget",
			Reference: "gives the gateway the time of its own timeout_ready to start",
			Reason:    "the gateway opens no port before its slowest executor has answered: it is killed and started again while a large model loads or an image is pulled",
			Instead:   "the gateway has the time of the slowest executor, five minutes for scheduling and pulling images, and two and a half for gRPC to connect again",
			Paths:     []string{containers + "startupProbe.failureThreshold"},
			apply:     startupBudget,
		},
		{
			ID:        "protocol-tcp",
			Reference: "writes container ports without a protocol",
			Reason:    "the protocol is part of the key by which server-side apply merges ports",
			Instead:   "protocol: TCP on every container port",
			Paths:     []string{containers + "ports[*].protocol"},
			apply:     protocolTCP,
		},
		{
			ID:        "progress-deadline",
			Reference: "leaves the deadline of a Deployment's progress at ten minutes",
			Reason:    "that is shorter than the time that the startup probe allows, so a slow but healthy start counts as failed",
			Instead:   "the time of the startup probe and five minutes for scheduling and pulling the image; the gateway's startup probe has these already",
			Paths:     []string{"spec.progressDeadlineSeconds"},
			apply:     progressDeadline,
		},
		{
			ID:        "graceful-end",
			Reference: "keeps a pod for 2 seconds after its end was decided, whatever its requests take",
			Reason:    "Jina cancels what it works on as soon as it is told to stop: requests that take longer are lost, or done twice by the gateway's retries",
			Instead:   "preStop waits for 2 seconds and the longest request with its queue: timeout_send of the gateway, else the executor's, for the gateway that of the longest chain of executors; 10 seconds without one, 9 minutes at most. The pod's grace period is 30 seconds more. A container that does not start is killed after 5 seconds, one that hangs after 30. With a mesh that loses no request; without one callers keep their connection and need a limit on its age too",
			Paths: []string{
				containers + "lifecycle.preStop.exec.command", "spec.template.spec.terminationGracePeriodSeconds",
				containers + "startupProbe.terminationGracePeriodSeconds", containers + "livenessProbe.terminationGracePeriodSeconds",
			},
			apply: gracefulEnd,
		},
		{
			ID:        "anti-affinity",
			Reference: "lets the scheduler put all replicas on one node",
			Reason:    "one node that fails takes them all",
			Instead:   "the replicas prefer different nodes; the preference is there with one replica too, so that scaling restarts no pod",
			Paths:     []string{"spec.template.spec.affinity"},
			apply:     antiAffinity,
		},
		{
			ID:        "app-protocol",
			Reference: "does not say what the ports of Services speak",
			Reason:    "a mesh has to guess it from each connection, and what looks right is wrong: with appProtocol grpc or http2 Linkerd sends all requests to one replica",
			Instead:   "kubernetes.io/h2c for gRPC, http for HTTP, WebSocket and metrics; nothing for TLS",
			Paths:     []string{"spec.ports[*].appProtocol"},
			apply:     appProtocols,
		},
		{
			ID:        "labels",
			Reference: "labels Services with app alone and other objects with nothing",
			Reason:    "nothing tells which objects belong to a Flow",
			Instead:   "Kubernetes' recommended labels and jina.ai/flow, jina.ai/executor, jina.ai/shard on objects and pods; selectors stay the reference's",
			Paths:     []string{"metadata.labels", "spec.template.metadata.labels"},
			apply:     addLabels,
		},
		{
			ID:        "claim-labels",
			Reference: "leaves the claims of volumes without a label that says whose they are",
			Reason:    "they outlive the Flow, and nothing tells which Flow's data they have",
			Instead:   "jina.ai/flow, jina.ai/executor, jina.ai/shard and app.kubernetes.io/managed-by",
			Paths:     []string{"spec.volumeClaimTemplates[*].metadata.labels"},
			apply:     labelClaims,
		},
		{
			ID:        "config-checksum",
			Reference: "leaves pods running when their ConfigMap changes",
			Reason:    "a changed environment variable has no effect until somebody restarts the pods",
			Instead:   "a checksum of the ConfigMap on the pod template, so that the pods roll",
			Paths:     []string{"spec.template.metadata.annotations." + AnnotationConfigChecksum},
			apply:     configChecksum,
		},
	}
}

// containersOf are the containers of a workload; nil for any other object.
func containersOf(o Object) []map[string]any {
	list, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "template", "spec", "containers")
	items, _ := list.([]any)
	var containers []map[string]any
	for _, item := range items {
		if c, ok := item.(map[string]any); ok {
			containers = append(containers, c)
		}
	}
	return containers
}

// childOf is a mapping inside of a mapping, made when it is missing.
func childOf(m map[string]any, keys ...string) map[string]any {
	for _, key := range keys {
		child, ok := m[key].(map[string]any)
		if !ok {
			child = map[string]any{}
			m[key] = child
		}
		m = child
	}
	return m
}

// keepText replaces coerced values by what the file says, in arguments and in the ConfigMap.
func keepText(c *deviationContext, o Object) {
	args := c.args(o.Part)
	if o.GetKind() == "ConfigMap" {
		if env := args.Mapping("env"); env != nil {
			data := childOf(o.Object, "data")
			for i := range env.Entries {
				data[env.Entries[i].Key] = env.Entries[i].Value.PlainText(flow.Kept)
			}
		}
		return
	}
	keepSecrets(args, o)
	for _, container := range containersOf(o) {
		words, _ := container["args"].([]any)
		for _, s := range args.All() {
			words = replaceWords(words, s.CommandLine(flow.Coerced), s.CommandLine(flow.Kept))
		}
		if o.Part.Role == RoleGateway {
			coerced, kept := c.graph(flow.Coerced), c.graph(flow.Kept)
			for i := range coerced {
				words = replaceWords(words, option(coerced[i].name, coerced[i].json), option(kept[i].name, kept[i].json))
			}
		}
		container["args"] = words
	}
}

// keepSecrets writes the names of Secrets as they stand in the file.
func keepSecrets(args flow.Args, o Object) {
	pulls, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "template", "spec", "imagePullSecrets")
	list, _ := pulls.([]any)
	for i, name := range args.Texts("image_pull_secrets", flow.Kept) {
		if i < len(list) {
			list[i] = map[string]any{"name": name}
		}
	}
	secrets := args.Mapping("env_from_secret")
	for _, container := range containersOf(o) {
		variables, _ := container["env"].([]any)
		for _, variable := range variables {
			v, _ := variable.(map[string]any)
			from, _ := v["valueFrom"].(map[string]any)
			ref, ok := from["secretKeyRef"].(map[string]any)
			name, _ := v["name"].(string)
			if secret := secrets.Get(name); ok && secret != nil {
				ref["name"] = secret.Get("name").PlainText(flow.Kept)
				ref["key"] = secret.Get("key").PlainText(flow.Kept)
			}
		}
	}
}

// graph has the gateway's arguments that come from the executors, in a form.
func (c *deviationContext) graph(form flow.Form) []graphArgument {
	return (&builder{flow: c.flow, options: c.options, form: form}).graphArguments()
}

// replaceWords replaces the first run of words that equals the old ones.
func replaceWords(words []any, old, replacement []string) []any {
	if len(old) == 0 || slices.Equal(old, replacement) {
		return words
	}
	for i := 0; i+len(old) <= len(words); i++ {
		if slices.EqualFunc(words[i:i+len(old)], old, func(w any, s string) bool { return w == s }) {
			return slices.Replace(slices.Clone(words), i, i+len(old), anys(replacement)...)
		}
	}
	return words
}

func anys(texts []string) []any {
	out := make([]any, len(texts))
	for i, t := range texts {
		out[i] = t
	}
	return out
}

func keepWorkspace(c *deviationContext, o Object) {
	s, ok := c.args(o.Part).Lookup("workspace")
	if !ok || o.Part.Role == RoleGateway {
		return
	}
	for _, container := range containersOf(o) {
		words, _ := container["args"].([]any)
		if i := slices.Index(words, any("--workspace")); i >= 0 && i+1 < len(words) {
			words[i+1] = s.Texts(flow.Kept)[0]
		}
	}
}

func shareFlowEnv(c *deviationContext, o Object) {
	env := c.flow.Args.Mapping("env")
	if o.GetKind() != "ConfigMap" || env == nil {
		return
	}
	own := c.args(o.Part).Mapping("env")
	data := childOf(o.Object, "data")
	for i := range env.Entries {
		if e := env.Entries[i]; own.Get(e.Key) == nil {
			data[e.Key] = e.Value.PlainText(flow.Kept)
		}
	}
}

// dropShellLogLevel takes away what only the exporting shell has set.
func dropShellLogLevel(c *deviationContext, o Object) {
	const key = "JINA_LOG_LEVEL"
	if o.GetKind() == "ConfigMap" && c.args(o.Part).Mapping("env").Get(key) == nil && c.flow.Args.Mapping("env").Get(key) == nil {
		delete(childOf(o.Object, "data"), key)
	}
}

func dropReplicasArgument(c *deviationContext, o Object) {
	s, ok := c.args(o.Part).Lookup("replicas")
	if !ok {
		return
	}
	for _, container := range containersOf(o) {
		words, _ := container["args"].([]any)
		container["args"] = replaceWords(words, s.CommandLine(flow.Coerced), nil)
	}
}

func protocolTCP(_ *deviationContext, o Object) {
	for _, container := range containersOf(o) {
		ports, _ := container["ports"].([]any)
		for _, port := range ports {
			if p, ok := port.(map[string]any); ok {
				p["protocol"] = "TCP"
			}
		}
	}
}

func addLabels(c *deviationContext, o Object) {
	labels := childOf(o.Object, "metadata", "labels")
	setLabels(c, o.Part, labels)
	if len(containersOf(o)) > 0 {
		setLabels(c, o.Part, childOf(o.Object, "spec", "template", "metadata", "labels"))
	}
}

func setLabels(c *deviationContext, p Part, labels map[string]any) {
	name := dnsLabel(c.options.FlowName)
	labels[LabelName] = "jina"
	labels[LabelInstance] = name
	labels[LabelPartOf] = name
	labels[LabelComponent] = string(p.Role)
	labels[LabelManagedBy] = FieldManager
	labels[LabelVersion] = labelValue(c.options.jinaVersion())
	labels[LabelFlow] = name
	if p.Executor != "" {
		labels[LabelExecutor] = DNSName(p.Executor)
	}
	if p.Role == RoleShard {
		labels[LabelShard] = decimals([]int{p.Shard})[0]
	}
}

func configChecksum(c *deviationContext, o Object) {
	config, ok := c.configMaps[o.GetName()+"-configmap"]
	if !ok || len(containersOf(o)) == 0 {
		return
	}
	// encoding/json sorts keys; a mapping of texts cannot fail.
	text, _ := json.Marshal(config.Object["data"])
	sum := sha256.Sum256(text)
	childOf(o.Object, "spec", "template", "metadata", "annotations")[AnnotationConfigChecksum] = hex.EncodeToString(sum[:])
}
