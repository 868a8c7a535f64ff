package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	yaml3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// FuzzExport: what export writes is read as the same objects by a reader of YAML 1.1 (Kubernetes' own) and one of YAML 1.2.
func FuzzExport(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("..", "plan", "testdata", "corpus", "*", "input.yml"))
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range awkwardTexts() {
		quoted, err := json.Marshal(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte("jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, env: {A: " + string(quoted) + "}, uses_with: {" + string(quoted) + ": " + string(quoted) + "}}]"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, problems := flow.Parse(flow.Source{Name: "f.yml", Data: data, Env: func(string) (string, bool) { return "value", true }})
		if problems.Err() != nil || len(parsed.Executors) > 20 {
			return
		}
		for _, e := range parsed.Executors {
			if e.Shards() > 20 {
				return
			}
		}
		objects, problems := plan.Objects(parsed, plan.Options{FlowName: "fuzzed", Namespace: "default"})
		if problems.Err() != nil {
			return
		}
		for _, o := range objects {
			checkReadBack(t, o.Object)
		}
	})
}

// checkReadBack writes an object as YAML and reads it with both readers.
func checkReadBack(t *testing.T, object map[string]any) {
	t.Helper()
	var out bytes.Buffer
	writeYAML(&out, object)
	want := normal(t, object)
	var kubernetes, other any
	if err := yaml.UnmarshalStrict(out.Bytes(), &kubernetes); err != nil {
		t.Fatalf("Kubernetes: %v\n%s", err, out.String())
	}
	if err := yaml3.Unmarshal(out.Bytes(), &other); err != nil {
		t.Fatalf("YAML 1.2: %v\n%s", err, out.String())
	}
	if got := normal(t, kubernetes); !reflect.DeepEqual(got, want) {
		t.Fatalf("Kubernetes reads\n%v\nnot\n%v", got, want)
	}
	if got := normal(t, other); !reflect.DeepEqual(got, want) {
		t.Fatalf("YAML 1.2 reads\n%v\nnot\n%v", got, want)
	}
	for line := range strings.Lines(out.String()) {
		if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\r\x00\x1b\u0085\u2028") {
			t.Fatalf("a line has a control character: %q", line)
		}
	}
}

// normal is a value with the number types of JSON.
func normal(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
