package cmd

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
	"github.com/kubectl-jina/kubectl-jina/pkg/verify"
)

const (
	// redrawEvery is the shortest time between two pictures of the live tree.
	redrawEvery = 200 * time.Millisecond
	// sayEvery is how often lines say what is still waited for: whoever reads a log sees no clock run.
	sayEvery = 30 * time.Second
	// manyLines is from how many objects or workloads on not each has a line: nobody reads a thousand.
	manyLines = 30
)

// progress prints what a command is at: on a terminal a tree of the workloads that is drawn again in place, elsewhere the
// same facts as lines, one for each change; or it gives programs the same facts as events. All methods may be called from any
// goroutine.
type progress struct {
	out io.Writer
	env terminalEnv
	// events is nil but for programs; then nothing is printed.
	events *eventStream

	mu     sync.Mutex
	states []rollout.State
	index  map[plan.Ref]int // place in states
	done   int
	total  int
	closed bool

	// live is nil where lines are printed.
	live *liveArea
	// began is when the rollout started.
	began time.Time
	// tenths of the workloads that were said to be ready, and troubles that were told, where there are many.
	tenths, troubles int

	changed bool
	// drawn is when the tree was drawn last, and pending are the lines that stand above it from the next time on.
	drawn    time.Time
	pending  []string
	stopTick func()
	ticking  sync.WaitGroup
}

// The forms of progress that --output names. Without one it is the tree where the terminal and its user want one.
const (
	progressTree  = "tree"
	progressPlain = "plain"
	progressJSONL = "jsonl"
)

func progressForms() []string { return []string{progressTree, progressPlain, progressJSONL} }

// newProgress prints to errOut. Close ends it.
func newProgress(errOut io.Writer, env terminalEnv) *progress {
	return newProgressAs("", genericiooptions.IOStreams{Out: io.Discard, ErrOut: errOut}, env)
}

