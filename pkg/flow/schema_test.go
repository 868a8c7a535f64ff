package flow

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// InstanceJSON is a file as a validator of JSON Schema sees it, by the rules of YAML 1.1; false when it cannot be read.
func InstanceJSON(data []byte) (string, bool) {
	d := &decoder{reporter: newReporter(), src: Source{Data: data}, open: map[*yaml.Node]bool{}}
	root := d.document()
	if root == nil || d.problems.Err() != nil {
		return "", false
	}
	return root.JSON(Kept), true
}

// TestEveryArgumentIsInTheSchema holds names, aliases, descriptions and defaults against the table.
func TestEveryArgumentIsInTheSchema(t *testing.T) {
	text, err := Schema(false)
	if err != nil {
		t.Fatal(err)
	}
	type property struct {
		Description string `json:"description"`
		Default     any    `json:"default"`
	}
	var document struct {
		Defs map[string]struct {
			Properties        map[string]property        `json:"properties"`
			PatternProperties map[string]json.RawMessage `json:"patternProperties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	for def, in := range map[string]Scope{"executor": OnExecutor, "deploymentWith": OnExecutor, "gateway": OnGateway, "with": OnFlow | OnExecutor | OnGateway} {
		for _, a := range arguments() {
			if a.In&in == 0 {
				continue
			}
			for _, name := range append([]string{a.Name}, a.Aliases...) {
				p, ok := document.Defs[def].Properties[name]
				if !ok || p.Description == "" {
					t.Errorf("%s of %s has no description in the schema", name, def)
				}
				if name == a.Name && def != "with" && (p.Default != nil) != (a.Default != "") {
					t.Errorf("default of %s of %s is %v, not %s", name, def, p.Default, a.Default)
				}
				if _, ok := document.Defs[def].PatternProperties["^"+strings.ReplaceAll(name, "_", "-")+"$"]; strings.Contains(name, "_") && !ok {
					t.Errorf("%s of %s is not known with hyphens", name, def)
				}
			}
		}
	}
	for _, d := range descriptions() {
		if !slices.ContainsFunc(arguments(), func(a Argument) bool { return a.Name == d.name && a.In&d.in != 0 }) {
			t.Errorf("%s is described and not in the table", d.name)
		}
	}
}

// TestJinasOwnOptionsAreInTheSchema compares with what `jina export schema` lists for the commands whose options a file can
// have. It is not ours to copy, and read where the shared folder is beside the checkout.
func TestJinasOwnOptionsAreInTheSchema(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "research", "jina-schema-3.34.0.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no shared/research beside the checkout")
	} else if err != nil {
		t.Fatal(err)
	}
	var jina struct {
		Methods []struct {
			Name    string
			Options []struct{ Name string }
		}
	}
	if err := json.Unmarshal(data, &jina); err != nil {
		t.Fatal(err)
	}
	compared, r := 0, newArgumentReader(newReporter())
	for _, command := range jina.Methods {
		in, ok := map[string]Scope{"deployment": OnExecutor, "executor": OnExecutor, "pod": OnExecutor, "gateway": OnGateway, "flow": OnFlow}[command.Name]
		if !ok {
			continue
		}
		for _, option := range command.Options {
			compared++
			if !r.known(option.Name, in) {
				t.Errorf("%s of jina %s is not in the table", option.Name, command.Name)
			}
		}
	}
	t.Logf("%d options compared", compared)
}
