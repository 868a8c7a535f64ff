package logs

import (
	"maps"
	"time"
)

// resume remembers how far a log was read, so that reading goes on without a gap and without a line twice. The API can be asked
// for the lines since a second, not since an instant (metav1.Time), so those of the last second come again; and a
// runtime that reads standard output and standard error side by side may write times that are not quite in order, so the
// lines of that second are remembered one by one.
type resume struct {
	// tailed: what was written before the first line that was given out is not wanted.
	tailed bool
	// first is the time of the first line that was given out, newest the latest one.
	first, newest time.Time
	// given are the lines since the second of newest, by their time.
	given map[int64]int
	// again are those that are expected once more after a reconnection.
	again map[int64]int
}

// since is the second to ask from, zero when nothing was read.
func (r *resume) since() time.Time { return r.newest.Truncate(time.Second) }

// reconnected says that the log comes again from since on.
func (r *resume) reconnected() { r.again = maps.Clone(r.given) }

// take tells whether a line is a new one, and remembers it. Lines without a time always are.
func (r *resume) take(stamp time.Time) bool {
	if stamp.IsZero() {
		return true
	}
	key := stamp.UnixNano()
	if r.again[key] > 0 {
		r.again[key]--
		return false
	}
	if r.tailed && r.again != nil && stamp.Before(r.first) {
		return false // of the second that was asked for again, before the tail
	}
	if r.newest.IsZero() {
		r.first = stamp
	}
	second := r.since()
	if stamp.After(r.newest) {
		r.newest = stamp
	}
	if now := r.since(); now.After(second) || r.given == nil {
		r.given = map[int64]int{}
	}
	if !stamp.Before(r.since()) {
		r.given[key]++
	}
	return true
}
