package cmd

import (
	"bytes"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// TestWhatStopsIsNotCalledReady follows the pods of a Flow that is paused, and of one that is only scaled down.
func TestWhatStopsIsNotCalledReady(t *testing.T) {
	for name, c := range map[string]struct {
		encoder rollout.State
		want    string
	}{
		"all of it": {rollout.State{Old: 2, Reason: "2 pods are still ending"},
			"waiting for 3 pods to end\ngateway: stopped\nencoder: stopped\n2 of 2 workloads stopped\n"},
		"a part of it": {rollout.State{Ready: 1, Wanted: 1, Old: 2, Reason: "2 pods are still ending"},
			"waiting for 3 pods to end\ngateway: stopped\nencoder: 1/1 ready\n2 of 2 workloads ready\n"},
	} {
		t.Run(name, func(t *testing.T) {
			gateway := partState(plan.RoleGateway, "", 0, rollout.State{Ready: 1, Old: 1, Reason: "1 pod is still ending"})
			encoder := partState(plan.RoleExecutor, "encoder", 0, c.encoder)
			gone := func(s rollout.State) rollout.State {
				s.Ready, s.Old, s.Reason, s.Done = s.Wanted, 0, "", true
				return s
			}
			fewer := encoder
			fewer.Old, fewer.Reason = 1, "1 pod is still ending"
			var out bytes.Buffer
			p := newProgress(&out, newTestEnv(nil).terminalEnv)
			for _, e := range []rollout.Event{
				{Type: rollout.Started},
				{Type: rollout.WorkloadProgress, State: gateway},
				{Type: rollout.WorkloadProgress, State: encoder},
				{Type: rollout.Notice, Text: "waiting for 3 pods to end"},
				{Type: rollout.WorkloadProgress, State: fewer},
				{Type: rollout.WorkloadDone, State: gone(gateway), Done: 1},
				{Type: rollout.WorkloadDone, State: gone(encoder), Done: 2},
				{Type: rollout.Finished, Done: 2},
			} {
				e.Total = 2
				p.Handle(e)
			}
			p.Close()
			if got := out.String(); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}
