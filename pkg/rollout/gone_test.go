package rollout

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// endingPod is a pod in a phase, ready or not, and told to end or not.
func endingPod(phase corev1.PodPhase, ready, told bool) *corev1.Pod {
	p := &corev1.Pod{Status: corev1.PodStatus{Phase: phase}}
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	if told {
		now := metav1.Now()
		p.DeletionTimestamp = &now
	}
	return p
}

func TestPodsThatAreOnTheirWayOutAreStillThere(t *testing.T) {
	var (
		serves   = endingPod(corev1.PodRunning, true, false)
		starts   = endingPod(corev1.PodPending, false, false)
		ending   = endingPod(corev1.PodRunning, true, true)
		evicted  = endingPod(corev1.PodFailed, false, false)
		finished = endingPod(corev1.PodSucceeded, false, true)
	)
	one := int32(1)
	for name, c := range map[string]struct {
		wanted *int32
		pods   []*corev1.Pod
		done   bool
		ready  int32
		old    int32
	}{
		"none is left":                    {nil, nil, true, 0, 0},
		"one is ending":                   {nil, []*corev1.Pod{ending}, false, 0, 1},
		"one has not been told yet":       {nil, []*corev1.Pod{serves, ending}, false, 1, 2},
		"what has ended does not count":   {nil, []*corev1.Pod{evicted, finished}, true, 0, 0},
		"as many as wanted":               {&one, []*corev1.Pod{serves}, true, 1, 0},
		"as many as wanted, one starting": {&one, []*corev1.Pod{starts}, true, 0, 0},
		"one too many":                    {&one, []*corev1.Pod{serves, ending, evicted}, false, 1, 1},
		"fewer than wanted":               {&one, nil, true, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := goneState(Workload{Target: Target{Replicas: c.wanted}, Pods: c.pods})
			if s.Done != c.done || s.Ready != c.ready || s.Old != c.old || (s.Reason == "") != c.done {
				t.Errorf("done %v, %d ready, %d too many, %q", s.Done, s.Ready, s.Old, s.Reason)
			}
		})
	}
}

func TestWhatHasToEndIsSaidShortly(t *testing.T) {
	state := func(executor string, old int32) State {
		return State{Part: plan.Part{Role: plan.RoleExecutor, Executor: executor}, Old: old}
	}
	for want, states := range map[string][]State{
		"waiting for 1 pod to end: a (1)":                                                 {state("a", 1), state("b", 0)},
		"waiting for 5 pods to end: a (1), b (4)":                                         {state("a", 1), state("b", 4)},
		"waiting for 8 pods to end: a (1), b (1), c (1), d (1), e (1), f (1), and 2 more": {state("a", 1), state("b", 1), state("c", 1), state("d", 1), state("e", 1), state("f", 1), state("g", 1), state("h", 1)},
	} {
		if got := endingText(states); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
