package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// eventLists are the selectors of the lists of events that were asked for.
func eventLists(c *fake.Clientset) []string {
	var selectors []string
	for _, a := range c.Actions() {
		if list, ok := a.(clienttesting.ListActionImpl); ok && list.GetResource().Resource == resourceEvents {
			selectors = append(selectors, fmt.Sprintf("%q %q", list.ListOptions.LabelSelector, list.ListOptions.FieldSelector))
		}
	}
	return selectors
}

// A namespace's events are thousands when a Flow of a thousand executors starts.
func TestEventsAreReadOnlyWhenSomethingMayBeWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment("a", 1, notReady)
		rs := replicaSet(d, 1, 0)
		c := fake.NewClientset(d, rs, pod(rs, "x", unready(waiting("ContainerCreating", ""))))
		w := startWait(t.Context(), c, request(time.Hour, "a"))
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if got := eventLists(c); len(got) > 0 {
			t.Errorf("asked for %q while all goes well", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := eventLists(c); !slices.Equal(got, []string{`"" "type=Warning"`}) {
			t.Errorf("asked for %q", got)
		}
		update(t, c, deployment("a", 1))
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		d := deployment("a", 1, notReady)
		rs := replicaSet(d, 1, 0)
		p := pod(rs, "x", unready(waiting("CreateContainerError", "")))
		c := fake.NewClientset(d, rs, p)
		w := startWait(t.Context(), c, request(time.Hour, "a"))
		if got := eventLists(c); len(got) != 1 {
			t.Errorf("asked for %q though something is wrong", got)
		}
		update(t, c, deployment("a", 1))
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnEventIsTakenInAsItComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment("a", 1, notReady)
		rs := replicaSet(d, 1, 0)
		p := pod(rs, "x", unready(waiting("ContainerCreating", "")))
		c := fake.NewClientset(d, rs, p)
		w := startWait(t.Context(), c, request(time.Hour, "a"))
		time.Sleep(time.Minute)
		event := podEvent(p, "FailedMount", `MountVolume.SetUp failed for volume "v" : secret "s" not found`, 0)
		event.LastTimestamp = metav1.Now()
		if _, err := c.CoreV1().Events(testNamespace).Create(t.Context(), event, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err := <-w.err
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("took %s", took)
		}
		if want := "the rollout failed: 0 of 1 workloads are ready\n  executor `a`: there is no Secret `s`, which a volume is made from (1 pod, 15 s)"; err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	})
}

func TestForbiddenEventsOnlyCostReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment("a", 1, notReady)
		rs := replicaSet(d, 1, 0)
		c := fake.NewClientset(d, rs, pod(rs, "x", unready(waiting("ErrImagePull", "manifest unknown"))))
		c.PrependReactor("list", resourceEvents, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, forbidden(resourceEvents) })
		w := startWait(t.Context(), c, request(time.Hour, "a"))
		var failed *FailedError
		if err := <-w.err; !errors.As(err, &failed) || failed.Targets[0].Cause.Kind != CauseImage {
			t.Errorf("got %v", err)
		}
		if want := `notice not allowed to read events in namespace "search": fewer reasons are known`; !slices.Contains(w.lines, want) {
			t.Errorf("%q was not said: %q", want, w.lines)
		}
	})
}

// What else is not ready may pass; the error of the one that cannot has it too.
func TestAFailureNamesWhatElseIsInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := deployment("a", 1, notReady), deployment("b", 1, notReady)
		ra, rb := replicaSet(a, 1, 0), replicaSet(b, 1, 0)
		c := fake.NewClientset(a, b, ra, rb, pod(ra, "x", unready(waiting("ErrImagePull", "manifest unknown"))), pod(rb, "x", unready(waiting("ErrImagePull", "i/o timeout"))))
		var failed *FailedError
		if err := <-startWait(t.Context(), c, request(time.Hour, "a", "b")).err; !errors.As(err, &failed) {
			t.Fatalf("got %v", err)
		}
		if len(failed.Targets) != 1 || failed.Targets[0].Ref.Name != "a" {
			t.Errorf("failed are %+v", failed.Targets)
		}
		if len(failed.Others) != 1 || failed.Others[0].Ref.Name != "b" || failed.Others[0].Cause.Kind != CauseImagePull {
			t.Errorf("in trouble are %+v", failed.Others)
		}
	})
}

