package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// The deviations that repair what no cluster takes; the others are only warned about.
const (
	deviationText        = "text-intact"
	deviationProtocol    = "protocol-tcp"
	deviationStatefulSet = "legal-statefulset"
	deviationProbes      = "native-probes"
	deviationChecksum    = "config-checksum"
)

// Jina's own labels on pods (semantics 3.2).
const (
	labelPodType = "pod_type"
	labelShardID = "shard_id"
)

// folderPod is what a workload's pod template says of its part of the Flow.
type folderPod struct {
	// deployment, podType and shardID are Jina's labels; labels are all of them.
	deployment, podType, shardID string
	labels                       map[string]string
	// place of the labels.
	place flow.Position
	// arguments of the container that runs Jina.
	arguments []folderArgument
	// configMaps that the containers and volumes name.
	configMaps []string
}

// folderArgument is an option of a container's command line with the words behind it.
type folderArgument struct {
	name   string
	values []string
	// place of the first value, or of the option when there is none.
	place flow.Position
}

// argument is the last one of that name: for Jina's command line it wins.
func (p *folderPod) argument(name string) *folderArgument {
	for i := len(p.arguments) - 1; i >= 0; i-- {
		if p.arguments[i].name == name {
			return &p.arguments[i]
		}
	}
	return nil
}

// value of an argument; empty when it is not given.
func (p *folderPod) value(name string) string {
	if a := p.argument(name); a != nil && len(a.values) > 0 {
		return a.values[0]
	}
	return ""
}

func (d *objectDecoder) repair(deviation string) {
	if !slices.Contains(d.repaired, deviation) {
		d.repaired = append(d.repaired, deviation)
	}
}

// inspect repairs an object, warns of the known defects of Jina's export that it has, and notes what the other objects need to
// know of it.
func (d *objectDecoder) inspect(n *yaml.Node, o *folderObject) {
	switch o.GetKind() {
	case "Service":
		d.inspectService(n, o)
	case "Deployment", "StatefulSet":
		d.inspectWorkload(n, o)
	}
	for _, twice := range duplicateItems(o.Object) {
		d.errorf(d.position(nodeAt(n, twice.at)), flow.IDDuplicateKey, "keep one of them", "%s: %s stands here a second time, the first is at %s",
			o.Ref(), twice.what, d.position(nodeAt(n, twice.first)))
	}
}

// nodeAt follows names of keys and indexes of items, as far as they stand there and are not merged in.
func nodeAt(n *yaml.Node, path []any) *yaml.Node {
	for _, p := range path {
		next := n
		switch p := p.(type) {
		case string:
			_, next = find(n, p)
		case int:
			next = itemOf(n, p)
		}
		if next == nil {
			break
		}
		n = next
	}
	return n
}

// inspectService finds the protocols that turn Linkerd's balancing off. Without any the proxy finds out by itself.
func (d *objectDecoder) inspectService(n *yaml.Node, o *folderObject) {
	ports, _, _ := unstructured.NestedFieldNoCopy(o.Object.Object, "spec", "ports")
	list, _ := ports.([]any)
	_, nodes := find(n, "spec", "ports")
	for i, item := range list {
		port, _ := item.(map[string]any)
		if _, has := port["protocol"]; !has {
			port["protocol"] = "TCP"
			d.repair(deviationProtocol)
		}
		switch protocol := port["appProtocol"]; protocol {
		case "grpc", "http2", "tcp", "linkerd.io/opaque":
			d.defect(d.placeOf(itemOf(nodes, i), "appProtocol"), flow.IDFolderDefect, "app-protocol", "write kubernetes.io/h2c, or leave it out",
				"%s: spec.ports[%d].appProtocol %s turns Linkerd's balancing off: one replica gets all requests", o.Ref(), i, protocol)
		}
	}
}

// itemOf is an item of a list's node, or the node itself where there is no such item.
func itemOf(list *yaml.Node, i int) *yaml.Node {
	if list != nil && i < len(list.Content) {
		return follow(list.Content[i])
	}
	if list == nil {
		return &yaml.Node{}
	}
	return list
}

func (d *objectDecoder) inspectWorkload(n *yaml.Node, o *folderObject) {
	labels, _, _ := unstructured.NestedStringMap(o.Object.Object, "spec", "template", "metadata", "labels")
	o.pod = &folderPod{
		labels: labels, deployment: labels[LabelJinaDeployment], podType: labels[labelPodType], shardID: labels[labelShardID],
		place: d.placeOf(n, "spec", "template", "metadata", "labels", LabelJinaDeployment),
	}
	d.legalStrategy(o)
	_, nodes := find(n, "spec", "template", "spec", "containers")
	for i, c := range containersOf(o.Object) {
		d.inspectContainer(itemOf(nodes, i), o, c)
	}
	o.pod.configMaps = configMapsOf(o.Object)
	d.inspectConfiguration(n, o)
	if o.GetKind() == "Deployment" {
		d.inspectDeadline(n, o)
	}
	d.inspectArguments(o)
}

