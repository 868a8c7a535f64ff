package plan

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

var update = flag.Bool("update", false, "rewrite golden files")

// corpusCase is an input and what jina 3.34.0 made of it.
type corpusCase struct {
	name, verdict, reason string
	source                flow.Source
	namespace, image      string
	logLevel              string
	expectedError         string
	expected              map[string][]*unstructured.Unstructured
}

// readCases reads testdata/corpus.txt, which names every case and what we make of it:
//
//	equal                the objects equal the reference's
//	error                the reference has an error, so have we
//	improved: reason     we differ on purpose; testdata/differences has every leaf, or our error
//	later: reason        refused by name for now
func readCases(t *testing.T) []corpusCase {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "corpus.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []corpusCase
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			name, rest, _ := strings.Cut(line, " ")
			verdict, reason, _ := strings.Cut(strings.TrimSpace(rest), ": ")
			cases = append(cases, corpusCase{name: name, verdict: verdict, reason: reason})
		}
	}
	return cases
}

// corpusDirs are where cases lie: in the repository, and the real Flows of other projects, which are not ours to copy, in the
// shared folder beside the checkout where there is one.
var corpusDirs = []string{filepath.Join("testdata", "corpus"), filepath.Join("..", "..", "..", "shared", "corpus")}

// load reads the case's folder; false when it is not there.
func (c *corpusCase) load(t *testing.T) bool {
	t.Helper()
	var dir string
	var data []byte
	err := os.ErrNotExist
	for i := 0; i < len(corpusDirs) && errors.Is(err, os.ErrNotExist); i++ {
		dir = filepath.Join(corpusDirs[i], c.name)
		data, err = os.ReadFile(filepath.Join(dir, "input.yml"))
	}
	if errors.Is(err, os.ErrNotExist) {
		return false
	} else if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"JINA_GATEWAY_IMAGE": "jinaai/jina:3.34.0"}
	for _, line := range readLines(filepath.Join(dir, "env")) {
		name, value, _ := strings.Cut(line, "=")
		if env[name] = value; value == "<unset>" {
			delete(env, name)
		}
	}
	c.image, c.logLevel = env["JINA_GATEWAY_IMAGE"], env["JINA_LOG_LEVEL"]
	c.source = flow.Source{Name: "input.yml", Data: data, Env: func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}}
	if args := readLines(filepath.Join(dir, "args")); len(args) == 2 && args[0] == "--k8s-namespace" {
		c.namespace = args[1]
	}
	c.expectedError = strings.Join(readLines(filepath.Join(dir, "expected_error")), " ")
	c.expected = readTree(t, filepath.Join(dir, "expected"))
	return true
}

// missing fails the test, unless the case is one of those that are only beside the checkout.
func (c *corpusCase) missing(t *testing.T) {
	if strings.Contains(c.name, "wild-") {
		t.Skip("a Flow of another project, and no shared/corpus beside the checkout")
	}
	t.Fatal("the case is not in testdata/corpus")
}

func readLines(file string) []string {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

// readTree reads the reference's files with a reader for which on, y, 1e3 and 0o10 are text, as they were meant.
func readTree(t *testing.T, dir string) map[string][]*unstructured.Unstructured {
	t.Helper()
	tree := map[string][]*unstructured.Unstructured{}
	err := filepath.WalkDir(dir, func(file string, entry os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".yml" {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, file)
		dec := yaml.NewDecoder(strings.NewReader(string(data)))
		for {
			var doc yaml.Node
			if dec.Decode(&doc) != nil {
				return nil
			}
			object, ok := plainValue(doc.Content[0], "").(map[string]any)
			if !ok {
				t.Fatalf("%s: no object", file)
			}
			tree[filepath.ToSlash(name)] = append(tree[filepath.ToSlash(name)], &unstructured.Unstructured{Object: object})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// plainValue reads what PyYAML writes. It leaves texts like on, no and 123 without quotes, so that only the key tells
// what is a number.
func plainValue(n *yaml.Node, key string) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plainValue(n.Content[i+1], n.Content[i].Value)
		}
		return m
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			list = append(list, plainValue(c, ""))
		}
		return list
	}
	switch key {
	case "replicas", "port", "targetPort", "containerPort", "initialDelaySeconds", "periodSeconds", "timeoutSeconds",
		"failureThreshold", "maxSurge", "maxUnavailable":
		if number, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return number
		}
	}
	return n.Value
}