// A volume that is being made, or a node that is on its way, is no trouble for a moment.
func TestAnUnschedulablePodIsTroubleOnlyOnceThatLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment("a", 1, notReady)
		rs := replicaSet(d, 1, 0)
		c := fake.NewClientset(d, rs, pod(rs, "x", pending("Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.")))
		w := startWait(t.Context(), c, request(time.Hour, "a"))
		time.Sleep(14 * time.Second)
		synctest.Wait()
		if s := w.state(); s.Trouble || s.Cause == nil {
			t.Errorf("after 14 s: %+v", s)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := w.state(); !s.Trouble || s.Cause.Kind != CauseUnschedulable {
			t.Errorf("after 16 s: %+v", s)
		}
		update(t, c, deployment("a", 1))
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
	})
}

// logsAsked are the options of the logs that were asked for.
func logsAsked(c *fake.Clientset) []string {
	var asked []string
	for _, a := range c.Actions() {
		if log, ok := a.(clienttesting.GenericActionImpl); ok && log.GetSubresource() == "log" {
			o := log.Value.(*corev1.PodLogOptions)
			asked = append(asked, fmt.Sprintf("%s previous %v, %d lines", o.Container, o.Previous, *o.TailLines))
		}
	}
	return asked
}

func TestTheLogIsOfTheRunThatFailed(t *testing.T) {
	for want, change := range map[string]func(*corev1.Pod){
		"executor previous true, 20 lines": looping(2, terminated(1, "Error", "")),
		"executor previous false, 20 lines": func(p *corev1.Pod) {
			unready(terminated(1, "Error", ""))(p)
			p.Status.ContainerStatuses[0].RestartCount = 2
		},
		"linkerd-proxy previous true, 20 lines": inInit("linkerd-proxy", true, 3),
	} {
		synctest.Test(t, func(t *testing.T) {
			d := deployment("a", 1, notReady)
			rs := replicaSet(d, 1, 0)
			c := fake.NewClientset(d, rs, pod(rs, "x", change))
			var failed *FailedError
			if err := <-startWait(t.Context(), c, request(time.Hour, "a")).err; !errors.As(err, &failed) || !slices.Equal(failed.Targets[0].Cause.Logs, []string{"fake logs"}) {
				t.Errorf("got %v", err)
			}
			if got := logsAsked(c); !slices.Equal(got, []string{want}) {
				t.Errorf("asked for %q, want %q", got, want)
			}
		})
	}
}

func TestFewLogsAreReadOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var objects []runtime.Object
		var names []string
		for i := range 10 {
			d := deployment(fmt.Sprint("e", i), 1, notReady)
			rs := replicaSet(d, 1, 0)
			objects = append(objects, d, rs, pod(rs, "x", looping(2, terminated(1, "Error", ""))))
			names = append(names, d.Name)
		}
		c := fake.NewClientset(objects...)
		if err := <-startWait(t.Context(), c, request(time.Hour, names...)).err; err == nil {
			t.Error("it came up")
		}
		if got := logsAsked(c); len(got) != logWorkloads {
			t.Errorf("asked for %q", got)
		}
	})
}

