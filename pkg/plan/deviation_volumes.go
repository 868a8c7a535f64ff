package plan

import (
	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// isStatefulSet tells that an object is one.
func isStatefulSet(o Object) bool { return o.GetKind() == "StatefulSet" }

// headWithoutVolumes makes of a head with volumes what the reference makes of one without.
func headWithoutVolumes(c *deviationContext, o Object) {
	if o.Part.Role != RoleHead || !isStatefulSet(o) {
		return
	}
	b := &builder{flow: c.flow, options: c.options, form: flow.Coerced}
	b.workload(b.headPod(c.executors[o.Part.Executor]))
	o.Object = b.objects[0].Object
}

// legalStatefulSet writes what the API server takes. The Service that governs the pods' names is the one that exists: the
// gateway and heads call the workload as a whole, so that nobody needs the names of single pods, which only a headless
// Service would give. It cannot be changed later.
func legalStatefulSet(_ *deviationContext, o Object) {
	if !isStatefulSet(o) {
		return
	}
	spec := childOf(o.Object, "spec")
	delete(spec, "strategy")
	spec["updateStrategy"] = map[string]any{"type": "RollingUpdate"}
	spec["serviceName"] = o.GetName()
}

// parallelStart lets the replicas load at the same time. Updates still go pod by pod.
func parallelStart(_ *deviationContext, o Object) {
	if isStatefulSet(o) {
		childOf(o.Object, "spec")["podManagementPolicy"] = "Parallel"
	}
}

// mountVolumes mounts every volume at its folder in the container, each with a claim of its own.
func mountVolumes(c *deviationContext, o Object) {
	if !isStatefulSet(o) {
		return
	}
	var mounts, templates []any
	for i, v := range c.executors[o.Part.Executor].Volumes {
		name := claimName(o.GetName(), i)
		mounts = append(mounts, map[string]any{"name": name, "mountPath": v.MountPath})
		templates = append(templates, c.options.Storage.claimTemplate(name))
	}
	containersOf(o)[0]["volumeMounts"] = mounts
	childOf(o.Object, "spec")["volumeClaimTemplates"] = templates
}

// claimTemplatesOf are the templates of a StatefulSet's claims; nil for any other object.
func claimTemplatesOf(o Object) []map[string]any {
	list, _ := childOf(o.Object, "spec")["volumeClaimTemplates"].([]any)
	var templates []map[string]any
	for _, item := range list {
		if t, ok := item.(map[string]any); ok {
			templates = append(templates, t)
		}
	}
	return templates
}

// clusterStorageClass leaves the storage class to the cluster, unless the environment names one.
func clusterStorageClass(c *deviationContext, o Object) {
	if !isStatefulSet(o) || c.options.Storage.Class != "" {
		return
	}
	for _, t := range claimTemplatesOf(o) {
		delete(childOf(t, "spec"), "storageClassName")
	}
}

// labelClaims puts on the claims the labels that never change, since a claim's template cannot: whose data it is.
func labelClaims(c *deviationContext, o Object) {
	if !isStatefulSet(o) {
		return
	}
	all := map[string]any{}
	setLabels(c, o.Part, all)
	for _, t := range claimTemplatesOf(o) {
		labels := childOf(t, "metadata", "labels")
		for _, key := range []string{LabelFlow, LabelExecutor, LabelShard, LabelManagedBy} {
			if value, ok := all[key]; ok {
				labels[key] = value
			}
		}
	}
}
