package plan

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/scheme"
)

// Settled is what the plan has decided about a member of the set that is as it should be.
type Settled struct{ decision replicasDecision }

// Settle looks at one object of the Flow, labelled as a member of the set, and the member as it was just read: where what
// FieldManager owns is exactly what is wanted there is nothing left to ask, and the member need not be kept. What takes its
// place in [Live] has its own metadata without the managed fields, and for the rest what is wanted, which costs no memory.
// Of a member that is not settled nothing is said: [Compare] looks at it more closely.
//
// It is what an unchanged Flow costs, so it works on the objects as they are decoded, without their types. scaler is what
// scales the member by itself, or nil.
func Settle(o Object, member *unstructured.Unstructured, scaler *Autoscaler, opts CompareOptions) (Settled, *unstructured.Unstructured, bool) {
	if member.GetDeletionTimestamp() != nil || NeedsPods(member) || !scheme.Scheme.Recognizes(member.GroupVersionKind()) {
		return Settled{}, nil, false
	}
	s := Settled{decideReplicas(o, withReplicasOwners(member), scaler, opts)}
	owned := ownedTree(member)
	if s.decision.replicas != (Replicas{}) || owned == nil {
		return Settled{}, nil, false
	}
	wanted := canonical(s.decision.object.Unstructured).Object
	if !sameMap(owned, member.Object, wanted, "apiVersion", "kind") {
		return Settled{}, nil, false
	}
	standIn := copyOf(wanted)
	metadata := copyOf(member.Object["metadata"])
	delete(metadata, "managedFields")
	standIn["metadata"] = metadata
	return s, &unstructured.Unstructured{Object: standIn}, true
}

// managers are an object's managed fields as they are decoded.
func managers(o *unstructured.Unstructured) []map[string]any {
	fields, _, _ := unstructured.NestedFieldNoCopy(o.Object, "metadata", "managedFields")
	return mapsOf(fields)
}

// ownedTree are the fields that FieldManager owns, in the form that managed fields have (FieldsV1); nil when it owns none.
func ownedTree(o *unstructured.Unstructured) map[string]any {
	for _, m := range managers(o) {
		if m["manager"] == FieldManager && m["operation"] == "Apply" && m["subresource"] == nil {
			tree, _ := m["fieldsV1"].(map[string]any)
			return tree
		}
	}
	return nil
}

// withReplicasOwners is the object with those of its managers only that own its replicas, and nothing but that of what they own:
// all that decides about replicas, at a small part of the cost.
func withReplicasOwners(o *unstructured.Unstructured) *unstructured.Unstructured {
	var owners []any
	for _, m := range managers(o) {
		if _, has, _ := unstructured.NestedFieldNoCopy(m, "fieldsV1", "f:spec", "f:replicas"); has {
			owner := copyOf(m)
			owner["fieldsV1"] = map[string]any{"f:spec": map[string]any{"f:replicas": map[string]any{}}}
			owners = append(owners, owner)
		}
	}
	return edited(Object{Unstructured: o}, "metadata", "", func(metadata map[string]any) { metadata["managedFields"] = owners }).Unstructured
}

// sameMap tells whether the owned fields of a map, and no others, are wanted and have the value that they have. The fields
// named besides are in every object and owned by nobody. What it cannot tell it takes for different.
func sameMap(owned map[string]any, live, wanted any, besides ...string) bool {
	liveMap, isMap := live.(map[string]any)
	wantedMap, isWantedMap := wanted.(map[string]any)
	if !isMap || !isWantedMap {
		return false
	}
	fields := 0
	for key, below := range owned {
		if key == "." {
			continue
		}
		name, isField := strings.CutPrefix(key, "f:")
		l, has := liveMap[name]
		w, isWanted := wantedMap[name]
		if !isField || !has || !isWanted || slices.Contains(besides, name) || !sameValue(name, below, l, w) {
			return false
		}
		fields++
	}
	for _, name := range besides {
		if _, has := wantedMap[name]; has {
			fields++
		}
	}
	return fields == len(wantedMap)
}

// sameValue compares a field by what is owned below it.
func sameValue(name string, below, live, wanted any) bool {
	owned, isTree := below.(map[string]any)
	switch {
	case !isTree:
		return false
	case name == "metadata":
		return sameMap(owned, live, wanted, "name", "namespace")
	case isLeaf(owned):
		return (isScalarOrEmpty(wanted) || slices.Contains(atomic, name)) && reflect.DeepEqual(live, wanted)
	}
	if list, isList := wanted.([]any); isList {
		return sameList(owned, live, list)
	}
	return sameMap(owned, live, wanted)
}

// isLeaf tells whether a field is owned without anything below it.
func isLeaf(owned map[string]any) bool { return len(owned) == 0 }

// atomic are the fields of built-in kinds that are owned as a whole though they have something in them. Of a field that is not
// among them managed fields do not tell whether it is owned as a whole, or what is in it by somebody else.
var atomic = []string{
	"accessModes", "args", "command", "envFrom", "fieldRef", "labelSelector", "matchExpressions", "nodeSelector",
	"preferredDuringSchedulingIgnoredDuringExecution", "secretKeyRef", "selector", "volumeClaimTemplates",
}

func isScalarOrEmpty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	default:
		return true
	}
}

// sameList compares a list whose items have keys (k:) or are a set (v:).
func sameList(owned map[string]any, live any, wanted []any) bool {
	list, isList := live.([]any)
	if !isList {
		return false
	}
	items := 0
	for key, below := range owned {
		if key == "." {
			continue
		}
		kind, text, _ := strings.Cut(key, ":")
		l, has := onlyItem(list, kind, text)
		w, isWanted := onlyItem(wanted, kind, text)
		tree, isTree := below.(map[string]any)
		if !has || !isWanted || !isTree {
			return false
		}
		if kind == "k" && !sameMap(tree, l, w) {
			return false
		}
		items++
	}
	return items == len(wanted)
}

// onlyItem finds the only item of a list with the given keys or value.
func onlyItem(list []any, kind, text string) (item any, found bool) {
	var is func(any) bool
	switch kind {
	case "k":
		keys := map[string]any{}
		if json.Unmarshal([]byte(text), &keys) != nil {
			return nil, false
		}
		is = func(item any) bool {
			m, _ := item.(map[string]any)
			for name, v := range keys {
				if !sameKey(m[name], v) {
					return false
				}
			}
			return true
		}
	case "v":
		var v any
		if json.Unmarshal([]byte(text), &v) != nil {
			return nil, false
		}
		is = func(item any) bool { return sameKey(item, v) }
	default:
		return nil, false
	}
	for _, i := range list {
		if is(i) {
			if found {
				return nil, false
			}
			item, found = i, true
		}
	}
	return item, found
}

// sameKey compares a scalar with one that encoding/json has decoded.
func sameKey(have, key any) bool {
	switch have := have.(type) {
	case int64:
		n, ok := key.(float64)
		return ok && strconv.FormatInt(have, 10) == strconv.FormatFloat(n, 'f', -1, 64)
	default:
		return have == key
	}
}
