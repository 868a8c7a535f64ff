package cmd

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

func partState(role plan.Role, executor string, shard int, s rollout.State) rollout.State {
	s.Part = plan.Part{Role: role, Executor: executor, Shard: shard}
	s.Ref = plan.Ref{Kind: "Deployment", Name: strings.ReplaceAll(s.Part.String(), "/", "-")}
	s.Observed = true
	if s.Ready == s.Wanted && s.Reason == "" && s.Failure == "" {
		s.Done = true
	}
	return s
}

// searchRollout is the rollout of a Flow with a sharded executor, told as Wait tells it.
func searchRollout() []rollout.Event {
	gateway := partState(plan.RoleGateway, "", 0, rollout.State{Wanted: 1, Reason: "creating its containers"})
	encoder := partState(plan.RoleExecutor, "encoder", 0, rollout.State{Wanted: 2, Reason: "waiting for a node"})
	head := partState(plan.RoleHead, "indexer", 0, rollout.State{Wanted: 1, Reason: "creating its containers"})
	shard := partState(plan.RoleShard, "indexer", 1, rollout.State{Wanted: 1, Reason: "creating its containers"})
	unseen := shard
	unseen.Observed, unseen.Ready, unseen.Reason = false, 1, "waiting for the controller to see the change"
	with := func(s rollout.State, change func(*rollout.State)) rollout.State { change(&s); return s }
	ready := func(s rollout.State) rollout.State {
		return with(s, func(s *rollout.State) { s.Ready, s.Done, s.Reason, s.Trouble = s.Wanted, true, "", false })
	}
	events := []rollout.Event{{Type: rollout.Started}}
	done := 0
	for _, s := range []rollout.State{
		gateway, encoder, head, unseen, shard,
		with(encoder, func(s *rollout.State) { s.Reason = "creating its containers" }),
		ready(gateway),
		with(encoder, func(s *rollout.State) { s.Ready, s.Reason = 1, "container executor is starting" }),
		with(shard, func(s *rollout.State) {
			s.Trouble, s.Reason = true, "container executor crashes: exit code 1"
		}),
		ready(head),
		with(encoder, func(s *rollout.State) { s.Ready, s.Reason = 2, "waiting for 1 old pod to end" }),
		ready(encoder),
		ready(shard),
	} {
		e := rollout.Event{Type: rollout.WorkloadProgress, State: s}
		if s.Done {
			done++
			e.Type = rollout.WorkloadDone
		}
		e.Done = done
		events = append(events, e)
	}
	events = append(events, rollout.Event{Type: rollout.Finished, Done: done})
	for i := range events {
		events[i].Total = 4
	}
	return events
}

const searchLines = `waiting for 4 workloads
gateway: 1/1 ready
encoder: 1/2 ready
indexer/1: 0/1 ready: container executor crashes: exit code 1
indexer/head: 1/1 ready
encoder: 2/2 ready
indexer/1: 1/1 ready
4 of 4 workloads ready
`

func TestWithoutATerminalEachChangeIsALine(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, newTestEnv(nil).terminalEnv)
	p.Line("waiting for 4 workloads")
	for _, e := range searchRollout() {
		p.Handle(e)
	}
	p.Close()
	if got := out.String(); got != searchLines {
		t.Errorf("got:\n%s\nwant:\n%s", got, searchLines)
	}
}

func TestWhatIsReadyFromTheBeginningIsOnlyCounted(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, newTestEnv(nil).terminalEnv)
	p.Handle(rollout.Event{Type: rollout.Started, Total: 2})
	for i, name := range []string{"a", "b"} {
		ref := plan.Ref{Kind: "Deployment", Name: name}
		p.Handle(rollout.Event{Type: rollout.WorkloadDone, State: rollout.State{Ref: ref, Ready: 1, Wanted: 1, Observed: true, Done: true}, Done: i + 1, Total: 2})
	}
	p.Handle(rollout.Event{Type: rollout.Finished, Done: 2, Total: 2})
	p.Close()
	if got, want := out.String(), "2 of 2 workloads ready\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestATerminalInCIOrWithoutAbilitiesGetsTheSameLines(t *testing.T) {
	for _, variables := range []map[string]string{
		{"TERM": "xterm", "CI": "true"}, {"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {},
	} {
		s := newScreen(t, 80, 24)
		p := newProgress(s, newTestEnv(variables).terminalEnv)
		p.Line("waiting for 4 workloads")
		for _, e := range searchRollout() {
			p.Handle(e)
		}
		p.Close()
		if got := s.text(); got != searchLines {
			t.Errorf("%v:\n%s", variables, got)
		}
	}
}

