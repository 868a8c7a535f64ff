// Package faultproxy is an API server that fails: a TLS proxy in front of the embedded cluster, which tests tell what to
// do to which request.
//
//	proxy := faultproxy.Start(t, cluster, 1, faultproxy.Rule{
//		Match: faultproxy.Write, Share: 0.1, Fault: faultproxy.Fault{Kind: faultproxy.ResetAfter},
//	})
//	// kubectl jina up --kubeconfig proxy.Kubeconfig(): a tenth of the writes happen, and their answers are lost
//
// Which requests a share hits depends on the seed and on the requests, never on the order in which they arrive.
package faultproxy

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/transport"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// Kind of a fault.
type Kind string

// The kinds of faults.
const (
	// None: the request is forwarded and answered.
	None Kind = ""
	// Answer: Fault.Status is answered without asking the API server.
	Answer Kind = "answer"
	// ResetBefore: the connection is reset, and with it every request under way on it. The API server never sees this one.
	ResetBefore Kind = "reset before"
	// ResetAfter: the API server carries the request out, and then the connection is reset.
	ResetAfter Kind = "reset after"
	// Delay: the request is forwarded after Fault.Delay.
	Delay Kind = "delay"
	// Drop: the request is never forwarded and never answered, and its connection stays.
	Drop Kind = "drop"
	// Hold: the request is forwarded once Fault.Release is closed.
	Hold Kind = "hold"
)

// Fault is what happens to a request.
type Fault struct {
	Kind Kind
	// Status and Message of an Answer; RetryAfter, in seconds, is its header of that name, which 0 leaves out.
	Status     int
	Message    string
	RetryAfter int
	Delay      time.Duration
	Release    <-chan struct{}
}

// Rule says which requests a fault happens to.
type Rule struct {
	// Match picks requests; nil picks all.
	Match func(*http.Request) bool
	// Nth, if not 0, picks only the n-th of those, counted from 1 as they arrive; From, if not 0, all from that one on.
	Nth, From int
	// Share of what is left that the fault happens to; 0 stands for all.
	Share float64
	// Before is called before the fault or the forwarding, After when the API server has answered and the client knows nothing of
	// it yet. Both may be nil.
	Before, After func()
	Fault         Fault
}

// Write matches requests that store something: no reads, dry runs or access reviews.
func Write(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return r.URL.Query().Get("dryRun") == "" && !strings.Contains(r.URL.Path, "/authorization.k8s.io/")
	}
	return false
}

// On matches requests of a method (any, if empty) to a path that contains a text.
func On(method, path string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return (method == "" || r.Method == method) && strings.Contains(r.URL.Path, path)
	}
}

// Proxy in front of an API server.
type Proxy struct {
	server     *httptest.Server
	kubeconfig string
	backend    *httputil.ReverseProxy
	seed       uint64
	closing    chan struct{}

	mu       sync.Mutex
	rules    []*counted
	requests int
	counts   map[Kind]int
	// occurrences of a method and path.
	occurrences map[string]int
}

// counted is a rule and how many requests it has matched.
type counted struct {
	Rule
	matched int
}

// Start a proxy to a cluster. It ends with the test.
func Start(t testing.TB, c *testcluster.Cluster, seed uint64, rules ...Rule) *Proxy {
	t.Helper()
	backend, err := backendOf(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{backend: backend, seed: seed, closing: make(chan struct{}), counts: map[Kind]int{}, occurrences: map[string]int{}}
	p.Set(rules...)
	p.server = httptest.NewUnstartedServer(p)
	p.server.EnableHTTP2 = true
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0) // connections that were reset are no news
	p.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	p.server.StartTLS()
	t.Cleanup(func() {
		close(p.closing)
		p.server.CloseClientConnections()
		p.server.Close()
	})
	// The administrator's certificate cannot be shown to another server than the proxy: without other credentials it is the proxy that
	// shows it to the API server.
	p.kubeconfig = p.KubeconfigFor(t, &clientcmdapi.AuthInfo{})
	return p
}

// Kubeconfig is the path of a kubeconfig that leads through the proxy, as the cluster's administrator.
func (p *Proxy) Kubeconfig() string { return p.kubeconfig }

// KubeconfigFor writes a kubeconfig that leads through the proxy with a user's token or credential plugin.
func (p *Proxy) KubeconfigFor(t testing.TB, user *clientcmdapi.AuthInfo) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	config.Clusters["proxy"] = &clientcmdapi.Cluster{Server: p.server.URL, CertificateAuthorityData: ca}
	config.AuthInfos["user"] = user
	config.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy", AuthInfo: "user"}
	config.CurrentContext = "proxy"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Set replaces the rules. The first that picks a request decides about it.
func (p *Proxy) Set(rules ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
	for _, r := range rules {
		p.rules = append(p.rules, &counted{Rule: r})
	}
}

// Requests counts all that have arrived.
func (p *Proxy) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// Counts are how many faults of each kind happened.
func (p *Proxy) Counts() map[Kind]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// decide finds the rule for a request.
func (p *Proxy) decide(r *http.Request) Rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	id := r.Method + " " + r.URL.Path
	p.occurrences[id]++
	for i, rule := range p.rules {
		if rule.Match != nil && !rule.Match(r) {
			continue
		}
		rule.matched++
		if rule.Nth != 0 && rule.matched != rule.Nth || rule.matched < rule.From || !p.hit(rule.Share, i, id) {
			continue
		}
		p.counts[rule.Fault.Kind]++
		return rule.Rule
	}
	return Rule{}
}

