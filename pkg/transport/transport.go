// Package transport sends the plugin's requests to an API server, and sends them again where that is safe and may help:
// an API server that restarts, sheds load or waits for a webhook is not a reason to stop half-way.
//
// Every request of the plugin may be repeated without harm: server-side applies, patches that test what they change,
// deletions of one UID, dry runs, reviews, updates of one resource version, reads. So a request is repeated also when it
// may have been carried out and only its answer was lost. What the server has decided (a conflict of field managers, an
// invalid object, a missing right) is never asked twice.
package transport

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

const (
	// Patience is how long a request without a deadline of its own is tried again after it failed first.
	Patience = 30 * time.Second
	// firstPause bounds the pause before the second try; the bound doubles from try to try up to longestPause. The pause
	// itself is anything below the bound, so that clients that failed together do not come back together.
	firstPause   = 200 * time.Millisecond
	longestPause = 5 * time.Second
	// answerLimit ends a try that has no answer. The API server itself ends every request but a watch or a log after a
	// minute (--request-timeout), so one that is silent for longer is not working on it.
	answerLimit = 65 * time.Second
)

// Options of a Transport.
type Options struct {
	// Notice is told of each try that will be repeated, from any goroutine. It may be nil.
	Notice func(Notice)
}

// Notice says why a request is sent again.
type Notice struct {
	// Host is the API server's, with its port.
	Host string
	// Status is the answer's code; 0 when there was none.
	Status int
	// Reason is the answer's message, or what happened to the connection: one line without control characters.
	Reason string
	// Wait is the pause before the next try.
	Wait time.Duration
	// Try counts from 1.
	Try int
}

// pace is how often and how long things are tried; tests have one of their own.
type pace struct {
	patience, firstPause, longestPause, answerLimit time.Duration
	// below returns a random duration from 0 up to its argument.
	below func(time.Duration) time.Duration
	now   func() time.Time
}

func defaultPace() pace {
	return pace{
		patience: Patience, firstPause: firstPause, longestPause: longestPause, answerLimit: answerLimit,
		below: func(d time.Duration) time.Duration { return rand.N(d + 1) },
		now:   time.Now,
	}
}

// Transport is an http.RoundTripper that repeats requests. It is safe for concurrent use.
type Transport struct {
	next   http.RoundTripper
	notice func(Notice)
	pace   pace

	mu    sync.Mutex
	hosts map[string]*host
}

// Wrap makes a Transport that sends its requests through rt. It belongs outside client-go's wrappers for credentials: a
// request that was refused with 401 then goes through the credential plugin again.
func Wrap(rt http.RoundTripper, o Options) *Transport { return wrap(rt, o, defaultPace()) }

func wrap(rt http.RoundTripper, o Options, p pace) *Transport {
	if o.Notice == nil {
		o.Notice = func(Notice) {}
	}
	return &Transport{next: rt, notice: o.Notice, pace: p, hosts: map[string]*host{}}
}

// WrappedRoundTripper is where the requests go.
func (t *Transport) WrappedRoundTripper() http.RoundTripper { return t.next }

// CloseIdleConnections closes connections that wait for another request.
func (t *Transport) CloseIdleConnections() { utilnet.CloseIdleConnectionsFor(t.next) }

func (t *Transport) host(name string) *host {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[name]
	if h == nil {
		h = &host{}
		t.hosts[name] = h
	}
	return h
}

// RoundTrip sends a request until its answer is worth returning, its context ends, or the time for it is over: then the
// last answer is returned as the server gave it, but for the header Retry-After, on which client-go would start all over.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	h := t.host(req.URL.Host)
	if !repeatable(req) {
		if err := h.wait(req.Context()); err != nil {
			closeBody(req)
			return nil, err
		}
		resp, err := t.next.RoundTrip(req)
		h.note(resp)
		return resp, err
	}
	c := call{Transport: t, host: h, req: req}
	for c.try = 1; ; c.try++ {
		resp, err := c.send()
		if again, err := c.settle(resp, err); !again {
			return c.answer, err
		}
	}
}