func TestALineOfALogKeepsItsIndentationAndNothingThatATerminalObeys(t *testing.T) {
	for line, want := range map[string]string{
		"Traceback:\n":                 "Traceback:",
		"  File \"a.py\", line 1":      "  File \"a.py\", line 1",
		"\tindented\x1b[31m red":       "    indented red",
		"\x1b]0;title\x07a\u202eb":     "ab",
		"":                             "",
		strings.Repeat("x", 2*maxText): strings.Repeat("x", maxText-1) + "…",
		strings.Repeat(" ", 100) + "x": strings.Repeat(" ", 40) + "x",
	} {
		if got := plainLine(line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestAFlowOfFiveThousandPodsIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workloads, replicas = 50, 100
		c := fake.NewClientset()
		var deployments []*appsv1.Deployment
		var pods []corev1.Pod
		var names []string
		for i := range workloads {
			d := deployment(fmt.Sprint("e", i), replicas, notReady)
			rs := replicaSet(d, 1, 0)
			deployments, names = append(deployments, d), append(names, d.Name)
			for _, o := range []runtime.Object{d, rs} {
				if err := c.Tracker().Add(o); err != nil {
					t.Fatal(err)
				}
			}
			for j := range replicas {
				pods = append(pods, *pod(rs, fmt.Sprint(j), unready(running())))
			}
		}
		var pages int
		c.PrependReactor("list", resourcePods, func(a clienttesting.Action) (bool, runtime.Object, error) {
			o := a.(clienttesting.ListActionImpl).ListOptions
			from := 0
			if o.Continue != "" {
				if _, err := fmt.Sscan(o.Continue, &from); err != nil {
					return true, nil, err
				}
			}
			to := min(from+int(o.Limit), len(pods))
			pages++
			list := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: pods[from:to]}
			if to < len(pods) {
				list.Continue = fmt.Sprint(to)
			}
			return true, list, nil
		})
		w := startWait(t.Context(), c, request(time.Hour, names...))
		for i, d := range deployments {
			update(t, c, deployment(d.Name, replicas))
			if i == workloads/2 {
				w.stillWaiting(t)
			}
		}
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
		if pages != 10 {
			t.Errorf("the pods were read in %d pages", pages)
		}
		if want := "workload-progress e49: 0/100 ready: running, but not ready yet (100 pods) (0 of 50 done)"; !slices.Contains(w.lines, want) {
			t.Errorf("%q was not said", want)
		}
	})
}

// What was seen last may have been mended meanwhile.
func TestNothingIsAFailureWhileTheClusterCannotBeRead(t *testing.T) {
	for _, mended := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := deployment("a", 1, notReady)
			rs := replicaSet(d, 1, 0)
			c := fake.NewClientset(d, rs, pod(rs, "x", unready(waiting("ErrImagePull", "manifest unknown"))))
			var lost atomic.Bool
			c.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
				if lost.Load() {
					return true, nil, errors.New("connection refused")
				}
				return false, nil, nil
			})
			watched := watch.NewFake()
			var once sync.Once
			c.PrependWatchReactor(resourcePods, func(clienttesting.Action) (handled bool, w watch.Interface, err error) {
				once.Do(func() { handled, w = true, watched })
				return handled, w, nil
			})
			w := startWait(t.Context(), c, request(time.Hour, "a"))
			time.Sleep(5 * time.Second)
			lost.Store(true)
			watched.Error(&apierrors.NewInternalError(errors.New("http2: client connection lost")).ErrStatus)
			time.Sleep(time.Minute)
			w.stillWaiting(t)
			if mended {
				if _, err := c.CoreV1().Pods(testNamespace).Update(t.Context(), pod(rs, "x", unready(waiting("ContainerCreating", ""))), metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			lost.Store(false)
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if mended {
				w.stillWaiting(t)
				update(t, c, deployment("a", 1))
			}
			var failed *FailedError
			if err := <-w.err; mended != (err == nil) || !mended && !errors.As(err, &failed) {
				t.Errorf("mended %v: got %v", mended, err)
			}
		})
	}
}

func (w *waitUnderWay) stillWaiting(t *testing.T) {
	t.Helper()
	select {
	case err := <-w.err:
		t.Fatalf("the wait is over: %v", err)
	default:
	}
}

func TestALogOfACancelledWaitIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment("a", 1, notReady)
		rs := replicaSet(d, 1, 0)
		c := fake.NewClientset(d, rs, pod(rs, "x", looping(1, terminated(1, "Error", ""))))
		ctx, cancel := context.WithCancel(t.Context())
		w := startWait(ctx, c, request(time.Hour, "a"))
		cancel()
		if err := <-w.err; !errors.Is(err, context.Canceled) || len(logsAsked(c)) > 0 {
			t.Errorf("got %v, and asked for %q", err, logsAsked(c))
		}
	})
}
