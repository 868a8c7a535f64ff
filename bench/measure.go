package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// bench measures on one cluster.
type bench struct {
	options  options
	mode     mode
	cluster  *cluster
	programs []*program
	dir      string
	progress io.Writer
	rounds   int
}

// result is what one run of a program has cost.
type result struct {
	Mode      mode     `json:"mode"`
	Executors int      `json:"executors"`
	Objects   int      `json:"objects"`
	Scenario  scenario `json:"scenario"`
	Program   name     `json:"program"`
	cost
}

// cost of one run.
type cost struct {
	Wall time.Duration `json:"wallNanoseconds"`
	// CPU time of the program, and of the cluster while it ran.
	CPU        time.Duration `json:"cpuNanoseconds"`
	ClusterCPU time.Duration `json:"clusterCPUNanoseconds"`
	// Memory is the most that the program had, in bytes.
	Memory int64 `json:"memoryBytes"`
	// Sent and Received by the program, in bytes on the wire.
	Sent     int64 `json:"sentBytes"`
	Received int64 `json:"receivedBytes"`
	// Requests by verb; dry runs are apart, and so is what the API server refused for its load or a conflict. Persisted is how many of them may have changed what is stored.
	Requests  map[string]int `json:"requests"`
	Persisted int            `json:"persisted"`
	// AfterLastReady is the time from the last pod's being ready to the program's return, where that was measured.
	AfterLastReady *time.Duration `json:"afterLastReadyNanoseconds,omitempty"`
}

// round lets every program do all scenarios with a Flow of n executors. The turn decides who begins.
func (b *bench) round(ctx context.Context, n, turn int) ([]result, error) {
	b.rounds++
	first := turn % len(b.programs)
	var results []result
	for _, p := range slices.Concat(b.programs[first:], b.programs[:first]) {
		some, err := b.chain(ctx, p, n)
		if err != nil {
			return nil, fmt.Errorf("%s, %d executors: %w", p.name, n, err)
		}
		results = append(results, some...)
	}
	return results, nil
}

// chain is a program's scenarios, in a namespace of its own.
func (b *bench) chain(ctx context.Context, p *program, n int) (results []result, err error) {
	namespace := fmt.Sprintf("%s-%d", p.user, b.rounds)
	dir := filepath.Join(b.dir, namespace)
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	before, err := newMaterial(ctx, b.options.plugin, filepath.Join(dir, "before"), namespace, n, 1)
	if err != nil {
		return nil, err
	}
	after, err := newMaterial(ctx, b.options.plugin, filepath.Join(dir, "after"), namespace, n, 2)
	if err != nil {
		return nil, err
	}
	if err := b.cluster.namespace(ctx, namespace); err != nil {
		return nil, err
	}
	steps := []struct {
		scenario scenario
		material *material
	}{{create, before}, {unchanged, before}, {changed, after}, {remove, after}}
	if b.mode == halted {
		// Without a garbage collector a deletion in the foreground has no end.
		steps = steps[:3]
	}
	for _, s := range steps {
		if err := b.cluster.settle(ctx); err != nil {
			return nil, err
		}
		c, err := b.measure(ctx, p, s.scenario, s.material, namespace)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.scenario, err)
		}
		if err := b.verify(ctx, s.scenario, s.material, namespace); err != nil {
			return nil, fmt.Errorf("%s: %w", s.scenario, err)
		}
		fmt.Fprintf(b.progress, "%s, %d executors, %s, %s: %s\n", b.mode, n, p.name, s.scenario, c.Wall.Round(time.Millisecond))
		results = append(results, result{Mode: b.mode, Executors: n, Objects: len(s.material.objects), Scenario: s.scenario, Program: p.name, cost: c})
	}
	return results, b.cluster.empty(ctx, namespace)
}

// measure runs the program once.
func (b *bench) measure(ctx context.Context, p *program, s scenario, m *material, namespace string) (cost, error) {
	var watch *readiness
	if p.waits && s == create {
		var err error
		if watch, err = watchReadiness(ctx, b.cluster, namespace); err != nil {
			return cost{}, err
		}
		defer watch.stop()
	}
	file := filepath.Join(b.dir, "cost.json")
	args := append([]string{file, p.path}, p.args(s, m, namespace)...)
	c := exec.CommandContext(ctx, filepath.Join(b.options.tools, executable("cost")), args...)
	c.Env, c.Dir = p.environment(), p.home
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	// What the program says goes where it costs little, and is shown when it fails.
	said, err := os.Create(filepath.Join(b.dir, "output.txt"))
	if err != nil {
		return cost{}, err
	}
	defer said.Close()
	c.Stdout, c.Stderr = said, said
	b.cluster.proxy.reset()
	cpu, _ := cpuTime(b.cluster.process.PID())
	begin := time.Now()
	if err := c.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		return cost{}, fmt.Errorf("%w: %s", err, lastBytes(text))
	}
	cpuAfter, _ := cpuTime(b.cluster.process.PID())
	out := cost{ClusterCPU: cpuAfter - cpu, Sent: b.cluster.proxy.sent.Load(), Received: b.cluster.proxy.received.Load()}
	end, err := out.read(file)
	if err != nil {
		return cost{}, err
	}
	if watch != nil {
		after := end.Sub(watch.last())
		out.AfterLastReady = &after
	}
	return out, b.countRequests(ctx, p, begin, &out)
}