// call is one request and how far it is.
type call struct {
	*Transport
	host *host
	req  *http.Request
	try  int
	// answer is the last one, its body in memory unless it is a stream.
	answer *http.Response
	// firstFailure is zero until there is one.
	firstFailure time.Time
	// reauthorized: a 401 was answered by another try already.
	reauthorized bool
}

// settle takes a try's outcome: it waits and says to try again, or leaves in c.answer what is to be returned with err.
func (c *call) settle(resp *http.Response, err error) (again bool, _ error) {
	ctx := c.req.Context()
	if err != nil && ctx.Err() != nil {
		if c.answer != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return false, nil // what the server said before tells more than that time is over
		}
		c.answer = nil
		return false, err
	}
	v := c.judge(resp, err)
	if resp != nil || !v.again {
		c.answer = resp
	}
	if !v.again {
		return false, err
	}
	if c.firstFailure.IsZero() {
		c.firstFailure = c.pace.now()
	}
	wait, inTime := c.pause(v)
	if !inTime {
		return false, c.giveUp(v, err)
	}
	c.notice(Notice{Host: c.req.URL.Host, Status: v.status, Reason: v.reason, Wait: wait, Try: c.try})
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, nil
	case <-ctx.Done():
		c.answer = nil
		return false, ctx.Err()
	}
}

// deadline is when the last try has to have begun.
func (c *call) deadline() time.Time {
	if d, ok := c.req.Context().Deadline(); ok {
		return d
	}
	return c.firstFailure.Add(c.pace.patience)
}

// pause before the next try: at least what the server asks for, and a random part on top. There is none when there is no
// time left for it; the last pauses are as short as the first one.
func (c *call) pause(v verdict) (_ time.Duration, inTime bool) {
	if v.atOnce {
		return 0, true
	}
	left := c.deadline().Sub(c.pace.now()) - v.after
	if left < c.pace.firstPause {
		return 0, false
	}
	bound := c.pace.longestPause
	if doublings := c.try - 1; doublings < 16 {
		bound = min(bound, c.pace.firstPause<<doublings)
	}
	return v.after + c.pace.below(min(bound, left)), true
}

// giveUp leaves the last answer to be returned, or makes the error for a connection that failed to the end.
func (c *call) giveUp(v verdict, err error) error {
	if err == nil {
		c.answer.Header.Del("Retry-After")
		return nil
	}
	if c.answer != nil { // an earlier try had one: the server is there, and said why not
		c.answer.Header.Del("Retry-After")
		return nil
	}
	return &ConnectionError{Tries: c.try, Over: c.pace.now().Sub(c.firstFailure), Reason: v.reason, err: err, unreached: v.unreached}
}

// send is one try.
func (c *call) send() (*http.Response, error) {
	if err := c.host.wait(c.req.Context()); err != nil {
		if c.try == 1 {
			closeBody(c.req)
		}
		return nil, err
	}
	req := c.req
	if c.try > 1 && req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = body
	}
	var resp *http.Response
	var err error
	if isStream(req) {
		resp, err = c.next.RoundTrip(req)
		if err == nil && resp.StatusCode >= http.StatusBadRequest { // not the stream, but why there is none
			err = hold(resp)
		}
	} else {
		resp, err = c.within(req)
	}
	c.host.note(resp)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// within sends a request whose answer has an end, and reads that answer: one that breaks off is none. A server that says
// nothing is given up after some time.
func (c *call) within(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(c.pace.answerLimit, func() { cancel(errSilent) })
	resp, err := c.next.RoundTrip(req.WithContext(ctx))
	if err == nil {
		err = hold(resp)
	}
	inTime := timer.Stop()
	if err != nil {
		cancel(nil)
		if !inTime && req.Context().Err() == nil {
			err = errSilent
		}
		return resp, err
	}
	if rest, ok := resp.Body.(*heldBody); ok && rest.more != nil {
		rest.closed = func() { cancel(nil) }
	} else {
		cancel(nil)
	}
	return resp, nil
}

// closeBody does what a RoundTripper owes its caller also when it sends nothing.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
