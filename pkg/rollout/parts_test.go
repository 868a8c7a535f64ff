package rollout

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

func TestJinaVersionIsThatOfItsOwnImageElseTheFlows(t *testing.T) {
	ours := map[string]string{plan.LabelManagedBy: plan.FieldManager, plan.LabelVersion: "3.34.0"}
	for _, c := range []struct {
		image  string
		labels map[string]string
		want   string
	}{
		{"jinaai/jina:3.29.1-py38-standard", ours, "3.29.1"},
		{"mirror.example.com/hub/jinaai/jina:3.29.1", ours, "3.29.1"},
		{"jinaai/jina:3.29.1.dev4", ours, "3.29.1.dev4"},
		{"jinaai/jina:3.29.1@sha256:00", ours, "3.29.1"},
		{"jinaai/jina:latest", ours, "3.34.0"},
		{"jinaai/jina:3.29.1x", ours, "3.34.0"},
		{"notjinaai/jina:3.29.1", ours, "3.34.0"},
		{"registry.example.com/encoder:3.1.4", ours, "3.34.0"},
		{"registry.example.com/encoder:1", map[string]string{plan.LabelVersion: "7"}, ""},
		{"", nil, ""},
	} {
		if got := jinaVersion(c.image, c.labels); got != c.want {
			t.Errorf("%s: %q, want %q", c.image, got, c.want)
		}
	}
}

func TestMeshCountsTheReadyProxiesOfThePodsThatRun(t *testing.T) {
	pod := func(phase corev1.PodPhase, native bool, proxy string, ready bool) *corev1.Pod {
		p := &corev1.Pod{Status: corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{Name: "executor", Ready: true}}}}
		s := corev1.ContainerStatus{Name: proxy, Ready: ready}
		if native {
			p.Status.InitContainerStatuses = append(p.Status.InitContainerStatuses, corev1.ContainerStatus{Name: "linkerd-init", Ready: true}, s)
		} else {
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, s)
		}
		return p
	}
	leaving := pod(corev1.PodRunning, true, "linkerd-proxy", true)
	leaving.DeletionTimestamp = &metav1.Time{}
	for _, c := range []struct {
		name string
		pods []*corev1.Pod
		want MeshStatus
	}{
		{"no pods", nil, MeshStatus{}},
		{"no mesh", []*corev1.Pod{pod(corev1.PodRunning, false, "other", true)}, MeshStatus{Pods: 1}},
		{"native and not", []*corev1.Pod{pod(corev1.PodRunning, true, "linkerd-proxy", true), pod(corev1.PodRunning, false, "linkerd-proxy", false)}, MeshStatus{"linkerd", 1, 2}},
		{"istio", []*corev1.Pod{pod(corev1.PodRunning, false, "istio-proxy", true)}, MeshStatus{"istio", 1, 1}},
		{"some without", []*corev1.Pod{pod(corev1.PodRunning, true, "linkerd-proxy", true), pod(corev1.PodPending, false, "other", true)}, MeshStatus{"linkerd", 1, 2}},
		{"ended and leaving", []*corev1.Pod{pod(corev1.PodFailed, true, "linkerd-proxy", true), pod(corev1.PodSucceeded, true, "linkerd-proxy", true), leaving}, MeshStatus{}},
	} {
		if got := meshOf(c.pods); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestObjectsOfSeveralFlowsAreTakenApart(t *testing.T) {
	meta := func(namespace, flow string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: flow, Labels: map[string]string{plan.LabelFlow: flow}}
	}
	a, b := deployment("a", 1), deployment("b", 1)
	a.ObjectMeta, b.ObjectMeta = meta("one", "f"), meta("two", "f")
	g := groups(Objects{Deployments: []*appsv1.Deployment{a, b}, Pods: []*corev1.Pod{{ObjectMeta: meta("one", "f")}, {ObjectMeta: meta("one", "g")}}})
	if f := g[FlowKey{"one", "f"}]; len(g) != 3 || len(f.Deployments) != 1 || f.Deployments[0] != a || len(f.Pods) != 1 {
		t.Errorf("got %+v", g)
	}
}

func TestFollowRefusesOnlyWhatItNeeds(t *testing.T) {
	no := change{kind: refused, err: errWatchRefused}
	for _, c := range []struct {
		resource string
		podsOnly bool
		fails    bool
	}{
		{resourceDeployments, false, true}, {resourceStatefulSets, false, true}, {resourcePods, true, true},
		{resourcePods, false, false}, {resourceReplicaSets, false, false}, {resourceEvents, false, false},
	} {
		f := newFollower(FollowRequest{PodsOnly: c.podsOnly}, defaultPace())
		no.resource = c.resource
		if err := f.take(no); (err != nil) != c.fails {
			t.Errorf("%s, pods only %v: %v", c.resource, c.podsOnly, err)
		}
		if !c.fails && (len(f.objects().Unreadable) != 1 || f.objects().Unreadable[0] != c.resource) {
			t.Errorf("%s: unreadable %v", c.resource, f.objects().Unreadable)
		}
	}
}

func TestWhatFollowShowedIsNeverChangedAfterwards(t *testing.T) {
	f := newFollower(FollowRequest{}, defaultPace())
	pod := func(name string) *corev1.Pod { return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}} }
	put := func(kind changeType, names ...string) {
		c := change{resource: resourcePods, kind: kind}
		for _, name := range names {
			c.objects = append(c.objects, pod(name))
		}
		if err := f.take(c); err != nil {
			t.Fatal(err)
		}
	}
	put(replaced, "b", "a")
	before := f.objects()
	put(stored, "c")
	put(removed, "a")
	if got := f.objects().Pods; len(got) != 2 || got[0].Name != "b" || got[1].Name != "c" {
		t.Errorf("now %v", got)
	}
	if len(before.Pods) != 2 || before.Pods[0].Name != "a" || before.Pods[1].Name != "b" {
		t.Errorf("before %v", before.Pods)
	}
	if f.synced() {
		t.Error("it is complete without Deployments")
	}
}

func TestFollowShowsABurstAtItsPaceAndItsEndForSure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset(deployment("a", 1))
		ctx, cancel := context.WithCancel(t.Context())
		var shown atomic.Int32
		var last atomic.Int64
		ended := make(chan error, 1)
		go func() {
			ended <- Follow(ctx, c, FollowRequest{Namespace: testNamespace, Flow: "search", Pause: 200 * time.Millisecond}, func(o Objects) bool {
				shown.Add(1)
				last.Store(o.Deployments[0].Generation)
				return true
			})
		}()
		time.Sleep(time.Second)
		before := shown.Load()
		for i := range int64(100) {
			d := deployment("a", 1)
			d.Generation = i
			update(t, c, d)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if n := shown.Load() - before; n < 2 || n > 6 || last.Load() != 99 {
			t.Errorf("shown %d times within a second, the last time generation %d", n, last.Load())
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
