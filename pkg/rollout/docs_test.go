package rollout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// declaredKinds are the constants of type CauseKind.
func declaredKinds(t *testing.T) []CauseKind {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "cause.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []CauseKind
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "CauseKind" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, CauseKind(text))
		}
		return true
	})
	return kinds
}

func TestEveryKindOfCauseHasItsPlaceInTheOrderAndInTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/rollout.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := declaredKinds(t)
	if len(declared) != len(CauseKinds()) {
		t.Errorf("%d kinds are declared, %d have a place in the order", len(declared), len(CauseKinds()))
	}
	for _, kind := range declared {
		if !slices.Contains(CauseKinds(), kind) {
			t.Errorf("%s has no place in the order", kind)
		}
		if !strings.Contains(string(text), "\n| `"+string(kind)+"` |") {
			t.Errorf("docs/rollout.md has no row for %s", kind)
		}
	}
}
