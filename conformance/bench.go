package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// usage is what a process has cost.
type usage struct {
	wall, cpu time.Duration
	memory    int64 // bytes at most
}

// bench runs both programs' export side by side, as processes of their own, and prints what each costs.
func (t *tool) bench(ctx context.Context, plugin string) error {
	plugin, err := filepath.Abs(plugin)
	if err != nil {
		return err
	}
	if _, err := os.Stat(plugin); err != nil {
		return fmt.Errorf("%w; make build makes it", err)
	}
	dir, err := os.MkdirTemp("", "kubectl-jina-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "executors\tprogram\twall\tCPU\tmemory\twall ratio\tCPU ratio\t")
	for _, b := range []struct{ executors, ours, theirs int }{{3, 15, 5}, {100, 15, 1}, {1000, 7, 1}, {2000, 5, 0}, {4000, 3, 0}} {
		file := filepath.Join(dir, fmt.Sprintf("flow-%d.yml", b.executors))
		if err := os.WriteFile(file, []byte(benchFlow(b.executors)), 0o644); err != nil {
			return err
		}
		env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "JINA_GATEWAY_IMAGE=jinaai/jina:3.34.0", "JINA_HIDE_SURVEY=1", "NO_VERSION_CHECK=1", "JINA_OPTOUT_TELEMETRY=1"}
		// They take turns, so that both have the same machine, and the median counts.
		var ours, theirs []usage
		for i := range max(b.ours, b.theirs) {
			if i < b.ours {
				u, err := measure(ctx, dir, env, plugin, "export", "-f", file, "-n", "default")
				if err != nil {
					return err
				}
				ours = append(ours, u)
			}
			if i < b.theirs {
				out := filepath.Join(dir, fmt.Sprintf("out-%d", i))
				u, err := measure(ctx, dir, env, t.python, t.path("conformance", "offline.py"), "export", "kubernetes", file, out)
				if err != nil {
					return err
				}
				theirs = append(theirs, u)
			}
		}
		us := median(ours)
		if len(theirs) > 0 {
			them := median(theirs)
			row(w, b.executors, "jina", them, "", "")
			row(w, b.executors, "kubectl-jina", us, ratio(us.wall, them.wall), ratio(us.cpu, them.cpu))
			continue
		}
		row(w, b.executors, "kubectl-jina", us, "", "")
	}
	return w.Flush()
}

func row(w *tabwriter.Writer, executors int, program string, u usage, wall, cpu string) {
	fmt.Fprintf(w, "%d\t%s\t%.0f ms\t%.0f ms\t%.0f MB\t%s\t%s\t\n", executors, program,
		float64(u.wall)/float64(time.Millisecond), float64(u.cpu)/float64(time.Millisecond), float64(u.memory)/1e6, wall, cpu)
}

func ratio(ours, theirs time.Duration) string {
	return fmt.Sprintf("1/%.0f", float64(theirs)/float64(max(ours, 1)))
}

// median of each of the costs.
func median(all []usage) usage {
	middle := func(cost func(usage) int64) int64 {
		var costs []int64
		for _, u := range all {
			costs = append(costs, cost(u))
		}
		slices.Sort(costs)
		return costs[len(costs)/2]
	}
	return usage{
		wall:   time.Duration(middle(func(u usage) int64 { return int64(u.wall) })),
		cpu:    time.Duration(middle(func(u usage) int64 { return int64(u.cpu) })),
		memory: middle(func(u usage) int64 { return u.memory }),
	}
}

// measure runs a program to its end; what it prints is thrown away.
func measure(ctx context.Context, dir string, env []string, name string, args ...string) (usage, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, env
	var problems strings.Builder
	c.Stderr = &problems
	begin := time.Now()
	if err := c.Run(); err != nil {
		return usage{}, fmt.Errorf("%s: %w: %s", filepath.Base(name), err, problems.String())
	}
	u := usage{wall: time.Since(begin), cpu: c.ProcessState.UserTime() + c.ProcessState.SystemTime()}
	u.memory = peakMemory(c.ProcessState)
	return u, nil
}

// benchFlow is a chain of executors with the arguments that most have.
func benchFlow(executors int) string {
	var b strings.Builder
	b.WriteString("jtype: Flow\nexecutors:\n")
	for i := range executors {
		fmt.Fprintf(&b, "  - name: e%d\n    uses: docker://registry.example/e:%d\n    env: {A: x, B: y}\n    uses_with: {dim: 3}\n", i, i)
	}
	return b.String()
}