// legalStrategy moves a StatefulSet's strategy, which only Deployments have, to where it is known (semantics D1). The API
// server refuses the object otherwise.
func (d *objectDecoder) legalStrategy(o *folderObject) {
	if d.strategy == nil {
		return
	}
	d.repair(deviationStatefulSet)
	d.defect(d.position(d.strategy), flow.IDFolderRepaired, deviationStatefulSet, "write updateStrategy: {type: RollingUpdate}",
		"%s: spec.strategy is no field of a StatefulSet; it becomes spec.updateStrategy", o.Ref())
	spec := childOf(o.Object.Object, "spec")
	kept := map[string]any{}
	for _, key := range []string{"updateStrategy", "serviceName"} {
		if v, has := spec[key]; has {
			kept[key] = v
		}
	}
	legalStatefulSet(nil, o.Object)
	maps.Copy(spec, kept)
}

func (d *objectDecoder) inspectContainer(n *yaml.Node, o *folderObject, c map[string]any) {
	name, _ := c["name"].(string)
	if image, _ := c["image"].(string); strings.ContainsAny(image, " ${}\"'") || image == "" {
		d.errorf(d.placeOf(n, "image"), flow.IDImage, "set the variable that stood in the Flow and export again, or write the image here",
			"%s: image %q of container %s is no image", o.Ref(), image, name)
	}
	ports, _ := c["ports"].([]any)
	for _, item := range ports {
		port, _ := item.(map[string]any)
		if _, has := port["protocol"]; !has && port != nil {
			port["protocol"] = "TCP"
			d.repair(deviationProtocol)
		}
	}
	mounts, _ := c["volumeMounts"].([]any)
	_, mountNodes := find(n, "volumeMounts")
	for i, item := range mounts {
		mount, _ := item.(map[string]any)
		if target, _ := mount["mountPath"].(string); strings.Contains(target, ":") {
			d.defect(d.placeOf(itemOf(mountNodes, i), "mountPath"), flow.IDFolderDefect, "mount-path", "write the path in the container alone: "+target[strings.LastIndexByte(target, ':')+1:],
				"%s: mountPath %q is one path to Kubernetes: nobody writes there, and the data is lost at a restart", o.Ref(), target)
		}
	}
	for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
		d.inspectProbe(n, o, c, probe)
	}
	if words, ok := asStrings(c["args"]); ok && (name == "executor" || name == "gateway" || o.pod.arguments == nil) {
		_, nodes := find(n, "args")
		o.pod.arguments = d.argumentsOf(words, nodes)
	}
}

// inspectProbe looks at the probes that run jina ping (semantics D3, D5).
func (d *objectDecoder) inspectProbe(n *yaml.Node, o *folderObject, c map[string]any, field string) {
	exec, _, _ := unstructured.NestedFieldNoCopy(c, field, "exec", "command")
	words, ok := asStrings(exec)
	if !ok || len(words) < 4 || words[0] != "jina" || words[1] != "ping" {
		return
	}
	path := fmt.Sprintf("%s: %s of container %v", o.Ref(), field, c["name"])
	place := d.placeOf(n, field, "exec", "command")
	if strings.Contains(words[3], "{port_uses}") {
		if served := servedBy(c); len(served) > 0 {
			startup, _ := c[field].(map[string]any)
			c[field] = served[0].probe(startupPeriod, startupTimeout, allowance(startup))
			d.repair(deviationProbes)
			d.defect(place, flow.IDFolderRepaired, "probe-port", "write grpc: {port: 8080}", "%s has {port_uses} for a port and never passes; the kubelet asks the port itself instead", path)
			return
		}
	}
	if strings.Contains(words[3], " ") {
		d.defect(place, flow.IDFolderDefect, "probe-word", "make words of their own of it", "%s has an address and an option in one word, and always passes", path)
	}
	d.defect(place, flow.IDFolderDefect, deviationProbes, "write grpc: {port: 8080} or httpGet instead, or bring the Flow up from its file",
		"%s starts Python each time: that costs a quarter of a core a pod, and healthy pods that are busy are restarted", path)
}

// argumentsOf reads a command line the way Jina's own does: an option takes the words behind it. Texts that begin with --
// are options.
func (d *objectDecoder) argumentsOf(words []string, nodes *yaml.Node) []folderArgument {
	arguments := []folderArgument{}
	for i, word := range words {
		place := d.position(itemOf(nodes, i))
		if name, isOption := strings.CutPrefix(word, "--"); isOption && !strings.ContainsAny(word, " ") {
			value, has := "", false
			if name, value, has = strings.Cut(name, "="); has {
				arguments = append(arguments, folderArgument{name: name, values: []string{value}, place: place})
				continue
			}
			arguments = append(arguments, folderArgument{name: name, place: place})
			continue
		}
		if len(arguments) == 0 {
			continue // the subcommand
		}
		a := &arguments[len(arguments)-1]
		if len(a.values) == 0 {
			a.place = place
		}
		a.values = append(a.values, word)
	}
	return arguments
}

