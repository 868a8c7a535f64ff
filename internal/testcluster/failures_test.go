package testcluster

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// eventuallyPod waits until the pod is as it has to be.
func eventuallyPod(t *testing.T, c *Cluster, namespace, name string, as func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var p *corev1.Pod
	Eventually(t, func() error {
		var err error
		if p, err = c.clients.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{}); err == nil && !as(p) {
			err = fmt.Errorf("pod %s: %+v", name, p.Status)
		}
		return err
	})
	return p
}

func mainStatus(p *corev1.Pod) corev1.ContainerStatus {
	if len(p.Status.ContainerStatuses) == 0 {
		return corev1.ContainerStatus{}
	}
	return p.Status.ContainerStatuses[0]
}

func TestACrashingPodRestartsAndIsHealedByTakingItsAnnotationOff(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	createPod(t, c, ns, pod("p", map[string]string{"sim.test/scenario": "crashloop", "sim.test/crash-after": "100ms", "sim.test/backoff": "100ms", "sim.test/exit-code": "3", "sim.test/message": "no torch"}))
	crashed := eventuallyPod(t, c, ns, "p", func(p *corev1.Pod) bool {
		s := mainStatus(p)
		return s.RestartCount >= 2 && s.State.Waiting != nil && s.State.Waiting.Reason == "CrashLoopBackOff"
	})
	if last := mainStatus(crashed).LastTerminationState.Terminated; last == nil || last.ExitCode != 3 || last.Message != "no torch" {
		t.Errorf("its last run ended as %+v", last)
	}
	patch := []byte(`{"metadata":{"annotations":{"sim.test/scenario":null}}}`)
	if _, err := c.clients.CoreV1().Pods(ns).Patch(t.Context(), "p", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if s := mainStatus(waitForPod(t, c, ns, "p")); s.RestartCount < 2 || s.LastTerminationState.Terminated == nil {
		t.Errorf("it has forgotten that it crashed: %+v", s)
	}
}

func TestALoadingPodRunsBeforeItsStartupProbePasses(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	createPod(t, c, ns, pod("p", map[string]string{"sim.test/load-for": "1h"}))
	eventuallyPod(t, c, ns, "p", func(p *corev1.Pod) bool {
		s := mainStatus(p)
		return p.Status.Phase == corev1.PodRunning && s.State.Running != nil && s.Started != nil && !*s.Started && podCondition(p, corev1.PodReady) == corev1.ConditionFalse
	})
	patch := []byte(`{"metadata":{"annotations":{"sim.test/load-for":"1ms"}}}`)
	if _, err := c.clients.CoreV1().Pods(ns).Patch(t.Context(), "p", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	waitForPod(t, c, ns, "p")
}

func TestAPodThatCannotPullSaysWhyOnlyAtItsAttempts(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	createPod(t, c, ns, pod("p", map[string]string{"sim.test/scenario": "imagepull", "sim.test/message": "manifest unknown", "sim.test/backoff": "300ms"}))
	for _, want := range [][2]string{
		{"ErrImagePull", "manifest unknown"}, {"ImagePullBackOff", `Back-off pulling image "example.test/executor:1"`}, {"ErrImagePull", "manifest unknown"},
	} {
		eventuallyPod(t, c, ns, "p", func(p *corev1.Pod) bool {
			w := mainStatus(p).State.Waiting
			return w != nil && w.Reason == want[0] && w.Message == want[1]
		})
	}
}

func TestAnEvictedPodHasEnded(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	createPod(t, c, ns, pod("p", map[string]string{"sim.test/scenario": "failed", "sim.test/fail-after": "1ms"}))
	eventuallyPod(t, c, ns, "p", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed && p.Status.Reason == "Evicted" })
}
