package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// notices collects what a Transport tells.
type notices struct {
	mu  sync.Mutex
	all []Notice
}

func (n *notices) add(x Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, x)
}

func (n *notices) reasons() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, x := range n.all {
		out = append(out, fmt.Sprintf("%d %s", x.Status, x.Reason))
	}
	return out
}

// quick is a pace that costs tests no time, with patience enough for every one of them.
func quick() pace {
	p := defaultPace()
	p.firstPause, p.longestPause = time.Millisecond, 2*time.Millisecond
	return p
}

// impatient gives up at the first failure.
func impatient() pace {
	p := quick()
	p.patience = -time.Second
	return p
}

// fixture is a server and a client whose requests go through a Transport.
type fixture struct {
	*httptest.Server
	client  *http.Client
	notices notices
	calls   atomic.Int64
}

// serve answers the n-th request, from 1, with handle; over HTTP/2 and TLS if so wanted.
func serve(t *testing.T, p pace, h2 bool, handle func(n int64, w http.ResponseWriter, r *http.Request)) *fixture {
	t.Helper()
	f := &fixture{}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle(f.calls.Add(1), w, r)
	}))
	if h2 {
		f.EnableHTTP2 = true
		f.StartTLS()
	} else {
		f.Start()
	}
	f.client = &http.Client{Transport: wrap(f.Server.Client().Transport, Options{Notice: f.notices.add}, p)}
	t.Cleanup(func() {
		f.client.CloseIdleConnections()
		f.Close()
	})
	return f
}

// do sends a request with a body and returns the answer's code and body.
func (f *fixture) do(t *testing.T, ctx context.Context, method string, header ...string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, f.URL+"/api/v1/things", strings.NewReader("the body"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), nil
}

func status(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reason, Message: message,
	})
}

// reset ends the connection so that the client sees it reset.
func reset(t *testing.T, w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

const quotaText = `Operation cannot be fulfilled on resourcequotas "q": the object has been modified`

func TestAnswersThatMayChangeAreAskedForAgain(t *testing.T) {
	for _, c := range []struct {
		code    int
		reason  metav1.StatusReason
		message string
		again   bool
	}{
		{429, metav1.StatusReasonTooManyRequests, "too many requests", true},
		{500, metav1.StatusReasonInternalError, `failed calling webhook "x": connection refused`, true},
		{502, metav1.StatusReasonUnknown, "", true},
		{503, metav1.StatusReasonServiceUnavailable, "starting", true},
		{504, metav1.StatusReasonTimeout, "request did not complete", true},
		{409, metav1.StatusReasonConflict, quotaText, true},
		{409, metav1.StatusReasonConflict, `Apply failed with 1 conflict: conflict with "kubectl"`, false},
		{409, metav1.StatusReasonAlreadyExists, "exists", false},
		{400, metav1.StatusReasonBadRequest, "bad", false},
		{401, metav1.StatusReasonUnauthorized, "Unauthorized", false},
		{403, metav1.StatusReasonForbidden, "exceeded quota", false},
		{500, metav1.StatusReasonInternalError, `failed to create typed patch object (ns/x; /v1, Kind=Service): .spec.prots: field not declared in schema`, false},
		{404, metav1.StatusReasonNotFound, "not found", false},
		{422, metav1.StatusReasonInvalid, "spec.selector: field is immutable", false},
		{501, metav1.StatusReasonUnknown, "", false},
		{200, "", "", false},
	} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s h2=%v", c.code, c.message, h2), func(t *testing.T) {
				f := serve(t, quick(), h2, func(n int64, w http.ResponseWriter, r *http.Request) {
					if b, err := io.ReadAll(r.Body); string(b) != "the body" || err != nil {
						t.Errorf("try %d has the body %q, %v", n, b, err)
					}
					if n <= 3 {
						status(w, c.code, c.reason, c.message)
						return
					}
					w.WriteHeader(http.StatusCreated)
				})
				code, body, err := f.do(t, t.Context(), http.MethodPatch)
				if err != nil {
					t.Fatal(err)
				}
				if !c.again {
					if code != c.code || f.calls.Load() != 1 || len(f.notices.all) != 0 || !strings.Contains(body, string(c.reason)) {
						t.Errorf("answer %d after %d tries: %s", code, f.calls.Load(), body)
					}
					return
				}
				if code != http.StatusCreated || f.calls.Load() != 4 {
					t.Errorf("answer %d after %d tries", code, f.calls.Load())
				}
				want := c.message
				if want == "" {
					want = http.StatusText(c.code)
				}
				if got := f.notices.reasons(); !slices.Equal(got, slices.Repeat([]string{fmt.Sprintf("%d %s", c.code, want)}, 3)) {
					t.Errorf("notices %q", got)
				}
			})
		}
	}
}