// inspectArguments looks for what cannot work: broken JSON (semantics D16), consensus without peers (D24), TLS that nobody
// probes (D30), side containers that are not there (D4).
func (d *objectDecoder) inspectArguments(o *folderObject) {
	p := o.pod
	for _, a := range p.arguments {
		if a.name == "graph-description" || a.name == "deployments-addresses" || a.name == "connection-list" {
			continue // they are read, and must be JSON
		}
		for _, v := range a.values {
			if strings.HasPrefix(v, "{") && !json.Valid([]byte(v)) {
				d.warnf(a.place, flow.IDFolderDefect, "write JSON, with the text as it is meant", "%s: the value of --%s is not JSON: Jina's export breaks texts with quotes in them", o.Ref(), a.name)
			}
		}
	}
	if a := p.argument("stateful"); a != nil {
		d.defect(a.place, flow.IDFolderDefect, "stateful", "run one replica without stateful, or keep the state outside of the executor",
			"%s: --stateful has the same peers and no replica id in every pod, so that no consensus can form", o.Ref())
	}
	if a := p.argument("ssl-certfile"); p.podType == "GATEWAY" && a != nil && p.argument("ssl-keyfile") != nil && plainProbe(o) {
		d.defect(a.place, flow.IDFolderDefect, "tls-probes", "probe with scheme HTTPS, or leave TLS to the mesh",
			"%s: the port speaks TLS and its probes do not: it never becomes ready", o.Ref())
	}
	for _, name := range []string{"uses-before-address", "uses-after-address"} {
		if a := p.argument(name); a != nil && len(a.values) > 0 {
			if port, local := strings.CutPrefix(a.values[0], "127.0.0.1:"); local && !listens(o, port) {
				d.errorf(a.place, flow.IDFolderGraph, "leave volumes out of an executor with shards and uses_before or uses_after, and export again",
					"%s calls %s, where no container of its pod listens", o.Ref(), a.values[0])
			}
		}
	}
}

func plainProbe(o *folderObject) bool {
	for _, c := range containersOf(o.Object) {
		command, _, _ := unstructured.NestedFieldNoCopy(c, "startupProbe", "exec", "command")
		if words, _ := asStrings(command); len(words) > 3 && words[0] == "jina" && !tlsScheme.MatchString(words[3]) {
			return true
		}
	}
	return false
}

var tlsScheme = regexp.MustCompile(`^(?:grpcs|https|wss)://`)

func listens(o *folderObject, port string) bool {
	for _, c := range containersOf(o.Object) {
		ports, _ := c["ports"].([]any)
		for _, item := range ports {
			if p, _ := item.(map[string]any); fmt.Sprint(p["containerPort"]) == port {
				return true
			}
		}
	}
	return false
}

// inspectConfiguration finds pods that a changed ConfigMap does not reach (semantics D20).
func (d *objectDecoder) inspectConfiguration(n *yaml.Node, o *folderObject) {
	annotations, _, _ := unstructured.NestedStringMap(o.Object.Object, "spec", "template", "metadata", "annotations")
	if len(o.pod.configMaps) == 0 || annotations[AnnotationConfigChecksum] != "" {
		return
	}
	d.defect(d.placeOf(n, "spec", "template", "metadata"), flow.IDFolderDefect, deviationChecksum,
		"after a change restart them with `kubectl rollout restart`, or bring the Flow up from its file",
		"%s: pods keep running when ConfigMap/%s changes", o.Ref(), o.pod.configMaps[0])
}

// defaultProgressDeadline is the API server's (apps/v1 DeploymentSpec.progressDeadlineSeconds).
const defaultProgressDeadline = 10 * time.Minute

func (d *objectDecoder) inspectDeadline(n *yaml.Node, o *folderObject) {
	_, has, _ := unstructured.NestedFieldNoCopy(o.Object.Object, "spec", "progressDeadlineSeconds")
	if budget := probeBudget(o.Object); !has && budget > defaultProgressDeadline {
		d.defect(d.placeOf(n, "spec", "template"), flow.IDFolderDefect, "progress-deadline", "write spec.progressDeadlineSeconds, or bring the Flow up from its file",
			"%s: the startup probe allows %s, but a rollout counts as failed after %s", o.Ref(), budget, defaultProgressDeadline)
	}
}

// configMapsOf are the names of the ConfigMaps that a pod template uses, in the order in which they stand there.
func configMapsOf(o Object) []string {
	var names []string
	var walk func(v any)
	add := func(ref any) {
		m, _ := ref.(map[string]any)
		if name, _ := m["name"].(string); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range []string{"configMapRef", "configMapKeyRef", "configMap"} {
				add(v[key])
			}
			for _, key := range []string{"initContainers", "containers", "envFrom", "env", "valueFrom", "volumes", "projected", "sources"} {
				walk(v[key])
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	spec, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "template", "spec")
	walk(spec)
	return names
}
