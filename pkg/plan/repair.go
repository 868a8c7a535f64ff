package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Pod of a StatefulSet, as far as it may be in the way of an update.
type Pod struct {
	Name string    `json:"name"`
	UID  types.UID `json:"uid"`
	// Revision of the StatefulSet that it was made of.
	Revision string `json:"revision,omitempty"`
	// Ready, or on its way out: then it is in nobody's way.
	Ready bool `json:"-"`
}

// NeedsPods tells whether a live StatefulSet may have pods that are in the way of its update: the controller replaces no pod while
// another one is not ready, also when that one is broken and of an earlier revision, so that it waits for ever
// (https://github.com/kubernetes/kubernetes/issues/67250). With podManagementPolicy Parallel it does not wait, and with the update
// strategy OnDelete it replaces none at all: then that is for somebody else to decide.
func NeedsPods(o *unstructured.Unstructured) bool {
	if o.GroupVersionKind().GroupKind() != appsv1.SchemeGroupVersion.WithKind("StatefulSet").GroupKind() {
		return false
	}
	policy, _, _ := unstructured.NestedString(o.Object, "spec", "podManagementPolicy")
	strategy, _, _ := unstructured.NestedString(o.Object, "spec", "updateStrategy", "type")
	if policy == string(appsv1.ParallelPodManagement) || strategy == string(appsv1.OnDeleteStatefulSetStrategyType) {
		return false
	}
	current, _, _ := unstructured.NestedString(o.Object, "status", "currentRevision")
	replicas, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	ready, _, _ := unstructured.NestedInt64(o.Object, "status", "readyReplicas")
	return current != UpdateRevision(o) || ready < replicas
}

// UpdateRevision is the revision of a StatefulSet's present template, as its controller has seen it.
func UpdateRevision(o *unstructured.Unstructured) string {
	revision, _, _ := unstructured.NestedString(o.Object, "status", "updateRevision")
	return revision
}

// Blocks tells whether a pod is in the way of a StatefulSet's update: broken, and of another revision. One below the partition is
// not: it is to be of that revision, and would be made of it again.
func (p Pod) Blocks(o *unstructured.Unstructured) bool {
	return p.mayBlock(o) && p.Revision != UpdateRevision(o)
}

// mayBlock is Blocks without a look at the revision, which a change of the template makes an earlier one.
func (p Pod) mayBlock(o *unstructured.Unstructured) bool {
	partition, _, _ := unstructured.NestedInt64(o.Object, "spec", "updateStrategy", "rollingUpdate", "partition")
	ordinal, err := strconv.ParseInt(p.Name[strings.LastIndex(p.Name, "-")+1:], 10, 64)
	return !p.Ready && (err != nil || ordinal >= partition)
}

// repair adds to a change the pods that are in its way: those that are not ready and of another revision than the StatefulSet
// has after it. They are deleted once the controller has seen the change, and made anew by it.
func (e entry) repair(change *Change) {
	if change.Action != Keep && change.Action != Update {
		return
	}
	template := slices.ContainsFunc(change.Fields, func(f FieldChange) bool { return below(f.Path, "spec.template") })
	var names []string
	for _, pod := range e.pods {
		if pod.Blocks(e.live) || template && pod.mayBlock(e.live) {
			change.RepairPods = append(change.RepairPods, pod)
			names = append(names, pod.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	change.Action = Update
	change.writes = append(change.writes, "replace broken pods")
	what := "pod %s of an earlier revision is not ready, and the controller waits for it: it is deleted, and made anew of this one"
	if len(names) > 1 {
		what = "pods %s of an earlier revision are not ready, and the controller waits for them: they are deleted, and made anew of this one"
	}
	change.Reason = joined(fmt.Sprintf(what, strings.Join(names, ", ")), change.Reason)
}
