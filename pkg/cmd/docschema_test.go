package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// docSchema is a schema of docs/, which may refer to others of that folder, and its document.
func docSchema(t *testing.T, name string, others ...string) (schema *jsonschema.Schema, document map[string]any) {
	t.Helper()
	const base = "https://schemas.test/"
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for _, n := range append(others, name) {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", n))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(base+n, parsed); err != nil {
			t.Fatal(err)
		}
		document = parsed.(map[string]any)
	}
	schema, err := compiler.Compile(base + name)
	if err != nil {
		t.Fatal(err)
	}
	return schema, document
}
