package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// kubelet has the log of one container: of its present run and of the one before.
type kubelet struct {
	mu      sync.Mutex
	changed *sync.Cond
	runs    [][]written
	at      time.Time
	count   int
	broken  int // connections up to this number are broken
	next    int
	ended   bool // the present run has ended
}

func newKubelet() *kubelet {
	k := &kubelet{runs: [][]written{nil}, at: noon}
	k.changed = sync.NewCond(&k.mu)
	return k
}

// write adds lines to the present run.
func (k *kubelet) write(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for range n {
		k.at = k.at.Add(170 * time.Millisecond)
		k.count++
		run := len(k.runs) - 1
		k.runs[run] = append(k.runs[run], written{k.at, fmt.Sprint(k.count)})
	}
	k.changed.Broadcast()
}

// breakConnections ends those there are, in the middle of a line.
func (k *kubelet) breakConnections() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.broken = k.next
	k.changed.Broadcast()
}

func (k *kubelet) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	k.changed.Broadcast()
}

func (k *kubelet) restart() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.runs, k.ended = append(k.runs, nil), false
}

func (k *kubelet) open(ctx context.Context, _ string, o *corev1.PodLogOptions) (io.ReadCloser, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	run := len(k.runs) - 1
	if o.Previous {
		if run--; run < 0 {
			return nil, apierrors.NewBadRequest("previous terminated container not found")
		}
	}
	k.next++
	number := k.next
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()); k.breakConnections() })
	place := 0
	if o.TailLines != nil {
		place = max(0, len(k.runs[run])-int(*o.TailLines))
	}
	go k.serve(w, o, run, place, number)
	return r, nil
}

func (k *kubelet) serve(w *io.PipeWriter, o *corev1.PodLogOptions, run, place, number int) {
	for {
		k.mu.Lock()
		for place >= len(k.runs[run]) && o.Follow && run == len(k.runs)-1 && !k.ended && number > k.broken {
			k.changed.Wait()
		}
		lines, broken := slices.Clone(k.runs[run][place:]), number <= k.broken
		k.mu.Unlock()
		for i, line := range lines {
			if broken && i == len(lines)/2 {
				_, _ = io.WriteString(w, line.at.Format(time.RFC3339Nano)+" cut")
				break
			}
			if o.SinceTime == nil || !line.at.Before(o.SinceTime.Time) {
				if _, err := io.WriteString(w, line.at.Format(time.RFC3339Nano)+" "+line.text+"\n"); err != nil {
					return
				}
			}
		}
		place += len(lines)
		switch {
		case broken:
			w.CloseWithError(io.ErrUnexpectedEOF)
			return
		case len(lines) == 0:
			w.Close()
			return
		}
	}
}

// podWith is a pod whose container is in its run with this number.
func podWith(name string, run int32, running bool) *corev1.Pod {
	s := corev1.ContainerStatus{Name: "x", RestartCount: run, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	if !running {
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
		s.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)},
		Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{s}},
	}
}

// followed is a running follower and the lines that it has given.
type followed struct {
	t         *testing.T
	snapshots chan []*corev1.Pod
	lines     chan Line
	err       chan error
}

func startFollowing(t *testing.T, open opener, req Request, set ...func(*follower)) *followed {
	t.Helper()
	x := &followed{t: t, snapshots: make(chan []*corev1.Pod), lines: make(chan Line, 10000), err: make(chan error, 1)}
	if req.Containers == nil {
		req.Containers = func(*corev1.Pod) []string { return []string{"x"} }
	}
	if req.Max == 0 {
		req.Max = 10
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := newFollower(open, req, func(l Line) { x.lines <- l })
	for _, change := range set {
		change(f)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		x.err <- f.loop(ctx, x.snapshots, nil)
		cancel()
		f.running.Wait()
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return x
}

func (x *followed) see(pods ...*corev1.Pod) {
	x.t.Helper()
	select {
	case x.snapshots <- pods:
	case err := <-x.err:
		x.t.Fatalf("ended: %v", err)
	case <-x.t.Context().Done():
	}
}

// next are so many lines.
func (x *followed) next(n int) []string {
	x.t.Helper()
	var texts []string
	deadline := time.After(time.Minute)
	for len(texts) < n {
		select {
		case l := <-x.lines:
			texts = append(texts, l.Text)
		case <-deadline:
			x.t.Fatalf("only %d of %d lines came: %v", len(texts), n, texts)
		}
	}
	return texts
}

func numbers(from, to int) []string {
	var texts []string
	for i := from; i <= to; i++ {
		texts = append(texts, fmt.Sprint(i))
	}
	return texts
}

func (x *followed) want(from, to int) {
	x.t.Helper()
	if got, want := x.next(to-from+1), numbers(from, to); !slices.Equal(got, want) {
		x.t.Fatalf("got %v\nwant %v", got, want)
	}
}

func TestFollowingLosesAndDoublesNothing(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 2))
			k := newKubelet()
			x := startFollowing(t, k.open, Request{})
			x.see(podWith("a", 0, true))
			run, read := int32(0), 0
			for range 8 {
				n := random.IntN(40) + 1
				k.write(n)
				if random.IntN(2) == 0 {
					k.breakConnections()
				}
				if random.IntN(3) == 0 {
					k.end()
					x.see(podWith("a", run, false))
					x.want(read+1, read+n)
					read, n = read+n, 3
					run++
					k.restart()
					k.write(n)
					x.see(podWith("a", run, true))
				}
				x.want(read+1, read+n)
				read += n
			}
			select {
			case l := <-x.lines:
				t.Errorf("%q came twice", l.Text)
			case <-time.After(50 * time.Millisecond):
			}
		})
	}
}

