package logs

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// ahead is how many lines of each log are read before they are wanted.
const ahead = 64

// reading is a log that is being read, and its next line.
type reading struct {
	source source
	place  int
	lines  chan Line
	err    error // valid once lines is closed
	next   Line
}

// byTime is a heap of readings, that with the earliest next line first.
type byTime []*reading

func (h byTime) Len() int { return len(h) }
func (h byTime) Less(i, j int) bool {
	if c := h[i].next.Time.Compare(h[j].next.Time); c != 0 {
		return c < 0
	}
	return h[i].place < h[j].place
}
func (h byTime) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *byTime) Push(x any)   { *h = append(*h, x.(*reading)) }
func (h *byTime) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// readMerged reads the sources side by side and gives their lines in the order of time.
func readMerged(ctx context.Context, open opener, sources []source, req Request, emit func(Line)) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	readings := make([]*reading, len(sources))
	for i, s := range sources {
		r := &reading{source: s, place: i, lines: make(chan Line, ahead)}
		readings[i] = r
		running.Go(func() {
			defer close(r.lines)
			r.err = r.read(ctx, open, req)
		})
	}
	var waiting byTime
	for _, r := range readings {
		if line, more := <-r.lines; more {
			r.next = line
			waiting = append(waiting, r)
		}
	}
	heap.Init(&waiting)
	for len(waiting) > 0 {
		r := waiting[0]
		emit(r.next)
		if line, more := <-r.lines; more {
			r.next = line
			heap.Fix(&waiting, 0)
		} else {
			heap.Pop(&waiting)
		}
	}
	return outcome(ctx, readings, req)
}

// read reads one log to its end.
func (r *reading) read(ctx context.Context, open opener, req Request) error {
	body, err := open(ctx, r.source.pod, req.options(r.source.container))
	if err != nil {
		return err
	}
	defer body.Close()
	return readSource(body, r.source, true, func(l Line) {
		select {
		case r.lines <- l:
		case <-ctx.Done():
		}
	})
}

// outcome says what was not read: the failure of all is an error, as is a log that broke off.
func outcome(ctx context.Context, readings []*reading, req Request) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var broken error
	absent := 0
	for _, r := range readings {
		switch {
		case r.err == nil:
		case refused(r.err):
			return fmt.Errorf("cannot read the log of %s: %w", r.source, r.err)
		case notYet(r.err):
			absent++
			if len(readings) > 1 {
				req.notice("no log of %s: %s", r.source, rollout.PlainText(r.err.Error()))
			}
		default:
			broken = errors.Join(broken, fmt.Errorf("the log of %s could not be read to its end: %w", r.source, r.err))
		}
	}
	if broken == nil && absent == len(readings) {
		if absent == 1 {
			return fmt.Errorf("no log of %s: %w", readings[0].source, readings[0].err)
		}
		return errors.New("none of the containers has such a log")
	}
	return broken
}
