package plan

import (
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// gateway is the gateway's workload; nil without one.
func (r *folderReader) gateway() *folderObject {
	for _, o := range r.objects {
		if o.pod != nil && o.Part.Role == RoleGateway && o.grouped {
			return o
		}
	}
	return nil
}

// group gives every object its part of the Flow, and returns the names of the executors in the order of the files: workloads
// by Jina's labels on their pods, everything else by the workload that it is for.
func (r *folderReader) group() []string {
	sharded := map[string]bool{}
	for _, o := range r.objects {
		if o.pod != nil && o.pod.podType == "HEAD" {
			sharded[o.pod.deployment] = true
		}
	}
	var executors []string
	first := map[Part]*folderObject{}
	for _, o := range r.objects {
		if o.pod == nil {
			continue
		}
		part, ok := r.partOf(o, sharded[o.pod.deployment])
		if !ok {
			continue
		}
		if other := first[part]; other != nil {
			r.errorf(o.pod.place, flow.IDFolderPart, "keep one of them, or give it labels of its own", "%s and %s are both %s of the Flow, by their labels", other.Ref(), o.Ref(), part)
			continue
		}
		first[part] = o
		o.Part, o.grouped = part, true
		if part.Executor != "" && !slices.Contains(executors, part.Executor) {
			executors = append(executors, part.Executor)
		}
	}
	if len(first) == 0 {
		if r.problems.Err() == nil {
			r.errorf(r.objects[0].start, flow.IDFolderPart, "export the Flow again", "the folder has no workload: neither a gateway nor an executor")
		}
		return nil
	}
	r.groupServices()
	r.groupConfigMaps()
	r.groupMonitors()
	r.groupRest()
	return executors
}

// partOf reads Jina's labels of a workload's pods.
func (r *folderReader) partOf(o *folderObject, sharded bool) (Part, bool) {
	p := o.pod
	const types = "GATEWAY, HEAD or WORKER"
	switch p.podType {
	case "GATEWAY":
		return Part{Role: RoleGateway}, true
	case "HEAD", "WORKER":
	case "":
		r.errorf(p.place, flow.IDFolderPart, "take it out of the folder and apply it with kubectl; a workload of the Flow has jina_deployment_name, pod_type and shard_id on its pod template",
			"%s is no part of a Flow that Jina exported: its pods have no label pod_type", o.Ref())
		return Part{}, false
	default:
		r.errorf(p.place, flow.IDFolderPart, "write "+types, "%s: label pod_type %q is none of Jina's", o.Ref(), p.podType)
		return Part{}, false
	}
	if p.deployment == "" {
		r.errorf(p.place, flow.IDFolderPart, "write the executor's name", "%s: its pods have no label %s", o.Ref(), LabelJinaDeployment)
		return Part{}, false
	}
	if p.podType == "HEAD" {
		return Part{Role: RoleHead, Executor: p.deployment}, true
	}
	if shards, err := strconv.Atoi(p.value("shards")); !sharded && (err != nil || shards < 2) {
		return Part{Role: RoleExecutor, Executor: p.deployment}, true
	}
	shard, err := strconv.Atoi(p.shardID)
	if err != nil || shard < 0 {
		r.errorf(p.place, flow.IDFolderPart, "write the shard's number, from 0", "%s is a shard of %q, but label shard_id of its pods is %q", o.Ref(), p.deployment, p.shardID)
		return Part{}, false
	}
	return Part{Role: RoleShard, Executor: p.deployment, Shard: shard}, true
}

// groupServices finds the workload that a Service selects.
func (r *folderReader) groupServices() {
	byApp := map[string][]*folderObject{}
	var workloads []*folderObject
	for _, o := range r.objects {
		if o.pod != nil && o.grouped {
			workloads = append(workloads, o)
			byApp[o.pod.labels["app"]] = append(byApp[o.pod.labels["app"]], o)
		}
	}
	for _, o := range r.objects {
		if o.GetKind() != "Service" {
			continue
		}
		selector, _, _ := unstructured.NestedStringMap(o.Object.Object, "spec", "selector")
		candidates := workloads
		if app, has := selector["app"]; has {
			candidates = byApp[app]
		}
		for _, w := range candidates {
			if len(selector) > 0 && !o.grouped && selects(selector, w.pod.labels) {
				o.Part, o.grouped = w.Part, true
			}
		}
	}
}

func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if has, ok := labels[key]; !ok || has != value {
			return false
		}
	}
	return true
}

// groupConfigMaps finds the first workload that uses a ConfigMap.
func (r *folderReader) groupConfigMaps() {
	users := map[string]*folderObject{}
	for _, o := range r.objects {
		if o.pod == nil || !o.grouped {
			continue
		}
		for _, name := range o.pod.configMaps {
			if users[name] == nil {
				users[name] = o
			}
		}
	}
	for _, o := range r.objects {
		if user := users[o.GetName()]; user != nil && o.GetKind() == "ConfigMap" {
			o.Part, o.grouped = user.Part, true
		}
	}
}

