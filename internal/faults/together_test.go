package faults

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-jina/kubectl-jina/internal/faultproxy"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// holder matches how a run that has to wait is told for whom.
var holder = regexp.MustCompile(`(up|down) by \S+ on \S+ \(process \d+\)`)

func TestTenRunsAtOnceOnOneFlow(t *testing.T) {
	l := newLab(t, testcluster.Start(t))
	path := file(t, flowOf(three...))
	const runs = 10
	var all sync.WaitGroup
	results := make([]result, runs)
	for i := range runs {
		p := newProcess(t, slices.Concat([]string{"up", "-f", path}, l.at(l.cluster.Kubeconfig()))...)
		all.Go(func() { results[i] = p.run(t) })
	}
	all.Wait()
	done, waited := 0, 0
	for i, r := range results {
		if holder.MatchString(r.errOut) {
			waited++
		}
		switch {
		case r.code == exitDone:
			done++
		case !holder.MatchString(r.errOut):
			t.Errorf("run %d failed and does not name who holds the Lease: %s", i, r)
		}
	}
	t.Logf("%d runs of up at once on one Flow: %d done, %d were told for whom they wait", runs, done, waited)
	if done == 0 || waited == 0 {
		t.Errorf("%d of %d runs are done, and %d waited for another", done, runs, waited)
	}
	l.madeOnce(t, len(three)+1, 1)
	l.converged(t, path)
}

func TestRunThatMayNotWaitIsToldWhoHoldsTheFlow(t *testing.T) {
	c := testcluster.Start(t)
	l := newLab(t, c)
	path := file(t, flowOf(three...))
	release := make(chan struct{})
	proxy := faultproxy.Start(t, c, 1, faultproxy.Rule{
		Match: func(r *http.Request) bool {
			return faultproxy.Write(r) && strings.Contains(r.URL.Path, "/deployments/")
		},
		Nth: 1, Fault: faultproxy.Fault{Kind: faultproxy.Hold, Release: release},
	})
	first := newProcess(t, slices.Concat([]string{"up", "-f", path}, l.at(proxy.Kubeconfig()))...)
	ended := make(chan result, 1)
	go func() { ended <- first.run(t) }()
	testcluster.Eventually(t, func() error {
		if proxy.Counts()[faultproxy.Hold] == 0 {
			return errors.New("the first run has not come to its workloads")
		}
		return nil
	})
	<-first.started
	name := fmt.Sprintf("process %d)", first.command.Process.Pid)
	l.up(t, path, "--timeout", "3s").wants(t, "is being changed by up by ", name)
	r := run(t.Context(), slices.Concat([]string{"down", "--yes", "--timeout", "3s"}, l.at(c.Kubeconfig()))...)
	r.wants(t, "is being changed by up by ", name)
	close(release)
	if r := <-ended; r.code != exitDone {
		t.Fatalf("the first run: %s", r)
	}
	l.converged(t, path)
}

// TestUpAgainstScaleAgainstDown lets the three loose on one Flow. What each makes of the others is its own business, but none
// crashes or leaves an object behind that nobody tracks, and a last up brings it all up.
func TestUpAgainstScaleAgainstDown(t *testing.T) {
	l := newLab(t, testcluster.Start(t))
	path := file(t, flowOf(three...))
	rounds := number(t, "TOGETHER_ROUNDS", 4)
	binary := plugin(t)
	l.jina(t, exitDone, "up", "-f", path)
	at := l.at(l.cluster.Kubeconfig())
	commands := map[string]func(round int) []string{
		"up": func(int) []string { return []string{"up", "--yes", "-f", path, "--timeout", "20s"} },
		"scale": func(round int) []string {
			return []string{"scale", "encoder", "gateway", "--replicas", fmt.Sprint(1 + round%3), "--timeout", "5s"}
		},
		"down": func(int) []string { return []string{"down", "--yes", "--timeout", "20s"} },
	}
	var mu sync.Mutex
	outcomes := map[string]int{}
	upsDone := make(chan struct{})
	over := func(name string, round int) bool { // a down of nothing is quick: the others go on as long as there are ups
		if name == "up" {
			return round == rounds
		}
		select {
		case <-upsDone:
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	}
	var all sync.WaitGroup
	for _, name := range slices.Sorted(maps.Keys(commands)) {
		all.Go(func() {
			if name == "up" {
				defer close(upsDone)
			}
			for round := 0; !over(name, round); round++ {
				r := processOf(binary, append(commands[name](round), at...)...).run(t)
				mu.Lock()
				outcomes[fmt.Sprintf("%s → %d", name, r.code)]++
				mu.Unlock()
				if !slices.Contains([]int{0, 1, 3, 5, 6, 64}, r.code) || strings.Contains(r.errOut, "goroutine ") {
					t.Errorf("%s: %s", name, r)
				}
				if r.code != exitDone && !strings.Contains(r.errOut, "error: ") {
					t.Errorf("%s does not say why it failed: %s", name, r)
				}
			}
		})
	}
	all.Wait()
	l.tracked(t)
	var counted []string
	for _, o := range slices.Sorted(maps.Keys(outcomes)) {
		counted = append(counted, fmt.Sprintf("%d × %s", outcomes[o], o))
	}
	t.Logf("%d ups against scale against down, exit codes: %s", rounds, strings.Join(counted, ", "))
	l.jina(t, exitDone, "up", "--yes", "-f", path)
	l.converged(t, path)
	l.gone(t)
}
