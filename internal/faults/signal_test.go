package faults

import (
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-jina/kubectl-jina/internal/faultproxy"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// endsWithin is the time between a signal and the end of the process.
const endsWithin = 2 * time.Second

// saysWhatWasDone matches the last words of an interrupted run.
var saysWhatWasDone = regexp.MustCompile(`interrupted[^\n]*(: nothing was (applied|deleted)|: everything is applied|: \d+ of \d+ objects were told to go)|` +
	`interrupted[^\n]*\n\d+ of \d+ objects were applied`)

// TestSignalEndsARunWhichSaysWhatItHasDone interrupts runs at random requests, half of them while the request hangs. A plain
// up then converges.
func TestSignalEndsARunWhichSaysWhatItHasDone(t *testing.T) {
	t.Parallel() // most of its time goes by in waiting
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals")
	}
	c := testcluster.Start(t)
	seed := number(t, "KILL_SEED", 1)
	all := points(t, c, number(t, "SIGNAL_POINTS", 20), uint64(seed))
	var interrupted, hanging, ended atomic.Int64
	each(t, all, func(t *testing.T, p point) {
		l := newLab(t, c)
		path := p.prepare(t, l)
		proxy := faultproxy.Start(t, c, 0)
		victim := newProcess(t, slices.Concat(p.args(path), l.at(proxy.Kubeconfig()))...)
		signal := []os.Signal{os.Interrupt, syscall.SIGTERM}[p.dice%2]
		var sent atomic.Int64
		send := func() {
			victim.signal(signal)
			sent.Store(time.Now().UnixNano())
		}
		rule := faultproxy.Rule{Nth: p.request, Before: send}
		hangs := p.dice/2%2 == 1
		if hangs {
			rule.Fault.Kind = faultproxy.Drop
		}
		proxy.Set(rule)
		r := victim.run(t)
		took := time.Since(time.Unix(0, sent.Load()))
		switch {
		case r.code == exitDone && (sent.Load() == 0 || strings.Contains(r.out, "Flow shop is")):
			ended.Add(1) // the run was over, but for giving its Lease back
		case r.code != exitInterrupted:
			t.Errorf("%s: %s", signal, r)
		default:
			interrupted.Add(1)
			if hangs {
				hanging.Add(1)
			}
			if took > endsWithin {
				t.Errorf("%s: the process ended after %s:\n%s", signal, took, r.errOut)
			}
			if !saysWhatWasDone.MatchString(r.errOut) {
				t.Errorf("%s: it does not say what was done: %s", signal, r)
			}
		}
		l.tracked(t)
		l.jina(t, exitDone, "up", "--yes", "-f", path)
		l.converged(t, path)
	})
	t.Logf("seed %d: %d points, SIGINT and SIGTERM: %d runs interrupted (%d of them while a request hung), each within %s and with exit code %d; %d had ended before",
		seed, len(all), interrupted.Load(), hanging.Load(), endsWithin, exitInterrupted, ended.Load())
	if interrupted.Load() < int64(len(all))*7/10 {
		t.Errorf("only %d of %d runs were interrupted", interrupted.Load(), len(all))
	}
}
