package logs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// The pause before a log is asked for again doubles between these.
const (
	shortestPause = 200 * time.Millisecond
	longestPause  = 5 * time.Second
	// settled is how long a log is read for it to be known that what was there has come.
	settled = 5 * time.Second
	// patience is how long a log may be refused that was allowed before: an API server that has just started refuses everything
	// until it has read its roles.
	patience = 30 * time.Second
)

// Follow gives the lines that are there, and then all that are written, until ctx ends; its error then is ctx.Err(). It goes on
// over restarts of containers, new pods and lost connections: no line is lost that the cluster still has, and none
// comes twice. The error is another one where the user may not read the pods or a log.
func Follow(ctx context.Context, c rollout.Clients, req Request, emit func(Line)) error {
	ctx, cancel := context.WithCancel(ctx)
	f := newFollower(openerOf(c, req.Namespace), req, emit)
	defer f.running.Wait()
	defer cancel()

	snapshots := make(chan []*corev1.Pod)
	ended := make(chan error, 1)
	f.running.Go(func() {
		ended <- rollout.Follow(ctx, c, rollout.FollowRequest{Namespace: req.Namespace, Flow: req.Flow, PodsOnly: true, Notice: f.tell(ctx)}, func(o rollout.Objects) bool {
			select {
			case snapshots <- o.Pods:
			case <-ctx.Done():
			}
			return true
		})
	})
	return f.loop(ctx, snapshots, ended)
}

// follower reads the logs of the pods as they come and go. One goroutine, that of loop, owns it; each log is read by another one,
// which is told what to read and tells how that ended.
type follower struct {
	open opener
	req  Request
	emit func(Line)

	logs  map[logKey]*following
	first bool // the first snapshot has not come yet
	full  bool // it was said that there are too many

	// everRead: a log was opened, so reading them is allowed; refusedSince then is when it began not to be any more.
	everRead     bool
	refusedSince time.Time
	patience     time.Duration

	lines   chan given
	results chan result
	notices chan string
	running sync.WaitGroup
}

type logKey struct {
	pod       types.UID
	container string
}

// following is how far a container's log is.
type following struct {
	key    logKey
	source source
	resume resume
	// status of the container, as it was seen last; nil once the pod is gone.
	status *corev1.ContainerStatus
	// late: the container had not started at the beginning, so all that it writes is wanted.
	late bool
	// reading, from the run with the number run on; ending: it had ended before it was asked for.
	reading, ending bool
	run             int32
	// opened: what was there at first has been given; the number of the run that was read to its end is done, -1 for none.
	opened bool
	done   int32
	// begun is when the log was asked for first.
	begun time.Time
	// failures in a row, and when the log may be asked for again.
	failures int
	again    time.Time
}

// given is a line that a reader has, for the log it belongs to.
type given struct {
	log  *following
	line Line
	// restarted says, in place of a line, that the log begins again from where it was.
	restarted bool
}

// result is how the reading of a log ended; nil is the log's end.
type result struct {
	log    *following
	err    error
	lasted time.Duration
}

func newFollower(open opener, req Request, emit func(Line)) *follower {
	return &follower{
		open: open, req: req, emit: emit, logs: map[logKey]*following{}, first: true, patience: patience,
		lines: make(chan given, 256), results: make(chan result), notices: make(chan string),
	}
}

// tell passes a notice on to the goroutine that may give it out.
func (f *follower) tell(ctx context.Context) func(string) {
	return func(text string) {
		select {
		case f.notices <- text:
		case <-ctx.Done():
		}
	}
}

func (f *follower) loop(ctx context.Context, snapshots <-chan []*corev1.Pod, ended <-chan error) error {
	for {
		again, stop := f.retryTimer()
		var err error
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case err = <-ended:
		case pods := <-snapshots:
			err = f.see(ctx, pods)
		case g := <-f.lines:
			f.give(g)
		case r := <-f.results:
			err = f.settle(ctx, r)
		case text := <-f.notices:
			f.req.notice("%s", text)
		case <-again:
			f.start(ctx)
		}
		stop()
		if err != nil {
			return err
		}
	}
}

