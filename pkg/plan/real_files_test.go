package plan_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// realFile is a Flow file that somebody published.
type realFile struct {
	name, source string
	data         []byte
}

var sourceLine = regexp.MustCompile(`^# source: github\.com/(\S+) path: (\S+) commit: ([0-9a-f]+)`)

// readRealFiles reads the Flows of other projects, which are not ours to copy: they are beside the checkout, or not at all.
func readRealFiles(t *testing.T) []realFile {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "flows-in-the-wild")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no shared/flows-in-the-wild beside the checkout")
	} else if err != nil {
		t.Fatal(err)
	}
	var files []realFile
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		m := sourceLine.FindStringSubmatch(string(data))
		if m == nil {
			t.Fatalf("%s does not begin with its source", e.Name())
		}
		files = append(files, realFile{name: e.Name(), source: fmt.Sprintf("%s, %s at %.10s", m[1], m[2], m[3]), data: data})
	}
	return files
}

// export makes the objects of a file as `kubectl jina export` does.
func (f realFile) export(variables map[string]string, images []flow.Image) ([]plan.Object, flow.Problems) {
	parsed, problems := flow.Read(flow.Source{Name: f.name, Data: f.data, Images: images, Env: func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}})
	if parsed == nil {
		return nil, problems
	}
	o := plan.Options{FlowName: "real", Namespace: "default"}
	if problems.Err() != nil {
		problems = append(problems, plan.Check(parsed, o)...)
		problems.Sort()
		return nil, problems
	}
	objects, more := plan.Objects(parsed, o)
	problems = append(problems, more...)
	problems.Sort()
	return objects, problems
}

// realVariables are the environment variables that the files name, as their authors may have them.
func realVariables() map[string]string {
	return map[string]string{
		"ADMIN_EMAILS": "me@example.com", "HF_TOKEN": "hf_token", "HOME": "/home/me", "JINAD_WORKSPACE": "/workspace", "JINA_PORT": "45678",
		"JINA_WORKSPACE": "/workspace", "JINA_WORKSPACE_MOUNT": "/workspace:/workspace", "MODEL_MOUNT_ASSETS": "/assets:/assets",
		"MODEL_MOUNT_CACHE": "/cache:/cache", "SHARDS": "2", "USES_AFTER": "docker://registry.example/after:1", "WORKSPACE_MOUNT": "/ws:/ws",
	}
}

var unsetVariable = regexp.MustCompile(`^environment variable (\w+) is not set`)

// given are the variables and the images that the problems of a file ask for, until nothing more is asked: what a variable
// says may need an image, too.
func (f realFile) given() (map[string]string, []flow.Image) {
	variables := map[string]string{}
	var images []flow.Image
	for range 10 {
		_, problems := f.export(variables, images)
		asked := false
		for _, p := range problems {
			if m := unsetVariable.FindStringSubmatch(p.Message); m != nil && variables[m[1]] == "" {
				variables[m[1]], asked = realVariables()[m[1]], true
			}
		}
		for _, line := range problems.ImageLines() {
			key := strings.TrimSuffix(line, "=IMAGE")
			images = append(images, flow.Image{Key: key, Image: "registry.example/" + strings.ToLower(key) + ":1", Position: flow.Position{File: "--images"}})
			asked = true
		}
		if !asked {
			break
		}
	}
	return variables, images
}

// TestRealFilesExportOrSayWhatToDo holds docs/real-files.md: what happens to each of thirty Flow files that people published.
// Every error of them must be one that its author can act on.
func TestRealFilesExportOrSayWhatToDo(t *testing.T) {
	var table, details strings.Builder
	for _, f := range readRealFiles(t) {
		objects, problems := f.export(nil, nil)
		for _, p := range problems {
			if p.Severity == flow.Error && (p.Position.Line == 0 || p.Hint == "" && p.ID != flow.IDNoExecutors) {
				t.Errorf("an error that helps nobody: %s", p)
			}
		}
		variables, images := f.given()
		fixed, rest := f.export(variables, images)
		fmt.Fprintf(&table, "| [%s](#%s) | %s | %s | %s |\n", f.name, strings.ReplaceAll(f.name, ".", ""), f.source, outcome(objects, problems), outcome(fixed, rest))
		writeDetails(&details, f, problems, variables, images, fixed, rest)
	}
	plan.Golden(t, filepath.Join("..", "..", "docs", "real-files.md"), `# Thirty real Flow files, and what happens to each

<!-- Made by `+"`go test ./pkg/plan -run TestRealFiles -update`"+` where the files are beside the checkout; they are not ours to copy. -->

Flow files that people published, taken as they are. A file either exports, or its author is told what to do, and where. *As it is* is
`+"`kubectl jina export -f FILE`"+`; *with images* gives the images that the messages ask for (`+"`--images FILE`"+`) and the environment variables
that the file names.

| file | source | as it is | with images and variables |
|---|---|---|---|
`+table.String()+details.String())
}

// outcome of an export in a cell of the table.
func outcome(objects []plan.Object, problems flow.Problems) string {
	others, images, warnings := 0, 0, 0
	for _, p := range problems {
		switch {
		case p.Severity == flow.Warning:
			warnings++
		case p.ImageKey != "":
			images++
		default:
			others++
		}
	}
	var parts []string
	if n := len(workloadsOf(objects)); n > 0 {
		parts = append(parts, counted(n, "workload"))
	}
	if images > 0 {
		parts = append(parts, fmt.Sprintf("%d without an image", images))
	}
	if others > 0 {
		parts = append(parts, counted(others, "other error"))
	}
	if warnings > 0 {
		parts = append(parts, counted(warnings, "warning"))
	}
	what := "refused: "
	if len(objects) > 0 {
		what = "**exports** "
	}
	return what + strings.Join(parts, ", ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func workloadsOf(objects []plan.Object) []string {
	var names []string
	for _, o := range objects {
		if kind := o.GetKind(); kind == "Deployment" || kind == "StatefulSet" {
			names = append(names, kind+"/"+o.GetName())
		}
	}
	return names
}

// writeDetails writes all that is said of a file as it is, then what its author can give, and what is left then.
func writeDetails(b *strings.Builder, f realFile, problems flow.Problems, variables map[string]string, images []flow.Image, fixed []plan.Object, rest flow.Problems) {
	fmt.Fprintf(b, "\n## %s\n\n", f.name)
	writeProblems(b, problems)
	var names []string
	for name := range variables {
		names = append(names, name)
	}
	slices.Sort(names)
	var given []string
	for _, name := range names {
		given = append(given, "export "+name+"="+variables[name])
	}
	for _, i := range images {
		given = append(given, i.Key+"=IMAGE")
	}
	if len(given) > 0 {
		fmt.Fprintf(b, "\nWhat its author can give (variables, and lines of a file for `--images`):\n\n```\n%s\n```\n", strings.Join(given, "\n"))
	}
	left := slices.DeleteFunc(slices.Clone(rest), func(p flow.Problem) bool { return p.Severity == flow.Warning })
	if len(left) > 0 {
		b.WriteString("\nWhat is to be changed in the file:\n\n")
		writeProblems(b, left)
	} else {
		fmt.Fprintf(b, "\nThen it exports %s.\n", strings.Join(workloadsOf(fixed), ", "))
	}
}

func writeProblems(b *strings.Builder, problems flow.Problems) {
	if len(problems) == 0 {
		b.WriteString("Nothing to say.\n")
		return
	}
	b.WriteString("```\n")
	for _, p := range problems {
		fmt.Fprintln(b, p)
	}
	b.WriteString("```\n")
}