// newProgressAs prints to standard error, or writes events to standard output, as one of the forms says. Who asks for a tree gets
// one in CI, too, and with NO_COLOR one without colours; without a terminal that can draw one there are lines.
func newProgressAs(form string, streams genericiooptions.IOStreams, env terminalEnv) *progress {
	p := &progress{out: streams.ErrOut, env: env}
	switch {
	case form == progressJSONL:
		p.out, p.events = io.Discard, newEventStream(streams.Out, env.now)
	case form == progressTree && env.canDraw(streams.ErrOut), form == "" && env.live(streams.ErrOut):
		p.live = &liveArea{
			out: streams.ErrOut, size: func() (int, int, bool) { return env.size(streams.ErrOut) },
			colourless: env.getenv("NO_COLOR") != "",
		}
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
	if p.events != nil {
		p.events.rollout(e)
		return
	}
	p.done, p.total = e.Done, e.Total
	switch e.Type {
	case rollout.Started:
		p.settle()
		p.began, p.tenths, p.troubles = p.env.now(), 0, 0
		p.startTicking()
	case rollout.WorkloadProgress, rollout.WorkloadDone:
		before := p.put(e.State)
		if line := stateLine(before, e.State); p.live == nil && line != "" {
			p.sayChange(line, e)
		}
	case rollout.Notice:
		p.print(e.Text)
	case rollout.Finished:
		if p.live == nil {
			fmt.Fprintf(p.out, "%d of %s %s\n", p.done, countText(p.total, "workload"), p.reached())
		}
		p.settle() // what comes next is no part of it
	}
	p.changed = true
}

// sayChange prints a change of a workload. Where there are many, those that get ready are counted, and of those in trouble
// the first ones are told: what is waited for is said now and then, and why it has failed at the end.
func (p *progress) sayChange(line string, e rollout.Event) {
	switch {
	case e.Total <= manyLines:
		fmt.Fprintln(p.out, line)
	case e.State.Failure != "" || e.State.Trouble:
		if p.troubles++; p.troubles <= manyLines {
			fmt.Fprintln(p.out, line)
		}
		if p.troubles == manyLines {
			fmt.Fprintln(p.out, "… and others in trouble, which are not told one by one")
		}
	case e.State.Done:
		if tenths := e.Done * 10 / e.Total; tenths > p.tenths && tenths < 10 {
			p.tenths = tenths
			fmt.Fprintf(p.out, "%d of %s %s\n", e.Done, countText(e.Total, "workload"), p.reached())
		}
	}
}

// Plan shows what will be done.
func (p *progress) Plan(flowName, namespace string, all plan.Plan) {
	if p.events != nil {
		p.events.plan(flowName, namespace, all)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	printPlan(p.out, p.env.now(), flowName, namespace, all)
}

// Checks shows what the preflight has found: all of it to programs, to people what they should know.
func (p *progress) Checks(results []meshcheck.Result) {
	if p.events != nil {
		p.events.checks(results)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	printNotable(p.out, results)
}

// Objects tells what is done to so many objects, one after the other: programs get an event for each, with the type, people a line
// with the word, and of many objects only how far it is.
func (p *progress) Objects(eventType, word string, total int) func(apply.Event) {
	done := 0
	return func(e apply.Event) {
		done++
		switch {
		case p.events != nil:
			p.events.object(eventType, e)
		case total <= manyLines:
			p.Line(fmt.Sprintf("%s %s", word, e.Ref))
		case done*10/total > (done-1)*10/total:
			p.Line(fmt.Sprintf("%s %d of %d objects", word, done, total))
		}
	}
}

// Verified tells what was found out about whether the Flow answers.
func (p *progress) Verified(report verify.Report, err error) {
	if p.events != nil {
		p.events.verified(report, err)
		return
	}
	for _, w := range report.Warnings {
		p.Line("warning: " + w)
	}
	switch {
	case err != nil:
	case report.Skipped != "":
		p.Line("not verified: " + report.Skipped)
	default:
		p.Line("verified: " + report.Proved)
	}
}

// Failed tells programs all that is known of why a rollout has failed; people read it in the error.
func (p *progress) Failed(err error) {
	if p.events == nil {
		return
	}
	var failed *rollout.FailedError
	var timeout *rollout.TimeoutError
	switch {
	case errors.As(err, &failed):
		p.events.failed(failed.Targets)
	case errors.As(err, &timeout):
		p.events.failed(timeout.NotReady)
	}
}

// End tells programs how the command ends. The error is the given one, or why they could not be told.
func (p *progress) End(err error) error {
	p.Close()
	if p.events == nil {
		return err
	}
	p.Failed(err)
	if failed := p.events.end(err); err == nil {
		return failed
	}
	return err
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
	p.settle()
	stop := p.stopTick
	p.mu.Unlock()
	if stop != nil {
		stop()
		p.ticking.Wait()
	}
}

// Settle leaves the tree as it is: what comes next is below it.
func (p *progress) Settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle()
}

func (p *progress) settle() {
	if p.live != nil && len(p.states) > 0 {
		p.draw()
		p.live.release()
	}
	p.states, p.index = nil, map[plan.Ref]int{}
}

func (p *progress) print(text string) {
	if p.events != nil {
		p.events.message(text)
		return
	}
	switch text = plainLines(text); {
	case p.live == nil || !p.live.isDrawn():
		fmt.Fprintln(p.out, text)
	default:
		// Lines that come fast would be pictures that come fast.
		p.pending = append(p.pending, text)
		if p.env.now().Sub(p.drawn) >= redrawEvery {
			p.draw()
		}
	}
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

// startTicking draws what has changed, at most every redrawEvery, and the seconds that pass; lines say every sayEvery what
// is waited for.
func (p *progress) startTicking() {
	if p.stopTick != nil {
		return
	}
	every := redrawEvery
	if p.live == nil {
		every = sayEvery
	}
	ticks, stopTicker := p.env.every(every)
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
	switch {
	case p.closed || len(p.states) == 0:
	case p.live == nil:
		p.sayWaiting()
	case p.changed || len(p.pending) > 0 || p.title() != p.live.title:
		p.draw()
	}
}

// sayWaiting prints what is not ready, what is wrong first, and for how long it has not been.
func (p *progress) sayWaiting() {
	const most = 5
	waiting := slices.DeleteFunc(slices.Clone(p.states), func(s rollout.State) bool { return s.Done })
	if len(waiting) == 0 {
		return
	}
	slices.SortStableFunc(waiting, func(a, b rollout.State) int { return urgency(a) - urgency(b) })
	fmt.Fprintln(p.out, p.title())
	for i, s := range waiting {
		if i == most {
			fmt.Fprintf(p.out, "  %s\n", moreText(waiting[i:]))
			return
		}
		fmt.Fprintf(p.out, "  %s\n", strings.TrimRight(s.String()+" "+s.Elapsed(p.env.now()), " "))
	}
}

func (p *progress) draw() {
	above := p.pending
	p.changed, p.pending, p.drawn = false, nil, p.env.now()
	p.live.draw(p.title(), p.drawn, p.states, above)
}

func (p *progress) title() string {
	return fmt.Sprintf("%d of %s %s after %s", p.done, countText(p.total, "workload"), p.reached(), p.env.now().Sub(p.began).Truncate(time.Second))
}

// reached is the word for what the workloads are when they are done.
func (p *progress) reached() string {
	if len(p.states) > 0 && !slices.ContainsFunc(p.states, func(s rollout.State) bool { return !stops(s) }) {
		return "stopped"
	}
	return "ready"
}

// stops tells whether a workload is to have no pods.
func stops(s rollout.State) bool { return s.Observed && s.Wanted == 0 }

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
	case s.Done && stops(s):
		return fmt.Sprintf("%s: stopped", s.Part)
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
	case !s.Observed, stops(s), s.Ready == before.Ready && !before.Done:
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
func stateCells(s rollout.State, now time.Time) []string {
	why := s.Why()
	switch {
	case !s.Done || why != "":
	case stops(s):
		why = "stopped"
	default:
		why = "ready"
	}
	if elapsed := s.Elapsed(now); elapsed != "" {
		why += " " + elapsed
	}
	if !s.Observed && s.Failure == "" {
		return []string{fmt.Sprintf("%s -/%d", mark(s), s.Wanted), why}
	}
	return []string{fmt.Sprintf("%s %d/%d", mark(s), s.Ready, s.Wanted), why}
}
