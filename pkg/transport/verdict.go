package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// verdict on the outcome of a try.
type verdict struct {
	again bool
	// status and reason are as in Notice.
	status int
	reason string
	// after is how long the server asks to stay away; atOnce is for what no pause makes better.
	after  time.Duration
	atOnce bool
	// unreached: there was no connection.
	unreached bool
}

// quotaConflict is in the API server's answer when two requests met at the counters of a ResourceQuota: a 409 that is no
// disagreement about the object.
var quotaConflict = []byte("Operation cannot be fulfilled on resourcequotas")

// unknownField is in the API server's answer to an apply with a field that the kind does not have: a 500 that stays one
// (k8s.io/apimachinery/pkg/util/managedfields/internal/structuredmerge.go).
var unknownField = []byte("failed to create typed patch object")

// judge says whether to try again, and why.
func (c *call) judge(resp *http.Response, err error) verdict {
	if err != nil {
		return c.judgeError(err)
	}
	v := verdict{status: resp.StatusCode}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		v.again = !bytes.Contains(bytesOf(resp), unknownField)
		v.after = retryAfter(resp.Header.Get("Retry-After"), c.pace.now())
	case http.StatusConflict:
		v.again = bytes.Contains(bytesOf(resp), quotaConflict)
	case http.StatusUnauthorized:
		// A token that was good may have expired: the way through the credential plugin brings a new one, if there is one.
		v.again, v.atOnce = c.host.hasAccepted() && !c.reauthorized, true
		c.reauthorized = true
	}
	if v.again {
		v.reason = messageOf(bytesOf(resp))
		if v.reason == "" {
			v.reason = http.StatusText(resp.StatusCode)
		}
	}
	return v
}

func (c *call) judgeError(err error) verdict {
	kind, reason := classify(err)
	switch kind {
	case connectionLost:
		return verdict{again: true, reason: reason}
	case connectionFailed:
		// An API server that restarts is worth waiting for; an address where there never was one is not.
		return verdict{again: c.host.hasAnswered(), reason: reason, unreached: true}
	default:
		return verdict{}
	}
}

type errorKind int

const (
	otherError       errorKind = iota // not the network's: certificates, the credential plugin, a context
	connectionFailed                  // there was no connection
	connectionLost                    // there was one, and no whole answer came over it
)

// classify tells what happened to the connection, with words that do not hold the addresses and ports of this very try.
func classify(err error) (errorKind, string) {
	var broken *brokenAnswerError
	var operation *net.OpError
	var timeout net.Error
	isOperation := errors.As(err, &operation)
	switch {
	case isOperation && (operation.Op == "dial" || operation.Op == "proxyconnect"):
		return connectionFailed, failedReason(err)
	case errors.Is(err, errSilent):
		return connectionLost, errSilent.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return connectionLost, errSilent.Error()
	case isReset(err):
		return connectionLost, "connection reset"
	case errors.As(err, &broken):
		return connectionLost, "the answer broke off"
	case isOperation && (operation.Op == "read" || operation.Op == "write"),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), isClosed(err):
		return connectionLost, "connection closed"
	default:
		return otherError, ""
	}
}

func failedReason(err error) string {
	var dns *net.DNSError
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return "unknown host"
	case errors.As(err, &errno):
		return oneLine(errno.Error())
	case errors.As(err, &timeout) && timeout.Timeout():
		return errSilent.Error()
	default:
		return "no connection"
	}
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EPIPE)
}

// isClosed knows the errors that net/http and its HTTP/2 have no exported type or value for.
func isClosed(err error) bool {
	text := err.Error()
	for _, part := range []string{
		"http2: server sent GOAWAY", "http2: Transport received Server's graceful shutdown GOAWAY",
		"http2: client connection lost", "http2: client conn", "stream error: stream ID",
		"http: server closed idle connection", "http: can't write HTTP request on broken connection", "transport connection broken",
	} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// ConnectionError says that no answer came until the time for it was over.
type ConnectionError struct {
	// Tries that were made, all but the first within Over.
	Tries int
	Over  time.Duration
	// Reason is what happened to the last.
	Reason string

	err       error
	unreached bool
}

// Error is one line.
func (e *ConnectionError) Error() string {
	if e.Tries == 1 {
		return "no answer: " + e.Reason
	}
	return fmt.Sprintf("no answer in %d tries within %s, the last time: %s", e.Tries, e.Over.Round(time.Second), e.Reason)
}

// Unwrap returns the cause when there was no connection. The loss of a connection is not shown: client-go, which knows it
// by its type and by its text, would repeat the whole call ten times.
func (e *ConnectionError) Unwrap() error {
	if e.unreached {
		return e.err
	}
	return nil
}
