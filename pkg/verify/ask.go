package verify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// Dialer opens a connection to a port of a pod. An error that wraps [UnreachableError] says that it cannot be done at all, for
// the want of a right or of a way to the pod; any other is taken for the pod's.
type Dialer interface {
	Dial(ctx context.Context, pod string, port int) (net.Conn, error)
}

// UnreachableError says that no connection to a pod can be made, whatever runs in it.
type UnreachableError struct{ Err error }

func (e *UnreachableError) Error() string { return e.Err.Error() }
func (e *UnreachableError) Unwrap() error { return e.Err }

// plain makes text from the cluster safe to print.
func plain(text string) string { return rollout.PlainText(text) }

// line is one connection to a port of a pod, over which it is asked. Close it.
type line struct {
	client   *http.Client
	base     string
	endpoint plan.Endpoint
	heard    *lastError
}

// lastError is the last error of a connection. HTTP/2 says of a connection that breaks only that it could not be established,
// and not why.
type lastError struct {
	mu  sync.Mutex
	err error
}

// heardConn keeps the error that reading has ended with.
type heardConn struct {
	net.Conn
	heard *lastError
}

func (c heardConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		c.heard.mu.Lock()
		defer c.heard.mu.Unlock()
		if c.heard.err == nil {
			c.heard.err = err
		}
	}
	return n, err
}

// do sends a request. Its error is the connection's where that has one, without the address that nobody knows.
func (l *line) do(request *http.Request) (*http.Response, error) {
	response, err := l.client.Do(request)
	if err == nil {
		return response, nil
	}
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		err = outer.Err
	}
	l.heard.mu.Lock()
	defer l.heard.mu.Unlock()
	if l.heard.err != nil && request.Context().Err() == nil {
		return nil, l.heard.err
	}
	return nil, err
}

// lineTo prepares to ask an endpoint; the first question connects. A server's certificate is for the name of its Service and
// seldom of an authority that this machine knows: it is not verified, since nothing secret is sent.
func lineTo(dialer Dialer, pod string, e plan.Endpoint) *line {
	heard := &lastError{}
	protocols := &http.Protocols{}
	switch {
	case e.Protocol != plan.ProtocolGRPC:
		protocols.SetHTTP1(true)
	case e.TLS:
		protocols.SetHTTP2(true)
	default:
		protocols.SetUnencryptedHTTP2(true)
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dialer.Dial(ctx, pod, e.Port)
			if err != nil {
				return nil, err
			}
			return heardConn{conn, heard}, nil
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		Protocols:       protocols,
		MaxConnsPerHost: 1,
	}
	scheme := "http"
	if e.TLS {
		scheme = "https"
	}
	return &line{
		client: &http.Client{
			Transport: transport,
			// A custom gateway may answer with one: it would lead elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		base:     fmt.Sprintf("%s://%s", scheme, net.JoinHostPort("localhost", fmt.Sprint(e.Port))),
		endpoint: e,
		heard:    heard,
	}
}

func (l *line) Close() { l.client.CloseIdleConnections() }

// get asks an HTTP server.
func (l *line) get(ctx context.Context, path string) (code int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.base+path, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	response, err := l.do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errTooLong
	}
	return response.StatusCode, body, err
}

// errNoDryRun: the server has none, as a gateway of one's own.
var errNoDryRun = errors.New("it has no dry run")

// dryRun asks a gateway for a dry run through the whole graph. A *flowError says that the gateway answered and the Flow did not.
func (l *line) dryRun(ctx context.Context) error {
	if l.endpoint.Protocol != plan.ProtocolGRPC {
		return l.dryRunHTTP(ctx)
	}
	answer, err := l.call(ctx, methodDryRun)
	if unimplemented(err) {
		return errNoDryRun
	}
	if err != nil {
		return err
	}
	s, err := decodeStatus(answer)
	if err != nil {
		return fmt.Errorf("the answer is no status of Jina's: %w", err)
	}
	return s.err()
}

// dryRunHTTP reads the status as JSON, in which the enumeration is a number or its name.
func (l *line) dryRunHTTP(ctx context.Context) error {
	code, body, err := l.get(ctx, "/dry_run")
	if err != nil {
		return err
	}
	if code == http.StatusNotFound {
		return errNoDryRun
	}
	if code != http.StatusOK {
		return fmt.Errorf("GET /dry_run: HTTP status %d", code)
	}
	var answer *struct {
		Code        any    `json:"code"`
		Description string `json:"description"`
		Exception   struct {
			Name     string `json:"name"`
			Executor string `json:"executor"`
		} `json:"exception"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("GET /dry_run: the answer is no status of Jina's: %w", err)
	}
	if answer == nil {
		return nil
	}
	s := status{description: answer.Description, exception: answer.Exception.Name, executor: answer.Exception.Executor}
	switch answer.Code {
	case nil, float64(0), "SUCCESS": // a field with its default may be left out
	default:
		s.failed = true
	}
	return s.err()
}

// versions asks a server what it runs, which shows that it answers. A server of HTTP that is not a gateway has nothing to say of
// its versions: then they are empty.
func (l *line) versions(ctx context.Context) (Versions, error) {
	if l.endpoint.Protocol == plan.ProtocolGRPC {
		answer, err := l.call(ctx, methodStatus)
		if err != nil {
			return Versions{}, err
		}
		return decodeVersions(answer)
	}
	code, body, err := l.get(ctx, "/status")
	if err != nil {
		return Versions{}, err
	}
	if code >= http.StatusInternalServerError {
		return Versions{}, fmt.Errorf("GET /status: HTTP status %d", code)
	}
	var answer struct {
		Jina struct {
			Jina     string `json:"jina"`
			DocArray string `json:"docarray"`
		} `json:"jina"`
	}
	if code != http.StatusOK || json.Unmarshal(body, &answer) != nil {
		return Versions{}, nil
	}
	return Versions{Jina: plain(answer.Jina.Jina), DocArray: plain(answer.Jina.DocArray)}, nil
}

// endpoints asks an executor whether it has a default endpoint. A head has to ask a shard for that.
func (l *line) endpoints(ctx context.Context) (hasDefault bool, err error) {
	answer, err := l.call(ctx, methodEndpoints)
	if err != nil {
		return false, err
	}
	return decodeEndpoints(answer)
}

// timed is how long f takes, once it has no error.
func timed(f func() error) (time.Duration, error) {
	begin := time.Now()
	err := f()
	return time.Since(begin), err
}
