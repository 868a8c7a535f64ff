package conformance_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/internal/conformance"
)

// leastSamples is how many random Flows are stored at least.
const leastSamples = 60

// TestRandomFlowsEqualReference compares what we make of stored random Flows with what jina 3.34.0 has made of them, in
// both modes. `make soak` does it for many more of them, with the real program.
func TestRandomFlowsEqualReference(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "random", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < leastSamples {
		t.Fatalf("%d samples are stored, less than %d: make conformance-sample writes them", len(files), leastSamples)
	}
	compared, touched := 0, map[string]int{}
	for _, file := range files {
		c, err := conformance.ReadSample(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(c.Name, func(t *testing.T) {
			verdict, out, why := conformance.JudgeRandom(c)
			if verdict != conformance.Equal {
				t.Fatalf("%s: %s\n%s", verdict, why, c.Source.Data)
			}
			compared += out.Leaves
			for id, n := range out.Touched {
				touched[id] += n
			}
		})
	}
	t.Logf("%d Flows, %d leaves; leaves that deviations touch: %v", len(files), compared, touched)
}

// TestChangedLeafIsADifference makes sure that the comparison can fail: each change of what the reference is said to make
// must be seen.
func TestChangedLeafIsADifference(t *testing.T) {
	const text = "jtype: Flow\nexecutors:\n  - {name: a, uses: docker://e:1, uses_with: {x: 1, y: [a, b]}, env: {K: v}}\n"
	reference := func() *conformance.Case {
		c := conformance.New("own", []byte(text), nil, nil)
		c.Expected = c.Export(true).Tree()
		return c
	}
	if verdict, _, why := conformance.JudgeRandom(reference()); verdict != conformance.Equal {
		t.Fatalf("unchanged: %s: %s", verdict, why)
	}
	for name, change := range map[string]func(conformance.Tree){
		"a file less":     func(tree conformance.Tree) { delete(tree, "a/a.yml") },
		"an object less":  func(tree conformance.Tree) { tree["a/a.yml"] = tree["a/a.yml"][:2] },
		"another value":   func(tree conformance.Tree) { tree["a/a.yml"][0].Object["data"].(map[string]any)["K"] = "w" },
		"a further value": func(tree conformance.Tree) { tree["a/a.yml"][0].Object["data"].(map[string]any)["L"] = "" },
		"another word":    func(tree conformance.Tree) { replaceWord(tree, `"x": 1`, `"x": 2`) },
		"another order":   func(tree conformance.Tree) { replaceWord(tree, `"a", "b"`, `"b", "a"`) },
		"another flag":    func(tree conformance.Tree) { replaceWord(tree, "--native", "--naive") },
	} {
		c := reference()
		change(c.Expected)
		if verdict, _, _ := conformance.JudgeRandom(c); verdict != conformance.Different {
			t.Errorf("%s is %s", name, verdict)
		}
	}
}

// replaceWord replaces a text in the arguments of the executor.
func replaceWord(tree conformance.Tree, old, replacement string) {
	pod := tree["a/a.yml"][2].Object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	args := pod["containers"].([]any)[0].(map[string]any)["args"].([]any)
	for i, word := range args {
		args[i] = strings.Replace(word.(string), old, replacement, 1)
	}
}