// groupMonitors finds the Service that a ServiceMonitor selects.
func (r *folderReader) groupMonitors() {
	byApp := map[string][]*folderObject{}
	for _, o := range r.objects {
		if o.GetKind() == "Service" && o.grouped {
			app := o.GetLabels()["app"]
			byApp[app] = append(byApp[app], o)
		}
	}
	for _, o := range r.objects {
		if o.GetKind() != "ServiceMonitor" {
			continue
		}
		selector, _, _ := unstructured.NestedStringMap(o.Object.Object, "spec", "selector", "matchLabels")
		for _, s := range byApp[selector["app"]] {
			if len(selector) > 0 && !o.grouped && selects(selector, s.GetLabels()) {
				o.Part, o.grouped = s.Part, true
			}
		}
	}
}

// groupRest takes what no workload uses for the workload of its name, else for the gateway or the first workload, and warns.
func (r *folderReader) groupRest() {
	workloads := map[string]*folderObject{}
	fallback := r.gateway()
	for _, o := range r.objects {
		if o.pod != nil && o.grouped {
			workloads[o.GetName()] = o
			if fallback == nil {
				fallback = o
			}
		}
	}
	for _, o := range r.objects {
		if o.grouped || o.pod != nil {
			continue
		}
		name := strings.TrimSuffix(o.GetName(), "-configmap")
		if app := o.GetLabels()["app"]; workloads[name] == nil && app != "" {
			name = app
		}
		owner := workloads[name]
		if owner == nil {
			owner = fallback
		}
		o.Part, o.grouped = owner.Part, true
		if r.counts[flow.Error] > 0 {
			continue // what it is for may be broken
		}
		what := "selects no workload of the folder"
		if o.GetKind() == "ConfigMap" {
			what = "is used by no workload of the folder"
		}
		r.warnf(o.name, flow.IDFolderPart, "take it out of the folder if nobody needs it", "%s %s; it goes along with %s", o.Ref(), what, o.Part)
	}
}

// label adds the labels that the plugin finds objects and pods by. What else is there stays, and selectors never change.
func (r *folderReader) label(flowName string, o *folderObject) {
	if !o.grouped {
		return
	}
	r.addLabels(flowName, o, childOf(o.Object.Object, "metadata", "labels"))
	if o.pod == nil {
		return
	}
	labels := childOf(o.Object.Object, "spec", "template", "metadata", "labels")
	r.addLabels(flowName, o, labels)
	selector, _, _ := unstructured.NestedStringMap(o.Object.Object, "spec", "selector", "matchLabels")
	for _, key := range sortedKeys(selector) {
		if labels[key] != selector[key] {
			r.errorf(o.pod.place, flow.IDFolderPart, "selectors cannot be changed in a cluster: write the label as the selector has it",
				"%s selects pods with %s=%q, but its pod template has %q", o.Ref(), quoteOdd(key), selector[key], labels[key])
		}
	}
}

func (r *folderReader) addLabels(flowName string, o *folderObject, labels map[string]any) {
	wanted := map[string]any{}
	setLabels(&deviationContext{options: Options{FlowName: flowName}}, o.Part, wanted)
	// The version of Jina in the images is not known.
	delete(wanted, LabelVersion)
	if old, ours := labels[LabelFlow]; ours && old != flowName {
		// This plugin's own export, under another name.
		for _, key := range []string{LabelInstance, LabelPartOf} {
			delete(labels, key)
		}
	}
	for key, value := range wanted {
		switch _, has := labels[key]; {
		case !has, key == LabelFlow, key == LabelExecutor, key == LabelShard, key == LabelComponent:
			labels[key] = value
		}
	}
}

// refreshChecksums writes the checksum that this plugin's own export has put on a pod template anew, where the ConfigMap was
// edited since: it is there to restart the pods then.
func (r *folderReader) refreshChecksums() {
	c := &deviationContext{configMaps: map[string]*unstructured.Unstructured{}}
	for _, o := range r.objects {
		if o.GetKind() == "ConfigMap" {
			c.configMaps[o.GetName()] = o.Unstructured
		}
	}
	for _, o := range r.objects {
		path := []string{"spec", "template", "metadata", "annotations", AnnotationConfigChecksum}
		before, has, _ := unstructured.NestedString(o.Object.Object, path...)
		if o.pod == nil || !has {
			continue
		}
		configChecksum(c, o.Object)
		if after, _, _ := unstructured.NestedString(o.Object.Object, path...); after != before {
			o.repaired = append(o.repaired, deviationChecksum)
		}
	}
}
