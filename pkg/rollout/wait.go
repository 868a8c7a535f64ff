package rollout

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Wait follows the workloads of a Flow until each is done, and returns at that moment. What it sees goes to emit, which
// is called from the caller's goroutine. Nothing goes on when it returns.
//
// The errors: *FailedError when a workload cannot come up by itself, *TimeoutError after Request.Timeout, one that
// wraps ctx.Err() when ctx ends, and the API's own when the user may not read the workloads. Without permission
// to watch it lists every two seconds; without replica sets or pods it waits, but knows fewer reasons.
func Wait(ctx context.Context, c Clients, req Request, emit func(Event)) error {
	return wait(ctx, c, req, defaultPace(), emit)
}

func wait(ctx context.Context, c Clients, req Request, p pace, emit func(Event)) error {
	if req.Persist > 0 {
		p.persist = req.Persist
		p.events = min(p.events, req.Persist)
	}
	feeds := newFeeds(c, req.Namespace, req.Flow, p)
	feedCtx, cancel := context.WithCancel(ctx)
	defer feeds.running.Wait()
	defer cancel()

	w := newWaiter(req, p, emit)
	w.emit(Event{Type: Started})
	for _, resource := range w.required {
		feeds.start(feedCtx, resource)
	}
	if len(req.Targets) == 0 {
		w.emit(Event{Type: Finished})
		return nil
	}
	var timeout <-chan time.Time
	if req.Timeout > 0 {
		timer := time.NewTimer(req.Timeout)
		defer timer.Stop()
		timeout = timer.C
	}
	for {
		finished, err := w.step(ctx, feeds.out, timeout)
		if finished || err != nil {
			cancel()
			return withLogs(ctx, c, req.Namespace, err)
		}
		for _, resource := range w.wanted() {
			feeds.start(feedCtx, resource)
		}
	}
}

// flowSelector selects everything of a Flow by label.
func flowSelector(flow string) string {
	return labels.Set{plan.LabelFlow: flow}.String()
}

// feeds are the running ones.
type feeds struct {
	sources  map[string]source
	selector string
	pace     pace
	out      chan change
	running  sync.WaitGroup
}

func newFeeds(c Clients, namespace, flow string, p pace) *feeds {
	return &feeds{sources: sourcesOf(c, namespace), selector: flowSelector(flow), pace: p, out: make(chan change, 256)}
}

func (f *feeds) start(ctx context.Context, resource string) {
	one := feed{source: f.sources[resource], selector: f.selector, pace: f.pace, out: f.out}
	f.running.Go(func() { one.run(ctx) })
}

// waiter is the state of one wait. One goroutine owns it.
type waiter struct {
	req   Request
	pace  pace
	tell  func(Event)
	store *store
	// required resources decide, supporting ones explain.
	required, supporting []string

	index  map[workloadKey]int
	states []State
	known  []bool // states[i] has been evaluated
	dirty  map[int]bool
	done   int

	read    map[string]bool  // resources that have been listed
	down    map[string]error // resources that cannot be read at the moment
	started map[string]bool  // supporting resources that are read

	history []*history
	// due is when a workload has failed if nothing changes.
	due map[int]time.Time
	// eventsAt is when events are wanted though nothing is wrong yet.
	eventsAt time.Time
}

func newWaiter(req Request, p pace, emit func(Event)) *waiter {
	w := &waiter{
		req: req, pace: p, tell: emit, store: newStore(),
		supporting: []string{resourcePods},
		index:      map[workloadKey]int{},
		states:     make([]State, len(req.Targets)), known: make([]bool, len(req.Targets)), dirty: map[int]bool{},
		read: map[string]bool{}, down: map[string]error{}, started: map[string]bool{}, due: map[int]time.Time{},
		eventsAt: time.Now().Add(p.events),
	}
	for i, t := range req.Targets {
		w.history = append(w.history, newHistory())
		w.index[keyOf(t)] = i
		w.states[i] = State{Part: t.Part, Ref: t.Ref}
	}
	has := func(kind string) bool {
		return slices.ContainsFunc(req.Targets, func(t Target) bool { return t.Ref.Kind == kind })
	}
	if has(kindDeployment) {
		w.required = append(w.required, resourceDeployments)
		w.supporting = append(w.supporting, resourceReplicaSets)
	}
	if has(kindStatefulSet) {
		w.required = append(w.required, resourceStatefulSets)
	}
	w.supporting = append(w.supporting, resourceEvents)
	return w
}