func TestMessageOfProtobufAnswerIsRead(t *testing.T) {
	info, _ := runtimeSerializer("application/vnd.kubernetes.protobuf")
	var b bytes.Buffer
	err := info.Serializer.Encode(&metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Message: quotaText}, &b)
	if err != nil {
		t.Fatal(err)
	}
	if got := messageOf(b.Bytes()); got != quotaText {
		t.Errorf("message %q", got)
	}
	if !bytes.Contains(b.Bytes(), quotaConflict) {
		t.Error("a quota conflict in protobuf is not recognised")
	}
}

func runtimeSerializer(mediaType string) (runtime.SerializerInfo, bool) {
	for _, i := range scheme.Codecs.SupportedMediaTypes() {
		if i.MediaType == mediaType {
			return i, true
		}
	}
	return runtime.SerializerInfo{}, false
}

func TestReasonIsOneLineWithoutControlCharacters(t *testing.T) {
	f := serve(t, quick(), false, func(n int64, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			status(w, 500, metav1.StatusReasonInternalError, "a\n\x1b[31mb\x00\u202e  c "+strings.Repeat("x", 1000))
			return
		}
	})
	if code, _, err := f.do(t, t.Context(), http.MethodPatch); code != 200 || err != nil {
		t.Fatal(code, err)
	}
	got := f.notices.all[0].Reason
	if !strings.HasPrefix(got, "a [31mb c x") || strings.ContainsAny(got, "\n\x1b\x00\u202e") || len([]rune(got)) > 300 {
		t.Errorf("reason %q", got)
	}
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "x": 0, "1.5": 0,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second, "Fri, 02 Jan 2026 03:04:00 GMT": 0,
		"9223372036854775807": 24 * time.Hour, "Fri, 02 Jan 2099 03:04:00 GMT": 24 * time.Hour,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
	f := serve(t, quick(), false, func(n int64, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(429)
		}
	})
	if code, _, err := f.do(t, t.Context(), http.MethodPatch); code != 200 || err != nil {
		t.Fatal(code, err)
	}
	if n := f.notices.all[0]; n.Wait < time.Second || n.Try != 1 || n.Host != strings.TrimPrefix(f.URL, "http://") {
		t.Errorf("notice %+v", n)
	}
}

func TestPausesGrowUpToALimitAndAreRandom(t *testing.T) {
	var bounds []time.Duration
	p := defaultPace()
	p.below = func(d time.Duration) time.Duration { bounds = append(bounds, d); return d / 2 }
	p.patience = 2 * time.Hour
	now := time.Now()
	p.now = func() time.Time { return now }
	c := call{Transport: wrap(nil, Options{}, p), req: httptest.NewRequest(http.MethodGet, "/", nil), firstFailure: now}
	for c.try = 1; c.try <= 40; c.try++ {
		got, inTime := c.pause(verdict{after: time.Hour})
		if want := time.Hour + bounds[len(bounds)-1]/2; got != want || !inTime {
			t.Errorf("try %d: %s, want %s", c.try, got, want)
		}
	}
	now = now.Add(2*time.Hour - 3*firstPause) // the bound is what is left of the time
	if got, inTime := c.pause(verdict{}); got != 3*firstPause/2 || !inTime {
		t.Errorf("near the end: %s", got)
	}
	if _, inTime := c.pause(verdict{after: 3 * firstPause}); inTime {
		t.Error("a pause that does not fit is waited for")
	}
	if bounds[0] != firstPause || bounds[1] != 2*firstPause || bounds[2] != 4*firstPause || bounds[39] != longestPause {
		t.Errorf("bounds %v", bounds)
	}
	if d := defaultPace().below(0); d != 0 {
		t.Errorf("below 0: %s", d)
	}
}

func TestLostConnectionsAreTriedAgain(t *testing.T) {
	for name, lose := range map[string]func(*testing.T, http.ResponseWriter, *http.Request){
		"reset before the answer": func(t *testing.T, w http.ResponseWriter, _ *http.Request) { reset(t, w) },
		"closed before the answer": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			_ = c.Close()
		},
		"reset within the answer": func(t *testing.T, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			reset(t, w)
		},
		"closed within the answer": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, quick(), false, func(n int64, w http.ResponseWriter, r *http.Request) {
				if n <= 3 {
					lose(t, w, r)
					return
				}
				_, _ = w.Write([]byte("whole"))
			})
			f.Config.ErrorLog = nil
			for _, method := range []string{http.MethodPatch, http.MethodDelete, http.MethodGet} {
				f.calls.Store(0)
				code, body, err := f.do(t, t.Context(), method)
				if err != nil || code != 200 || body != "whole" || f.calls.Load() < 4 {
					t.Errorf("%s: %d %q after %d tries: %v", method, code, body, f.calls.Load(), err)
				}
			}
		})
	}
}

