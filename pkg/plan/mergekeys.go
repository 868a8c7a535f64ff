package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// mergeKey is a list whose items server-side apply tells apart by some of their fields (the x-kubernetes-list-map-keys of
// Kubernetes' OpenAPI). Two items that share them are refused by the API server with an error that names no object's author.
type mergeKey struct {
	list string
	keys []string
	// defaults of keys that may be left out.
	defaults map[string]string
	// item says what an item is.
	item string
}

var tcp = map[string]string{"protocol": "TCP"}

// The lists of containers, pods and Services that Jina's objects have.
var (
	containerKeys = []mergeKey{
		{"ports", []string{"containerPort", "protocol"}, tcp, "port"},
		{"env", []string{"name"}, nil, "environment variable"},
		{"volumeMounts", []string{"mountPath"}, nil, "mount path"},
	}
	podKeys = []mergeKey{
		{"initContainers", []string{"name"}, nil, "initial container"},
		{"containers", []string{"name"}, nil, "container"},
		{"volumes", []string{"name"}, nil, "volume"},
		{"imagePullSecrets", []string{"name"}, nil, "image pull secret"},
	}
	serviceKeys = []mergeKey{{"ports", []string{"port", "protocol"}, tcp, "port"}}
)

// duplicateItem is an item of a list that is there twice, as far as server-side apply can tell.
type duplicateItem struct {
	// what it is, for people.
	what string
	// at and first are the paths to it and to the other one: names of fields and indexes.
	at, first []any
}

// CheckMergeKeys tells what in the objects cannot be applied because an item of a list is there twice: two ports of a
// container or a Service with the same number and protocol, two environment variables, containers, volumes or mounts with the
// same name. The error has a line each; it is nil where there is none.
func CheckMergeKeys(objects []Object) error {
	var problems []error
	for _, o := range objects {
		for _, d := range duplicateItems(o) {
			problems = append(problems, fmt.Errorf("%s: %s is there twice: take one of them out", o.Ref(), d.what))
		}
	}
	return errors.Join(problems...)
}

// duplicateItems are what is twice in an object.
func duplicateItems(o Object) []duplicateItem {
	switch {
	case o.GetKind() == "Service" && o.GroupVersionKind().Group == "":
		spec, _ := o.Object["spec"].(map[string]any)
		return duplicatesIn("", spec, []any{"spec"}, serviceKeys)
	case isWorkload(o.Unstructured):
		template, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "template", "spec")
		pod, _ := template.(map[string]any)
		path := []any{"spec", "template", "spec"}
		out := duplicatesIn("", pod, path, podKeys)
		for _, list := range []string{"initContainers", "containers"} {
			items, _ := pod[list].([]any)
			for i, item := range items {
				container, _ := item.(map[string]any)
				out = append(out, duplicatesIn(fmt.Sprintf("container %v: ", container["name"]), container, extend(path, list, i), containerKeys)...)
			}
		}
		return out
	}
	return nil
}

func extend(path []any, more ...any) []any { return append(slices.Clip(path), more...) }

func duplicatesIn(where string, parent map[string]any, path []any, keys []mergeKey) []duplicateItem {
	var out []duplicateItem
	for _, k := range keys {
		items, _ := parent[k.list].([]any)
		first := map[string]int{}
		for i, item := range items {
			m, ok := item.(map[string]any)
			if !ok {
				continue
			}
			id := k.of(m)
			if other, seen := first[id]; seen {
				out = append(out, duplicateItem{where + k.item + " " + id, extend(path, k.list, i), extend(path, k.list, other)})
				continue
			}
			first[id] = i
		}
	}
	return out
}

// of is what tells an item from the others.
func (k mergeKey) of(item map[string]any) string {
	var parts []string
	for _, key := range k.keys {
		v, has := item[key]
		if text := k.defaults[key]; !has && text != "" {
			v = text
		}
		parts = append(parts, fmt.Sprint(v))
	}
	return strings.Join(parts, "/")
}
