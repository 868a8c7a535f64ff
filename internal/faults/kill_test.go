package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/internal/faultproxy"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// atOnce is how many points are tried side by side: most of a point's time goes by in waiting for a dead run's Lease.
const atOnce = 10

// scenario is a run that is hit at some of its requests.
type scenario struct {
	name string
	// before the run the namespace has this Flow, or none.
	before []string
	// then is the file of the run, and of the plain one after it.
	then []string
	args func(path string) []string
}

func scenarios() []scenario {
	up := func(path string) []string { return []string{"up", "--yes", "-f", path} }
	return []scenario{
		{"up of a new Flow", nil, []string{"encoder", "ranker", "indexer"}, up},
		// An executor with another name: one is created, one is pruned.
		{"up of a changed Flow", []string{"encoder", "ranker", "indexer"}, []string{"encoder", "reranker", "indexer"}, up},
		{"down", []string{"encoder", "ranker", "indexer"}, []string{"encoder", "ranker", "indexer"}, func(string) []string { return []string{"down", "--yes"} }},
	}
}

// prepare brings up what is there before, and writes the file.
func (s scenario) prepare(t *testing.T, l lab) (path string) {
	t.Helper()
	if s.before != nil {
		l.jina(t, exitDone, "up", "-f", file(t, flowOf(s.before...)))
	}
	return file(t, flowOf(s.then...))
}

// requests counts those of a run that nothing disturbs.
func (s scenario) requests(t *testing.T, c *testcluster.Cluster) int {
	t.Helper()
	l := newLab(t, c)
	path := s.prepare(t, l)
	proxy := faultproxy.Start(t, c, 0)
	if r := run(t.Context(), slices.Concat(s.args(path), l.at(proxy.Kubeconfig()))...); r.code != exitDone {
		t.Fatalf("%s, undisturbed: %s", s.name, r)
	}
	return proxy.Requests()
}

// point is where a run is hit.
type point struct {
	scenario
	// request is its number, from 1.
	request int
	// after: the API server has carried it out, but the run has no answer yet.
	after bool
	// dice is a random number for the rest.
	dice int
}

func (p point) String() string {
	when := "before"
	if p.after {
		when = "after"
	}
	return fmt.Sprintf("%s, %s request %d", p.name, when, p.request)
}

// points of all scenarios in turn.
func points(t *testing.T, c *testcluster.Cluster, n int, seed uint64) []point {
	t.Helper()
	all := scenarios()
	counts := make([]int, len(all))
	for i, s := range all {
		counts[i] = s.requests(t, c)
		t.Logf("%s: %d requests", s.name, counts[i])
	}
	random := rand.New(rand.NewPCG(seed, 0))
	out := make([]point, n)
	for i := range out {
		k := i % len(all)
		out[i] = point{scenario: all[k], request: 1 + random.IntN(counts[k]), after: random.IntN(2) == 1, dice: random.IntN(1 << 20)}
	}
	return out
}

// each runs a subtest for every point, several at once.
func each[T fmt.Stringer](t *testing.T, points []T, test func(*testing.T, T)) {
	t.Helper()
	next := make(chan T)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for p := range next {
				t.Run(p.String(), func(t *testing.T) { test(t, p) })
			}
		})
	}
	for _, p := range points {
		next <- p
	}
	close(next)
	workers.Wait()
}

// TestKilledRunIsContinued kills runs at random requests. After each, no object is untracked, a plain up converges, and
// down leaves nothing.
func TestKilledRunIsContinued(t *testing.T) {
	t.Parallel() // most of its time goes by in waiting
	c := testcluster.Start(t)
	seed := number(t, "KILL_SEED", 1)
	all := points(t, c, number(t, "KILL_POINTS", 20), uint64(seed))
	var killed, after, ended, continued atomic.Int64
	each(t, all, func(t *testing.T, p point) {
		l := newLab(t, c)
		path := p.prepare(t, l)
		proxy := faultproxy.Start(t, c, 0)
		victim := newProcess(t, slices.Concat(p.args(path), l.at(proxy.Kubeconfig()))...)
		kill := func() { victim.signal(os.Kill) }
		rule := faultproxy.Rule{Nth: p.request, Before: kill, Fault: faultproxy.Fault{Kind: faultproxy.ResetBefore}}
		if p.after {
			rule = faultproxy.Rule{Nth: p.request, After: kill, Fault: faultproxy.Fault{Kind: faultproxy.ResetAfter}}
		}
		proxy.Set(rule)
		switch r := victim.run(t); {
		case r.code == -1:
			killed.Add(1)
			if p.after {
				after.Add(1)
			}
		case r.code == exitDone: // it needed fewer requests this time
			ended.Add(1)
		default:
			t.Errorf("neither killed nor done: %s", r)
		}
		l.tracked(t)
		l.jina(t, exitDone, "up", "--yes", "-f", path)
		l.converged(t, path)
		l.gone(t)
		if !t.Failed() {
			continued.Add(1)
		}
	})
	t.Logf("seed %d: %d points: %d runs killed (%d of them after their request was carried out), %d ended before; %d converged with no object untracked",
		seed, len(all), killed.Load(), after.Load(), ended.Load(), continued.Load())
	if killed.Load() < int64(len(all))*8/10 {
		t.Errorf("only %d of %d runs were killed", killed.Load(), len(all))
	}
}
