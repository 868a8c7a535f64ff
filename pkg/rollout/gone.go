package rollout

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/util/podutils"
)

// WaitGone follows the pods of workloads until none has more than its Target.Replicas, those included that are on their way out:
// a Deployment does not count them any more as soon as they are told to end, while they may still answer and still hold what they
// asked for. Pods that have ended by themselves do not count. A target without Replicas is waited for until it has no pod.
//
// The events and the errors are those of [Wait], but for *FailedError: how long a pod takes to end is its own affair.
func WaitGone(ctx context.Context, c Clients, req Request, emit func(Event)) error {
	return waitGone(ctx, c, req, defaultPace(), emit)
}

func waitGone(ctx context.Context, c Clients, req Request, p pace, emit func(Event)) error {
	feeds := newFeeds(c, req.Namespace, req.Flow, p)
	feedCtx, cancel := context.WithCancel(ctx)
	defer feeds.running.Wait()
	defer cancel()

	w := newWaiter(req, p, emit)
	w.required, w.supporting = []string{resourcePods}, nil
	w.emit(Event{Type: Started})
	if len(req.Targets) == 0 {
		w.emit(Event{Type: Finished})
		return nil
	}
	feeds.start(feedCtx, resourcePods)
	var timeout <-chan time.Time
	if req.Timeout > 0 {
		timer := time.NewTimer(req.Timeout)
		defer timer.Stop()
		timeout = timer.C
	}
	for said := false; ; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("stopped waiting for the old pods to end, %d of %d workloads are done: %w", w.done, len(w.states), ctx.Err())
		case <-timeout:
			return w.timeoutError()
		case ch := <-feeds.out:
			if err := w.take(ch); err != nil {
				return err
			}
		}
		if w.synced() && w.allGone() {
			w.emit(Event{Type: Finished})
			return nil
		}
		if w.synced() && !said {
			said = true
			w.emit(Event{Type: Notice, Text: endingText(w.states)})
		}
	}
}

// endingText says of which workloads how many pods have to end.
func endingText(states []State) string {
	const most = 6
	var parts []string
	pods, workloads := int32(0), 0
	for _, s := range states {
		if s.Old == 0 {
			continue
		}
		pods += s.Old
		if workloads++; workloads <= most {
			parts = append(parts, fmt.Sprintf("%s (%d)", s.Part, s.Old))
		}
	}
	if workloads > most {
		parts = append(parts, fmt.Sprintf("and %d more", workloads-most))
	}
	noun := "pods"
	if pods == 1 {
		noun = "pod"
	}
	return fmt.Sprintf("waiting for %d %s to end: %s", pods, noun, strings.Join(parts, ", "))
}

// allGone brings the marked workloads up to date and tells whether none has a pod too many.
func (w *waiter) allGone() bool {
	for i, target := range w.req.Targets {
		if !w.dirty[i] {
			continue
		}
		delete(w.dirty, i)
		w.become(i, goneState(w.store.workload(target)))
	}
	return w.done == len(w.states)
}

// goneState counts the pods of a workload.
func goneState(workload Workload) State {
	target := workload.Target
	s := State{Part: target.Part, Ref: target.Ref, Observed: true}
	if target.Replicas != nil {
		s.Wanted = *target.Replicas
	}
	pods := int32(0)
	for _, p := range workload.Pods {
		if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		pods++
		if podutils.IsPodReady(p) && p.DeletionTimestamp == nil {
			s.Ready++
		}
	}
	if s.Old = max(0, pods-s.Wanted); s.Old == 0 {
		s.Done = true
		return s
	}
	s.Reason = "1 pod is still ending"
	if s.Old > 1 {
		s.Reason = fmt.Sprintf("%d pods are still ending", s.Old)
	}
	return s
}
