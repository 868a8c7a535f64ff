package faults

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/internal/faultproxy"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// flaky are rules that disturb a tenth of the requests. A reset takes the other requests of its connection with it.
func flaky() []faultproxy.Rule {
	return []faultproxy.Rule{
		// The five seconds, but few of them: they are all that this test waits for.
		{Share: 0.005, Fault: faultproxy.Fault{Kind: faultproxy.Delay, Delay: 5 * time.Second}},
		{Share: 0.02, Fault: faultproxy.Fault{Kind: faultproxy.Answer, Status: 500, RetryAfter: 1}},
		{Share: 0.02, Fault: faultproxy.Fault{Kind: faultproxy.Answer, Status: 503, RetryAfter: 1}},
		{Share: 0.02, Fault: faultproxy.Fault{Kind: faultproxy.Answer, Status: 429, RetryAfter: 1}},
		{Share: 0.01, Fault: faultproxy.Fault{Kind: faultproxy.ResetBefore}},
		{Share: 0.03, Match: faultproxy.Write, Fault: faultproxy.Fault{Kind: faultproxy.ResetAfter}},
	}
}

// TestFlakyServerIsNoFailure takes a Flow up, changes it and takes it down through an API server of which every tenth request
// goes wrong: every run is done, and each object was made once.
func TestFlakyServerIsNoFailure(t *testing.T) {
	t.Parallel() // most of its time goes by in waiting
	c := testcluster.Start(t)
	first := number(t, "KILL_SEED", 1)
	seeds := make([]seed, number(t, "FLAKY_SEEDS", 2))
	for i := range seeds {
		seeds[i] = seed(first + i)
	}
	var mu sync.Mutex
	total, faults := 0, map[faultproxy.Kind]int{}
	each(t, seeds, func(t *testing.T, s seed) {
		proxy := faultproxy.Start(t, c, uint64(s), flaky()...)
		throughFlakyServer(t, newLab(t, c), proxy)
		mu.Lock()
		defer mu.Unlock()
		total += proxy.Requests()
		for kind, n := range proxy.Counts() {
			faults[kind] += n
		}
	})
	sum := 0
	for _, n := range faults {
		sum += n
	}
	t.Logf("%d seeds from %d: %d requests, %d of them disturbed: %d answered 500, 503 or 429, %d reset before and %d after they were carried out, %d delayed 5 s",
		len(seeds), first, total, sum, faults[faultproxy.Answer], faults[faultproxy.ResetBefore], faults[faultproxy.ResetAfter], faults[faultproxy.Delay])
	if sum*20 < total {
		t.Errorf("only %d of %d requests were disturbed", sum, total)
	}
}

type seed uint64

func (s seed) String() string { return fmt.Sprintf("seed %d", uint64(s)) }

// throughFlakyServer is the life of a Flow.
func throughFlakyServer(t *testing.T, l lab, proxy *faultproxy.Proxy) {
	t.Helper()
	executors := numbered(20)
	path := file(t, flowOf(executors...))
	through := func(args ...string) {
		t.Helper()
		r := run(t.Context(), append(args, l.at(proxy.Kubeconfig())...)...)
		if r.code != exitDone || strings.Contains(r.errOut, "error:") {
			t.Fatalf("%v: %s", args, r)
		}
	}
	through("up", "-f", path)
	l.madeOnce(t, len(executors)+1, 1)
	l.converged(t, path)

	through("up", "-f", path)
	l.madeOnce(t, len(executors)+1, 1)

	if err := os.WriteFile(path, []byte(strings.ReplaceAll(flowOf(executors[1:]...), ":1'", ":2'")), 0o600); err != nil {
		t.Fatal(err)
	}
	through("up", "--yes", "-f", path)
	l.converged(t, path)

	through("down", "--yes")
	if left := l.made(t); len(left) > 0 {
		t.Errorf("down left %v", left)
	}
}

// madeOnce holds that a Flow has so many Deployments, and that each was written once for each generation: nothing was applied
// twice to another effect, and no second ReplicaSet or Service came of it.
func (l lab) madeOnce(t *testing.T, workloads int, generation int64) {
	t.Helper()
	deployments, err := l.typed.AppsV1().Deployments(l.ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sets, err := l.typed.AppsV1().ReplicaSets(l.ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	services, err := l.typed.CoreV1().Services(l.ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(deployments.Items) != workloads || len(sets.Items) != workloads || len(services.Items) != workloads {
		t.Errorf("%d Deployments, %d ReplicaSets and %d Services for %d workloads", len(deployments.Items), len(sets.Items), len(services.Items), workloads)
	}
	for _, d := range deployments.Items {
		if d.Generation != generation || d.Status.AvailableReplicas != *d.Spec.Replicas {
			t.Errorf("%s: generation %d, %d of %d replicas", d.Name, d.Generation, d.Status.AvailableReplicas, *d.Spec.Replicas)
		}
	}
}
