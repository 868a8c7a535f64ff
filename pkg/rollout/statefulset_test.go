package rollout

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAStatefulSetThatCannotMakePodsIsToldByFreshEvents(t *testing.T) {
	target := executorTarget("e")
	target.Ref.Kind = kindStatefulSet
	set := statefulSet("e", 1, func(s *appsv1.StatefulSet) {
		s.Status.Replicas, s.Status.UpdatedReplicas, s.Status.AvailableReplicas = 0, 0, 0
	})
	event := func(age time.Duration) []*corev1.Event {
		e := podEvent(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "e", UID: set.UID}}, "FailedCreate",
			`create Pod e-0 in StatefulSet e failed error: pods "e-0" is forbidden: exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0`, age)
		e.InvolvedObject.Kind = kindStatefulSet
		return []*corev1.Event{e}
	}
	w := newWatcher(target, Objects{StatefulSets: []*appsv1.StatefulSet{set}, Events: event(0)})
	if when, s := verdictOf(w); when != lasting && s.Cause.Kind != CauseQuota {
		t.Errorf("patience %d: %+v", when, s)
	}
	if s := newWatcher(target, Objects{StatefulSets: []*appsv1.StatefulSet{set}, Events: event(10 * time.Minute)}).see(0); s.Trouble {
		t.Errorf("an old event: %+v", s)
	}
	later := setPod(set, 0, "r1", unready(waiting("ContainerCreating", "")), func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(testNow) })
	made := Objects{StatefulSets: []*appsv1.StatefulSet{set}, Events: event(time.Minute), Pods: []*corev1.Pod{later}}
	if s := newWatcher(target, made).see(0); s.Trouble {
		t.Errorf("a pod has been made since: %+v", s)
	}
}

func TestAStatefulSetStuckOnABrokenRevisionIsNamed(t *testing.T) {
	target := executorTarget("e")
	target.Ref.Kind = kindStatefulSet
	mended := func(change ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
		return statefulSet("e", 1, append(change, func(s *appsv1.StatefulSet) {
			s.Status.UpdateRevision, s.Status.CurrentRevision, s.Status.UpdatedReplicas, s.Status.AvailableReplicas = "r2", "r1", 0, 0
		})...)
	}
	bad := unready(waiting("ErrImagePull", "manifest unknown"))
	for _, c := range []struct {
		name  string
		set   *appsv1.StatefulSet
		pod   func(*corev1.Pod)
		stuck int
		when  patience
	}{
		{"broken", mended(), bad, 1, lasting},
		{"broken, and on its way out", mended(), both(bad, terminating), 0, never},
		{"it only starts", mended(), unready(waiting("ContainerCreating", "")), 1, never},
		{"pods are replaced by hand", mended(func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType }), bad, 0, never},
		{"pods do not wait for each other", mended(func(s *appsv1.StatefulSet) { s.Spec.PodManagementPolicy = appsv1.ParallelPodManagement }), bad, 0, never},
	} {
		o := Objects{StatefulSets: []*appsv1.StatefulSet{c.set}, Pods: []*corev1.Pod{setPod(c.set, 0, "r1", c.pod)}}
		w := newWatcher(target, o)
		if stuck := StuckPods(NewView([]Target{target}, o, testNow).Workloads[0]); len(stuck) != c.stuck {
			t.Errorf("%s: %d pods are in the way", c.name, len(stuck))
		}
		when, s := verdictOf(w)
		if when != c.when {
			t.Errorf("%s: patience %d, %+v", c.name, when, s)
		}
		if c.when == lasting && (s.Cause.Kind != CauseStuckRevision || !strings.Contains(s.Failure, "pod `e-0` is of an earlier revision that is broken (image `img:1` not found)")) {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}
