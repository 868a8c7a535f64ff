package rollout

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestForbiddenWatchIsReplacedByPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1, notReady))
		c.PrependWatchReactor(resourceDeployments, func(clienttesting.Action) (bool, watch.Interface, error) {
			return true, nil, forbidden(resourceDeployments)
		})
		w := startWait(t.Context(), c, request(time.Hour, "a"))
		time.Sleep(9 * time.Second)
		update(t, c, deployment("a", 1))
		began := time.Now()
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
		if late := time.Since(began); late > 2*time.Second {
			t.Errorf("saw it after %s", late)
		}
		// The notice and the first state come together, in any order.
		slices.Sort(w.lines[1:3])
		w.want(t,
			"started (0 of 1 done)",
			`notice not allowed to watch deployments in namespace "search": looking every 2s instead`,
			"workload-progress a: 0/1 ready: waiting for pods to be ready (0 of 1 done)",
			"workload-done a: 1/1 ready (1 of 1 done)",
			"finished (1 of 1 done)",
		)
		lists := 0
		for _, a := range c.Actions() {
			if a.GetVerb() == "list" && a.GetResource().Resource == resourceDeployments {
				lists++
			}
		}
		if lists != 6 { // at 0, 2, 4, 6, 8 and 10 s
			t.Errorf("%d lists in 10 s", lists)
		}
	})
}

func TestForbiddenWorkloadsEndTheWaitAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset()
		c.PrependReactor("list", resourceDeployments, func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, forbidden(resourceDeployments)
		})
		began := time.Now()
		err := <-startWait(t.Context(), c, request(time.Hour, "a")).err
		if !apierrors.IsForbidden(err) || time.Since(began) != 0 {
			t.Errorf("got %v after %s", err, time.Since(began))
		}
	})
}

func TestForbiddenPodsOnlyCostReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1, notReady))
		c.PrependReactor("list", resourcePods, func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, forbidden(resourcePods)
		})
		w := startWait(t.Context(), c, request(time.Hour, "a"))
		update(t, c, deployment("a", 1))
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
		w.want(t,
			"started (0 of 1 done)",
			"workload-progress a: 0/1 ready: waiting for pods to be ready (0 of 1 done)",
			`notice not allowed to read pods in namespace "search": fewer reasons are known`,
			"workload-done a: 1/1 ready (1 of 1 done)",
			"finished (1 of 1 done)",
		)
	})
}

func TestAnExpiredWatchIsMadeAnewFromAList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1, notReady))
		var watches atomic.Int32
		c.PrependWatchReactor(resourceDeployments, func(clienttesting.Action) (bool, watch.Interface, error) {
			switch watches.Add(1) {
			case 1: // refused when it is made
				return true, nil, apierrors.NewResourceExpired("too old")
			case 2: // ended by an event
				w := watch.NewFakeWithChanSize(1, false)
				w.Error(&apierrors.NewResourceExpired("too old").ErrStatus)
				return true, w, nil
			}
			return false, nil, nil
		})
		w := startWait(t.Context(), c, request(time.Hour, "a"))
		time.Sleep(time.Second)
		update(t, c, deployment("a", 1))
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
		if n := watches.Load(); n != 3 {
			t.Errorf("%d watches", n)
		}
		for _, line := range w.lines {
			if strings.HasPrefix(line, "notice") {
				t.Errorf("an everyday thing is told: %s", line)
			}
		}
	})
}

// The server ends a watch now and then; the next one goes on where the last one was.
func TestAnEndedWatchGoesOnFromItsLastVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1, notReady))
		var versions []string
		c.PrependWatchReactor(resourceDeployments, func(a clienttesting.Action) (bool, watch.Interface, error) {
			options := a.(clienttesting.WatchActionImpl).ListOptions
			versions = append(versions, options.ResourceVersion)
			if !options.AllowWatchBookmarks || options.LabelSelector != "jina.ai/flow=search" {
				t.Errorf("options %+v", options)
			}
			if len(versions) > 1 {
				return false, nil, nil
			}
			w := watch.NewFakeWithChanSize(1, false)
			w.Action(watch.Bookmark, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "77"}})
			w.Stop()
			return true, w, nil
		})
		w := startWait(t.Context(), c, request(time.Hour, "a"))
		time.Sleep(time.Second)
		update(t, c, deployment("a", 1))
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
		if len(versions) != 2 || versions[1] != "77" {
			t.Errorf("watched from versions %q", versions)
		}
	})
}

func TestALostServerIsToldOnceAndTriedAgainWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1, notReady))
		var lost atomic.Bool
		broken := make(chan *watch.FakeWatcher, 1)
		c.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
			if lost.Load() {
				return true, nil, errors.New("connection refused")
			}
			return false, nil, nil
		})
		c.PrependWatchReactor(resourceDeployments, func(clienttesting.Action) (bool, watch.Interface, error) {
			select {
			case broken <- watch.NewFake():
				w := <-broken
				broken <- w
				return true, w, nil
			default:
				return false, nil, nil
			}
		})
		w := startWait(t.Context(), c, request(time.Hour, "a"))
		lost.Store(true)
		first := <-broken
		broken <- first
		first.Error(&apierrors.NewInternalError(errors.New("http2: client connection lost")).ErrStatus)
		time.Sleep(time.Minute)
		lost.Store(false)
		began := time.Now()
		time.Sleep(2 * time.Second)
		update(t, c, deployment("a", 1))
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("saw the server again after %s", took)
		}
		w.want(t,
			"started (0 of 1 done)",
			"workload-progress a: 0/1 ready: waiting for pods to be ready (0 of 1 done)",
			"notice the cluster cannot be read at the moment, trying again: Internal error occurred: http2: client connection lost",
			"notice the cluster can be read again",
			"workload-done a: 1/1 ready (1 of 1 done)",
			"finished (1 of 1 done)",
		)
	})
}

func TestATimeoutWithoutAServerSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset()
		c.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, errors.New("connection refused")
		})
		err := <-startWait(t.Context(), c, request(time.Minute, "a")).err
		var timeout *TimeoutError
		if !errors.As(err, &timeout) || !strings.HasSuffix(err.Error(), "the cluster could not be read at the end: connection refused") {
			t.Errorf("got %v", err)
		}
	})
}

// A server that has just started refuses everybody until it knows its roles.
func TestARefusalAfterAnAnswerIsBelievedOnlyWhenItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1, notReady))
		var lists atomic.Int32
		refuse := func(clienttesting.Action) (bool, runtime.Object, error) {
			if lists.Add(1) > 1 {
				return true, nil, forbidden(resourceDeployments)
			}
			return false, nil, nil
		}
		c.PrependReactor("list", resourceDeployments, refuse)
		c.PrependWatchReactor(resourceDeployments, func(clienttesting.Action) (bool, watch.Interface, error) {
			return true, nil, errors.New("connection reset")
		})
		began := time.Now()
		err := <-startWait(t.Context(), c, request(time.Hour, "a")).err
		if took := time.Since(began); !apierrors.IsForbidden(err) || took < 30*time.Second || took > 35*time.Second {
			t.Errorf("got %v after %s", err, took)
		}
	})
}

func TestPodsAreReadPageByPage(t *testing.T) {
	c := fake.NewClientset()
	d := deployment("a", 1)
	rs := replicaSet(d, 1, 1)
	var pages []string
	c.PrependReactor("list", resourcePods, func(a clienttesting.Action) (bool, runtime.Object, error) {
		options := a.(clienttesting.ListActionImpl).ListOptions
		pages = append(pages, fmt.Sprintf("%q %d", options.Continue, options.Limit))
		list := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "5"}, Items: []corev1.Pod{*pod(rs, fmt.Sprint(len(pages)))}}
		if len(pages) < 3 {
			list.Continue = fmt.Sprint("page ", len(pages)+1)
		}
		return true, list, nil
	})
	objects, err := Read(t.Context(), c, testNamespace, "search")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(pages, ", "); got != `"" 500, "page 2" 500, "page 3" 500` || len(objects.Pods) != 3 {
		t.Errorf("pages %s, %d pods", got, len(objects.Pods))
	}
}

func TestReadDropsWhatFillsTheMemory(t *testing.T) {
	d := deployment("a", 1)
	rs := replicaSet(d, 1, 1)
	rs.Spec.Template.Spec.Containers = []corev1.Container{{Name: "executor", Args: []string{"long"}}}
	p := pod(rs, "x")
	p.Spec.Containers = []corev1.Container{{
		Name: "executor", Image: "img:1", Args: []string{"long"}, Env: []corev1.EnvVar{{Name: "TOKEN", Value: "secret"}},
		StartupProbe: &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 600, ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 8080}}},
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{
			corev1.ResourceMemory: resource.MustParse("1Gi"), corev1.ResourceCPU: resource.MustParse("1"),
		}},
	}}
	p.Spec.InitContainers = []corev1.Container{{Name: "proxy", Image: "mesh:1", Args: []string{"long"}, RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways)}}
	objects, err := Read(t.Context(), fake.NewClientset(d, rs, p), testNamespace, "search")
	if err != nil {
		t.Fatal(err)
	}
	if len(objects.Deployments) != 1 || len(objects.ReplicaSets) != 1 || len(objects.Pods) != 1 {
		t.Fatalf("%d deployments, %d replica sets, %d pods", len(objects.Deployments), len(objects.ReplicaSets), len(objects.Pods))
	}
	want := corev1.PodSpec{
		NodeName:       "node-0",
		InitContainers: []corev1.Container{{Name: "proxy", Image: "mesh:1", RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways)}},
		Containers: []corev1.Container{{
			Name: "executor", Image: "img:1", StartupProbe: &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 600},
			Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}},
		}},
	}
	if got := objects.Pods[0].Spec; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(objects.ReplicaSets[0].Spec.Template.Spec.Containers) > 0 {
		t.Error("the replica set has its template")
	}
}

func TestReadNamesWhatItMayNotRead(t *testing.T) {
	c := fake.NewClientset(deployment("a", 1))
	refuse := func(resource string) {
		c.PrependReactor("list", resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, forbidden(resource) })
	}
	refuse(resourcePods)
	refuse(resourceReplicaSets)
	objects, err := Read(t.Context(), c, testNamespace, "search")
	if err != nil || len(objects.Deployments) != 1 || strings.Join(objects.Unreadable, ",") != "pods,replicasets" {
		t.Fatalf("got %+v, %v", objects, err)
	}
	refuse(resourceStatefulSets)
	if _, err := Read(t.Context(), c, testNamespace, "search"); !apierrors.IsForbidden(err) {
		t.Errorf("got %v", err)
	}
}
