package cmd

import (
	"slices"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/transport"
)

func TestEachReasonToTryAgainIsSaidOnce(t *testing.T) {
	var lines, later []string
	n := newNotices(func(line string) { lines = append(lines, line) })
	n.handle(transport.Notice{Status: 503, Reason: "no leader", Try: 1})
	n.handle(transport.Notice{Status: 503, Reason: "no leader", Try: 2})
	n.handle(transport.Notice{Reason: "connection reset", Try: 3})
	n.through(func(line string) { later = append(later, line) })
	n.handle(transport.Notice{Reason: "connection reset", Try: 4})
	n.handle(transport.Notice{Status: 500, Reason: "no leader", Try: 5})
	want := []string{
		"the API server answers 503 (no leader); trying again",
		"the API server does not answer (connection reset); trying again",
	}
	if !slices.Equal(lines, want) || !slices.Equal(later, []string{"the API server answers 500 (no leader); trying again"}) {
		t.Errorf("%q, then %q", lines, later)
	}
}
