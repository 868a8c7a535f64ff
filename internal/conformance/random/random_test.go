package random

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestSameSeedMakesTheSameFlow(t *testing.T) {
	for seed := range uint64(50) {
		a, b := New(seed), New(seed)
		if a.Text() != b.Text() || strings.Join(a.Env(), " ") != strings.Join(b.Env(), " ") || strings.Join(a.Args(), " ") != strings.Join(b.Args(), " ") {
			t.Fatalf("seed %d makes two Flows:\n%s\n%s", seed, a.Text(), b.Text())
		}
	}
}

// TestEveryFlowIsYAML also holds the variety: seeds that all make the same would test nothing.
func TestEveryFlowIsYAML(t *testing.T) {
	seen := map[string]bool{}
	const seeds = 500
	for seed := range uint64(seeds) {
		text := New(seed).Text()
		var doc map[string]any
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Errorf("seed %d: %v\n%s", seed, err, text)
		}
		seen[text] = true
	}
	if len(seen) < seeds*9/10 {
		t.Errorf("%d seeds make only %d Flows", seeds, len(seen))
	}
}

func TestShrinkKeepsOnlyWhatMatters(t *testing.T) {
	const key = "uses_with"
	for seed := range uint64(200) {
		f := New(seed)
		if !strings.Contains(f.Text(), key+":") {
			continue
		}
		before := f.Text()
		small := Shrink(f, func(f *Flow) bool { return strings.Contains(f.Text(), key+":") })
		if lines := strings.Count(small.Text(), "\n"); lines > 4 || !strings.Contains(small.Text(), key+":") {
			t.Errorf("seed %d leaves %d lines:\n%s", seed, lines, small.Text())
		}
		if len(small.Env()) > 0 || len(small.Args()) > 0 {
			t.Errorf("seed %d leaves %v %v", seed, small.Env(), small.Args())
		}
		if f.Text() != before {
			t.Fatalf("seed %d: shrinking changes the Flow that it is given", seed)
		}
	}
}
