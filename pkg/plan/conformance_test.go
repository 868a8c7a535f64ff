package plan_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/internal/conformance"
	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// readEntries reads testdata/corpus.txt, which names every case and what we make of it.
func readEntries(t *testing.T) []conformance.Entry {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "corpus.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	entries, err := conformance.List(f)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// corpusDirs are where cases lie: in the repository, and the real Flows of other projects, which are not ours to copy, in the
// shared folder beside the checkout where there is one.
func corpusDirs() []string {
	return []string{filepath.Join("testdata", "corpus"), filepath.Join("..", "..", "..", "shared", "corpus")}
}

// loadCase reads a case's folder; it is nil when it is not there.
func loadCase(t *testing.T, name string) *conformance.Case {
	t.Helper()
	for _, dir := range corpusDirs() {
		c, err := conformance.Load(filepath.Join(dir, name))
		if err == nil {
			return c
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return nil
}

// missing fails the test, unless the case is one of those that are only beside the checkout.
func missing(t *testing.T, e conformance.Entry) {
	t.Helper()
	if strings.Contains(e.Name, "wild-") || e.Verdict == conformance.Later {
		t.Skip("not one of ours, and no shared/corpus beside the checkout")
	}
	t.Fatal("the case is not in testdata/corpus")
}

// TestCompatEqualsReference compares the objects of --compat with those that jina 3.34.0 made of the same input, leaf by
// leaf; where we differ on purpose, every leaf is in testdata/differences.
func TestCompatEqualsReference(t *testing.T) {
	counts := map[conformance.Verdict]int{}
	compared := 0
	for _, e := range readEntries(t) {
		counts[e.Verdict]++
		t.Run(e.Name, func(t *testing.T) {
			c := loadCase(t, e.Name)
			if c == nil {
				missing(t, e)
			}
			compared += compareCase(t, e, c)
		})
	}
	t.Logf("%d cases equal the reference in all of %d leaves, %d errors are errors, %d improved, %d later",
		counts[conformance.Equal], compared, counts[conformance.Failed], counts[conformance.Improved], counts[conformance.Later])
}

func compareCase(t *testing.T, e conformance.Entry, c *conformance.Case) int {
	t.Helper()
	export := c.Export(true)
	switch e.Verdict {
	case conformance.Equal:
		if err := export.Problems.Err(); err != nil {
			t.Fatalf("the reference has no error, we have:\n%v", err)
		}
		lines, compared := conformance.Differences(c.Expected, export.Tree())
		if len(lines) > 0 {
			t.Errorf("%d leaves differ:\n%s", len(lines), strings.Join(lines, "\n"))
		}
		return compared
	case conformance.Failed:
		if c.ExpectedError == "" {
			t.Error("the reference has no error")
		}
		checkRefused(t, export.Problems)
	case conformance.Later:
		checkRefused(t, export.Problems)
	case conformance.Improved:
		plan.Golden(t, filepath.Join("testdata", "differences", c.Name+".txt"), improvement(c, export))
	}
	return 0
}

// improvement is our error, or every leaf that differs.
func improvement(c *conformance.Case, export *conformance.Export) string {
	if err := export.Problems.Err(); err != nil {
		return err.Error() + "\n"
	}
	lines, _ := conformance.Differences(c.Expected, export.Tree())
	return strings.Join(lines, "\n") + "\n"
}

// checkRefused wants an error with a line.
func checkRefused(t *testing.T, problems flow.Problems) {
	t.Helper()
	if problems.Err() == nil {
		t.Fatal("no error")
	}
	for _, p := range problems {
		if p.Severity == flow.Error && p.Position.Line == 0 && p.ID != flow.IDUnreadable && p.ID != "namespace" {
			t.Errorf("no position: %s", p)
		}
	}
}

// TestDefaultIsReferenceWithDeviations replays the named deviations on the reference's own objects and compares the
// result with the default output: nothing else may differ. What only --compat exports is in testdata/refused.txt.
func TestDefaultIsReferenceWithDeviations(t *testing.T) {
	cases, touched := 0, map[string]int{}
	var refused strings.Builder
	for _, e := range readEntries(t) {
		if e.Verdict != conformance.Equal {
			continue
		}
		c := loadCase(t, e.Name)
		if c == nil {
			t.Run(e.Name, func(t *testing.T) { missing(t, e) })
			continue
		}
		out := conformance.Judge(c)
		if !out.Agrees() {
			t.Errorf("%s: %v\n%d leaves differ:\n%s", c.Name, out.CompatRefused.Err(), len(out.Compat)+len(out.Default),
				strings.Join(append(out.Compat, out.Default...), "\n"))
		}
		if err := out.DefaultRefused.Err(); err != nil && !strings.Contains(e.Name, "wild-") {
			fmt.Fprintf(&refused, "# %s\n%v\n", c.Name, err)
		}
		for id, n := range out.Touched {
			touched[id] += n
		}
		cases++
	}
	plan.Golden(t, filepath.Join("testdata", "refused.txt"), refused.String())
	for _, d := range plan.Deviations() {
		n, applied := touched[d.ID]
		if applied && n == 0 {
			t.Errorf("deviation %s touches nothing in the corpus", d.ID)
		}
		t.Logf("%-18s %6d leaves", d.ID, n)
	}
	t.Logf("%d cases compared", cases)
}

// TestDeviationsChangeOnlyTheirPaths holds what a deviation does against the paths that it declares.
func TestDeviationsChangeOnlyTheirPaths(t *testing.T) {
	for _, e := range readEntries(t) {
		c := loadCase(t, e.Name)
		if e.Verdict != conformance.Equal || c == nil {
			continue
		}
		export := c.Export(true)
		if err := export.Problems.Err(); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		before := contents(export.Objects)
		plan.Deviate(export.Flow, export.Options, export.Objects, func(d plan.Deviation, objects []plan.Object) {
			after := contents(objects)
			for ref, object := range after {
				for _, path := range changedPaths("", before[ref], object) {
					if !slices.ContainsFunc(d.Paths, func(p string) bool { return pathMatches(p, path) }) {
						t.Errorf("%s: %s changes %s of %s, which it does not declare", c.Name, d.ID, path, ref)
					}
				}
			}
			before = after
		})
	}
}

// contents are copies of the objects by their references.
func contents(objects []plan.Object) map[plan.Ref]any {
	out := map[plan.Ref]any{}
	for _, o := range objects {
		ref := o.Ref()
		if ref.Group == "apps" {
			ref.Kind = "" // which a deviation may change
		}
		out[ref] = o.DeepCopy().Object
	}
	return out
}

func changedPaths(path string, a, b any) []string {
	if reflect.DeepEqual(a, b) {
		return nil
	}
	am, aok := a.(map[string]any)
	bm, bok := b.(map[string]any)
	if aok && bok || (a == nil && bok) {
		var out []string
		for k, v := range bm {
			out = append(out, changedPaths(strings.TrimPrefix(path+"."+k, "."), am[k], v)...)
		}
		for k := range am {
			if _, ok := bm[k]; !ok {
				out = append(out, strings.TrimPrefix(path+"."+k, "."))
			}
		}
		return out
	}
	al, aok := a.([]any)
	bl, bok := b.([]any)
	if aok && bok && len(al) == len(bl) {
		var out []string
		for i := range al {
			out = append(out, changedPaths(path+"[*]", al[i], bl[i])...)
		}
		return out
	}
	return []string{path}
}

func pathMatches(declared, path string) bool {
	return path == declared || strings.HasPrefix(path, declared+".") || strings.HasPrefix(path, declared+"[")
}
