package rollout

import (
	"fmt"
	"testing"
)

// BenchmarkEvaluateLargeFlow is one evaluation of a Flow of 1,000 executors with five pods each; a wait does it once, and
// from then on only for what changed.
func BenchmarkEvaluateLargeFlow(b *testing.B) {
	var (
		targets []Target
		o       Objects
	)
	for i := range 1000 {
		name := fmt.Sprintf("executor%d", i)
		d := deployment(name, 5, notReady)
		rs := replicaSet(d, 1, 0)
		targets, o.Deployments, o.ReplicaSets = append(targets, executorTarget(name)), append(o.Deployments, d), append(o.ReplicaSets, rs)
		for j := range 5 {
			o.Pods = append(o.Pods, pod(rs, fmt.Sprint(j), unready(waiting("ContainerCreating", ""))))
		}
	}
	for b.Loop() {
		if v := Evaluate(NewView(targets, o, testNow)); v.Done() {
			b.Fatal("done")
		}
	}
}
