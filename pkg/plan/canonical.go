package plan

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// canonical is an object, or a copy of it, as the API server would write it where that is no matter of admission: quantities in
// their canonical form (1000m is 1, 1024Mi is 1Gi), and what it sets inside a structure that is owned as a whole, where the
// default becomes part of what we own. fieldRef is the one that Jina's objects have (core/v1 ObjectFieldSelector, structType
// atomic, apiVersion v1), and a StatefulSet's claims (apps/v1 volumeClaimTemplates, listType atomic).
func canonical(o *unstructured.Unstructured) *unstructured.Unstructured {
	if !isWorkload(o) {
		return o
	}
	c := o.DeepCopy()
	withClaimDefaults(c)
	for _, container := range podContainers(c) {
		if resources, ok := container["resources"].(map[string]any); ok {
			canonicalQuantities(resources["limits"])
			canonicalQuantities(resources["requests"])
		}
		for _, variable := range mapsOf(container["env"]) {
			ref, has, _ := unstructured.NestedFieldNoCopy(variable, "valueFrom", "fieldRef")
			if fieldRef, ok := ref.(map[string]any); has && ok && fieldRef["apiVersion"] == nil {
				fieldRef["apiVersion"] = "v1"
			}
		}
	}
	volumes, _, _ := unstructured.NestedFieldNoCopy(c.Object, "spec", "template", "spec", "volumes")
	for _, volume := range mapsOf(volumes) {
		if dir, ok := volume["emptyDir"].(map[string]any); ok {
			canonicalQuantity(dir, "sizeLimit")
		}
	}
	return c
}

// IsWorkload tells whether objects of a kind run a Flow's pods.
func IsWorkload(k schema.GroupKind) bool {
	return k.Group == "apps" && (k.Kind == "Deployment" || k.Kind == "StatefulSet")
}

func isWorkload(o *unstructured.Unstructured) bool {
	return IsWorkload(o.GroupVersionKind().GroupKind())
}

// podContainers are the containers of a workload's pods, the initial ones first.
func podContainers(o *unstructured.Unstructured) []map[string]any {
	var out []map[string]any
	for _, name := range []string{"initContainers", "containers"} {
		list, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "template", "spec", name)
		out = append(out, mapsOf(list)...)
	}
	return out
}

// mapsOf are the maps of a list.
func mapsOf(v any) []map[string]any {
	list, _ := v.([]any)
	var out []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// canonicalQuantities writes the quantities of a map as the API server does.
func canonicalQuantities(v any) {
	m, _ := v.(map[string]any)
	for key := range m {
		canonicalQuantity(m, key)
	}
}

// canonicalQuantity writes one. YAML has numbers where people write no unit; what is no quantity stays, for the server to refuse.
func canonicalQuantity(m map[string]any, key string) {
	var text string
	switch v := m[key].(type) {
	case string:
		text = v
	case int64, float64, json.Number:
		text = fmt.Sprint(v)
	default:
		return
	}
	if q, err := resource.ParseQuantity(text); err == nil {
		m[key] = q.String()
	}
}
