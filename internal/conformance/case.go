// Package conformance compares what the plugin makes of a Flow with what Jina itself makes of it: object by object, leaf
// by leaf. The tests of pkg/plan hold it against stored output, `make conformance` and `make soak` against the real
// program.
package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Verdict is what we make of a case.
type Verdict string

// The verdicts.
const (
	// Equal: the objects of --compat equal the reference's, leaf by leaf.
	Equal Verdict = "equal"
	// Failed: the reference has an error, so have we, with a position.
	Failed Verdict = "error"
	// Improved: we differ on purpose; a file has every leaf, or our error.
	Improved Verdict = "improved"
	// Later: refused by name for now.
	Later Verdict = "later"
)

// Entry is a line of the list of cases.
type Entry struct {
	Name    string
	Verdict Verdict
	// Reason of a verdict that needs one.
	Reason string
}

// List reads a list of cases, one a line: NAME VERDICT, or NAME VERDICT: REASON.
func List(r io.Reader) ([]Entry, error) {
	var entries []Entry
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		verdict, reason, _ := strings.Cut(strings.TrimSpace(rest), ": ")
		switch v := Verdict(verdict); v {
		case Equal, Failed, Improved, Later:
			entries = append(entries, Entry{Name: name, Verdict: v, Reason: reason})
		default:
			return nil, fmt.Errorf("case %s has the unknown verdict %q", name, verdict)
		}
	}
	return entries, lines.Err()
}

// Case is an input and what the reference made of it.
type Case struct {
	Name string
	// Dir has the files of the case.
	Dir string
	// Source is the Flow with the environment of the export.
	Source flow.Source
	// Env is the environment, Arguments the further words of the command line.
	Env       map[string]string
	Arguments []string
	// WorkingDir is the folder in which the reference's export ran.
	WorkingDir string
	// Expected are the reference's objects, ExpectedError its error; one of them is empty.
	Expected      Tree
	ExpectedError string
	// AsReferenceReads tells that our own reader gets the text as the reference's YAML reader gets it, with every newline
	// twice, and that the reference's words are compared after its quoting. So cases with block texts and backslashes
	// can be compared exactly (semantics D16, D40).
	AsReferenceReads bool
}

// CorpusDir is the folder in which the reference's export of stored cases runs.
const CorpusDir = "/tmp/corpus"

// New is a case that the reference has not run yet, with its environment as K=V; K=<unset> takes a variable away.
func New(name string, text []byte, env, arguments []string) *Case {
	c := &Case{Name: name, Env: map[string]string{"JINA_GATEWAY_IMAGE": "jinaai/jina:3.34.0"}, Arguments: arguments, WorkingDir: CorpusDir}
	for _, line := range env {
		name, value, _ := strings.Cut(line, "=")
		if c.Env[name] = value; value == "<unset>" {
			delete(c.Env, name)
		}
	}
	c.Source = flow.Source{Name: "input.yml", Data: text, Env: func(name string) (string, bool) {
		value, ok := c.Env[name]
		return value, ok
	}}
	return c
}

// Beside puts files beside the Flow.
func (c *Case) Beside(files map[string]string) {
	c.Source.ReadFile = func(name string) (flow.File, error) {
		text, ok := files[name]
		if !ok {
			return flow.File{}, fs.ErrNotExist
		}
		return flow.File{Name: name, Data: []byte(text)}, nil
	}
}

// Hub tells the images that the stand-in for the Hub gave to the reference, as URI=IMAGE.
func (c *Case) Hub(images []string) {
	for _, line := range images {
		// Not by flow.ParseImage: the stand-in's names have capital letters, which no registry takes.
		key, image, _ := strings.Cut(line, "=")
		c.Source.Images = append(c.Source.Images, flow.Image{Key: key, Image: image, Position: flow.Position{File: "images"}})
	}
}

// Load reads the folder of a case. The error is an [fs.ErrNotExist] when there is none.
func Load(dir string) (*Case, error) {
	data, err := os.ReadFile(filepath.Join(dir, "input.yml"))
	if err != nil {
		return nil, err
	}
	env, err := readLines(filepath.Join(dir, "env"))
	if err != nil {
		return nil, err
	}
	arguments, err := readLines(filepath.Join(dir, "args"))
	if err != nil {
		return nil, err
	}
	c := New(filepath.Base(dir), data, env, arguments)
	c.Dir = dir
	// Files that the Flow names lie beside it, where the reference's export runs.
	c.Source.ReadFile = func(name string) (flow.File, error) {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		return flow.File{Name: name, Data: data}, err
	}
	images, err := readLines(filepath.Join(dir, "images"))
	if err != nil {
		return nil, err
	}
	c.Hub(images)
	message, err := readLines(filepath.Join(dir, "expected_error"))
	if err != nil {
		return nil, err
	}
	c.ExpectedError = strings.Join(message, " ")
	c.Expected, err = ReadTree(filepath.Join(dir, "expected"))
	return c, err
}

// readLines reads a file that may be missing.
func readLines(file string) ([]string, error) {
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return splitLines(string(data)), nil
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// Export is what the plugin makes of a case.
type Export struct {
	Flow     *flow.Flow
	Options  plan.Options
	Objects  []plan.Object
	Problems flow.Problems
}

// Tree files the objects as the reference does.
func (e *Export) Tree() Tree { return treeOf(e.Flow, e.Objects) }

// Export makes the objects of a case, as the command export does.
func (c *Case) Export(compat bool) *Export {
	source := c.Source
	source.KeepContext = compat
	if c.AsReferenceReads {
		source.Data = doubleNewlines(source.Data)
		if read := source.ReadFile; read != nil {
			source.ReadFile = func(name string) (flow.File, error) {
				file, err := read(name)
				file.Data = doubleNewlines(file.Data)
				return file, err
			}
		}
	}
	f, problems := flow.Parse(source)
	if problems.Err() != nil {
		return &Export{Problems: problems}
	}
	e := &Export{Flow: f, Options: c.options(f, compat)}
	objects, more := plan.Objects(f, e.Options)
	e.Objects, e.Problems = objects, append(problems, more...)
	return e
}

func (c *Case) options(f *flow.Flow, compat bool) plan.Options {
	o := plan.Options{
		FlowName: "shop", Namespace: "default", GatewayImage: c.Env["JINA_GATEWAY_IMAGE"], LogLevel: c.Env["JINA_LOG_LEVEL"],
		WorkingDir: c.WorkingDir, Compat: compat,
		Storage: plan.Storage{
			AccessModes: c.Env["JINA_K8S_ACCESS_MODES"], Class: c.Env["JINA_K8S_STORAGE_CLASS_NAME"], Capacity: c.Env["JINA_K8S_STORAGE_CAPACITY"],
		},
	}
	if f.Kind == flow.KindFlow && f.Name != "" {
		o.Namespace = f.Args.Text("name", flow.Coerced)
	}
	if len(c.Arguments) == 2 && c.Arguments[0] == "--k8s-namespace" {
		o.Namespace = c.Arguments[1]
	}
	return o
}