func (w *waiter) emit(e Event) {
	e.Done, e.Total = w.done, len(w.states)
	w.tell(e)
}

// wanted are the supporting resources that are to be read from now on. They are worth a list of thousands only when there is
// something to explain, and events, which are of the whole namespace, only when something seems to be wrong.
func (w *waiter) wanted() []string {
	if !w.synced() {
		return nil
	}
	troubled := !time.Now().Before(w.eventsAt) || slices.ContainsFunc(w.states, func(s State) bool { return s.Trouble })
	var resources []string
	for _, resource := range w.supporting {
		if !w.started[resource] && (resource != resourceEvents || troubled) {
			w.started[resource] = true
			resources = append(resources, resource)
		}
	}
	return resources
}

// step waits for the next thing to happen and takes it in.
func (w *waiter) step(ctx context.Context, changes <-chan change, timeout <-chan time.Time) (finished bool, err error) {
	wake, stop := w.wake()
	defer stop()
	select {
	case <-ctx.Done():
		return false, fmt.Errorf("stopped waiting, %d of %d workloads are ready: %w", w.done, len(w.states), ctx.Err())
	case <-timeout:
		return false, w.timeoutError()
	case now := <-wake:
		w.markDue(now)
	case c := <-changes:
		// Whatever is there already is taken together: one evaluation a burst.
		for more := true; more; {
			if err := w.take(c); err != nil {
				return false, err
			}
			select {
			case c = <-changes:
			default:
				more = false
			}
		}
	}
	if !w.synced() {
		return false, nil
	}
	w.evaluate()
	switch failed := (Verdict{w.states}).Failed(); {
	case w.done == len(w.states):
		w.emit(Event{Type: Finished})
		return true, nil
	case len(failed) > 0:
		return false, w.failedError(failed)
	}
	return false, nil
}

// wake is when to look again though nothing has come; nil when nothing depends on time.
func (w *waiter) wake() (<-chan time.Time, func()) {
	var next time.Time
	at := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if slices.Contains(w.supporting, resourceEvents) && !w.started[resourceEvents] && time.Now().Before(w.eventsAt) {
		at(w.eventsAt)
	}
	if !w.blind() {
		for _, due := range w.due {
			at(due)
		}
	}
	if next.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(next))
	return timer.C, func() { timer.Stop() }
}

// blind tells that what decides cannot be read at the moment: nothing is believed to have lasted meanwhile. Once it can be, the
// new lists show whether it has.
func (w *waiter) blind() bool {
	return slices.ContainsFunc(append([]string{resourcePods, resourceReplicaSets}, w.required...), func(resource string) bool { return w.down[resource] != nil })
}

// markDue marks the workloads that time has decided on.
func (w *waiter) markDue(now time.Time) {
	for i, due := range w.due {
		if !due.After(now) {
			w.dirty[i] = true
		}
	}
}

// take stores a change and marks the workloads that it says something about.
func (w *waiter) take(c change) error {
	switch c.kind {
	case replaced:
		w.store.forget(c.resource)
		for _, o := range c.objects {
			w.store.put(o)
		}
		w.read[c.resource] = true
		for i := range w.states {
			w.dirty[i] = true
		}
		w.reachable(c.resource)
	case stored:
		for _, o := range c.objects {
			w.mark(w.store.put(o))
		}
	case removed:
		for _, o := range c.objects {
			w.mark(w.store.remove(o))
		}
	case interrupted:
		if len(w.down) == 0 {
			w.emit(Event{Type: Notice, Text: fmt.Sprintf("the cluster cannot be read at the moment, trying again: %s", PlainText(c.err.Error()))})
		}
		w.down[c.resource] = c.err
	case polling:
		w.emit(Event{Type: Notice, Text: fmt.Sprintf("not allowed to watch %s in namespace %q: looking every %s instead", c.resource, w.req.Namespace, w.pace.poll)})
	case refused:
		return w.refusedError(c)
	}
	return nil
}

