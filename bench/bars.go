package main

import (
	"fmt"
	"slices"
	"time"
)

// countsFrom is the size from which on the bars count. Of a smaller Flow the start of the processes is most of what is
// measured; its ratios are only told.
const countsFrom = 1000

// bar is what the plugin has to reach, and whether it has.
type bar struct {
	What      string `json:"what"`
	Executors int    `json:"executors"`
	Mode      mode   `json:"mode"`
	Measured  string `json:"measured"`
	Limit     string `json:"limit"`
	Met       bool   `json:"met"`
	// Counts says that this size is one that the bar is set for.
	Counts bool `json:"counts"`
}

func (b bar) verdict() string {
	switch {
	case b.Met:
		return "met"
	case b.Counts:
		return "**missed**"
	}
	return "not met, and set for larger Flows"
}

// missed counts those that matter.
func (r *report) missed() int {
	n := 0
	for _, b := range r.Bars {
		if b.Counts && !b.Met {
			n++
		}
	}
	return n
}

// size is a number of executors on a cluster.
type size struct {
	mode      mode
	executors int
}

// judge holds the medians against the bars.
func (r *report) judge() []bar {
	var sizes []size
	for _, k := range r.order {
		if s := (size{k.mode, k.executors}); !slices.Contains(sizes, s) {
			sizes = append(sizes, s)
		}
	}
	var bars []bar
	for _, s := range sizes {
		bars = append(bars, r.judgeSize(s)...)
	}
	return append(bars, r.judgeGrowth(sizes)...)
}

func (r *report) at(s size, what scenario, program name) (result, bool) {
	m, ok := r.medians[cell{s.mode, s.executors, what, program}]
	return m, ok
}

func (r *report) judgeSize(s size) []bar {
	// With controllers the mesh check is part of what is measured.
	ours, kubectlFactor := jinaMesh, 1.5
	if s.mode == halted {
		ours, kubectlFactor = jina, 3
	}
	var bars []bar
	add := func(what, measured, limit string, met bool) {
		bars = append(bars, bar{What: what, Executors: s.executors, Mode: s.mode, Measured: measured, Limit: limit, Met: met, Counts: s.executors >= countsFrom})
	}
	// ratio compares walls: that of a over that of b.
	ratio := func(what string, scenario scenario, a, b name, limit string, met func(float64) bool) {
		x, ok1 := r.at(s, scenario, a)
		y, ok2 := r.at(s, scenario, b)
		if ok1 && ok2 && y.Wall > 0 {
			value := x.Wall.Seconds() / y.Wall.Seconds()
			add(what, fmt.Sprintf("%.2f", value), limit, met(value))
		}
	}
	ratio("new: time over that of a bare loop", create, ours, loop, "≤ 1.25", func(v float64) bool { return v <= 1.25 })
	ratio("new: kubectl's time over ours", create, kubectl, ours, fmt.Sprintf("≥ %.1f", kubectlFactor), func(v float64) bool { return v >= kubectlFactor })
	ratio("new: Helm's time over ours", create, helm, ours, "≥ 1", func(v float64) bool { return v >= 1 })
	ratio("unchanged: time over kubectl's", unchanged, ours, kubectl, "≤ 0.10", func(v float64) bool { return v <= 0.1 })
	if m, ok := r.at(s, unchanged, ours); ok {
		add("unchanged: persisted writes", fmt.Sprint(m.Persisted), "0", m.Persisted == 0)
	}
	if m, ok := r.at(s, create, jinaWaits); ok && m.AfterLastReady != nil {
		const most = 200 * time.Millisecond
		add("from the last pod ready to the return", seconds(*m.AfterLastReady), "≤ 0.20 s", *m.AfterLastReady <= most)
	}
	const mostMemory = 200e6
	memory := int64(0)
	for _, k := range r.order {
		if (size{k.mode, k.executors}) == s && k.program.isOurs() {
			memory = max(memory, r.medians[k].Memory)
		}
	}
	if memory > 0 {
		add("most memory", fmt.Sprintf("%.0f MB", float64(memory)/1e6), "≤ 200 MB", memory <= mostMemory)
	}
	return bars
}

// judgeGrowth sees whether an unchanged Flow's requests grow with it: from the smallest to the largest of each cluster.
func (r *report) judgeGrowth(sizes []size) []bar {
	var bars []bar
	for _, m := range []mode{withControllers, halted} {
		of := slices.DeleteFunc(slices.Clone(sizes), func(s size) bool { return s.mode != m })
		if len(of) < 2 {
			continue
		}
		small, ok1 := r.at(of[0], unchanged, jina)
		large, ok2 := r.at(of[len(of)-1], unchanged, jina)
		if !ok1 || !ok2 {
			continue
		}
		a, b := total(small.Requests), total(large.Requests)
		bars = append(bars, bar{
			What: fmt.Sprintf("unchanged: requests, against those of %d executors", small.Executors), Executors: large.Executors, Mode: m,
			Measured: fmt.Sprint(b), Limit: fmt.Sprintf("= %d", a), Met: a == b, Counts: true,
		})
	}
	return bars
}

func total(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}
