package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-jina/kubectl-jina/internal/conformance"
	"github.com/kubectl-jina/kubectl-jina/internal/conformance/random"
)

// soak is a run over random Flows.
type soak struct {
	seed  uint64
	count int
	keep  string
}

// fewDifferences are enough to look at before the run goes on.
const fewDifferences = 20

// soak compares random Flows until enough of them agree. A difference is made small and kept as a case.
func (t *tool) soak(ctx context.Context, s soak) error {
	jina, err := t.start(ctx)
	if err != nil {
		return err
	}
	defer jina.close()
	folder, err := os.MkdirTemp("", "kubectl-jina-soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	fmt.Fprintf(t.out, "jina %s, seed %d, until %d random Flows agree\n", jina.Version, s.seed, s.count)
	r := &soaking{tool: t, jina: jina, folder: filepath.Join(folder, "run"), counts: map[conformance.Verdict]int{}, touched: map[string]int{}, compatOnly: map[string]int{}}
	begin := time.Now()
	seed := s.seed
	for ; r.counts[conformance.Equal] < s.count && ctx.Err() == nil && r.counts[conformance.Different] < fewDifferences; seed++ {
		if err := r.one(seed, s.keep); err != nil {
			return err
		}
		if n := seed - s.seed + 1; n%200 == 0 {
			fmt.Fprintf(t.out, "  %d Flows, %d agree, %.1f a second\n", n, r.counts[conformance.Equal], float64(n)/time.Since(begin).Seconds())
		}
	}
	tried := seed - s.seed
	fmt.Fprintf(t.out, "seeds %d to %d: %d Flows, %d leaves, %.1f Flows a second\n", s.seed, seed-1, tried, r.leaves, float64(tried)/time.Since(begin).Seconds())
	for _, v := range []conformance.Verdict{conformance.Equal, conformance.BothRefuse, conformance.Quoting, conformance.SearchPaths, conformance.Different} {
		fmt.Fprintf(t.out, "  %-12s %6d\n", v, r.counts[v])
	}
	for _, ids := range slices.Sorted(maps.Keys(r.compatOnly)) {
		if ids != "" {
			fmt.Fprintf(t.out, "  of the equal ones %d are exported with --compat only: %s\n", r.compatOnly[ids], ids)
		}
	}
	printTouched(t.out, r.touched)
	if r.counts[conformance.Different] > 0 {
		return errDifferent
	}
	return ctx.Err()
}

// soaking is the state of a run.
type soaking struct {
	*tool
	jina       *reference
	folder     string
	counts     map[conformance.Verdict]int
	touched    map[string]int
	leaves     int
	compatOnly map[string]int
}

// try asks the reference about a Flow and judges it.
func (r *soaking) try(f *random.Flow) (*conformance.Case, *response, conformance.Verdict, *conformance.Outcome, string, error) {
	c, answer, err := r.jina.export("random", f, r.folder)
	if err != nil {
		return c, answer, "", nil, "", err
	}
	verdict, out, why := conformance.JudgeRandom(c)
	return c, answer, verdict, out, why, nil
}

func (r *soaking) one(seed uint64, keep string) error {
	f := random.New(seed)
	_, _, verdict, out, why, err := r.try(f)
	if err != nil {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	r.counts[verdict]++
	if out != nil {
		r.leaves += out.Leaves
		for id, n := range out.Touched {
			r.touched[id] += n
		}
		if verdict == conformance.Equal {
			r.compatOnly[strings.Join(conformance.ErrorIDs(out.DefaultRefused), ", ")]++
		}
	}
	if verdict != conformance.Different {
		return nil
	}
	kind := firstLine(why)
	small := random.Shrink(f, func(smaller *random.Flow) bool {
		_, _, v, _, w, err := r.try(smaller)
		return err == nil && v == conformance.Different && firstLine(w) == kind
	})
	c, answer, _, _, why, err := r.try(small)
	if err != nil {
		return err
	}
	dir := filepath.Join(keep, fmt.Sprintf("random-%d", seed))
	fmt.Fprintf(r.out, "seed %d differs, kept as %s:\n%s\n%s\n", seed, dir, indent(string(c.Source.Data)), indent(atMost(why, 12)))
	files := answer.results()
	files["input.yml"], files["difference.txt"] = string(c.Source.Data), why+"\n"
	files["note"] = fmt.Sprintf("random Flow of seed %d, made smaller\n", seed)
	maps.Copy(files, small.Files())
	if env := small.Env(); len(env) > 0 {
		files["env"] = strings.Join(env, "\n") + "\n"
	}
	if args := small.Args(); len(args) > 0 {
		files["args"] = strings.Join(args, "\n") + "\n"
	}
	return writeFiles(dir, files)
}

// atMost is the beginning of a text of many lines.
func atMost(text string, count int) string {
	lines := strings.Split(text, "\n")
	if len(lines) <= count {
		return text
	}
	return strings.Join(append(lines[:count], fmt.Sprintf("and %d lines more", len(lines)-count)), "\n")
}

func firstLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return first
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}

// writeFiles writes texts below a folder.
func writeFiles(dir string, files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
