package plan

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// stopAllowance is added to the time that a pod may take to end: for the controllers to tell it, and for the node to report.
const stopAllowance = time.Minute

// defaultGrace is the API's terminationGracePeriodSeconds of a pod that has none.
const defaultGrace = 30 * time.Second

// RestartBudget is the longest time that replacing every pod of the workloads may take, one workload beside the other. The pods of
// one are replaced one after the other (maxSurge 1, maxUnavailable 0, and in a StatefulSet), each within [StartupBudget] and after
// the one before has had the time to end.
func RestartBudget(objects []Object) time.Duration {
	longest := StartupAllowance
	for _, o := range objects {
		replicas, has, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
		if !has {
			replicas = 1
		}
		longest = max(longest, time.Duration(replicas)*(readyWithin(objects, o)+grace(o)))
	}
	return longest
}

// StopBudget is the longest time that the pods of the workloads may take to end.
func StopBudget(objects []Object) time.Duration {
	var longest time.Duration
	for _, o := range objects {
		longest = max(longest, grace(o))
	}
	return longest + stopAllowance
}

// grace is the time that a workload's pods are given to end.
func grace(o Object) time.Duration {
	seconds, has, err := unstructured.NestedInt64(o.Object, "spec", "template", "spec", "terminationGracePeriodSeconds")
	if !has || err != nil {
		return defaultGrace
	}
	return time.Duration(seconds) * time.Second
}