func (f *follower) give(g given) {
	switch {
	case g.restarted:
		g.log.resume.reconnected()
		f.everRead, f.refusedSince = true, time.Time{}
	case g.log.resume.take(g.line.Time):
		f.emit(g.line)
	}
}

// see takes in the pods as they are.
func (f *follower) see(ctx context.Context, pods []*corev1.Pod) error {
	here := map[logKey]bool{}
	wanted := 0
	for _, p := range pods {
		containers := f.req.Containers(p)
		if containers != nil {
			wanted++
		}
		for _, container := range containers {
			key := logKey{p.UID, container}
			here[key] = true
			status := statusOf(p, container)
			l := f.logs[key]
			if l == nil {
				l = &following{key: key, source: source{p.Name, container}, late: !f.first || !hasStarted(status), done: -1}
				f.logs[key] = l
			}
			l.status = status
		}
	}
	for key, l := range f.logs {
		if here[key] {
			continue
		}
		if l.status = nil; !l.reading {
			delete(f.logs, key)
		}
	}
	switch {
	case !f.first:
	case len(f.logs) > f.req.Max:
		return &TooManyError{Containers: len(f.logs), Max: f.req.Max}
	case len(f.logs) == 0 && wanted > 0:
		return &NothingError{Pods: wanted}
	case len(f.logs) == 0:
		f.req.notice("there are no pods to read logs of yet, waiting for them")
	}
	f.first = false
	f.start(ctx)
	return nil
}

func statusOf(p *corev1.Pod, container string) *corev1.ContainerStatus {
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if s.Name == container {
			return &s
		}
	}
	return &corev1.ContainerStatus{Name: container}
}

// hasStarted tells whether a container has ever run.
func hasStarted(s *corev1.ContainerStatus) bool {
	return s.State.Running != nil || s.State.Terminated != nil || s.LastTerminationState.Terminated != nil
}

// wanted tells whether the log has something that was not read.
func (l *following) wanted() bool {
	return !l.reading && l.status != nil && hasStarted(l.status) && l.done < l.status.RestartCount
}