func TestLostStreamsOfHTTP2AreTriedAgain(t *testing.T) {
	f := serve(t, quick(), true, func(n int64, w http.ResponseWriter, _ *http.Request) {
		switch n {
		case 1:
			panic(http.ErrAbortHandler) // RST_STREAM before the answer
		case 2:
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write([]byte("whole"))
	})
	code, body, err := f.do(t, t.Context(), http.MethodPatch)
	if err != nil || code != 200 || body != "whole" || f.calls.Load() != 3 {
		t.Errorf("%d %q after %d tries: %v", code, body, f.calls.Load(), err)
	}
}

func TestErrorsOfConnectionsAreKnown(t *testing.T) {
	for _, text := range []string{
		`http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=""`,
		"http2: client connection lost",
		"net/http: HTTP/1.x transport connection broken: write tcp: broken",
	} {
		if kind, _ := classify(fmt.Errorf("Patch: %w", errors.New(text))); kind != connectionLost {
			t.Errorf("%s: %v", text, kind)
		}
	}
	if kind, _ := classify(&brokenAnswerError{errors.New("gzip: invalid checksum")}); kind != connectionLost {
		t.Errorf("an answer that cannot be read is not asked for again: %v", kind)
	}
	if kind, _ := classify(errors.New("getting credentials: exec: executable aws not found")); kind != otherError {
		t.Errorf("a failed credential plugin is tried again")
	}
}

func TestRefusedConnectionIsTriedAgainOnlyWhereAServerWas(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	start := func(l net.Listener) *http.Server {
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(headerFairness, "x")
		})}
		go func() { _ = s.Serve(l) }()
		return s
	}
	var seen notices
	restarted := make(chan *http.Server, 1)
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	client := &http.Client{Transport: wrap(base, Options{Notice: func(n Notice) {
		seen.add(n)
		if len(seen.reasons()) == 3 {
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			restarted <- start(l)
		}
	}}, quick())}
	get := func() error {
		resp, err := client.Get("http://" + address)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}

	_ = listener.Close()
	if err := get(); err == nil || len(seen.reasons()) != 0 {
		t.Fatalf("a server that never answered: %v, %v", err, seen.reasons())
	}
	if listener, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	server := start(listener)
	if err := get(); err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	if err := get(); err != nil {
		t.Fatalf("the server came back: %v", err)
	}
	_ = (<-restarted).Close()
	if r := seen.reasons(); len(r) != 3 || r[2] != "0 connection refused" {
		t.Errorf("notices %q", r)
	}
}

func TestUnauthorizedIsTriedOnceMoreAfterAnAnswerThatWasGood(t *testing.T) {
	f := serve(t, quick(), false, func(n int64, w http.ResponseWriter, _ *http.Request) {
		if n == 2 || n >= 4 {
			status(w, 401, metav1.StatusReasonUnauthorized, "Unauthorized")
		}
	})
	for i, want := range []struct{ code, calls int64 }{{200, 1}, {200, 3}, {401, 5}, {401, 7}} {
		code, _, err := f.do(t, t.Context(), http.MethodPatch)
		if err != nil || int64(code) != want.code || f.calls.Load() != want.calls {
			t.Errorf("request %d: %d after %d tries, want %+v: %v", i+1, code, f.calls.Load(), want, err)
		}
	}
}

func TestLastAnswerIsReturnedWhole(t *testing.T) {
	f := serve(t, impatient(), false, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		status(w, 503, metav1.StatusReasonServiceUnavailable, "no leader")
	})
	code, body, err := f.do(t, t.Context(), http.MethodPatch)
	if err != nil || code != 503 || !strings.Contains(body, `"no leader"`) || f.calls.Load() != 1 {
		t.Errorf("%d %s after %d tries: %v", code, body, f.calls.Load(), err)
	}
}