func TestTheEndOfARunIsReadAfterARestartThatWasMissed(t *testing.T) {
	k := newKubelet()
	x := startFollowing(t, k.open, Request{})
	k.write(5)
	x.see(podWith("a", 0, true))
	x.want(1, 5)
	// The connection breaks, more is written, and the container is in its next run before anybody looks.
	k.mu.Lock()
	k.runs[0] = append(k.runs[0], written{k.at.Add(time.Second), "6"})
	k.runs, k.count, k.at = append(k.runs, nil), 6, k.at.Add(2*time.Second)
	k.mu.Unlock()
	x.see(podWith("a", 1, true))
	k.write(3)
	k.breakConnections()
	x.want(6, 9)
}

func TestTailIsForThePodsOfTheBeginning(t *testing.T) {
	k, late := newKubelet(), newKubelet()
	k.write(20)
	late.write(5)
	two := int64(2)
	x := startFollowing(t, func(ctx context.Context, pod string, o *corev1.PodLogOptions) (io.ReadCloser, error) {
		if pod == "late" {
			return late.open(ctx, pod, o)
		}
		return k.open(ctx, pod, o)
	}, Request{Tail: &two})
	x.see(podWith("a", 0, true))
	x.want(19, 20)
	x.see(podWith("a", 0, true), podWith("late", 0, true))
	x.want(1, 5)
	k.write(1)
	x.want(21, 21)
}

func TestALogOfNothingYetIsAskedForAgain(t *testing.T) {
	k := newKubelet()
	k.write(2)
	var mu sync.Mutex
	refusals := 2
	x := startFollowing(t, func(ctx context.Context, pod string, o *corev1.PodLogOptions) (io.ReadCloser, error) {
		mu.Lock()
		defer mu.Unlock()
		if refusals--; refusals >= 0 {
			return nil, apierrors.NewBadRequest("container is waiting to start")
		}
		return k.open(ctx, pod, o)
	}, Request{})
	x.see(podWith("a", 0, true))
	x.want(1, 2)
}

func TestFollowingEndsWhereALogMayNotBeRead(t *testing.T) {
	x := startFollowing(t, func(context.Context, string, *corev1.PodLogOptions) (io.ReadCloser, error) {
		return nil, apierrors.NewForbidden(corev1.Resource("pods"), "a", errors.New("no"))
	}, Request{})
	x.snapshots <- []*corev1.Pod{podWith("a", 0, true)}
	if err := <-x.err; err == nil || !strings.Contains(err.Error(), "cannot read the log of container x of pod a") {
		t.Errorf("got %v", err)
	}
}

func TestTooManyLogsAreRefusedAtTheBeginningAndWaitLater(t *testing.T) {
	k := newKubelet()
	k.write(1)
	x := startFollowing(t, k.open, Request{Max: 1})
	x.snapshots <- []*corev1.Pod{podWith("a", 0, true), podWith("b", 0, true)}
	tooMany := &TooManyError{}
	if err := <-x.err; !errors.As(err, &tooMany) || tooMany.Containers != 2 {
		t.Errorf("got %v", err)
	}
	notices := make(chan string, 10)
	x = startFollowing(t, k.open, Request{Max: 1, Notice: func(text string) { notices <- text }})
	x.see(podWith("a", 0, true))
	x.want(1, 1)
	x.see(podWith("a", 0, true), podWith("b", 0, true))
	if text := <-notices; !strings.Contains(text, "more than 1 logs: that of container x of pod b") {
		t.Errorf("notice %q", text)
	}
	k.end()
	x.see(podWith("a", 0, false), podWith("b", 0, true))
	x.want(1, 1)
}

