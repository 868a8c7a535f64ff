package testcluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// simulated is the API group in which pods are told what to do.
const simulated = "kwok.x-k8s.io"

// Say makes a container of a pod have written these lines, a second apart. Without it, its log is one line that says
// that it is simulated. It may be called once for a pod.
func (c *Cluster) Say(t testing.TB, namespace, pod, container string, lines ...string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), container+".log")
	var b strings.Builder
	at := time.Now().Add(-time.Duration(len(lines)) * time.Second).UTC()
	for i, line := range lines {
		// The container runtime interface's format.
		fmt.Fprintf(&b, "%s stdout F %s\n", at.Add(time.Duration(i)*time.Second).Format(time.RFC3339Nano), line)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	c.tell(t, "Logs", "logs", namespace, pod, map[string]any{
		"logs": []any{map[string]any{"containers": []any{container}, "logsFile": path, "previousLogsFile": path}},
	})
}

// Log is a container's log that a test writes.
type Log struct{ path string }

// Log makes a container of a pod have a log that the test writes on. It, or Say, may be called once for a pod.
func (c *Cluster) Log(t testing.TB, namespace, pod, container string) *Log {
	t.Helper()
	l := &Log{filepath.Join(t.TempDir(), pod+"."+container+".log")}
	l.Write(t)
	c.tell(t, "Logs", "logs", namespace, pod, map[string]any{
		"logs": []any{map[string]any{"containers": []any{container}, "logsFile": l.path, "previousLogsFile": l.path}},
	})
	return l
}

// Write adds lines of this moment.
func (l *Log) Write(t testing.TB, lines ...string) {
	t.Helper()
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		// The container runtime interface's format.
		if _, err := fmt.Fprintf(f, "%s stdout F %s\n", time.Now().UTC().Format(time.RFC3339Nano), line); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// Serve makes a port of a pod lead to a server of the test on the loopback interface, for port-forwards. It may be
// called once for a pod.
func (c *Cluster) Serve(t testing.TB, namespace, pod string, podPort, port int) {
	t.Helper()
	c.tell(t, "PortForward", "portforwards", namespace, pod, map[string]any{
		"forwards": []any{map[string]any{
			"ports":  []any{int64(podPort)},
			"target": map[string]any{"address": "127.0.0.1", "port": int64(port)},
		}},
	})
}

func (c *Cluster) tell(t testing.TB, kind, resource, namespace, pod string, spec map[string]any) {
	t.Helper()
	client, err := dynamic.NewForConfig(c.config)
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": simulated + "/v1alpha1", "kind": kind,
		"metadata": map[string]any{"name": pod}, "spec": spec,
	}}
	gvr := schema.GroupVersionResource{Group: simulated, Version: "v1alpha1", Resource: resource}
	if _, err := client.Resource(gvr).Namespace(namespace).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatalf("%s of pod %s: %v", kind, pod, err)
	}
}
