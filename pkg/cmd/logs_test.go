package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/logs"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

func livePartNamed(kind, name string, part plan.Part, replicas int64) livePart {
	return livePart{part, &unstructured.Unstructured{Object: map[string]any{
		"kind": kind, "metadata": map[string]any{"name": name},
		"spec": map[string]any{"replicas": replicas, "template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "executor"}}}}},
	}}}
}

func ownedPod(kind, owner, name string, containers ...string) *corev1.Pod {
	isController := true
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-template-hash": "5d8f9c"},
		OwnerReferences: []metav1.OwnerReference{{Kind: kind, Name: owner, Controller: &isController}},
	}}
	for _, c := range containers {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: c})
	}
	return p
}

func indexerParts() []livePart {
	return []livePart{
		livePartNamed("Deployment", "indexer", plan.Part{Role: plan.RoleExecutor, Executor: "indexer"}, 2),
		livePartNamed("StatefulSet", "indexer-v2-0", plan.Part{Role: plan.RoleShard, Executor: "indexer-v2"}, 1),
	}
}

func TestLogLinesStartWithTheirPart(t *testing.T) {
	parts := newLogParts(indexerParts(), "", false)
	for _, c := range []struct {
		pod       *corev1.Pod
		container string
		want      string
	}{
		{ownedPod("ReplicaSet", "indexer-5d8f9c", "indexer-5d8f9c-x7k2p", "linkerd-proxy", "executor"), "executor", "indexer 5d8f9c-x7k2p"},
		{ownedPod("StatefulSet", "indexer-v2-0", "indexer-v2-0-3", "executor"), "executor", "indexer-v2/0 3"},
		{ownedPod("StatefulSet", "indexer-v2-0", "indexer-v2-0-3", "executor"), "linkerd-proxy", "indexer-v2/0 3 linkerd-proxy"},
	} {
		if got := parts.containers(c.pod); len(got) != 1 || got[0] != "executor" {
			t.Errorf("%s: containers %v", c.pod.Name, got)
		}
		if got := parts.prefixOf(logs.Line{Pod: c.pod.Name, Container: c.container}); got != c.want {
			t.Errorf("%s: %q, want %q", c.pod.Name, got, c.want)
		}
	}
	if got := parts.containers(ownedPod("ReplicaSet", "other-5d8f9c", "other-5d8f9c-x7k2p", "executor")); got != nil {
		t.Errorf("a pod of another workload: %v", got)
	}
}

func TestEachPodHasItsColourOnATerminalAndNoneElsewhere(t *testing.T) {
	for _, coloured := range []bool{false, true} {
		var out bytes.Buffer
		parts := newLogParts(indexerParts(), "", true)
		p := &logPrinter{out: &out, parts: parts, prefix: true, timestamps: true, coloured: coloured, colours: map[string]int{}}
		for _, pod := range []string{"indexer-5d8f9c-aaaaa", "indexer-5d8f9c-bbbbb", "indexer-5d8f9c-aaaaa"} {
			parts.containers(ownedPod("ReplicaSet", "indexer-5d8f9c", pod, "executor"))
			p.print(logs.Line{Pod: pod, Container: "executor", Time: statusNow.Add(time.Nanosecond), Text: "text"})
		}
		golden(t, fmt.Sprintf("logs_coloured_%v.txt", coloured), out.String())
	}
}

// brokenWriter is an output that nobody reads any more.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestLogsEndWhenNobodyReadsThem(t *testing.T) {
	ended := 0
	p := &logPrinter{out: brokenWriter{}, broken: func() { ended++ }}
	p.print(logs.Line{Text: "a"})
	p.print(logs.Line{Text: "b"})
	if ended != 1 || p.err == nil {
		t.Errorf("ended %d times, %v", ended, p.err)
	}
}

func TestTheLastLinesOfSeveralLogsAndAllOfOne(t *testing.T) {
	several, one := indexerParts(), indexerParts()[1:]
	for _, c := range []struct {
		o     logsOptions
		parts []livePart
		want  int64 // -1 for all
	}{
		{logsOptions{}, several, tailOfSeveral},
		{logsOptions{}, several[:1], tailOfSeveral},
		{logsOptions{}, one, -1},
		{logsOptions{allContainers: true}, one, tailOfSeveral},
		{logsOptions{since: time.Minute}, several, -1},
		{logsOptions{hasTail: true, tail: 3}, one, 3},
		{logsOptions{hasTail: true}, several, 0},
		{logsOptions{hasTail: true, tail: -1}, several, -1},
	} {
		got := int64(-1)
		if tail := c.o.tailOf(c.parts); tail != nil {
			got = *tail
		}
		if got != c.want {
			t.Errorf("%+v: %d, want %d", c.o, got, c.want)
		}
	}
}

func TestLogsFlagsThatDoNotFitTogether(t *testing.T) {
	for _, args := range [][]string{
		{"-f", "--previous"}, {"--since", "-1m"}, {"--tail", "-2"}, {"-c", "x", "--all-containers"}, {"--max-log-requests", "0"}, {"--flow", "a", "--filename", "b"},
		{"-f", "flow.yml"}, {"-f", "-"},
	} {
		if r := must(t, codeUsage, append([]string{"logs"}, args...)...); !strings.HasPrefix(r.errOut, "error: ") {
			t.Errorf("%v: %s", args, r.errOut)
		}
	}
}
