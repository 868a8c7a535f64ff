package rollout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// connectionList is the argument by which a head is told its shards: a JSON object, shard → address.
const connectionList = "--connection-list"

// shardsOf are the workloads of the shards that a head calls, by number; none where its arguments do not say.
func shardsOf(head corev1.PodTemplateSpec) map[int]string {
	var addresses map[string]string
	for _, c := range head.Spec.Containers {
		if list, said := plan.ArgumentValue(slices.Concat(c.Command, c.Args), connectionList); said {
			if json.Unmarshal([]byte(list), &addresses) != nil {
				return nil
			}
			break
		}
	}
	shards := map[int]string{}
	for number, address := range addresses {
		if n, err := strconv.Atoi(number); err == nil {
			_, host, schemed := strings.Cut(address, "://")
			if !schemed {
				host = address
			}
			// The Service has the name of the workload behind it.
			name, _, _ := strings.Cut(host, ".")
			shards[n] = PlainText(name)
		}
	}
	return shards
}

// addMissing adds the shards that the head calls and the head that the shards are behind, where the cluster does not have them,
// and returns how many these are: without them the executor does not answer, or not in full.
func (e *ExecutorStatus) addMissing(called map[int]string) int {
	missing := WorkloadStatus{Kind: kindDeployment, Phase: PhaseMissing}
	n := 0
	for number, name := range called {
		if slices.ContainsFunc(e.Shards, func(w WorkloadStatus) bool { return *w.Shard == number }) {
			continue
		}
		n++
		shard := missing
		shard.Name, shard.Shard = name, &number
		e.Shards = append(e.Shards, shard)
	}
	slices.SortFunc(e.Shards, func(a, b WorkloadStatus) int { return cmp.Compare(*a.Shard, *b.Shard) })
	if e.Head == nil && len(e.Shards) > 0 {
		n++
		first := e.Shards[0]
		head := missing
		head.Name = strings.TrimSuffix(first.Name, fmt.Sprintf("-%d", *first.Shard)) + "-" + string(plan.RoleHead)
		e.Head = &head
	}
	return n
}
