package apply

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// writer applies objects concurrently and remembers how far it came.
type writer struct {
	client *Client
	opts   Options
	emit   func(Event)
	result *Result

	mu      sync.Mutex
	started map[plan.Ref]bool
	done    map[plan.Ref]bool
}

func (w *writer) write(ctx context.Context, changes []plan.Change) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, ch := range changes {
		g.Go(func() error {
			if gctx.Err() != nil {
				return gctx.Err()
			}
			w.mark(ch.Ref)
			o, touched, err := w.client.carryOut(gctx, ch, w.opts.Force)
			if err != nil {
				if !touched && !unsure(err) {
					w.unmark(ch.Ref)
				}
				return err
			}
			w.finish(ch, o)
			return nil
		})
	}
	err := g.Wait()
	var status apierrors.APIStatus
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.As(err, &status) {
		return err // what the server answered to the end tells more than that time was over
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// unsure tells whether a request that failed may have been carried out all the same: its answer was lost, or is that of a
// server that does not know.
func unsure(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Code >= http.StatusInternalServerError
	}
	var network *url.Error
	return isCancelled(err) || errors.As(err, &network)
}

// mark says that the request is about to be sent.
func (w *writer) mark(r plan.Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started[r] = true
}

// unmark says that the server refused the object: it is surely not applied.
func (w *writer) unmark(r plan.Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.started, r)
}

func (w *writer) finish(ch plan.Change, o *unstructured.Unstructured) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[ch.Ref] = true
	w.result.Generations[ch.Ref] = o.GetGeneration()
	w.emit(Event{Ref: ch.Ref, Part: ch.Part, Action: ch.Action})
}

func (w *writer) partial(err error, changes []plan.Change) error {
	p := &PartialError{Err: err}
	for _, ch := range changes {
		switch {
		case w.done[ch.Ref]:
			p.Applied = append(p.Applied, ch.Ref)
		case w.started[ch.Ref]:
			p.Unsure = append(p.Unsure, ch.Ref)
		default:
			p.NotApplied = append(p.NotApplied, ch.Ref)
		}
	}
	return p
}
