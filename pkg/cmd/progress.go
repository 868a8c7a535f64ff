package cmd

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// redrawEvery is the shortest time between two pictures of the live tree.
const redrawEvery = 200 * time.Millisecond

// progress prints what a command is at: on a terminal a tree of the workloads that is drawn again in place, elsewhere the
// same facts as lines, one for each change. All methods may be called from any goroutine.
type progress struct {
	out io.Writer
	env terminalEnv

	mu     sync.Mutex
	states []rollout.State
	index  map[plan.Ref]int // place in states
	done   int
	total  int
	closed bool

	// live is nil where lines are printed.
	live *liveArea
	// began is when the rollout started.
	began    time.Time
	changed  bool
	stopTick func()
	ticking  sync.WaitGroup
}

// newProgress prints to errOut. Close ends it.
func newProgress(errOut io.Writer, env terminalEnv) *progress {
	p := &progress{out: errOut, env: env}
	if env.live(errOut) {
		p.live = &liveArea{out: errOut, size: func() (int, int, bool) { return env.size(errOut) }}
	}
	return p
}

// Handle takes in an event of a rollout.
func (p *progress) Handle(e rollout.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.done, p.total = e.Done, e.Total
	switch e.Type {
	case rollout.Started:
		p.states, p.index = nil, map[plan.Ref]int{}
		p.began = p.env.now()
		p.startTicking()
	case rollout.WorkloadProgress, rollout.WorkloadDone:
		before := p.put(e.State)
		if line := stateLine(before, e.State); p.live == nil && line != "" {
			fmt.Fprintln(p.out, line)
		}
	case rollout.Notice:
		p.print(e.Text)
	case rollout.Finished:
		if p.live != nil {
			p.draw()
		} else {
			fmt.Fprintf(p.out, "%d of %s ready\n", p.done, countText(p.total, "workload"))
		}
	}
	p.changed = true
}

// Line prints text that stays, above the live tree.
func (p *progress) Line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.print(text)
}

// Close draws the tree a last time, as it stays. It may be called more than once; whatever comes later only prints
// lines.
func (p *progress) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	if p.live != nil && len(p.states) > 0 {
		p.draw()
		p.live.release()
	}
	stop := p.stopTick
	p.mu.Unlock()
	if stop != nil {
		stop()
		p.ticking.Wait()
	}
}

func (p *progress) print(text string) {
	if p.live == nil || p.closed {
		fmt.Fprintln(p.out, text)
		return
	}
	p.live.printAbove(text)
}

// put stores the state of a workload and returns the one from before.
func (p *progress) put(s rollout.State) rollout.State {
	i, ok := p.index[s.Ref]
	if !ok {
		p.index[s.Ref] = len(p.states)
		p.states = append(p.states, s)
		return rollout.State{}
	}
	before := p.states[i]
	p.states[i] = s
	return before
}

// startTicking draws what has changed, at most every redrawEvery, and the seconds that pass.
func (p *progress) startTicking() {
	if p.live == nil || p.stopTick != nil {
		return
	}
	ticks, stopTicker := p.env.every(redrawEvery)
	end := make(chan struct{})
	p.stopTick = func() { stopTicker(); close(end) }
	p.ticking.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-ticks:
				p.tick()
			}
		}
	})
}

func (p *progress) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.states) == 0 {
		return
	}
	if p.changed || p.title() != p.live.title {
		p.draw()
	}
}

func (p *progress) draw() {
	p.changed = false
	p.live.draw(p.title(), p.states)
}

func (p *progress) title() string {
	return fmt.Sprintf("%d of %s ready after %s", p.done, countText(p.total, "workload"), p.env.now().Sub(p.began).Truncate(time.Second))
}

// stateLine is the line for a change from before to s, or empty when it is nothing to write home about: a pod that goes
// through the normal steps of starting, or a workload that was ready from the beginning.
func stateLine(before, s rollout.State) string {
	if s.Done && before.Ref == (plan.Ref{}) {
		return ""
	}
	if !before.Observed {
		before.Ready = 0 // a count of another revision's pods
	}
	switch {
	case s.Done:
		return fmt.Sprintf("%s: %d/%d ready", s.Part, s.Ready, s.Wanted)
	case s.Failure != "":
		if before.Failure == s.Failure && before.Reason == s.Reason {
			return ""
		}
		return s.String()
	case s.Trouble:
		if before.Trouble && before.Reason == s.Reason && before.Ready == s.Ready {
			return ""
		}
		return s.String()
	case !s.Observed, s.Ready == before.Ready && !before.Done:
		return ""
	case s.Ready == s.Wanted:
		return "" // the line that it is done follows
	default:
		return fmt.Sprintf("%s: %d/%d ready", s.Part, s.Ready, s.Wanted)
	}
}

// mark is the sign before a state in the tree.
func mark(s rollout.State) string {
	switch {
	case s.Failure != "":
		return "✗"
	case s.Done && !s.Trouble:
		return "✓"
	case s.Trouble:
		return "!"
	default:
		return "·"
	}
}

// stateCells are the columns behind a workload's name.
func stateCells(s rollout.State) []string {
	why := s.Reason
	if s.Failure != "" {
		why = strings.TrimSuffix(s.Failure+": "+s.Reason, ": ")
	}
	if s.Done && why == "" {
		why = "ready"
	}
	if !s.Observed && s.Failure == "" {
		return []string{fmt.Sprintf("%s -/%d", mark(s), s.Wanted), why}
	}
	return []string{fmt.Sprintf("%s %d/%d", mark(s), s.Ready, s.Wanted), why}
}