func (w *waiter) mark(key workloadKey) {
	if i, ok := w.index[key]; ok {
		w.dirty[i] = true
	}
}

func (w *waiter) reachable(resource string) {
	if _, wasDown := w.down[resource]; !wasDown {
		return
	}
	delete(w.down, resource)
	if len(w.down) == 0 {
		w.emit(Event{Type: Notice, Text: "the cluster can be read again"})
	}
}

// refusedError ends the wait where a required resource may not be read, and goes on without a supporting one.
func (w *waiter) refusedError(c change) error {
	if slices.Contains(w.required, c.resource) {
		return fmt.Errorf("cannot read %s in namespace %q: %w", c.resource, w.req.Namespace, c.err)
	}
	w.reachable(c.resource)
	w.emit(Event{Type: Notice, Text: fmt.Sprintf("not allowed to read %s in namespace %q: fewer reasons are known", c.resource, w.req.Namespace)})
	return nil
}

// synced tells whether every required resource has been listed.
func (w *waiter) synced() bool {
	return !slices.ContainsFunc(w.required, func(resource string) bool { return !w.read[resource] })
}

// evaluate brings the marked workloads up to date, in the order of the request but for gateways, which what the others are at
// excuses, and tells what is different.
func (w *waiter) evaluate() {
	gateways := func(i int) bool { return w.req.Targets[i].Part.Role == plan.RoleGateway }
	doneBefore := w.done
	for i := range w.req.Targets {
		if w.dirty[i] && !gateways(i) {
			w.judge(i, false)
		}
	}
	waiting := false
	for i := range w.req.Targets {
		waiting = waiting || !gateways(i) && !w.states[i].Done
	}
	for i := range w.req.Targets {
		if gateways(i) && (w.dirty[i] || w.done != doneBefore) {
			w.judge(i, waiting)
		}
	}
}

// judge evaluates a workload and tells what is different.
func (w *waiter) judge(i int, waitsForOthers bool) {
	delete(w.dirty, i)
	workload := w.store.workload(w.req.Targets[i])
	workload.PodsKnown = w.read[resourcePods]
	j := judge{
		now: time.Now(), persist: w.pace.persist, settle: w.pace.failed, patient: w.req.FailFast == FailFastNever || w.blind(),
		waitsForOthers: waitsForOthers, past: w.history[i],
	}
	s := j.evaluate(workload)
	delete(w.due, i)
	if !s.due.IsZero() {
		w.due[i] = s.due
	}
	w.become(i, s)
}

// become takes over the state of a workload, and tells it when it is another one than before.
func (w *waiter) become(i int, s State) {
	if w.known[i] && s.Equal(w.states[i]) {
		return
	}
	if s.Done != w.states[i].Done {
		w.done += map[bool]int{true: 1, false: -1}[s.Done]
	}
	w.states[i], w.known[i] = s, true
	if s.Done {
		w.emit(Event{Type: WorkloadDone, State: s})
	} else {
		w.emit(Event{Type: WorkloadProgress, State: s})
	}
}

func (w *waiter) failedError(failed []State) error {
	err := &FailedError{Targets: failed, At: time.Now(), Done: w.done, Total: len(w.states)}
	err.Others = filter(w.states, func(s State) bool { return s.Failure == "" && s.Trouble && !s.Done })
	return err
}

func (w *waiter) timeoutError() error {
	err := &TimeoutError{Timeout: w.req.Timeout, At: time.Now(), NotReady: Verdict{w.states}.NotDone(), Done: w.done, Total: len(w.states)}
	for _, resource := range slices.Concat(w.required, w.supporting) {
		if cause := w.down[resource]; cause != nil {
			err.Cause = cause
			break
		}
	}
	return err
}