// hit tells whether a share has this occurrence of a request in it.
func (p *Proxy) hit(share float64, rule int, id string) bool {
	if share == 0 {
		return true
	}
	h := fnv.New64a()
	fmt.Fprint(h, p.seed, rule, id, p.occurrences[id])
	x := h.Sum64() // FNV's high bits hardly change with the last character
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11)/(1<<53) < share
}

// ServeHTTP does to a request what the rules say.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rule := p.decide(r)
	if rule.Before != nil {
		rule.Before()
	}
	f := rule.Fault
	switch f.Kind {
	case Answer:
		answer(w, f)
		return
	case ResetBefore:
		resetConnection(r)
		return
	case Drop:
		p.wait(r, nil, nil)
		return
	case Delay:
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		p.wait(r, timer.C, nil)
	case Hold:
		p.wait(r, nil, f.Release)
	}
	if rule.After == nil && f.Kind != ResetAfter || isStream(r) {
		p.backend.ServeHTTP(w, r)
		return
	}
	recorded := httptest.NewRecorder()
	p.backend.ServeHTTP(recorded, r)
	if rule.After != nil {
		rule.After()
	}
	if f.Kind == ResetAfter {
		resetConnection(r)
		return
	}
	maps.Copy(w.Header(), recorded.Header())
	w.WriteHeader(recorded.Code)
	_, _ = w.Write(recorded.Body.Bytes())
}

// wait until something happens, the client goes away, or the proxy is closed.
func (p *Proxy) wait(r *http.Request, over <-chan time.Time, release <-chan struct{}) {
	select {
	case <-over:
	case <-release:
	case <-r.Context().Done():
	case <-p.closing:
	}
}

// answer as the API server does, with a Status.
func answer(w http.ResponseWriter, f Fault) {
	if f.RetryAfter != 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	message := f.Message
	if message == "" {
		message = "injected: " + http.StatusText(f.Status)
	}
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: int32(f.Status), Reason: reasonOf(f.Status), Message: message,
	})
}

func reasonOf(status int) metav1.StatusReason {
	switch status {
	case http.StatusUnauthorized:
		return metav1.StatusReasonUnauthorized
	case http.StatusTooManyRequests:
		return metav1.StatusReasonTooManyRequests
	case http.StatusInternalServerError:
		return metav1.StatusReasonInternalError
	case http.StatusServiceUnavailable:
		return metav1.StatusReasonServiceUnavailable
	case http.StatusGatewayTimeout:
		return metav1.StatusReasonTimeout
	}
	return metav1.StatusReasonUnknown
}

// connectionKey is under which a request's context has its connection.
type connectionKey struct{}

// resetConnection ends the request's TCP connection the hard way.
func resetConnection(r *http.Request) {
	type layered interface{ NetConn() net.Conn }
	c, ok := r.Context().Value(connectionKey{}).(net.Conn)
	for ok {
		if tcp, is := c.(*net.TCPConn); is {
			_ = tcp.SetLinger(0)
			_ = tcp.Close()
			break
		}
		var l layered
		if l, ok = c.(layered); ok {
			c = l.NetConn()
		}
	}
	panic(http.ErrAbortHandler)
}

// isStream tells whether an answer has no end.
func isStream(r *http.Request) bool {
	q := r.URL.Query()
	return r.Header.Get("Upgrade") != "" || q.Get("watch") == "true" || q.Get("watch") == "1" || q.Get("follow") == "true"
}

// backendOf forwards to an API server: with the credentials that a request has, else with those of config.
func backendOf(config *rest.Config) (*httputil.ReverseProxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	route := &routes{}
	for _, c := range []struct {
		config *rest.Config
		h1     bool
		to     *http.RoundTripper
	}{
		{config, false, &route.admin}, {config, true, &route.adminH1},
		{rest.AnonymousClientConfig(config), false, &route.plain}, {rest.AnonymousClientConfig(config), true, &route.plainH1},
	} {
		tc, err := c.config.TransportConfig()
		if err != nil {
			return nil, err
		}
		if c.h1 {
			tc.TLS.NextProtos = []string{"http/1.1"} // HTTP/2 has no upgrades
		}
		if *c.to, err = transport.New(tc); err != nil {
			return nil, err
		}
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
		},
		Transport:     route,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, _ error) {
			if r.Context().Err() != nil { // the client has gone
				panic(http.ErrAbortHandler)
			}
			resetConnection(r) // an API server that is not there must not look like a proxy that says so
		},
	}, nil
}

// routes to the API server: with the administrator's credentials or with none but the request's own.
type routes struct{ admin, adminH1, plain, plainH1 http.RoundTripper }

// RoundTrip picks the route of a request.
func (t *routes) RoundTrip(r *http.Request) (*http.Response, error) {
	upgrade, own := r.Header.Get("Upgrade") != "", r.Header.Get("Authorization") != ""
	switch {
	case own && upgrade:
		return t.plainH1.RoundTrip(r)
	case own:
		return t.plain.RoundTrip(r)
	case upgrade:
		return t.adminH1.RoundTrip(r)
	default:
		return t.admin.RoundTrip(r)
	}
}
