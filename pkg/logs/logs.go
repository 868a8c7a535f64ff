// Package logs reads what the containers of a Flow have written: once, merged by time, or followed over restarts, new pods and
// lost connections. It prints nothing; lines go to a function, one at a time, from the caller's goroutine.
package logs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// Request says which logs to read, and how much of them.
type Request struct {
	Namespace string
	// Flow is the value of the label jina.ai/flow on the pods.
	Flow string
	// Containers are those of a pod to read, of all pods that the Flow has; nil for a pod that is not to be read, empty for one
	// that is, but has none of those.
	Containers func(*corev1.Pod) []string
	// Previous reads the run of each container before its present one.
	Previous bool
	// Since leaves out what is older; zero takes all.
	Since time.Time
	// Tail is the number of the last lines of each container to begin with; nil takes all. Of a container that starts while
	// it is followed, all lines are read.
	Tail *int64
	// Max is the most logs that are read at the same time.
	Max int
	// Notice is told of what could not be read. It may be nil.
	Notice func(text string)
}

func (r Request) notice(format string, args ...any) {
	if r.Notice != nil {
		r.Notice(fmt.Sprintf(format, args...))
	}
}

// Line is a line that a container has written.
type Line struct {
	Pod, Container string
	// Time at which the container's runtime got it; zero where the server does not say.
	Time time.Time
	// Text is free of control sequences, and never cut short.
	Text string
}

// NothingError says that there is no container to read.
type NothingError struct {
	// Pods that are to be read, and have no such container.
	Pods int
}

func (e *NothingError) Error() string {
	if e.Pods == 0 {
		return "there are no pods to read logs of"
	}
	return "none of the pods has such a container"
}

// TooManyError says that more logs would have to be read at the same time than are allowed.
type TooManyError struct{ Containers, Max int }

func (e *TooManyError) Error() string {
	return fmt.Sprintf("there are %d containers to read, at most %d are read at the same time", e.Containers, e.Max)
}

// opener opens a container's log. It is a type so that the reading can be tried without a cluster.
type opener func(ctx context.Context, pod string, o *corev1.PodLogOptions) (io.ReadCloser, error)

func openerOf(c rollout.Clients, namespace string) opener {
	pods := c.CoreV1().Pods(namespace)
	return func(ctx context.Context, pod string, o *corev1.PodLogOptions) (io.ReadCloser, error) {
		return pods.GetLogs(pod, o).Stream(ctx)
	}
}

// source is a container whose log is read.
type source struct{ pod, container string }

func (s source) String() string { return fmt.Sprintf("container %s of pod %s", s.container, s.pod) }

// Read gives the lines that are there, those of all containers merged by their time. What cannot be read of some of them is
// told as a notice; an error is one where nothing could be read, or where a log broke off.
func Read(ctx context.Context, c rollout.Clients, req Request, emit func(Line)) error {
	list, err := c.CoreV1().Pods(req.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.Set{plan.LabelFlow: req.Flow}.String()})
	if err != nil {
		return fmt.Errorf("cannot list pods in namespace %q: %w", req.Namespace, err)
	}
	pods := make([]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		pods[i] = &list.Items[i]
	}
	sources, wanted := sourcesOf(pods, req)
	switch {
	case len(sources) == 0:
		return &NothingError{Pods: wanted}
	case len(sources) > req.Max:
		return &TooManyError{Containers: len(sources), Max: req.Max}
	}
	return readMerged(ctx, openerOf(c, req.Namespace), sources, req, emit)
}

// sourcesOf are the containers to read, and the number of pods that are to be read.
func sourcesOf(pods []*corev1.Pod, req Request) (sources []source, wanted int) {
	for _, p := range pods {
		containers := req.Containers(p)
		if containers != nil {
			wanted++
		}
		for _, container := range containers {
			sources = append(sources, source{p.Name, container})
		}
	}
	slices.SortFunc(sources, func(a, b source) int { return cmp.Or(cmp.Compare(a.pod, b.pod), cmp.Compare(a.container, b.container)) })
	return sources, wanted
}

// options of the request for a container's log from its beginning, as the user wants it.
func (r Request) options(container string) *corev1.PodLogOptions {
	o := &corev1.PodLogOptions{Container: container, Timestamps: true, Previous: r.Previous, TailLines: r.Tail}
	if !r.Since.IsZero() {
		since := metav1.NewTime(r.Since)
		o.SinceTime = &since
	}
	return o
}

// notYet tells whether a log cannot be had because there is none: a container that has not started or has had no run before, a
// pod that is gone.
func notYet(err error) bool { return apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) }

// refused tells whether asking again is of no use.
func refused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }

// readSource gives the lines of one log to emit. cut tells whether the last line, which had no end yet, is given too.
func readSource(r io.Reader, s source, cut bool, emit func(Line)) error {
	lines := newLineReader(r)
	for {
		text, whole, err := lines.next()
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return err
		case text != "" || whole:
			if whole || cut {
				stamp, rest := splitStamp(text)
				emit(Line{Pod: s.pod, Container: s.container, Time: stamp, Text: rollout.PlainLine(rest)})
			}
		}
		if err != nil {
			return nil
		}
	}
}