func TestDeadlineOfARequestReplacesThePatience(t *testing.T) {
	f := serve(t, impatient(), false, func(n int64, w http.ResponseWriter, _ *http.Request) {
		if n <= 5 {
			status(w, 503, metav1.StatusReasonServiceUnavailable, "no leader")
		}
	})
	long, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if code, _, err := f.do(t, long, http.MethodPatch); code != 200 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	// Nobody waits for a server that asks for more time than there is.
	f.calls.Store(0)
	f2 := serve(t, quick(), false, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7200")
		status(w, 429, metav1.StatusReasonTooManyRequests, "come back later")
	})
	if code, body, err := f2.do(t, long, http.MethodPatch); code != 429 || err != nil || !strings.Contains(body, "come back later") || f2.calls.Load() != 1 {
		t.Errorf("%d %s, %v", code, body, err)
	}
}

// ended is a context that ends with an error when its channel is closed.
type ended struct {
	context.Context
	done chan struct{}
	err  error
}

func (c ended) Done() <-chan struct{} { return c.done }

func (c ended) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

func TestWhatTheServerSaidIsReturnedWhenADeadlineEndsTheNextTry(t *testing.T) {
	for _, cause := range []error{context.DeadlineExceeded, context.Canceled} {
		ctx := ended{t.Context(), make(chan struct{}), cause}
		f := serve(t, quick(), false, func(n int64, w http.ResponseWriter, r *http.Request) {
			if n > 1 {
				_, _ = io.Copy(io.Discard, r.Body)
				close(ctx.done)
				<-r.Context().Done()
				return
			}
			status(w, 500, metav1.StatusReasonInternalError, `failed calling webhook "guard"`)
		})
		code, body, err := f.do(t, ctx, http.MethodPatch)
		if cause == context.DeadlineExceeded && (err != nil || code != 500 || !strings.Contains(body, "guard")) {
			t.Errorf("deadline: %d %s, %v", code, body, err)
		}
		if cause == context.Canceled && !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %d %s, %v", code, body, err)
		}
	}
}

func TestCancelledContextEndsThePauseAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := defaultPace()
	p.patience, p.below = time.Hour, func(time.Duration) time.Duration { return 50 * time.Minute }
	f := serve(t, p, false, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		status(w, 503, metav1.StatusReasonServiceUnavailable, "no leader")
		time.AfterFunc(10*time.Millisecond, cancel)
	})
	// The pause is 50 minutes: go test's own timeout is what this test fails by.
	if _, _, err := f.do(t, ctx, http.MethodPatch); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestSilentServerIsGivenUp(t *testing.T) {
	p := quick()
	p.answerLimit = 50 * time.Millisecond
	for _, h2 := range []bool{false, true} {
		f := serve(t, p, h2, func(n int64, w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			switch n {
			case 1: // nothing
				<-r.Context().Done()
			case 2: // half an answer, and no more
				_, _ = w.Write([]byte("half"))
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
		})
		code, _, err := f.do(t, t.Context(), http.MethodPatch)
		if err != nil || code != 200 || f.calls.Load() < 3 { // more on a machine that is slow itself
			t.Errorf("%d after %d tries: %v", code, f.calls.Load(), err)
		}
		if r := f.notices.reasons(); len(slices.Compact(r)) != 1 || r[0] != "0 no answer in time" {
			t.Errorf("notices %q", r)
		}
	}
}

func TestWatchesAreNeverHeldNorTimed(t *testing.T) {
	p := quick()
	p.answerLimit = time.Nanosecond
	more := make(chan struct{})
	f := serve(t, p, false, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("one\n"))
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = w.Write([]byte("two\n"))
	})
	resp, err := f.client.Get(f.URL + "/api/v1/pods?watch=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 4)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "one\n" {
		t.Fatalf("%q, %v", first, err)
	}
	close(more)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "two\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestStreamsAreKnown(t *testing.T) {
	for url, want := range map[string]bool{
		"/api/v1/pods?watch=true": true, "/api/v1/pods?watch=1": true, "/api/v1/pods?watch=false": false, "/api/v1/pods": false,
		"/api/v1/namespaces/n/pods/p/log?follow=true": true, "/api/v1/namespaces/n/pods/p/log": true, "/api/v1/namespaces/n/pods/p/exec": true,
		"/api/v1/namespaces/n/services/s/proxy/dry_run": true, "/api/v1/namespaces/n/configmaps/log-config": false,
	} {
		req := httptest.NewRequest(http.MethodGet, url, nil)
		if got := isStream(req); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}

func TestAnswerLongerThanWhatIsHeldIsWhole(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", heldMost/16+1000)
	f := serve(t, quick(), false, func(_ int64, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, long) })
	code, body, err := f.do(t, t.Context(), http.MethodGet)
	if err != nil || code != 200 || body != long {
		t.Errorf("%d, %d of %d bytes, %v", code, len(body), len(long), err)
	}
}