func TestAllLinesOfAContainerThatHadNotStartedAreRead(t *testing.T) {
	k := newKubelet()
	two := int64(2)
	x := startFollowing(t, k.open, Request{Tail: &two})
	waiting := podWith("a", 0, false)
	waiting.Status.ContainerStatuses[0].LastTerminationState = corev1.ContainerState{}
	x.see(waiting)
	k.write(5)
	x.see(podWith("a", 0, true))
	x.want(1, 5)
}

func TestTheRunsOfAContainerThatStartedMeanwhileAreAllRead(t *testing.T) {
	k := newKubelet()
	x := startFollowing(t, k.open, Request{})
	x.see()
	k.write(2)
	k.restart()
	k.write(2)
	x.see(podWith("late", 1, true))
	x.want(1, 4)
}

func TestLinesBeforeTheTailDoNotComeByAReconnection(t *testing.T) {
	k := newKubelet()
	k.at = noon.Add(-170 * time.Millisecond)
	k.write(5) // all in one second
	one := int64(1)
	x := startFollowing(t, k.open, Request{Tail: &one})
	x.see(podWith("a", 0, true))
	x.want(5, 5)
	k.breakConnections()
	k.write(3)
	x.want(6, 8)
}

// refusing refuses to open a log from one time that it is asked to another.
func refusing(open opener, from, to int) opener {
	var mu sync.Mutex
	asked := 0
	return func(ctx context.Context, pod string, o *corev1.PodLogOptions) (io.ReadCloser, error) {
		mu.Lock()
		defer mu.Unlock()
		if asked++; asked >= from && asked < to {
			return nil, apierrors.NewForbidden(corev1.Resource("pods"), "a", errors.New("roles are not read yet"))
		}
		return open(ctx, pod, o)
	}
}

func TestARefusalMayPass(t *testing.T) {
	k := newKubelet()
	k.write(1)
	x := startFollowing(t, refusing(k.open, 2, 4), Request{})
	x.see(podWith("a", 0, true))
	x.want(1, 1)
	k.breakConnections()
	k.write(2)
	x.want(2, 3)
}

func TestARefusalThatLastsEndsTheFollowing(t *testing.T) {
	k := newKubelet()
	k.write(1)
	x := startFollowing(t, refusing(k.open, 2, 1<<30), Request{}, func(f *follower) { f.patience = 0 })
	x.see(podWith("a", 0, true))
	x.want(1, 1)
	k.breakConnections()
	if err := <-x.err; !apierrors.IsForbidden(err) {
		t.Errorf("got %v", err)
	}
}

func TestLogsThatWaitForTheirTurnCostNothing(t *testing.T) {
	f := newFollower(nil, Request{Max: 1}, nil)
	at := time.Now().Add(-time.Minute)
	for _, name := range []string{"a", "b"} {
		key := logKey{types.UID(name), "x"}
		f.logs[key] = &following{key: key, source: source{name, "x"}, status: statusOf(podWith(name, 0, true), "x"), done: -1, again: at}
	}
	f.logs[logKey{"a", "x"}].reading = true
	f.start(t.Context())
	if again, stop := f.retryTimer(); again != nil {
		stop()
		t.Error("a timer runs for a log that cannot be read yet")
	}
}

func TestFollowingNothingSaysSo(t *testing.T) {
	x := startFollowing(t, newKubelet().open, Request{Containers: func(*corev1.Pod) []string { return []string{} }})
	x.snapshots <- []*corev1.Pod{podWith("a", 0, true)}
	var nothing *NothingError
	if err := <-x.err; !errors.As(err, &nothing) || nothing.Pods != 1 {
		t.Errorf("got %v", err)
	}
	notices := make(chan string, 10)
	k := newKubelet()
	x = startFollowing(t, k.open, Request{Notice: func(text string) { notices <- text }})
	x.see()
	if text := <-notices; !strings.Contains(text, "no pods to read logs of yet") {
		t.Errorf("notice %q", text)
	}
	k.write(1)
	x.see(podWith("a", 0, true))
	x.want(1, 1)
}
