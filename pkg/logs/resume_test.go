package logs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// written is a line of a log that a test server has.
type written struct {
	at   time.Time
	text string
}

// TestNothingIsLostOrDoubledOverReconnections reads a log whose connection breaks again and again, as the API gives it: since a
// second, from there on everything. The times are not quite in order, and some are equal.
func TestNothingIsLostOrDoubledOverReconnections(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var log []written
		at := noon
		for i := range 300 {
			at = at.Add(time.Duration(random.IntN(4)) * 100 * time.Millisecond)
			log = append(log, written{at, fmt.Sprint(i)})
		}
		for i := 1; i < len(log); i++ { // standard output and error, side by side
			if random.IntN(5) == 0 && log[i].at.Truncate(time.Second).Equal(log[i-1].at.Truncate(time.Second)) {
				log[i-1].at, log[i].at = log[i].at, log[i-1].at
			}
		}
		var r resume
		var got []string
		for len(got) < len(log) {
			since := r.since()
			r.reconnected()
			breaks := random.IntN(60) + 20
			for _, line := range log {
				if line.at.Before(since) {
					continue
				}
				if breaks--; breaks < 0 {
					break
				}
				if r.take(line.at) {
					got = append(got, line.text)
				}
			}
		}
		want := make([]string, len(log))
		for i, line := range log {
			want[i] = line.text
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %v", seed, got)
		}
	}
}

func TestEqualLinesOfOneInstantAreAllGiven(t *testing.T) {
	var r resume
	for range 3 {
		if !r.take(noon) {
			t.Error("a line of the same instant was dropped")
		}
	}
	r.reconnected()
	for range 3 {
		if r.take(noon) {
			t.Error("a line came twice")
		}
	}
	if !r.take(noon) {
		t.Error("a fourth line of the same instant was dropped")
	}
}

func TestLinesWithoutATimeAreGiven(t *testing.T) {
	var r resume
	for range 2 {
		if !r.take(time.Time{}) || !r.since().IsZero() {
			t.Errorf("got %+v", r)
		}
	}
}

func TestTheMemoryOfASecondIsForgottenInTheNext(t *testing.T) {
	var r resume
	for i := range 1000 {
		r.take(noon.Add(time.Duration(i) * 10 * time.Millisecond))
	}
	if len(r.given) > 100 {
		t.Errorf("%d lines are remembered", len(r.given))
	}
}

func TestWhatWasWrittenBeforeTheTailStaysOutAtAReconnection(t *testing.T) {
	for _, c := range []struct {
		tailed bool
		before bool
	}{{true, false}, {false, true}} {
		r := resume{tailed: c.tailed}
		r.take(noon.Add(500 * time.Millisecond))
		r.reconnected()
		if got := r.take(noon.Add(100 * time.Millisecond)); got != c.before {
			t.Errorf("tailed %v: the line before the first is given: %v", c.tailed, got)
		}
		if r.take(noon.Add(500*time.Millisecond)) || !r.take(noon.Add(600*time.Millisecond)) {
			t.Errorf("tailed %v: a line came twice, or was lost", c.tailed)
		}
	}
}