// read takes what the program cost has written.
func (c *cost) read(file string) (end time.Time, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return end, err
	}
	var spent struct {
		Begin, End time.Time
		CPU        time.Duration
		Memory     int64
	}
	if err := json.Unmarshal(b, &spent); err != nil {
		return end, err
	}
	c.Wall, c.CPU, c.Memory = spent.End.Sub(spent.Begin), spent.CPU, spent.Memory
	return spent.End, nil
}

// countRequests reads the audit log: what the program's user has asked for since begin.
func (b *bench) countRequests(ctx context.Context, p *program, begin time.Time, c *cost) error {
	// The last events may still be on their way into the file.
	if err := sleep(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	events, err := b.cluster.process.AuditEvents(func(e testcluster.Event) bool { return e.User == p.user && !e.Time.Before(begin) })
	if err != nil {
		return err
	}
	c.Requests = map[string]int{}
	for _, e := range events {
		verb := e.Verb
		if e.DryRun {
			verb += " (dry run)"
		}
		switch {
		case e.Code == http.StatusTooManyRequests:
			verb += " (too many)"
		case e.Code == http.StatusConflict:
			verb += " (conflict)"
		case e.Code >= http.StatusInternalServerError:
			verb += " (failed)"
		}
		c.Requests[verb]++
		if e.Persisted() {
			c.Persisted++
		}
	}
	return nil
}

// verify sees to it that what was measured was the whole work, and with controllers waits until theirs is done too.
func (b *bench) verify(ctx context.Context, s scenario, m *material, namespace string) error {
	wrong := "is missing"
	if s == remove {
		wrong = "is still there"
	}
	// Asked again, because what the controllers have to do with a large Flow may keep the API server from answering in time.
	err := eventually(ctx, func(ctx context.Context) error {
		there, err := b.cluster.names(ctx, namespace)
		if err != nil {
			return err
		}
		for _, o := range m.objects {
			if there[o.GetKind()+"/"+o.GetName()] == (s == remove) {
				return fmt.Errorf("%s %s %s", o.GetKind(), o.GetName(), wrong)
			}
		}
		return nil
	})
	if err != nil || s == remove {
		return err
	}
	if b.mode == withControllers {
		if err := b.cluster.available(ctx, namespace); err != nil {
			return err
		}
	}
	d, err := b.cluster.clients.AppsV1().Deployments(namespace).Get(ctx, "e0", metav1.GetOptions{})
	if err != nil {
		return err
	}
	want := imageOf(1)
	if s == changed {
		want = imageOf(2)
	}
	if got := d.Spec.Template.Spec.Containers[0].Image; got != want {
		return fmt.Errorf("Deployment e0 has the image %s, not %s", got, want)
	}
	return nil
}

// names are KIND/NAME of what a Flow is made of.
func (c *cluster) names(ctx context.Context, namespace string) (map[string]bool, error) {
	names := map[string]bool{}
	cached := metav1.ListOptions{ResourceVersion: "0"}
	deployments, err1 := c.clients.AppsV1().Deployments(namespace).List(ctx, cached)
	services, err2 := c.clients.CoreV1().Services(namespace).List(ctx, cached)
	configs, err3 := c.clients.CoreV1().ConfigMaps(namespace).List(ctx, cached)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	for _, o := range deployments.Items {
		names["Deployment/"+o.Name] = true
	}
	for _, o := range services.Items {
		names["Service/"+o.Name] = true
	}
	for _, o := range configs.Items {
		names["ConfigMap/"+o.Name] = true
	}
	return names, nil
}

// readiness remembers when the last pod of a namespace became ready.
type readiness struct {
	stop func()
	done chan struct{}
	when time.Time
}

func watchReadiness(ctx context.Context, c *cluster, namespace string) (*readiness, error) {
	w, err := c.clients.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	r := &readiness{stop: w.Stop, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		ready := map[string]bool{}
		for e := range w.ResultChan() {
			pod, ok := e.Object.(*corev1.Pod)
			if !ok || ready[pod.Name] {
				continue
			}
			for _, condition := range pod.Status.Conditions {
				if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
					ready[pod.Name], r.when = true, time.Now()
				}
			}
		}
	}()
	return r, nil
}

// last ends the watch.
func (r *readiness) last() time.Time {
	r.stop()
	<-r.done
	return r.when
}

func lastBytes(b []byte) string {
	const most = 2000
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}