func TestLiveTree(t *testing.T) {
	s := newScreen(t, 72, 16)
	env := newTestEnv(map[string]string{"TERM": "xterm"})
	fmt.Fprintf(s, "$ kubectl jina up -f flow.yml\n")
	p := newProgress(s, env.terminalEnv)
	p.Line("waiting for 4 workloads")
	var pictures strings.Builder
	for i, e := range searchRollout() {
		p.Handle(e)
		env.clock = env.clock.Add(700 * time.Millisecond)
		if i >= 5 {
			p.tick()
			fmt.Fprintf(&pictures, "--- event %d\n%s", i, s.text())
		}
		if i == 8 {
			p.Line("a line that stays")
		}
	}
	p.Close()
	p.Close()
	p.Line("Flow search is running")
	fmt.Fprintf(&pictures, "--- closed\n%s", s.text())
	if s.hidden {
		t.Error("the cursor is hidden")
	}
	golden(t, "progress_live.txt", pictures.String())
}

func TestTheCursorIsShownAfterEveryWrite(t *testing.T) {
	s := newScreen(t, 72, 16)
	env := newTestEnv(map[string]string{"TERM": "xterm"})
	shown := writerFunc(func(b []byte) (int, error) {
		n, err := s.Write(b)
		if s.hidden {
			t.Errorf("hidden after %q", b)
		}
		return n, err
	})
	env.size = func(io.Writer) (int, int, bool) { return 72, 16, true }
	p := newProgress(shown, env.terminalEnv)
	for _, e := range searchRollout() {
		p.Handle(e)
		p.tick()
	}
	p.Close()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// manyEvents has n executors: the first third ready, one in trouble, one failed, the rest starting.
func manyEvents(n int) []rollout.Event {
	events := []rollout.Event{{Type: rollout.Started, Total: n}}
	for i := range n {
		s := partState(plan.RoleExecutor, fmt.Sprintf("executor%04d", i), 0, rollout.State{Wanted: 1, Reason: "waiting for a node"})
		switch {
		case i < n/3:
			s.Ready, s.Done, s.Reason = 1, true, ""
		case i == n/2:
			s.Trouble, s.Reason = true, "container executor: cannot pull image registry.example.com/a/very/long/name:v1: manifest unknown"
		case i == n-1:
			s.Failure = "no progress for 900 s, its progress deadline"
		}
		events = append(events, rollout.Event{Type: rollout.WorkloadProgress, State: s, Done: n / 3, Total: n})
	}
	return events
}

func TestALargeFlowFitsTheTerminal(t *testing.T) {
	s := newScreen(t, 80, 12)
	env := newTestEnv(map[string]string{"TERM": "xterm"})
	fmt.Fprintf(s, "$ kubectl jina up -f flow.yml\n")
	p := newProgress(s, env.terminalEnv)
	for _, e := range manyEvents(1000) {
		p.Handle(e)
	}
	p.tick()
	p.Close()
	if len(s.scrollback) > 1 {
		t.Errorf("%d lines were scrolled away", len(s.scrollback))
	}
	golden(t, "progress_large.txt", s.text())
}

func TestWhatIsHiddenIsCounted(t *testing.T) {
	ready := partState(plan.RoleExecutor, "r", 0, rollout.State{Wanted: 1, Ready: 1})
	starting := partState(plan.RoleExecutor, "s", 0, rollout.State{Wanted: 1, Reason: "waiting for a node"})
	for _, c := range []struct {
		states []rollout.State
		want   string
	}{
		{[]rollout.State{ready, starting, ready, ready}, "… and 2 more ready"},
		{[]rollout.State{starting, starting, starting, starting}, "… and 2 more not ready"},
		{[]rollout.State{starting, ready, starting, starting}, "… and 1 more not ready, 1 more ready"},
	} {
		lines := fitStates(c.states, time.Time{}, 3)
		if len(lines) != 3 || lines[2] != c.want || !strings.HasPrefix(lines[0], "s ") {
			t.Errorf("got %q, want the last to be %q", lines, c.want)
		}
	}
}

func TestResizingNeverErasesWhatIsAbove(t *testing.T) {
	s := newScreen(t, 80, 14)
	env := newTestEnv(map[string]string{"TERM": "xterm"})
	fmt.Fprintf(s, "$ a command before\nits answer\n")
	p := newProgress(s, env.terminalEnv)
	events := manyEvents(6)
	for _, e := range events {
		p.Handle(e)
	}
	p.tick()
	for _, size := range [][2]int{{30, 14}, {80, 14}, {80, 5}, {20, 6}, {120, 30}} {
		s.resize(size[0], size[1])
		env.clock = env.clock.Add(time.Second)
		p.tick()
		p.Line("said at " + fmt.Sprint(size))
	}
	p.Close()
	got := s.text()
	if !strings.HasPrefix(got, "$ a command before\nits answer\n") {
		t.Errorf("what was above is gone:\n%s", got)
	}
	for _, said := range []string{"[30 14]", "[80 14]", "[80 5]", "[20 6]", "[120 30]"} {
		if strings.Count(got, "said at "+said) != 1 {
			t.Errorf("%s was not said once:\n%s", said, got)
		}
	}
	if !strings.Contains(got, "executor0005   ✗ 0/1   no progress for 900 s") {
		t.Errorf("the last picture is not there:\n%s", got)
	}
}

func TestRedrawsFollowTheTickerNotTheEvents(t *testing.T) {
	s := newScreen(t, 80, 24)
	env := newTestEnv(map[string]string{"TERM": "xterm"})
	var every time.Duration
	env.every = func(d time.Duration) (<-chan time.Time, func()) { every = d; return env.ticks, func() {} }
	p := newProgress(s, env.terminalEnv)
	for _, e := range manyEvents(500) {
		p.Handle(e)
	}
	if s.writes != 0 {
		t.Errorf("%d writes before the first tick", s.writes)
	}
	env.ticks <- env.clock
	env.ticks <- env.clock // taken only when the first one is done with
	if s.mu.Lock(); s.writes != 1 {
		t.Errorf("%d writes for a tick with changes and one without", s.writes)
	}
	s.mu.Unlock()
	p.Close()
	if every < 200*time.Millisecond {
		t.Errorf("draws every %s", every)
	}
}

func TestLiveTerminals(t *testing.T) {
	for _, c := range []struct {
		goos      string
		variables map[string]string
		want      bool
	}{
		{"linux", map[string]string{"TERM": "xterm-256color"}, true},
		{"linux", map[string]string{"TERM": "xterm", "CI": "false"}, true},
		{"linux", map[string]string{"TERM": "xterm", "NO_COLOR": ""}, true},
		{"linux", map[string]string{"TERM": "xterm", "CI": "1"}, false},
		{"linux", map[string]string{"TERM": "dumb"}, false},
		{"linux", nil, false},
		{"windows", nil, false},
		{"windows", map[string]string{"WT_SESSION": "x"}, true},
		{"windows", map[string]string{"ConEmuANSI": "ON"}, true},
		{"windows", map[string]string{"TERM": "xterm"}, true},
		{"windows", map[string]string{"TERM": "dumb", "WT_SESSION": "x"}, false},
	} {
		env := newTestEnv(c.variables)
		env.goos = c.goos
		if got := env.live(newScreen(t, 80, 24)); got != c.want {
			t.Errorf("%s %v: %v", c.goos, c.variables, got)
		}
		if env.live(io.Discard) {
			t.Errorf("%s %v: live without a terminal", c.goos, c.variables)
		}
	}
}

func TestTextWidth(t *testing.T) {
	for text, want := range map[string]int{"abc": 3, "é": 1, "e\u0301": 1, "日本": 4, "├─ x": 4, "": 0} {
		if got := textWidth(text); got != want {
			t.Errorf("%q is %d cells wide, want %d", text, got, want)
		}
	}
	for _, c := range []struct {
		text  string
		cells int
		want  string
	}{{"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcd…"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"ab", 1, "…"}, {"ab", 0, ""}, {"ab", -3, ""}} {
		if got := cutText(c.text, c.cells); got != c.want {
			t.Errorf("cutText(%q, %d) = %q, want %q", c.text, c.cells, got, c.want)
		}
	}
}
