package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	// logLines are shown of a container that has failed.
	logLines int64 = 20
	// logBytes bounds what is read of them.
	logBytes int64 = 64 << 10
	// logWorkloads bounds for how many workloads a log is read: of a thousand that fail for one reason a few tell it.
	logWorkloads = 3
	// logTimeout is for all of them: a node that is gone must not keep the answer back.
	logTimeout = 5 * time.Second
)

// withLogs adds to the causes in an error of a wait the last lines that their containers have written.
func withLogs(ctx context.Context, c Clients, namespace string, err error) error {
	var failed *FailedError
	var timeout *TimeoutError
	var states []State
	switch {
	case errors.As(err, &failed):
		states = failed.Targets
	case errors.As(err, &timeout) && timeout.Cause == nil:
		states = timeout.NotReady
	default:
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	read := 0
	for i := range states {
		if read == logWorkloads {
			break
		}
		if cause := states[i].Cause; cause != nil && cause.hasLog() {
			told := *cause
			told.Logs, told.LogNote = lastLines(ctx, c, namespace, told)
			states[i].Cause = &told
			read++
		}
	}
	return err
}

// hasLog tells whether the container has ever run, so that its log tells more than the cause does.
func (c Cause) hasLog() bool {
	switch c.Kind {
	case CauseCrash, CauseOutOfMemory, CauseStartupProbe, CauseLivenessProbe, CauseMeshProxy, CauseNotReady:
		return c.Pod != "" && c.Container != ""
	}
	return false
}

// lastLines of a container's log, made safe, or why there are none.
func lastLines(ctx context.Context, c Clients, namespace string, cause Cause) (lines []string, note string) {
	text, err := readLog(ctx, c, namespace, cause, cause.previous)
	if err != nil && cause.previous && !apierrors.IsForbidden(err) { // its log may be gone already
		text, err = readLog(ctx, c, namespace, cause, false)
	}
	switch {
	case apierrors.IsForbidden(err):
		return nil, fmt.Sprintf("its log is not shown: not allowed to get pods/log in namespace %q", namespace)
	case err != nil:
		return nil, "its log cannot be read: " + PlainText(err.Error())
	case strings.TrimSpace(text) == "":
		return nil, "its log is empty"
	}
	for line := range strings.Lines(strings.TrimRight(text, "\r\n")) {
		lines = append(lines, plainLine(line))
	}
	return lines, ""
}

func readLog(ctx context.Context, c Clients, namespace string, cause Cause, previous bool) (string, error) {
	tail, limit := logLines, logBytes
	b, err := c.CoreV1().Pods(namespace).GetLogs(cause.Pod, &corev1.PodLogOptions{
		Container: cause.Container, Previous: previous, TailLines: &tail, LimitBytes: &limit,
	}).DoRaw(ctx)
	return string(b), err
}

// plainLine is PlainText that keeps a line's indentation, by which a Python traceback is read.
func plainLine(line string) string {
	line = strings.TrimRight(line, "\r\n")
	rest := strings.TrimLeftFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	indent := 0
	for _, r := range line[:len(line)-len(rest)] {
		indent++
		if r == '\t' {
			indent += 3
		}
	}
	return strings.TrimRightFunc(strings.Repeat(" ", min(indent, 40))+PlainText(rest), unicode.IsSpace)
}
