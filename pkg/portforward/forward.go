package portforward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	// lookEvery is how often it is looked whether the pod is still the one to go to. A pod that goes ends its connections only
	// when it is gone; new ones should find another before.
	lookEvery = 3 * time.Second
	// firstPause and longestPause bound the time between two tries to connect; it doubles from one to the next.
	firstPause   = 250 * time.Millisecond
	longestPause = 5 * time.Second
	// waitLimit is how long a connection to this machine is held while there is no pod to carry it to.
	waitLimit = 30 * time.Second
)

// Port is a port of pods, and where on this machine connections to it are accepted.
type Port struct {
	Listener net.Listener
	Remote   int
}

// Choose names the pod to go to: current as long as that one will do, else another; empty when there is none now. current is
// empty at first.
type Choose func(ctx context.Context, current string) (pod string, err error)

// Forward accepts connections and carries them to the pods that choose names, until the context ends; then it returns nil. It
// goes on when a pod goes or the API server cannot be reached, and returns what cannot pass: a missing right. say is told, one
// line each and one after the other, what a user should know. The listeners are closed.
func (d *Dialer) Forward(ctx context.Context, ports []Port, choose Choose, say func(string)) error {
	f := &forwarding{dialer: d, choose: choose, changed: make(chan struct{}), lines: make(chan string)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var accepting sync.WaitGroup
	for _, p := range ports {
		stop := context.AfterFunc(ctx, func() { _ = p.Listener.Close() }) // ends accept
		defer stop()
		accepting.Go(func() { f.accept(ctx, p) })
	}
	ended := make(chan error, 1)
	go func() {
		err := f.connect(ctx)
		cancel()
		accepting.Wait()
		ended <- err
	}()
	for {
		select {
		case line := <-f.lines:
			say(line)
		case err := <-ended:
			return err
		}
	}
}

// forwarding is one run of Forward.
type forwarding struct {
	dialer *Dialer
	choose Choose
	lines  chan string

	mu      sync.Mutex
	current *link
	// changed is closed, and made anew, when current changes.
	changed chan struct{}
}

// link is a connection to a pod, and what goes over it.
type link struct {
	*Connection
	carried sync.WaitGroup
}

func (f *forwarding) say(ctx context.Context, format string, args ...any) {
	select {
	case f.lines <- fmt.Sprintf(format, args...):
	case <-ctx.Done():
	}
}

// connect keeps a connection to a pod.
func (f *forwarding) connect(ctx context.Context) error {
	defer f.replace(nil)
	pause, said := firstPause, ""
	for ctx.Err() == nil {
		l, err := f.next(ctx)
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			return err
		}
		if err != nil {
			if text := err.Error(); text != said && ctx.Err() == nil {
				said = text
				f.say(ctx, "not connected: %s; trying again", text)
			}
			sleep(ctx, pause)
			pause = min(2*pause, longestPause)
			continue
		}
		said = ""
		f.say(ctx, "connected to pod %s", l.Pod())
		f.replace(l)
		begin := time.Now()
		f.watch(ctx, l)
		if !ended(l) || time.Since(begin) >= longestPause {
			pause = firstPause
			continue
		}
		// Something on the way may end each connection at once.
		sleep(ctx, pause)
		pause = min(2*pause, longestPause)
	}
	return nil
}

// errNoPod: there is no pod to go to now.
var errNoPod = errors.New("no pod is ready")

func (f *forwarding) next(ctx context.Context) (*link, error) {
	pod, err := f.choose(ctx, "")
	if err != nil {
		return nil, err
	}
	if pod == "" {
		return nil, errNoPod
	}
	c, err := f.dialer.Connect(ctx, pod)
	if err != nil {
		return nil, err
	}
	return &link{Connection: c}, nil
}

// watch returns when another connection is needed.
func (f *forwarding) watch(ctx context.Context, l *link) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.Done():
			if ctx.Err() == nil {
				f.say(ctx, "the connection to pod %s is lost", l.Pod())
			}
			return
		case <-tick.C:
		}
		// Without an answer, or another pod, the one that there is may still do.
		if pod, err := f.choose(ctx, l.Pod()); err == nil && pod != "" && pod != l.Pod() {
			f.say(ctx, "pod %s is not ready any more", l.Pod())
			return
		}
	}
}

// replace lets new connections go over another link. The old one is closed when all that goes over it has ended.
func (f *forwarding) replace(l *link) {
	f.mu.Lock()
	old := f.current
	f.current = l
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	switch {
	case old == nil:
	case l == nil:
		_ = old.Close() // it is all over
	default:
		go func() {
			old.carried.Wait()
			_ = old.Close() // nothing goes over it
		}()
	}
}

// take is the link to use, once there is one; done gives it back. A link that has ended is not taken.
func (f *forwarding) take(ctx context.Context) (l *link, done func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, waitLimit, errNoPod)
	defer cancel()
	for {
		f.mu.Lock()
		l, changed := f.current, f.changed
		if l != nil && !ended(l) {
			l.carried.Add(1)
			f.mu.Unlock()
			return l, l.carried.Done, nil
		}
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

func ended(l *link) bool {
	select {
	case <-l.Done():
		return true
	default:
		return false
	}
}

// accept carries what comes to a port of this machine, until its listener is closed.
func (f *forwarding) accept(ctx context.Context, p Port) {
	var carrying sync.WaitGroup
	defer carrying.Wait()
	for {
		local, err := p.Listener.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// As when there are too many open files: the next may work.
			f.say(ctx, "a connection to %s was not accepted: %v", p.Listener.Addr(), err)
			sleep(ctx, firstPause)
			continue
		}
		carrying.Go(func() {
			if err := f.carry(ctx, local, p.Remote); err != nil && ctx.Err() == nil {
				f.say(ctx, "a connection to %s has ended: %v", p.Listener.Addr(), err)
			}
		})
	}
}

// carry carries one connection.
func (f *forwarding) carry(ctx context.Context, local net.Conn, port int) error {
	defer local.Close()
	l, done, err := f.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	remote, err := l.Open(port)
	if err != nil {
		_ = l.Close() // it carries nothing any more: connect makes another
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		_ = local.Close()
		_ = remote.Close()
	})
	defer stop()
	var sending sync.WaitGroup
	defer func() {
		_ = local.Close()  // ends the reading of what is to be sent
		_ = remote.Close() // ends the sending
		sending.Wait()
	}()
	sending.Go(func() {
		_, _ = io.Copy(remote, local) // an error shows on the other side
		if half, ok := remote.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	})
	_, err = io.Copy(local, remote)
	return err
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
