package cmd

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

const (
	validateDocs = "../../docs/validate.md"
	idTableStart = "<!-- ids: made by go test ./pkg/cmd -update -->\n"
	idTableEnd   = "<!-- end of ids -->\n"
)

// TestEveryProblemIsDocumented holds that each id of the code has an example in testdata/problems which brings it about, and that
// docs/validate.md has a row for each, made from the examples.
func TestEveryProblemIsDocumented(t *testing.T) {
	ids := problemIDs(t)
	examples, err := filepath.Glob(filepath.Join("testdata", "problems", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	rows.WriteString("| id | level | means | for instance |\n|---|---|---|---|\n")
	for _, id := range ids {
		file := filepath.Join("testdata", "problems", id+".txtar")
		if !slices.Contains(examples, file) {
			t.Errorf("there is no example of %s: write %s", id, file)
			continue
		}
		t.Run(id, func(t *testing.T) { rows.WriteString(problemExample(t, file, id)) })
	}
	for _, file := range examples {
		if id := strings.TrimSuffix(filepath.Base(file), ".txtar"); !slices.Contains(ids, id) {
			t.Errorf("%s is an example of no id of the code", file)
		}
	}
	text, err := os.ReadFile(validateDocs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), idTableStart)
	table, after, ended := strings.Cut(rest, idTableEnd)
	if !ok || !ended {
		t.Fatalf("%s has no place for the table", validateDocs)
	}
	if table == rows.String() {
		return
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(validateDocs, []byte(before+idTableStart+rows.String()+idTableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the table of %s is not what the examples give (go test -update rewrites it):\n%s", validateDocs, rows.String())
}

// problemExample runs an example and makes its row.
func problemExample(t *testing.T, file, id string) string {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range archive.Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	target := archive.Files[0].Name
	if folder, _, nested := strings.Cut(target, "/"); nested {
		target = folder
		if folder == "gateway" {
			target = "."
		}
	}
	t.Chdir(dir)
	lines := strings.Split(strings.TrimSpace(string(archive.Comment)), "\n")
	words := []string{"validate", "-o", "lines"}
	for _, line := range lines[1:] {
		switch key, value, _ := strings.Cut(line, ": "); key {
		case "command":
			words = strings.Fields(value)
		case "args":
			words = append(words, strings.Fields(value)...)
		case "env":
			name, value, _ := strings.Cut(value, "=")
			t.Setenv(name, value)
		case "export": // the folder that the words make of the file is the target
			export := append([]string{"export", "-f", target, "--output-dir", "out"}, strings.Fields(value)...)
			if code := Main(context.Background(), export, genericiooptions.NewTestIOStreamsDiscard()); code != codeOK {
				t.Fatalf("%s: export ends with %d", file, code)
			}
			target = "out"
		case "edit": // FILE: OLD => NEW
			name, change, _ := strings.Cut(value, ": ")
			old, replacement, _ := strings.Cut(change, " => ")
			editFile(t, filepath.FromSlash(name), old, strings.ReplaceAll(replacement, `\n`, "\n"))
		}
	}
	var out, errOut bytes.Buffer
	Main(context.Background(), append(words, "-f", target), genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut})
	for line := range strings.SplitSeq(out.String()+errOut.String(), "\n") {
		if message, ok := strings.CutSuffix(line, " ["+id+"]"); ok {
			level := regexp.MustCompile(`: (error|warning): `).FindStringSubmatch(message)
			if level == nil {
				t.Fatalf("%s: %q has no level", file, line)
			}
			tick := "`"
			if strings.Contains(message, tick) {
				tick = "``"
			}
			return fmt.Sprintf("| `%s` | %s | %s | %s%s%s |\n", id, level[1], lines[0], tick, strings.ReplaceAll(message, "|", `\|`), tick)
		}
	}
	t.Errorf("%s does not bring about %s, but\n%s%s", file, id, out.String(), errOut.String())
	return ""
}

func editFile(t *testing.T, name, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil || !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q: %v", name, old, err)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(text), old, replacement, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// problemIDs are the values of the constants ID… of pkg/flow, in their order, each of which some code uses; no problem has an id
// that is no such constant.
func problemIDs(t *testing.T) []string {
	t.Helper()
	var names, ids []string
	used := map[string]bool{}
	for _, dir := range []string{"flow", "plan", "cmd"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ValueSpec:
					for i, name := range n.Names {
						if literal, ok := valueAt(n.Values, i).(*ast.BasicLit); ok && isID(name.Name) && dir == "flow" {
							value, _ := strconv.Unquote(literal.Value)
							names, ids = append(names, name.Name), append(ids, value)
						}
					}
					for _, v := range n.Values {
						ast.Inspect(v, func(n ast.Node) bool { return markUsed(used, n) })
					}
					return false
				case *ast.CompositeLit:
					if literal := literalID(n); literal != "" {
						t.Errorf("%s: a problem has the id %s, which is no constant of pkg/flow", path, literal)
					}
				}
				return markUsed(used, n)
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range names {
		if !used[name] {
			t.Errorf("no code uses flow.%s (%s)", name, ids[i])
		}
	}
	return ids
}

func isID(name string) bool { return regexp.MustCompile(`^ID[A-Z]`).MatchString(name) }

func valueAt(values []ast.Expr, i int) ast.Expr {
	if i < len(values) {
		return values[i]
	}
	return nil
}

func markUsed(used map[string]bool, n ast.Node) bool {
	if name, ok := n.(*ast.Ident); ok && isID(name.Name) {
		used[name.Name] = true
	}
	return true
}

// literalID is the text of an id in a literal of flow.Problem.
func literalID(n *ast.CompositeLit) string {
	name := ""
	switch typ := n.Type.(type) {
	case *ast.SelectorExpr:
		name = typ.Sel.Name
	case *ast.Ident:
		name = typ.Name
	}
	for _, element := range n.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		key, isName := pair.Key.(*ast.Ident)
		if literal, ok := pair.Value.(*ast.BasicLit); ok && isName && key.Name == "ID" && name == "Problem" {
			return literal.Value
		}
	}
	return ""
}
