package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// heldMost is how much of an answer is kept in memory, to be sure of it before it is returned. Only lists of thousands of
// objects are longer; their rest is read by the caller.
const heldMost = 8 << 20

// brokenAnswerError says that an answer began and broke off.
type brokenAnswerError struct{ err error }

func (e *brokenAnswerError) Error() string { return fmt.Sprintf("the answer broke off: %v", e.err) }
func (e *brokenAnswerError) Unwrap() error { return e.err }

// heldBody is an answer's body, of which the beginning is in memory.
type heldBody struct {
	held bytes.Reader
	// more is what follows; nil when all is held.
	more   io.ReadCloser
	closed func()
}

func (b *heldBody) Read(p []byte) (int, error) {
	if b.held.Len() > 0 || b.more == nil {
		return b.held.Read(p)
	}
	return b.more.Read(p)
}

// Close the connection's side of it.
func (b *heldBody) Close() error {
	if b.more == nil {
		return nil
	}
	err := b.more.Close()
	if b.closed != nil {
		b.closed()
	}
	return err
}

// hold reads an answer's body into memory, up to heldMost.
func hold(resp *http.Response) error {
	if resp.Body == nil || resp.Body == http.NoBody {
		return nil
	}
	var buffer bytes.Buffer
	if n := resp.ContentLength; n > 0 {
		buffer.Grow(int(min(n, heldMost)) + bytes.MinRead)
	}
	n, err := buffer.ReadFrom(io.LimitReader(resp.Body, heldMost+1))
	if err != nil {
		_ = resp.Body.Close()
		return &brokenAnswerError{err}
	}
	body := &heldBody{}
	body.held.Reset(buffer.Bytes())
	if n > heldMost {
		body.more = resp.Body
	} else {
		_ = resp.Body.Close()
	}
	resp.Body = body
	return nil
}

// bytesOf is what is held of an answer's body, without reading it.
func bytesOf(resp *http.Response) []byte {
	body, ok := resp.Body.(*heldBody)
	if !ok {
		return nil
	}
	b := make([]byte, body.held.Len())
	n, _ := body.held.ReadAt(b, body.held.Size()-int64(body.held.Len()))
	return b[:n]
}

// messageOf is the message of the Status that an API server answers when it refuses, in JSON or protobuf; empty for any other body.
func messageOf(body []byte) string {
	o, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return ""
	}
	status, ok := o.(*metav1.Status)
	if !ok {
		return ""
	}
	return oneLine(status.Message)
}

// oneLine makes foreign text fit for a line of a terminal.
func oneLine(s string) string {
	const most = 300
	s = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most-1]) + "…"
	}
	return s
}

// retryAfter reads the header of that name: seconds, or a date. 0 stands for none.
func retryAfter(header string, now time.Time) time.Duration {
	const most = 24 * time.Hour // whatever is longer is not waited for anyway
	if seconds, err := strconv.ParseInt(strings.TrimSpace(header), 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(most/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return min(max(date.Sub(now), 0), most)
	}
	return 0
}

// repeatable tells whether a request can be sent again: not one that turns the connection into another protocol's, and not
// one with a body that is gone once it is read.
func repeatable(req *http.Request) bool {
	if req.Header.Get("Upgrade") != "" {
		return false
	}
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// isStream tells whether the answer comes as things happen: it has no end, and must not be waited for.
func isStream(req *http.Request) bool {
	q := req.URL.Query()
	for _, name := range []string{"watch", "follow"} {
		if on, err := strconv.ParseBool(q.Get(name)); err == nil && on {
			return true
		}
	}
	switch path.Base(req.URL.Path) {
	case "log", "exec", "attach", "portforward", "proxy":
		return true
	}
	return strings.Contains(req.URL.Path, "/proxy/")
}

var errSilent = errors.New("no answer in time")
