package main

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestProxyCountsBothWays(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := io.ReadFull(c, make([]byte, 5)); err == nil {
					_, _ = c.Write([]byte("an answer"))
				}
			}()
		}
	}()
	p, err := newProxy(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p.reset()
		c, err := net.Dial("tcp", p.address())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil || string(answer) != "an answer" {
			t.Errorf("got %q, %v", answer, err)
		}
		c.Close()
		if sent, received := p.sent.Load(), p.received.Load(); sent != 5 || received != 9 {
			t.Errorf("counted %d sent and %d received, want 5 and 9", sent, received)
		}
	}
	open, err := net.Dial("tcp", p.address())
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := p.close(); err != nil {
		t.Error(err)
	}
	if _, err := open.Read(make([]byte, 1)); err == nil {
		t.Error("a connection outlives the proxy")
	}
}

func TestReleasesDifferInOneField(t *testing.T) {
	t.Parallel()
	before, after := strings.Split(flowYAML(20, 1), "\n"), strings.Split(flowYAML(20, 2), "\n")
	var differ []string
	for i := range before {
		if before[i] != after[i] {
			differ = append(differ, after[i])
		}
	}
	if len(before) != len(after) || len(differ) != 1 || !strings.Contains(differ[0], imageOf(2)) {
		t.Errorf("they differ in %q", differ)
	}
}

func TestEveryProgramGetsTheSameObjects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := &material{manifest: filepath.Join(dir, "objects.yaml"), list: filepath.Join(dir, "objects.jsonl"), chart: filepath.Join(dir, "chart")}
	for i := range 200 {
		o := &unstructured.Unstructured{}
		o.SetKind("ConfigMap")
		o.SetAPIVersion("v1")
		o.SetName(strings.Repeat("x", i+1))
		m.objects = append(m.objects, o)
	}
	if err := errors.Join(m.writeManifest(), m.writeList(), m.writeChart()); err != nil {
		t.Fatal(err)
	}
	charts, err := filepath.Glob(filepath.Join(m.chart, "templates", "*"))
	if err != nil || len(charts) < 2 {
		t.Fatalf("templates are %v, %v", charts, err)
	}
	for _, files := range [][]string{{m.manifest}, {m.list}, charts} {
		var all []*unstructured.Unstructured
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			some, err := readObjects(b)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all = append(all, some...)
		}
		if len(all) != len(m.objects) {
			t.Fatalf("%v: %d objects, want %d", files, len(all), len(m.objects))
		}
		for i, o := range all {
			if o.GetName() != m.objects[i].GetName() {
				t.Errorf("%v: object %d is %s", files, i, o.GetName())
			}
		}
	}
	m.objects[0].SetAnnotations(map[string]string{"a": "{{ .Values.x }}"})
	if err := m.writeChart(); err == nil {
		t.Error("text that Helm takes for a template was put into the chart")
	}
}

func run1(m mode, n int, s scenario, p name, wall time.Duration, requests, persisted int) result {
	return result{Mode: m, Executors: n, Scenario: s, Program: p, cost: cost{
		Wall: wall, Memory: 50e6, Requests: map[string]int{"list": requests}, Persisted: persisted}}
}

func TestMedianIsTheMiddleOfEachCost(t *testing.T) {
	t.Parallel()
	var all []result
	for _, wall := range []time.Duration{9 * time.Second, time.Second, 2 * time.Second} {
		all = append(all, run1(halted, 10, create, jina, wall, 3, 3))
	}
	r := newReport(all)
	if got := r.medians[cell{halted, 10, create, jina}].Wall; got != 2*time.Second {
		t.Errorf("got %s", got)
	}
	if text := r.Markdown(); strings.Count(text, "| create | kubectl-jina | 2.00 s |") != 1 {
		t.Errorf("the table has not one row for it:\n%s", text)
	}
}

// verdicts are what the report says of each bar of a size.
func verdicts(r *report, executors int) map[string]string {
	all := map[string]string{}
	for _, b := range r.Bars {
		if b.Executors == executors {
			all[b.What] = b.verdict()
		}
	}
	return all
}

func TestBarsAreJudgedByTheRatios(t *testing.T) {
	t.Parallel()
	const s = time.Second
	r := newReport([]result{
		run1(halted, 1000, create, jina, 12*s, 9, 9),
		run1(halted, 1000, create, loop, 10*s, 9, 9),
		run1(halted, 1000, create, kubectl, 37*s, 9, 9),
		run1(halted, 1000, create, helm, 11*s, 9, 9),
		run1(halted, 1000, unchanged, jina, 2*s, 9, 1),
		run1(halted, 1000, unchanged, kubectl, 10*s, 9, 9),
	})
	want := map[string]string{
		"new: time over that of a bare loop": "met",
		"new: kubectl's time over ours":      "met",
		"new: Helm's time over ours":         "**missed**",
		"unchanged: time over kubectl's":     "**missed**",
		"unchanged: persisted writes":        "**missed**",
		"most memory":                        "met",
	}
	got := verdicts(r, 1000)
	for what, v := range want {
		if got[what] != v {
			t.Errorf("%s: %q, want %q", what, got[what], v)
		}
	}
	if r.missed() != 3 {
		t.Errorf("%d are missed, want 3", r.missed())
	}
}

func TestSmallFlowsMissNoBarOfTime(t *testing.T) {
	t.Parallel()
	r := newReport([]result{
		run1(halted, 10, create, jina, 5*time.Second, 9, 9),
		run1(halted, 10, create, loop, time.Second, 9, 9),
	})
	if got := verdicts(r, 10)["new: time over that of a bare loop"]; !strings.HasPrefix(got, "not met") || r.missed() != 0 {
		t.Errorf("got %q, %d missed", got, r.missed())
	}
}

func TestRequestsThatGrowWithAnUnchangedFlowMissTheBar(t *testing.T) {
	t.Parallel()
	for large, want := range map[int]int{7: 0, 8: 1} {
		r := newReport([]result{
			run1(halted, 10, unchanged, jina, time.Second, 7, 0),
			run1(halted, 100, unchanged, jina, time.Second, large, 0),
		})
		if r.missed() != want {
			t.Errorf("7 requests, then %d: %d missed, want %d", large, r.missed(), want)
		}
	}
}

func TestWrongCommandLinesAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-n", "0"}, {"-n", "10,x"}, {"-modes", "idle"}, {"-repeats", "0"}, {"more"}} {
		var usage *usageError
		if _, err := parse(args, io.Discard); !errors.As(err, &usage) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
