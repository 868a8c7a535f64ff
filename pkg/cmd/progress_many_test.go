package cmd

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// TestManyWorkloadsAreCounted has a thousand, of which each is in trouble first.
func TestManyWorkloadsAreCounted(t *testing.T) {
	const n = 1000
	var out bytes.Buffer
	p := newProgress(&out, newTestEnv(nil).terminalEnv)
	p.Handle(rollout.Event{Type: rollout.Started, Total: n})
	state := func(i int, s rollout.State) rollout.State {
		return partState(plan.RoleExecutor, fmt.Sprintf("e%d", i), 0, s)
	}
	for i := range n {
		p.Handle(rollout.Event{Type: rollout.WorkloadProgress, State: state(i, rollout.State{Wanted: 1, Trouble: true, Reason: "no quota"}), Total: n})
	}
	for i := range n {
		p.Handle(rollout.Event{Type: rollout.WorkloadDone, State: state(i, rollout.State{Wanted: 1, Ready: 1}), Done: i + 1, Total: n})
	}
	p.Handle(rollout.Event{Type: rollout.Finished, Done: n, Total: n})
	p.Close()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if want := manyLines + 1 + 10; len(lines) != want {
		t.Errorf("%d lines, want %d:\n%s", len(lines), want, out.String())
	}
	inOrder(t, out.String(), "e0: 0/1 ready: no quota", "\n… and others in trouble, which are not told one by one", "\n100 of 1000 workloads ready", "\n900 of 1000 workloads ready", "\n1000 of 1000 workloads ready")
}

func TestManyObjectsAreCounted(t *testing.T) {
	for _, c := range []struct{ n, lines int }{{manyLines, manyLines}, {2000, 10}} {
		var out bytes.Buffer
		p := newProgress(&out, newTestEnv(nil).terminalEnv)
		tell := p.Objects("restored", "restored", c.n)
		for i := range c.n {
			tell(apply.Event{Ref: plan.Ref{Kind: "Service", Name: fmt.Sprint(i)}})
		}
		if got := strings.Count(out.String(), "\n"); got != c.lines {
			t.Errorf("%d lines for %d objects, want %d", got, c.n, c.lines)
		}
	}
}

func TestLinesHaveNoControlSequences(t *testing.T) {
	var out bytes.Buffer
	newProgress(&out, newTestEnv(nil).terminalEnv).Line("a webhook says \x1b]0;title\x07no\nand more")
	if got := out.String(); got != "a webhook says no\nand more\n" {
		t.Errorf("%q", got)
	}
}
