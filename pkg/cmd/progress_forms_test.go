package cmd

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

func TestATreeThatIsAskedForIsDrawnWhereItCanBe(t *testing.T) {
	for _, c := range []struct {
		name, form    string
		variables     map[string]string
		tree, colours bool
	}{
		{"unasked", "", map[string]string{"TERM": "xterm"}, true, true},
		{"asked for in CI", progressTree, map[string]string{"TERM": "xterm", "CI": "true"}, true, true},
		{"asked for without colours", progressTree, map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, true, false},
		{"asked for of a dumb terminal", progressTree, map[string]string{"TERM": "dumb"}, false, false},
		{"lines are asked for", progressPlain, map[string]string{"TERM": "xterm"}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScreen(t, 80, 24)
			var written bytes.Buffer
			env := newTestEnv(c.variables)
			env.size = func(io.Writer) (int, int, bool) { return 80, 24, true }
			p := newProgressAs(c.form, genericiooptions.IOStreams{Out: io.Discard, ErrOut: io.MultiWriter(s, &written)}, env.terminalEnv)
			for _, e := range searchRollout() {
				p.Handle(e)
			}
			p.Close()
			if got := strings.Contains(written.String(), "├─ "); got != c.tree {
				t.Errorf("a tree: %v\n%s", got, s.text())
			}
			if got := strings.Contains(written.String(), "\x1b[32m"); got != c.colours {
				t.Errorf("colours: %v", got)
			}
		})
	}
	// Without a terminal there is no place to draw.
	var out bytes.Buffer
	p := newProgressAs(progressTree, genericiooptions.IOStreams{Out: io.Discard, ErrOut: &out}, newTestEnv(map[string]string{"TERM": "xterm"}).terminalEnv)
	p.Line("waiting for 4 workloads")
	for _, e := range searchRollout() {
		p.Handle(e)
	}
	p.Close()
	if out.String() != searchLines {
		t.Errorf("got:\n%s", out.String())
	}
}

func TestLinesSayNowAndThenWhatIsWaitedForAndForHowLong(t *testing.T) {
	var out bytes.Buffer
	env := newTestEnv(nil)
	var every time.Duration
	env.every = func(d time.Duration) (<-chan time.Time, func()) { every = d; return env.ticks, func() {} }
	p := newProgress(&out, env.terminalEnv)
	loading := partState(plan.RoleExecutor, "llm", 0, rollout.State{Wanted: 1, Reason: "container executor loads", Since: env.clock, Allowed: 20 * time.Minute})
	p.Handle(rollout.Event{Type: rollout.Started, Total: 9})
	p.Handle(rollout.Event{Type: rollout.WorkloadProgress, State: loading, Total: 9})
	for i := range 7 {
		p.Handle(rollout.Event{Type: rollout.WorkloadProgress, State: partState(plan.RoleExecutor, fmt.Sprint("e", i), 0, rollout.State{Wanted: 1, Reason: "waiting for a node"}), Total: 9})
	}
	p.Handle(rollout.Event{Type: rollout.WorkloadProgress, State: partState(plan.RoleExecutor, "bad", 0, rollout.State{Wanted: 1, Reason: "crashes", Trouble: true}), Total: 9})
	out.Reset()
	env.clock = env.clock.Add(125 * time.Second)
	p.tick()
	want := `0 of 9 workloads ready after 2m5s
  bad: 0/1 ready: crashes
  llm: 0/1 ready: container executor loads for 2 min 5 s of at most 20 min
  e0: 0/1 ready: waiting for a node
  e1: 0/1 ready: waiting for a node
  e2: 0/1 ready: waiting for a node
  … and 4 more not ready
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if every < 10*time.Second {
		t.Errorf("every %s", every)
	}
	p.Close()
	out.Reset()
	p.tick()
	if out.Len() > 0 {
		t.Errorf("said after the end: %s", out.String())
	}
}

func TestWideLettersKeepTheColumnsAndNeverWrap(t *testing.T) {
	s := newScreen(t, 60, 12)
	env := newTestEnv(map[string]string{"TERM": "xterm"})
	p := newProgress(s, env.terminalEnv)
	p.Handle(rollout.Event{Type: rollout.Started, Total: 3})
	for _, c := range [][2]string{
		{"文字化け", "コンテナが起動できません: イメージが見つかりません。確認してください"}, {"plain", "waiting for a node"}, {"絵", "画像 pull に失敗しました"},
	} {
		p.Handle(rollout.Event{Type: rollout.WorkloadProgress, State: partState(plan.RoleExecutor, c[0], 0, rollout.State{Wanted: 1, Reason: c[1]}), Total: 3})
	}
	p.tick()
	for _, columns := range []int{60, 41, 40, 23, 22, 9, 3, 2} {
		s.resize(columns, 12)
		env.clock = env.clock.Add(time.Second)
		p.tick() // the screen fails the test where a line wraps
	}
	s.resize(60, 12)
	env.clock = env.clock.Add(time.Second)
	p.tick()
	p.Close()
	last := strings.Split(strings.TrimSpace(s.text()), "\n")
	for _, line := range last[len(last)-3:] {
		before, _, found := strings.Cut(line, "· 0/1")
		if want := textWidth("文字化け") + columnGap; !found || textWidth(before) != want {
			t.Errorf("the column begins at %d, want %d: %s", textWidth(before), want, line)
		}
	}
}

func TestAnotherRolloutIsDrawnBelowTheOneBefore(t *testing.T) {
	s := newScreen(t, 72, 24)
	env := newTestEnv(map[string]string{"TERM": "xterm"})
	p := newProgress(s, env.terminalEnv)
	crashed := partState(plan.RoleExecutor, "encoder", 0, rollout.State{Wanted: 1, Failure: "it cannot come up", Reason: "crashes"})
	p.Handle(rollout.Event{Type: rollout.Started, Total: 1})
	p.Handle(rollout.Event{Type: rollout.WorkloadProgress, State: crashed, Total: 1})
	p.tick()
	p.Line("going back")
	p.Handle(rollout.Event{Type: rollout.Started, Total: 1})
	p.Handle(rollout.Event{Type: rollout.WorkloadDone, State: partState(plan.RoleExecutor, "encoder", 0, rollout.State{Wanted: 1, Ready: 1}), Done: 1, Total: 1})
	p.tick()
	p.Close()
	inOrder(t, s.text(), "encoder   ✗ 0/1   it cannot come up: crashes", "encoder   ✓ 1/1   ready")
}

func TestLinesThatComeFastAreNoPicturesThatComeFast(t *testing.T) {
	s := newScreen(t, 72, 24)
	env := newTestEnv(map[string]string{"TERM": "xterm"})
	p := newProgress(s, env.terminalEnv)
	for _, e := range searchRollout()[:6] {
		p.Handle(e)
	}
	env.clock = env.clock.Add(time.Second)
	p.tick()
	before := s.writes
	for i := range 100 {
		p.Line(fmt.Sprint("line ", i))
		env.clock = env.clock.Add(redrawEvery / 50)
	}
	if n := s.writes - before; n < 1 || n > 3 {
		t.Errorf("%d pictures in %s", n, 2*redrawEvery)
	}
	p.Close()
	for i := range 100 {
		if strings.Count(s.text(), fmt.Sprintf("line %d\n", i)) != 1 {
			t.Errorf("line %d is not there once:\n%s", i, s.text())
		}
	}
}
