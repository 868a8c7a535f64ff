package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

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
}

// deviationContext is what a deviation may look at.
type deviationContext struct {
	flow       *flow.Flow
	options    Options
	objects    []Object
	executors  map[string]*flow.Executor
	configMaps map[string]*unstructured.Unstructured
}

func newDeviationContext(f *flow.Flow, o Options, objects []Object) *deviationContext {
	c := &deviationContext{
		flow: f, options: o, objects: objects,
		executors: map[string]*flow.Executor{}, configMaps: map[string]*unstructured.Unstructured{},
	}
	for _, e := range f.Executors {
		c.executors[e.Name] = e
	}
	for _, object := range objects {
		if object.GetKind() == "ConfigMap" {
			c.configMaps[object.GetName()] = object.Unstructured
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

// deviate applies all deviations to the reference's objects.
func deviate(c *deviationContext) {
	for _, d := range Deviations() {
		if d.apply == nil {
			continue
		}
		for _, object := range c.objects {
			d.apply(c, object)
		}
	}
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
			ID:        "head-probes",
			Reference: "breaks the probes of a head that has uses_before: a literal {port_uses}, and an address and an option in one word",
			Reason:    "the startup probe never passes, so the head is killed again and again",
			Instead:   "the head has the same probes with and without side containers",
			Paths:     []string{containers + "startupProbe.exec.command", containers + "livenessProbe.exec.command"},
			apply:     repairHeadProbes,
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
			Instead:   "the time of the startup probe and five minutes for scheduling and pulling the image; the gateway has the longest of all, since it opens no port before its slowest executor has answered",
			Paths:     []string{"spec.progressDeadlineSeconds"},
			apply:     progressDeadline,
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

func repairHeadProbes(c *deviationContext, o Object) {
	if o.Part.Role != RoleHead {
		return
	}
	for _, container := range containersOf(o) {
		if container["name"] == "executor" {
			command := []any{"jina", "ping", "executor", "grpc://127.0.0.1:8080"}
			childOf(container, "startupProbe", "exec")["command"] = command
			childOf(container, "livenessProbe", "exec")["command"] = append(slices.Clone(command), "--timeout 9500")
		}
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

func progressDeadline(c *deviationContext, o Object) {
	if o.GetKind() != "Deployment" {
		return
	}
	budget := probeBudget(o) + StartupAllowance
	if o.Part.Role == RoleGateway {
		budget = StartupBudget(c.objects)
	}
	childOf(o.Object, "spec")["progressDeadlineSeconds"] = int64(budget / time.Second)
}

// probeBudget is the time that the slowest container may take by its startup probe.
func probeBudget(o Object) time.Duration {
	var longest int64
	for _, container := range containersOf(o) {
		p, _ := container["startupProbe"].(map[string]any)
		number := func(key string) int64 { n, _ := p[key].(int64); return n }
		longest = max(longest, number("initialDelaySeconds")+number("periodSeconds")*number("failureThreshold"))
	}
	return time.Duration(longest) * time.Second
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
