package cmd

import (
	"fmt"
	"io"
	"net/http"
	"sync"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"

	"github.com/kubectl-jina/kubectl-jina/pkg/transport"
)

// notices prints why requests are sent again, each reason once: a thousand requests that wait for one API server are one
// piece of news.
type notices struct {
	mu    sync.Mutex
	print func(line string)
	said  map[string]bool
}

// newNotices prints lines with print.
func newNotices(print func(line string)) *notices {
	return &notices{print: print, said: map[string]bool{}}
}

// through prints what follows with another function, as below a tree that is drawn again in place.
func (n *notices) through(print func(line string)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.print = print
}

// handle takes in a notice of the transport, from any goroutine.
func (n *notices) handle(x transport.Notice) {
	line := fmt.Sprintf("the API server answers %d (%s); trying again", x.Status, x.Reason)
	if x.Status == 0 {
		line = fmt.Sprintf("the API server does not answer (%s); trying again", x.Reason)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.said[line] {
		return
	}
	n.said[line] = true
	n.print(line)
}

// httpClient is the one that all requests of a command go through. The transport that repeats them is outside client-go's
// own, so that each try goes through the credential plugin.
func (f *factory) httpClient(config *rest.Config) (*http.Client, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	next := client.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	return &http.Client{Transport: transport.Wrap(next, transport.Options{Notice: f.notices.handle}), Timeout: client.Timeout}, nil
}

// newProgress is a printer of progress, which the notices go through from now on.
func (f *factory) newProgress(errOut io.Writer) *progress {
	return f.newProgressAs("", genericiooptions.IOStreams{Out: io.Discard, ErrOut: errOut})
}

// newProgressAs is newProgress in one of the forms of --output.
func (f *factory) newProgressAs(form string, streams genericiooptions.IOStreams) *progress {
	p := newProgressAs(form, streams, f.terminal())
	f.notices.through(p.Line)
	return p
}
