package plan

import (
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// statefulSetMutable are the fields of a StatefulSet's spec that can change (Kubernetes' pkg/apis/apps/validation/validation.go,
// ValidateStatefulSetUpdate).
var statefulSetMutable = []string{
	"spec.replicas", "spec.ordinals", "spec.template", "spec.updateStrategy", "spec.revisionHistoryLimit",
	"spec.persistentVolumeClaimRetentionPolicy", "spec.minReadySeconds",
}

// immutableOf are the fields among the differences that the API server lets nobody change, each once.
func immutableOf(live, wanted *unstructured.Unstructured, diffs []difference) []string {
	var out []string
	for _, d := range diffs {
		field := fieldNames(d.path)
		immutable := false
		switch live.GetKind() {
		case "Deployment":
			immutable = below(field, "spec.selector")
		case "StatefulSet":
			immutable = below(field, "spec") && !slices.ContainsFunc(statefulSetMutable, func(f string) bool { return below(field, f) })
		case "Service":
			was, _, _ := unstructured.NestedString(live.Object, "spec", "clusterIP")
			now, _, _ := unstructured.NestedString(wanted.Object, "spec", "clusterIP")
			immutable = field == "spec.clusterIP" && now != "" && now != was
		case "ConfigMap":
			frozen, _, _ := unstructured.NestedBool(live.Object, "immutable")
			immutable = frozen && (below(field, "data") || below(field, "binaryData") || field == "immutable")
		}
		if text := pathText(d.path); immutable && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// below tells whether a field is another one or inside it.
func below(field, other string) bool { return field == other || strings.HasPrefix(field, other+".") }

// recreate makes a change one that deletes the object and makes it anew.
func (e entry) recreate(change Change, immutable []string) Change {
	change.Action = Recreate
	change.Replicas = Replicas{}
	object := e.object
	if e.keeps != nil {
		// Without them the new one would start with 1. The next up hands them back to the scale manager, see decideReplicas.
		object = withReplicas(object, *e.keeps)
	}
	change.Object = &object
	fields := strings.Join(immutable, ", ")
	reason := fields + " cannot be changed in place: it is deleted and made anew"
	switch change.Ref.Kind {
	case "Deployment":
		reason += ", with downtime until the new pods are ready"
	case "StatefulSet":
		if change.KeepPods = e.selectorStays() && e.podsHaveClaims(); change.KeepPods {
			reason += "; its pods keep running and are replaced one after the other where their template changes; its claims stay"
		} else {
			reason += ", with downtime until the new pods are ready; " + claimsAfter(e.live)
		}
	case "Service":
		reason += ", with another address; callers are cut off for a moment"
	}
	change.Reason = joined(reason, change.Reason)
	return change
}

// claimsAfter says what becomes of a StatefulSet's claims when it is deleted with its pods.
func claimsAfter(statefulSet *unstructured.Unstructured) string {
	policy, _, _ := unstructured.NestedString(statefulSet.Object, "spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted")
	if policy == string(appsv1.DeletePersistentVolumeClaimRetentionPolicyType) {
		return "its CLAIMS ARE DELETED WITH IT, with what is in them, as its persistentVolumeClaimRetentionPolicy says"
	}
	return "its claims stay"
}

// selectorStays tells whether the new workload finds the old one's pods.
func (e entry) selectorStays() bool {
	was, _, _ := unstructured.NestedFieldNoCopy(e.live.Object, "spec", "selector")
	is, _, _ := unstructured.NestedFieldNoCopy(e.object.Object, "spec", "selector")
	return reflect.DeepEqual(was, is)
}

// podsHaveClaims tells whether the old StatefulSet's pods have a volume for each claim of the new one. The controller tries to
// give it to a pod that lacks one, which no pod takes, and never comes to replace it (Kubernetes'
// pkg/controller/statefulset/stateful_set_utils.go, storageMatches).
func (e entry) podsHaveClaims() bool {
	had := claimNames(e.live)
	return !slices.ContainsFunc(claimNames(e.object.Unstructured), func(name string) bool { return !slices.Contains(had, name) })
}

// claimNames are the names of a StatefulSet's claims, which are those of its pods' volumes for them.
func claimNames(o *unstructured.Unstructured) []string {
	templates, _, _ := unstructured.NestedSlice(o.Object, "spec", "volumeClaimTemplates")
	var names []string
	for _, t := range templates {
		template, _ := t.(map[string]any)
		name, _, _ := unstructured.NestedString(template, "metadata", "name")
		names = append(names, name)
	}
	return names
}
