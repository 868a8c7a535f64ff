package plan

import (
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Quorum is how many replicas of a workload have to run so that its consensus can decide anything: more than half of the members
// that its arguments speak of (Raft, https://raft.github.io/raft.pdf, 5). Jina's stateful executors have --stateful and --replicas
// among their arguments; of any other workload, and of a head, which is no member, it is 0. Arguments without a count mean the
// replicas that the workload has.
func Quorum(workload *unstructured.Unstructured) int64 {
	if role := PartOf(workload).Role; role == RoleHead || role == RoleGateway {
		return 0
	}
	for _, container := range containersOf(Object{Unstructured: workload}) {
		args, _, _ := unstructured.NestedStringSlice(container, "args")
		command, _, _ := unstructured.NestedStringSlice(container, "command")
		words := slices.Concat(command, args)
		if !slices.Contains(words, "--stateful") {
			continue
		}
		members, _, _ := unstructured.NestedInt64(workload.Object, "spec", "replicas")
		if text, said := ArgumentValue(words, "--replicas"); said {
			if n, err := strconv.ParseInt(text, 10, 32); err == nil {
				members = n
			}
		}
		return members/2 + 1
	}
	return 0
}
