package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
)

// events collects what a wait tells.
type events struct {
	mu    sync.Mutex
	lines []string
	last  State // of a workload
}

// state is the last that was told of a workload, also while the wait goes on.
func (e *events) state() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}

func (e *events) add(event Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch event.Type {
	case WorkloadProgress, WorkloadDone:
		e.last = event.State
		e.lines = append(e.lines, fmt.Sprintf("%s %s (%d of %d done)", event.Type, event.State, event.Done, event.Total))
	case Notice:
		e.lines = append(e.lines, "notice "+event.Text)
	default:
		e.lines = append(e.lines, fmt.Sprintf("%s (%d of %d done)", event.Type, event.Done, event.Total))
	}
}

func (e *events) want(t *testing.T, lines ...string) {
	t.Helper()
	if got, want := strings.Join(e.lines, "\n"), strings.Join(lines, "\n"); got != want {
		t.Errorf("events:\n%s\nwant:\n%s", got, want)
	}
}

func request(timeout time.Duration, names ...string) Request {
	r := Request{Namespace: testNamespace, Flow: "search", Timeout: timeout}
	for _, n := range names {
		r.Targets = append(r.Targets, executorTarget(n))
	}
	return r
}

// waiting is a wait under way in a synctest bubble.
type waitUnderWay struct {
	events
	err chan error
}

func startWait(ctx context.Context, c Clients, r Request) *waitUnderWay {
	w := &waitUnderWay{err: make(chan error, 1)}
	go func() { w.err <- Wait(ctx, c, r, w.add) }()
	synctest.Wait()
	return w
}

func update(t *testing.T, c *fake.Clientset, d *appsv1.Deployment) {
	t.Helper()
	if _, err := c.AppsV1().Deployments(testNamespace).Update(t.Context(), d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func forbidden(resource string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("not you"))
}

// In the other tests, which run in a synctest bubble, a goroutine that is left fails the test by itself.
func TestNoGoroutineIsLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	c := fake.NewClientset(deployment("a", 1, notReady), statefulSet("b", 1, func(s *appsv1.StatefulSet) { s.Status.AvailableReplicas = 0 }))
	r := request(0, "a", "b")
	r.Targets[1].Ref.Kind = kindStatefulSet
	ctx, cancel := context.WithCancel(t.Context())
	err := Wait(ctx, c, r, func(e Event) {
		if e.State.Ref.Name == "b" {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	goleak.VerifyNone(t, before)
}

func TestWaitReturnsAtTheMomentTheLastWorkloadIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1, notReady), deployment("b", 2, notReady))
		w := startWait(t.Context(), c, request(time.Hour, "a", "b"))
		time.Sleep(time.Minute)
		update(t, c, deployment("b", 2))
		update(t, c, deployment("a", 1))
		began := time.Now()
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
		if late := time.Since(began); late != 0 {
			t.Errorf("returned %s after the last workload was done", late)
		}
		w.want(t,
			"started (0 of 2 done)",
			"workload-progress a: 0/1 ready: waiting for pods to be ready (0 of 2 done)",
			"workload-progress b: 0/2 ready: waiting for pods to be ready (0 of 2 done)",
			"workload-done b: 2/2 ready (1 of 2 done)",
			"workload-done a: 1/1 ready (2 of 2 done)",
			"finished (2 of 2 done)",
		)
	})
}

func TestWaitReadsNoPodsWhenEverythingIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1), deployment("zero", 0))
		if err := <-startWait(t.Context(), c, request(time.Hour, "a", "zero")).err; err != nil {
			t.Fatal(err)
		}
		for _, a := range c.Actions() {
			if a.GetResource().Resource != resourceDeployments {
				t.Errorf("%s %s", a.GetVerb(), a.GetResource().Resource)
			}
		}
	})
}

func TestWaitForNothingReturnsAtOnce(t *testing.T) {
	c := fake.NewClientset()
	if err := Wait(t.Context(), c, request(time.Hour), func(Event) {}); err != nil {
		t.Fatal(err)
	}
}

func TestWaitStaysUntilAllAreDoneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1), deployment("b", 1, notReady))
		w := startWait(t.Context(), c, request(time.Hour, "a", "b"))
		update(t, c, deployment("a", 1, notReady))
		update(t, c, deployment("b", 1))
		select {
		case err := <-w.err:
			t.Fatalf("returned %v while a is not ready again", err)
		default:
		}
		update(t, c, deployment("a", 1))
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
	})
}

func TestWaitTakesNoStateFromBeforeOurOwnWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1))
		r := request(time.Hour, "a")
		r.Targets[0].MinGeneration = 2
		w := startWait(t.Context(), c, r)
		newer := deployment("a", 1)
		newer.Generation, newer.Status.ObservedGeneration = 2, 2
		update(t, c, newer)
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
		w.want(t,
			"started (0 of 1 done)",
			"workload-progress a: 1/1 ready: waiting for the controller to see the change (0 of 1 done)",
			"workload-done a: 1/1 ready (1 of 1 done)",
			"finished (1 of 1 done)",
		)
	})
}

func TestTimeoutNamesTheWorkloadsAndTheReasonSeenOnTheirPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment("b", 1, notReady)
		rs := replicaSet(d, 1, 0)
		c := fake.NewClientset(deployment("a", 1), d, rs, pod(rs, "x", pending("Unschedulable", "0/3 nodes are available")))
		began := time.Now()
		err := <-startWait(t.Context(), c, request(30*time.Second, "a", "b")).err
		var timeout *TimeoutError
		if !errors.As(err, &timeout) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("took %s", took)
		}
		want := "timed out after 30s: 1 of 2 workloads are ready\n  b: 0/1 ready: unschedulable: 0/3 nodes are available"
		if err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
	})
}

func TestAFailureHasToLast(t *testing.T) {
	failed := deployment("a", 1, notReady, condition(appsv1.DeploymentProgressing, corev1.ConditionFalse, progressDeadlineExceeded, ""))
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(failed.DeepCopy())
		w := startWait(t.Context(), c, request(time.Hour, "a"))
		time.Sleep(time.Second)
		update(t, c, deployment("a", 1, notReady))
		time.Sleep(time.Minute)
		update(t, c, deployment("a", 1))
		if err := <-w.err; err != nil {
			t.Fatalf("a condition that passed was taken for a failure: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(failed.DeepCopy())
		began := time.Now()
		err := <-startWait(t.Context(), c, request(time.Hour, "a")).err
		var failure *FailedError
		if !errors.As(err, &failure) || len(failure.Targets) != 1 || time.Since(began) != 2*time.Second {
			t.Fatalf("got %v after %s", err, time.Since(began))
		}
		if want := "the rollout failed: 0 of 1 workloads are ready\n  executor `a`: no progress within its progress deadline"; err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
	})
}

func TestAWorkloadDeletedMeanwhileIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1, notReady))
		w := startWait(t.Context(), c, request(time.Hour, "a"))
		if err := c.AppsV1().Deployments(testNamespace).Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		err := <-w.err
		if err == nil || !strings.Contains(err.Error(), `Deployment "a" does not exist`) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCancelStopsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1, notReady))
		ctx, cancel := context.WithCancel(t.Context())
		w := startWait(ctx, c, request(0, "a"))
		time.Sleep(time.Minute)
		began := time.Now()
		cancel()
		err := <-w.err
		if !errors.Is(err, context.Canceled) || time.Since(began) != 0 {
			t.Errorf("got %v after %s", err, time.Since(began))
		}
		if want := "stopped waiting, 0 of 1 workloads are ready: context canceled"; err.Error() != want {
			t.Errorf("got %q", err)
		}
	})
}

func TestErrorsOfManyWorkloadsStayReadable(t *testing.T) {
	err := &FailedError{Targets: make([]State, 1000), Total: 1000}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxStateLines+2 || lines[len(lines)-1] != "  … and 980 more" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}