// start reads the logs that have something new.
func (f *follower) start(ctx context.Context) {
	reading := 0
	for _, l := range f.logs {
		if l.reading {
			reading++
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(f.logs), func(a, b logKey) int {
		return cmp.Or(cmp.Compare(f.logs[a].source.pod, f.logs[b].source.pod), cmp.Compare(a.container, b.container), cmp.Compare(a.pod, b.pod))
	}) {
		l := f.logs[key]
		if !l.wanted() || time.Now().Before(l.again) {
			continue
		}
		l.again = time.Time{} // one that has to wait for its turn waits for no timer
		if reading >= f.req.Max {
			if !f.full {
				f.full = true
				f.req.notice("there are more than %d logs: that of %s, and maybe others, is read once another one has ended", f.req.Max, l.source)
			}
			continue
		}
		reading++
		f.read(ctx, l)
	}
}

// read starts to read a log. A run before the present one, of which something was read, is read to its end first.
func (f *follower) read(ctx context.Context, l *following) {
	previous := (l.opened || l.late || !l.resume.newest.IsZero()) && l.status.RestartCount > l.run && l.done < l.status.RestartCount-1
	l.reading, l.ending = true, l.status.State.Running == nil
	l.run = l.status.RestartCount
	if l.begun.IsZero() {
		l.begun = time.Now()
		l.resume.tailed = f.req.Tail != nil && !l.late
	}
	options := []*corev1.PodLogOptions{f.options(l, false)}
	if previous {
		options = []*corev1.PodLogOptions{f.options(l, true), options[0]}
	}
	ending, s := l.ending, l.source
	f.running.Go(func() {
		began := time.Now()
		var err error
		for _, o := range options {
			err = f.readOnce(ctx, l, s, o, ending)
			if err != nil && (!o.Previous || !notYet(err)) { // a run before that is forgotten already is no failure
				break
			}
		}
		select {
		case f.results <- result{l, err, time.Since(began)}:
		case <-ctx.Done():
		}
	})
}

// options for a log: at first what the user asked for, then from where it was left.
func (f *follower) options(l *following, previous bool) *corev1.PodLogOptions {
	o := &corev1.PodLogOptions{Container: l.source.container, Timestamps: true, Follow: !previous, Previous: previous}
	since := l.resume.since()
	switch {
	case !since.IsZero():
	case !l.opened && !l.late:
		first := f.req.options(l.source.container)
		o.TailLines, since = first.TailLines, f.req.Since
	case l.late:
	case f.req.Tail != nil && *f.req.Tail == 0:
		// Nothing was wanted of what was there when the log was asked for first.
		since = l.begun
	default:
		// Nothing was there, or a line of it would have come.
		since = f.req.Since
	}
	if !since.IsZero() {
		at := metav1.NewTime(since)
		o.SinceTime = &at
	}
	return o
}

func (f *follower) readOnce(ctx context.Context, l *following, s source, o *corev1.PodLogOptions, ending bool) error {
	body, err := f.open(ctx, s.pod, o)
	if err != nil {
		return err
	}
	defer body.Close()
	f.hand(ctx, given{log: l, restarted: true})
	// The rest of a line is given only when nothing can follow any more: of a connection that broke it would come again, longer.
	return readSource(body, s, ending || o.Previous, func(line Line) { f.hand(ctx, given{log: l, line: line}) })
}

func (f *follower) hand(ctx context.Context, g given) {
	select {
	case f.lines <- g:
	case <-ctx.Done():
	}
}

// settle decides what comes after a log was read, once all its lines have been given, which are among those that wait.
func (f *follower) settle(ctx context.Context, r result) error {
	for range len(f.lines) {
		f.give(<-f.lines)
	}
	l := r.log
	l.reading = false
	if r.err == nil || r.lasted > settled {
		l.opened = true
	}
	if r.lasted > longestPause {
		l.failures = 0
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case refused(r.err) && !f.mayPass():
		return fmt.Errorf("cannot read the log of %s: %w", l.source, r.err)
	case l.status == nil:
		delete(f.logs, l.key)
		f.start(ctx)
		return nil
	case r.err == nil && l.ending:
		// It had ended before it was asked for, so this was all.
		l.done, l.failures, l.again = l.run, 0, time.Time{}
	case r.err == nil && (l.status.State.Running == nil || l.status.RestartCount > l.run):
		// The container has ended, and whether the log had come to its end, too, another look tells.
		l.failures, l.again = 0, time.Time{}
	default:
		l.failures++
		l.again = time.Now().Add(min(shortestPause<<min(l.failures-1, 10), longestPause))
		if l.failures == 3 && r.err != nil && !notYet(r.err) {
			f.req.notice("the log of %s cannot be read at the moment, trying again: %s", l.source, rollout.PlainText(r.err.Error()))
		}
	}
	f.start(ctx)
	return nil
}

// mayPass tells whether a refusal may be one that passes.
func (f *follower) mayPass() bool {
	if f.refusedSince.IsZero() {
		f.refusedSince = time.Now()
	}
	return f.everRead && time.Since(f.refusedSince) < f.patience
}

// retryTimer fires when the next log may be asked for again.
func (f *follower) retryTimer() (<-chan time.Time, func()) {
	var next time.Time
	for _, l := range f.logs {
		if l.wanted() && !l.again.IsZero() && (next.IsZero() || l.again.Before(next)) {
			next = l.again
		}
	}
	if next.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(next))
	return timer.C, func() { timer.Stop() }
}