// objects makes the case's objects and files them as the reference does.
func (c *corpusCase) objects(t *testing.T, compat bool) (*flow.Flow, []Object, flow.Problems, Options) {
	t.Helper()
	f, problems := flow.Parse(c.source)
	if problems.Err() != nil {
		return nil, nil, problems, Options{}
	}
	o := Options{FlowName: "shop", Namespace: c.namespace, GatewayImage: c.image, LogLevel: c.logLevel, WorkingDir: "/tmp/corpus", Compat: compat}
	if o.Namespace == "" {
		o.Namespace = "default"
		if f.Kind == flow.KindFlow && f.Name != "" {
			o.Namespace = f.Args.Text("name", flow.Coerced)
		}
	}
	objects, more := Objects(f, o)
	return f, objects, append(problems, more...), o
}

func tree(f *flow.Flow, objects []Object) map[string][]*unstructured.Unstructured {
	out := map[string][]*unstructured.Unstructured{}
	for _, o := range objects {
		file := File(f, o.Part)
		out[file] = append(out[file], o.Unstructured)
	}
	return out
}

// leaves writes every leaf of a tree as path → value. The words of args stay in their order, JSON is compared as JSON.
func leaves(tree map[string][]*unstructured.Unstructured) map[string]string {
	out := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if len(v) == 0 {
				out[path] = "{}"
			}
			for k, child := range v {
				walk(path+"."+k, child)
			}
		case []any:
			for i, child := range v {
				key := fmt.Sprint(i)
				if m, ok := child.(map[string]any); ok && m["name"] != nil {
					key += ":" + fmt.Sprint(m["name"])
				}
				walk(path+"["+key+"]", child)
			}
		case string:
			out[path] = fmt.Sprintf("%q", v)
			if strings.Contains(path, ".args[") && strings.HasPrefix(v, "{") {
				var decoded any
				if json.Unmarshal([]byte(v), &decoded) == nil {
					normal, _ := json.Marshal(decoded)
					out[path] = "json " + string(normal)
				}
			}
		default:
			out[path] = fmt.Sprint(v)
		}
	}
	for file, objects := range tree {
		for i, o := range objects {
			walk(fmt.Sprintf("%s#%d %s", file, i, o.GetKind()), o.Object)
		}
	}
	return out
}

// differences lists every leaf that is not the same, sorted by path.
func differences(reference, ours map[string][]*unstructured.Unstructured) (lines []string, compared int) {
	want, got := leaves(reference), leaves(ours)
	for path, w := range want {
		if g, ok := got[path]; !ok {
			lines = append(lines, fmt.Sprintf("%s\n  reference %s\n  ours      absent", path, w))
		} else if g != w {
			lines = append(lines, fmt.Sprintf("%s\n  reference %s\n  ours      %s", path, w, g))
		}
	}
	for path, g := range got {
		if _, ok := want[path]; !ok {
			lines = append(lines, fmt.Sprintf("%s\n  reference absent\n  ours      %s", path, g))
		}
	}
	sort.Strings(lines)
	return lines, len(want)
}

// TestCompatEqualsReference compares the objects of --compat with those that jina 3.34.0 made of the same input, leaf by
// leaf; where we differ on purpose, every leaf is in testdata/differences.
func TestCompatEqualsReference(t *testing.T) {
	counts := map[string]int{}
	compared := 0
	for _, c := range readCases(t) {
		counts[c.verdict]++
		if c.verdict == "later" && !c.load(t) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			if !c.load(t) {
				c.missing(t)
			}
			compared += compareCase(t, c)
		})
	}
	t.Logf("%d cases equal the reference in all of %d leaves, %d errors are errors, %d improved, %d later",
		counts["equal"], compared, counts["error"], counts["improved"], counts["later"])
}

func compareCase(t *testing.T, c corpusCase) int {
	f, objects, problems, _ := c.objects(t, true)
	switch {
	case c.verdict == "equal":
		if err := problems.Err(); err != nil {
			t.Fatalf("the reference has no error, we have:\n%v", err)
		}
		lines, compared := differences(c.expected, tree(f, objects))
		if len(lines) > 0 {
			t.Errorf("%d leaves differ:\n%s", len(lines), strings.Join(lines, "\n"))
		}
		return compared
	case c.verdict == "error":
		if c.expectedError == "" {
			t.Error("the reference has no error")
		}
		checkRefused(t, problems)
	case c.verdict == "later":
		checkRefused(t, problems)
		if !slices.ContainsFunc(problems, func(p flow.Problem) bool { return p.Severity == flow.Error && p.ID == flow.IDNotYet }) && !strings.Contains(fmt.Sprint(problems), "Hub") {
			t.Errorf("the refusal does not say that it is not supported yet:\n%v", problems)
		}
	case c.verdict == "improved":
		text := ""
		if err := problems.Err(); err != nil {
			text = err.Error() + "\n"
		} else {
			lines, _ := differences(c.expected, tree(f, objects))
			text = strings.Join(lines, "\n") + "\n"
		}
		golden(t, filepath.Join("testdata", "differences", c.name+".txt"), text)
	default:
		t.Errorf("unknown verdict %q", c.verdict)
	}
	return 0
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

func golden(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s differs (go test -update rewrites it):\n%s", file, text)
	}
}

