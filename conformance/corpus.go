package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/kubectl-jina/kubectl-jina/internal/conformance"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// tally counts what has come of the cases.
type tally struct {
	counts  map[conformance.Verdict]int
	touched map[string]int
	// cases that were run, and of them those that the reference makes differently than stored, and those that only
	// --compat exports.
	cases, stale, compatOnly, leaves int
	// bad are the differences that nothing documents, one a case.
	bad []string
}

// corpus makes every stored case again with the real program, and compares it with what is stored and with ours.
func (t *tool) corpus(ctx context.Context, match string, update bool) error {
	jina, err := t.start(ctx)
	if err != nil {
		return err
	}
	defer jina.close()
	unlock, err := lockCorpusDir()
	if err != nil {
		return err
	}
	defer unlock()
	entries, err := t.entries()
	if err != nil {
		return err
	}
	sum := &tally{counts: map[conformance.Verdict]int{}, touched: map[string]int{}}
	for _, e := range entries {
		if !strings.Contains(e.Name, match) {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := t.oneCase(jina, e, update, sum); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	sum.print(t.out, jina.Version)
	if len(sum.bad) > 0 {
		return errDifferent
	}
	return nil
}

// entries are the cases of corpus.txt and those of the shared folder that it does not list, which would be forgotten.
func (t *tool) entries() ([]conformance.Entry, error) {
	list, err := os.Open(t.path("pkg", "plan", "testdata", "corpus.txt"))
	if err != nil {
		return nil, err
	}
	defer list.Close()
	entries, err := conformance.List(list)
	if err != nil {
		return nil, err
	}
	for _, dir := range t.corpusDirs() {
		found, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, entry := range found {
			if entry.IsDir() && !slices.ContainsFunc(entries, func(e conformance.Entry) bool { return e.Name == entry.Name() }) {
				return nil, fmt.Errorf("pkg/plan/testdata/corpus.txt does not list %s", filepath.Join(dir, entry.Name()))
			}
		}
	}
	return entries, nil
}

func (t *tool) corpusDirs() []string {
	return []string{t.path("pkg", "plan", "testdata", "corpus"), t.path("..", "shared", "corpus")}
}

// oneCase runs a case, checks what is stored of it and judges ours.
func (t *tool) oneCase(jina *reference, e conformance.Entry, update bool, sum *tally) error {
	var dir string
	var c *conformance.Case
	err := error(fs.ErrNotExist)
	for i := 0; i < len(t.corpusDirs()) && errors.Is(err, fs.ErrNotExist); i++ {
		dir = filepath.Join(t.corpusDirs()[i], e.Name)
		c, err = conformance.Load(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(t.out, "%s: only in shared/corpus, which is not beside this checkout\n", e.Name)
		return nil
	} else if err != nil {
		return err
	}
	files, err := inputs(dir)
	if err != nil {
		return err
	}
	answer, err := jina.run(request{Files: files, Env: c.Env, Args: c.Arguments, Folder: c.WorkingDir})
	if err != nil {
		return err
	}
	if err := t.checkStored(dir, answer.results(), update && dir == filepath.Join(t.corpusDirs()[0], e.Name), e.Name, sum); err != nil {
		return err
	}
	c.ExpectedError = answer.Error
	if c.Expected, err = conformance.TreeOfTexts(answer.Files); err != nil {
		return err
	}
	sum.cases++
	sum.counts[e.Verdict]++
	if why := t.judge(e, c, sum); why != "" {
		sum.bad = append(sum.bad, e.Name)
		fmt.Fprintf(t.out, "%s (%s): %s\n", e.Name, e.Verdict, why)
	}
	return nil
}

// checkStored compares what the reference makes now with what is stored; update writes it anew.
func (t *tool) checkStored(dir string, now map[string]string, update bool, name string, sum *tally) error {
	stored, err := storedResults(dir)
	if err != nil || maps.Equal(stored, now) {
		return err
	}
	var which []string
	for _, file := range slices.Sorted(maps.Keys(union(stored, now))) {
		if stored[file] != now[file] {
			which = append(which, file)
		}
	}
	if update {
		for file := range stored {
			if err := os.Remove(filepath.Join(dir, filepath.FromSlash(file))); err != nil {
				return err
			}
		}
		fmt.Fprintf(t.out, "%s: stored anew: %s\n", name, strings.Join(which, ", "))
		return writeFiles(dir, now)
	}
	sum.stale++
	sum.bad = append(sum.bad, name)
	fmt.Fprintf(t.out, "%s: jina makes something else than is stored: %s\n", name, strings.Join(which, ", "))
	return nil
}

func union(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// judge says what is wrong with ours; nothing when it is as the list of cases says.
func (t *tool) judge(e conformance.Entry, c *conformance.Case, sum *tally) string {
	switch e.Verdict {
	case conformance.Equal:
		out := conformance.Judge(c)
		sum.leaves += out.Leaves
		for id, n := range out.Touched {
			sum.touched[id] += n
		}
		if err := out.CompatRefused.Err(); err != nil {
			return "the reference exports it, we refuse it:\n" + indent(err.Error())
		}
		if lines := append(out.Compat, out.Default...); len(lines) > 0 {
			return fmt.Sprintf("%d leaves differ:\n%s", len(lines), indent(strings.Join(lines, "\n")))
		}
		if out.DefaultRefused.Err() != nil {
			sum.compatOnly++
		}
	case conformance.Failed, conformance.Later:
		if e.Verdict == conformance.Failed && c.ExpectedError == "" {
			return "the reference exports it"
		}
		if c.Export(true).Problems.Err() == nil {
			return "we export it"
		}
	case conformance.Improved:
		golden, err := os.ReadFile(t.path("pkg", "plan", "testdata", "differences", e.Name+".txt"))
		if err != nil {
			return err.Error()
		}
		if text := conformance.Improvement(c); text != string(golden) {
			return "it differs in another way than testdata/differences has it:\n" + indent(text)
		}
	}
	return ""
}

func (s *tally) print(out io.Writer, version string) {
	fmt.Fprintf(out, "\njina %s\n", version)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "cases\t%d\t\n", s.cases)
	fmt.Fprintf(w, "equal\t%d\t\n", s.counts[conformance.Equal])
	fmt.Fprintf(w, "of them with --compat only\t%d\t\n", s.compatOnly)
	fmt.Fprintf(w, "errors in both\t%d\t\n", s.counts[conformance.Failed])
	fmt.Fprintf(w, "improved\t%d\t\n", s.counts[conformance.Improved])
	fmt.Fprintf(w, "later\t%d\t\n", s.counts[conformance.Later])
	fmt.Fprintf(w, "stored output that jina does not make\t%d\t\n", s.stale)
	fmt.Fprintf(w, "undocumented differences\t%d\t\n", len(s.bad))
	fmt.Fprintf(w, "leaves compared\t%d\t\n", s.leaves)
	w.Flush()
	printTouched(out, s.touched)
	if n := s.cases - len(s.bad); s.cases > 0 {
		fmt.Fprintf(out, "%d of %d cases (%.1f %%) are equal or documented\n", n, s.cases, 100*float64(n)/float64(s.cases))
	}
}

// printTouched lists how many leaves each deviation changes.
func printTouched(out io.Writer, touched map[string]int) {
	fmt.Fprintln(out, "leaves that each deviation changes:")
	for _, d := range plan.Deviations() {
		if d.Always {
			continue
		}
		fmt.Fprintf(out, "  %-20s %7d\n", d.ID, touched[d.ID])
	}
}
