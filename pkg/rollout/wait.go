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
	feeds := &feeds{sources: sourcesOf(c, req.Namespace), selector: flowSelector(req.Flow), pace: p, out: make(chan change, 256)}
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
	for explained := false; ; {
		finished, err := w.step(ctx, feeds.out, timeout)
		if finished || err != nil {
			return err
		}
		// Replica sets and pods are worth a list of thousands only when there is something to explain.
		if !explained && w.synced() {
			explained = true
			for _, resource := range w.supporting {
				feeds.start(feedCtx, resource)
			}
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

	read        map[string]bool  // resources that have been listed
	down        map[string]error // resources that cannot be read at the moment
	failedSince map[int]time.Time
}

func newWaiter(req Request, p pace, emit func(Event)) *waiter {
	w := &waiter{
		req: req, pace: p, tell: emit, store: newStore(),
		supporting: []string{resourcePods},
		index:      map[workloadKey]int{},
		states:     make([]State, len(req.Targets)), known: make([]bool, len(req.Targets)), dirty: map[int]bool{},
		read: map[string]bool{}, down: map[string]error{}, failedSince: map[int]time.Time{},
	}
	for i, t := range req.Targets {
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
	return w
}

func (w *waiter) emit(e Event) {
	e.Done, e.Total = w.done, len(w.states)
	w.tell(e)
}

// step waits for the next thing to happen and takes it in.
func (w *waiter) step(ctx context.Context, changes <-chan change, timeout <-chan time.Time) (finished bool, err error) {
	lasting, stop := w.failureTimer()
	defer stop()
	select {
	case <-ctx.Done():
		return false, fmt.Errorf("stopped waiting, %d of %d workloads are ready: %w", w.done, len(w.states), ctx.Err())
	case <-timeout:
		return false, w.timeoutError()
	case <-lasting:
		return false, w.failedError()
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
	if w.done == len(w.states) {
		w.emit(Event{Type: Finished})
		return true, nil
	}
	return false, nil
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

// evaluate brings the marked workloads up to date, in the order of the request, and tells what is different.
func (w *waiter) evaluate() {
	for i, target := range w.req.Targets {
		if !w.dirty[i] {
			continue
		}
		delete(w.dirty, i)
		// No clock: what a past crash means for a pod that is ready now is a question for status.
		s := evaluate(w.store.workload(target), time.Time{})
		if w.known[i] && s == w.states[i] {
			continue
		}
		if s.Done != w.states[i].Done {
			w.done += map[bool]int{true: 1, false: -1}[s.Done]
		}
		w.states[i], w.known[i] = s, true
		w.noteFailure(i, s.Failure != "")
		if s.Done {
			w.emit(Event{Type: WorkloadDone, State: s})
		} else {
			w.emit(Event{Type: WorkloadProgress, State: s})
		}
	}
}

func (w *waiter) noteFailure(i int, failed bool) {
	_, before := w.failedSince[i]
	switch {
	case failed && !before:
		w.failedSince[i] = time.Now()
	case !failed:
		delete(w.failedSince, i)
	}
}

// failureTimer fires when a failure has lasted long enough to be believed.
func (w *waiter) failureTimer() (<-chan time.Time, func()) {
	var first time.Time
	for _, since := range w.failedSince {
		if first.IsZero() || since.Before(first) {
			first = since
		}
	}
	if first.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(first.Add(w.pace.failed)))
	return timer.C, func() { timer.Stop() }
}

func (w *waiter) failedError() error {
	return &FailedError{Targets: Verdict{w.states}.Failed(), Done: w.done, Total: len(w.states)}
}

func (w *waiter) timeoutError() error {
	err := &TimeoutError{Timeout: w.req.Timeout, NotReady: Verdict{w.states}.NotDone(), Done: w.done, Total: len(w.states)}
	for _, resource := range slices.Concat(w.required, w.supporting) {
		if cause := w.down[resource]; cause != nil {
			err.Cause = cause
			break
		}
	}
	return err
}