// TestDefaultIsReferenceWithDeviations replays the named deviations on the reference's own objects and compares the
// result with the default output: nothing else may differ.
func TestDefaultIsReferenceWithDeviations(t *testing.T) {
	cases, touched := 0, map[string]int{}
	for _, c := range readCases(t) {
		if c.verdict != "equal" {
			continue
		}
		if !c.load(t) {
			t.Run(c.name, c.missing)
			continue
		}
		f, objects, problems, o := c.objects(t, false)
		if problems.Err() != nil {
			if slices.ContainsFunc(problems, func(p flow.Problem) bool { return p.ID == flow.IDImage }) {
				continue // an executor without uses: exported with --compat only
			}
			t.Fatalf("%s: %v", c.name, problems.Err())
		}
		replayed := referenceObjects(t, c, f, objects)
		context := newDeviationContext(f, o, replayed)
		for _, d := range Deviations() {
			if d.apply == nil {
				continue
			}
			before := leaves(tree(f, copyObjects(replayed)))
			for _, object := range replayed {
				d.apply(context, object)
			}
			touched[d.ID] += changedLeaves(before, leaves(tree(f, replayed)))
		}
		if lines, _ := differences(tree(f, replayed), tree(f, objects)); len(lines) > 0 {
			t.Errorf("%s: %d leaves differ:\n%s", c.name, len(lines), strings.Join(lines, "\n"))
		}
		cases++
	}
	for _, d := range Deviations() {
		if d.apply == nil {
			continue
		}
		if touched[d.ID] == 0 {
			t.Errorf("deviation %s touches nothing in the corpus", d.ID)
		}
		t.Logf("%-18s %6d leaves", d.ID, touched[d.ID])
	}
	t.Logf("%d cases compared", cases)
}

// referenceObjects gives the reference's objects the parts that ours have.
func referenceObjects(t *testing.T, c corpusCase, f *flow.Flow, ours []Object) []Object {
	t.Helper()
	var out []Object
	next := map[string]int{}
	for _, o := range ours {
		file := File(f, o.Part)
		i := next[file]
		next[file]++
		if i >= len(c.expected[file]) || c.expected[file][i].GetKind() != o.GetKind() {
			t.Fatalf("%s: %s has no %s at %d", c.name, file, o.GetKind(), i)
		}
		out = append(out, Object{Part: o.Part, Unstructured: c.expected[file][i]})
	}
	return out
}

func copyObjects(objects []Object) []Object {
	out := make([]Object, len(objects))
	for i, o := range objects {
		out[i] = Object{Part: o.Part, Unstructured: o.DeepCopy()}
	}
	return out
}

func changedLeaves(before, after map[string]string) int {
	n := 0
	for path, v := range after {
		if before[path] != v {
			n++
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok {
			n++
		}
	}
	return n
}

// TestDeviationsChangeOnlyTheirPaths holds what a deviation does against the paths that it declares.
func TestDeviationsChangeOnlyTheirPaths(t *testing.T) {
	for _, c := range readCases(t) {
		if c.verdict != "equal" || !c.load(t) {
			continue
		}
		f, objects, problems, o := c.objects(t, true)
		if problems.Err() != nil {
			t.Fatalf("%s: %v", c.name, problems.Err())
		}
		context := newDeviationContext(f, o, objects)
		for _, d := range Deviations() {
			if d.apply == nil {
				continue
			}
			for _, object := range objects {
				before := object.DeepCopy()
				d.apply(context, object)
				for _, path := range changedPaths("", before.Object, object.Object) {
					if !slices.ContainsFunc(d.Paths, func(p string) bool { return pathMatches(p, path) }) {
						t.Errorf("%s: %s changes %s, which it does not declare", c.name, d.ID, path)
					}
				}
			}
		}
	}
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
