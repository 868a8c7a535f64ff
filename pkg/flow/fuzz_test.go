package flow

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// addCorpus seeds a fuzz target with the inputs of the corpus.
func addCorpus(f *testing.F, add func(data []byte)) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("..", "plan", "testdata", "corpus", "*", "input.yml"))
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		add(data)
	}
}

// FuzzParse: whatever the text, there is a Flow or an error with its message in one line, and no panic.
func FuzzParse(f *testing.F) {
	addCorpus(f, func(data []byte) { f.Add(data) })
	f.Fuzz(func(t *testing.T, data []byte) {
		src := Source{Name: "f.yml", Data: data, Env: env("FOO", "foo", "X", "$X${{this.a}}")}
		flow, problems := Parse(src)
		if (flow == nil) != (problems.Err() != nil) {
			t.Fatalf("flow %v with problems %v", flow, problems)
		}
		for _, p := range problems {
			checkProblem(t, src, p)
		}
		if flow == nil {
			if flow, _ = Read(src); flow == nil {
				return
			}
		}
		for _, e := range flow.Executors {
			for _, s := range e.Args.All() {
				_, _ = s.CommandLine(Coerced), s.CommandLine(Kept)
			}
			if flow.Kind == KindFlow && len(e.Needs) == 0 {
				t.Fatalf("executor %s needs nothing", e.Name)
			}
		}
	})
}

// checkProblem holds that a problem is one line, and that its place is in the file.
func checkProblem(t *testing.T, src Source, p Problem) {
	t.Helper()
	if text := p.String(); strings.ContainsAny(text, "\n\r\x1b\x00") || !utf8.ValidString(text) || p.Message == "" || p.ID == "" {
		t.Fatalf("problem %q", p)
	}
	if p.Position.File != src.Name || p.Position.Line == 0 {
		return
	}
	lines := editorLines(string(src.Data))
	if p.Position.Line > len(lines) || p.Position.Column < 1 || p.Position.Column > utf8.RuneCountInString(lines[p.Position.Line-1])+1 {
		t.Fatalf("%s is outside of a file of %d lines", p, len(lines))
	}
}

// editorLines splits a text as editors do.
func editorLines(text string) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
}

// FuzzSubstitute: replacing variables and converting ends, in bounds, never panics, and leaves alone what names nothing.
func FuzzSubstitute(f *testing.F) {
	for _, text := range []string{
		"", "${{ ENV.X }}", "${{ env.X }}rc", "$X-${X}", "$$X", "${{this.b}}", "${{root.list[0]}}", "${{root.map}}", "${{ CONTEXT.X }}", "${{ CONTEXT.C }}", "${{ C }}", "${{X}}",
		"${{  ENV.X  }}", "[1, [2, $X]]", `'"007"'`, "1_000", "1e5", "nan", "True", "${{this.a}}", "${{root.list[99999999999999999999]}}", "${", "$", "${{",
		"]]", "[", "[[[", "''", `'"`, "-0", "+.5", "infinity", "1__0", "٣", "\u0085", "${{ENV.}}", "${{root.}}", "${{root.list[}}", "${{root.list[0]x}}",
	} {
		f.Add(text, "value")
		f.Add(text, "$X$X")
		f.Add("x"+text, "${{this.b}}")
	}
	addCorpus(f, func(data []byte) {
		d := &decoder{reporter: newReporter(), src: Source{Data: data}, open: map[*yaml.Node]bool{}}
		if root := d.document(); root != nil {
			for _, text := range texts(root) {
				f.Add(text, "1")
			}
		}
	})
	f.Fuzz(func(t *testing.T, text, value string) {
		a, b, item := stringValue(Position{Line: 1}, text), stringValue(Position{Line: 2}, "bee"), stringValue(Position{Line: 3}, text)
		root := &Value{Kind: Mapping, Entries: []Entry{
			{Key: "a", Value: a}, {Key: "b", Value: b}, {Key: "list", Value: &Value{Kind: List, Items: []*Value{item}}},
			{Key: "map", Value: &Value{Kind: Mapping, Entries: []Entry{{Key: "a", Value: a}}}},
		}}
		r := newReporter()
		s := &substituter{reporter: r, src: Source{Env: env("X", value), Context: map[string]string{"C": value}}, root: root, done: map[*Value]bool{}}
		s.all(root, root)
		for v, ready := range s.done {
			if !ready {
				t.Fatalf("%q was left unfinished", v.Text)
			}
		}
		if !strings.Contains(text, "$") {
			want := stringValue(Position{}, text)
			convert(want)
			if a.Kind != want.Kind || a.Text != want.Text || len(r.problems) > 0 {
				t.Fatalf("%q names nothing and became %v %q, with %v", text, a.Kind, a.Text, r.problems)
			}
		}
		for _, v := range []*Value{a, b, item} {
			checkConverted(t, v, utf8.ValidString(text), !strings.ContainsAny(text+value, `'"`))
		}
		if a.Kind == String && r.problems.Err() == nil && !strings.Contains(value, "$") {
			again := stringValue(a.Position, a.Text)
			second := &substituter{reporter: newReporter(), src: Source{Env: env("X", value), Context: map[string]string{"C": value}}, root: root, done: map[*Value]bool{}}
			if got := second.replace(again, root); got != a.Text && !strings.Contains(text, "$$") && strings.Count(text, "$") < 2 {
				t.Fatalf("%q became %q, which becomes %q", text, a.Text, got)
			}
		}
	})
}

// texts are all texts below a value.
func texts(v *Value) []string {
	if v.Kind == String {
		return []string{v.Text}
	}
	var all []string
	for _, item := range v.Items {
		all = append(all, texts(item)...)
	}
	for i := range v.Entries {
		all = append(all, texts(v.Entries[i].Value)...)
	}
	return all
}

// checkConverted holds what is true of every converted value.
func checkConverted(t *testing.T, v *Value, valid, unquoted bool) {
	t.Helper()
	if len(v.Text) > maxText {
		t.Fatalf("text of %d bytes", len(v.Text))
	}
	// Pairs of quotes are taken off in four rounds, and what the fourth one leaves is not converted (as Jina does); without
	// quotes nothing is left to do after the first.
	if v.Kind == String && unquoted {
		again := *v
		convert(&again)
		if again.Kind != v.Kind || again.Text != v.Text {
			t.Fatalf("%q is converted again, to %v %q", v.Text, again.Kind, again.Text)
		}
	}
	for _, form := range []Form{Coerced, Kept} {
		text := v.PlainText(form)
		if valid && !utf8.ValidString(text) {
			t.Fatalf("%q is not UTF-8", text)
		}
		j := v.JSON(form)
		if !strings.Contains(j, "NaN") && !strings.Contains(j, "Infinity") && !json.Valid([]byte(j)) {
			t.Fatalf("%q is not JSON", j)
		}
	}
}
