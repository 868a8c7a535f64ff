package main

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is what a run has found.
type report struct {
	CPUs      int      `json:"cpus"`
	System    string   `json:"system"`
	GoVersion string   `json:"goVersion"`
	Results   []result `json:"results"`
	Bars      []bar    `json:"bars"`

	medians map[cell]result
	// order of the cells is that of the table.
	order []cell
}

// cell of the table.
type cell struct {
	mode      mode
	executors int
	scenario  scenario
	program   name
}

func newReport(results []result) *report {
	r := &report{
		CPUs: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, GoVersion: runtime.Version(),
		Results: results, medians: map[cell]result{},
	}
	all := map[cell][]result{}
	for _, one := range results {
		k := cell{one.Mode, one.Executors, one.Scenario, one.Program}
		if all[k] == nil {
			r.order = append(r.order, k)
		}
		all[k] = append(all[k], one)
	}
	for k, some := range all {
		r.medians[k] = median(some)
	}
	slices.SortStableFunc(r.order, func(a, b cell) int {
		return cmp.Or(
			strings.Compare(string(a.mode), string(b.mode)),
			a.executors-b.executors,
			slices.Index(scenarios(), a.scenario)-slices.Index(scenarios(), b.scenario),
			slices.Index(names(), a.program)-slices.Index(names(), b.program),
		)
	})
	r.Bars = r.judge()
	return r
}

func scenarios() []scenario { return []scenario{create, unchanged, changed, remove} }

func names() []name { return []name{jina, jinaMesh, jinaWaits, loop, kubectl, helm} }

// median takes the middle of each cost; the requests are those of the first run.
func median(some []result) result {
	m := some[0]
	m.Wall = middle(some, func(r result) time.Duration { return r.Wall })
	m.CPU = middle(some, func(r result) time.Duration { return r.CPU })
	m.ClusterCPU = middle(some, func(r result) time.Duration { return r.ClusterCPU })
	m.Memory = middle(some, func(r result) int64 { return r.Memory })
	m.Sent = middle(some, func(r result) int64 { return r.Sent })
	m.Received = middle(some, func(r result) int64 { return r.Received })
	if m.AfterLastReady != nil {
		after := middle(some, func(r result) time.Duration { return *r.AfterLastReady })
		m.AfterLastReady = &after
	}
	return m
}

func middle[T cmp.Ordered](some []result, of func(result) T) T {
	values := make([]T, len(some))
	for i, r := range some {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// Markdown is the report as docs/performance.md has it.
func (r *report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d CPUs, %s, %s\n", r.CPUs, r.System, r.GoVersion)
	last := cell{}
	for _, k := range r.order {
		if k.mode != last.mode || k.executors != last.executors {
			fmt.Fprintf(&b, "\n### %d executors, %s\n\n", k.executors, r.about(k))
			b.WriteString("| scenario | program | wall | CPU | cluster's CPU | memory | requests | of them writes | sent | received |\n")
			b.WriteString("|---|---|---:|---:|---:|---:|---|---:|---:|---:|\n")
		}
		last = k
		m := r.medians[k]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %.0f MB | %s | %d | %s | %s |\n", k.scenario, k.program,
			seconds(m.Wall), seconds(m.CPU), seconds(m.ClusterCPU), float64(m.Memory)/1e6, requests(m.Requests), m.Persisted, bytesText(m.Sent), bytesText(m.Received))
	}
	b.WriteString("\n### Bars\n\n| what | executors | cluster | measured | bar | |\n|---|---:|---|---:|---:|---|\n")
	for _, bar := range r.Bars {
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s |\n", bar.What, bar.Executors, bar.Mode, bar.Measured, bar.Limit, bar.verdict())
	}
	return b.String()
}

func (r *report) about(k cell) string {
	objects := r.medians[k].Objects
	if k.mode == halted {
		return fmt.Sprintf("%d objects, controllers halted", objects)
	}
	return fmt.Sprintf("%d objects, controllers at work", objects)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func bytesText(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// requests is "patch 300, list 6", the most first.
func requests(counts map[string]int) string {
	verbs := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
	for i, v := range verbs {
		verbs[i] = fmt.Sprintf("%s %d", v, counts[v])
	}
	return strings.Join(verbs, ", ")
}