func TestUpgradesAndBodiesThatCannotBeReadAgainAreSentOnce(t *testing.T) {
	f := serve(t, quick(), false, func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	code, _, err := f.do(t, t.Context(), http.MethodPost, "Connection", "Upgrade", "Upgrade", "SPDY/3.1")
	if err != nil || code != 503 || f.calls.Load() != 1 {
		t.Errorf("upgrade: %d after %d tries: %v", code, f.calls.Load(), err)
	}
	f.calls.Store(0)
	resp, err := f.client.Post(f.URL, "text/plain", io.MultiReader(strings.NewReader("once")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 503 || f.calls.Load() != 1 {
		t.Errorf("body: %d after %d tries", resp.StatusCode, f.calls.Load())
	}
}

func TestRequestsAreLimitedOnlyWhereTheServerHasNoFairness(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string // of the answers, in order
		codes   []int
		limited bool
	}{
		{"fair", []string{"uid"}, []int{200}, false},
		{"unfair", []string{""}, []int{200}, true},
		{"something else answers first", []string{"", "uid"}, []int{503, 200}, false},
		{"fair at last", []string{"", "uid"}, []int{200, 200}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &host{}
			for i, header := range c.headers {
				resp := &http.Response{StatusCode: c.codes[i], Header: http.Header{}}
				if header != "" {
					resp.Header.Set(headerFairness, header)
				}
				h.note(resp)
			}
			if got := h.limiter != nil; got != c.limited {
				t.Errorf("limited: %v", got)
			}
			if err := h.wait(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	h := &host{}
	h.note(&http.Response{StatusCode: 200, Header: http.Header{}})
	if qps := h.limiter.QPS(); qps != throttleQPS {
		t.Errorf("%v requests a second", qps)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.wait(ctx); err == nil {
		t.Error("a cancelled context may send")
	}
}

// TestClientGoDoesNotStartOver holds that client-go, which has retries of its own, takes the last answer and the last error
// for the last: it would repeat all of ours ten times.
func TestClientGoDoesNotStartOver(t *testing.T) {
	for name, fail := range map[string]func(*testing.T, http.ResponseWriter){
		"429": func(_ *testing.T, w http.ResponseWriter) {
			w.Header().Set("Retry-After", "0")
			status(w, 429, metav1.StatusReasonTooManyRequests, "too many")
		},
		"503": func(_ *testing.T, w http.ResponseWriter) {
			w.Header().Set("Retry-After", "0")
			status(w, 503, metav1.StatusReasonServiceUnavailable, "no")
		},
		"reset": func(t *testing.T, w http.ResponseWriter) { reset(t, w) },
		"closed": func(_ *testing.T, w http.ResponseWriter) {
			c, _, _ := w.(http.Hijacker).Hijack()
			_ = c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, impatient(), false, func(_ int64, w http.ResponseWriter, _ *http.Request) { fail(t, w) })
			client, err := kubernetes.NewForConfigAndClient(&rest.Config{Host: f.URL, QPS: -1}, f.client)
			if err != nil {
				t.Fatal(err)
			}
			_, getErr := client.CoreV1().ConfigMaps("ns").Get(t.Context(), "x", metav1.GetOptions{})
			_, watchErr := client.CoreV1().ConfigMaps("ns").Watch(t.Context(), metav1.ListOptions{})
			if getErr == nil || watchErr == nil {
				t.Errorf("get: %v, watch: %v", getErr, watchErr)
			}
			// net/http itself tries a GET again on a connection that it had used before.
			if n := f.calls.Load(); n > 4 {
				t.Errorf("%d requests were sent for two", n)
			}
			if name == "503" && !apierrors.IsServiceUnavailable(getErr) {
				t.Errorf("the server's own error is lost: %v", getErr)
			}
		})
	}
}

func TestConnectionErrorSaysHowOftenItWasTried(t *testing.T) {
	p := quick()
	now := time.Now()
	p.now = func() time.Time { now = now.Add(10 * time.Second); return now }
	f := serve(t, p, false, func(_ int64, w http.ResponseWriter, _ *http.Request) { reset(t, w) })
	_, _, err := f.do(t, t.Context(), http.MethodPatch)
	var lost *ConnectionError
	if !errors.As(err, &lost) || lost.Tries != 3 || !strings.HasSuffix(err.Error(), "no answer in 3 tries within 40s, the last time: connection reset") {
		t.Errorf("%v", err)
	}
}
