package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/internal/conformance"
	"github.com/kubectl-jina/kubectl-jina/internal/conformance/random"
)

// reference is the real Jina, as a server: see reference.py.
type reference struct {
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	// Version of Jina.
	Version string
}

// request asks for the export of the files, input.yml among them.
type request struct {
	Files  map[string]string `json:"files"`
	Env    map[string]string `json:"env"`
	Args   []string          `json:"args"`
	Folder string            `json:"folder"`
}

// response is what an export has left: files, or an error in one line.
type response struct {
	Files    map[string]string `json:"files"`
	Error    string            `json:"error"`
	Warnings []string          `json:"warnings"`
	Images   map[string]string `json:"images"`
}

// startReference starts the server with a Python that has jina.
func startReference(ctx context.Context, python, script string) (*reference, error) {
	process := exec.CommandContext(ctx, python, script)
	process.Stderr = os.Stderr
	in, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, fmt.Errorf("cannot start jina: %w", err)
	}
	r := &reference{process: process, in: in, out: bufio.NewReader(out)}
	var hello struct{ Jina string }
	if err := r.read(&hello); err != nil {
		return nil, errors.Join(fmt.Errorf("jina does not start: %w", err), r.close())
	}
	r.Version = hello.Jina
	return r, nil
}

func (r *reference) read(v any) error {
	line, err := r.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

// close ends the server.
func (r *reference) close() error {
	if err := r.in.Close(); err != nil {
		return err
	}
	return r.process.Wait()
}

// run exports once.
func (r *reference) run(q request) (*response, error) {
	if q.Args == nil {
		q.Args = []string{}
	}
	line, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	if _, err := r.in.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("jina has ended: %w", err)
	}
	var answer response
	if err := r.read(&answer); err != nil {
		return nil, fmt.Errorf("jina has ended: %w", err)
	}
	return &answer, nil
}

// export runs a random Flow in a folder: the case, with what the reference makes of it, and the reference's own answer.
func (r *reference) export(name string, f *random.Flow, folder string) (*conformance.Case, *response, error) {
	c := conformance.New(name, []byte(f.Text()), f.Env(), f.Args())
	c.WorkingDir = folder
	files := f.Files()
	c.Beside(files)
	inputs := map[string]string{"input.yml": f.Text()}
	maps.Copy(inputs, files)
	answer, err := r.run(request{Files: inputs, Env: c.Env, Args: c.Arguments, Folder: folder})
	if err != nil {
		return nil, nil, err
	}
	c.Hub(answer.images())
	c.ExpectedError = answer.Error
	c.Expected, err = conformance.TreeOfTexts(answer.Files)
	return c, answer, err
}

// images are the answers of the stand-in for the Hub as URI=IMAGE, sorted.
func (a *response) images() []string {
	var lines []string
	for uri, image := range a.Images {
		lines = append(lines, uri+"="+image)
	}
	slices.Sort(lines)
	return lines
}

// inputs are the files of a case's folder that the export reads.
func inputs(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		first, _, _ := strings.Cut(name, "/")
		switch {
		case isResult(first), first == "env", first == "args", first == "note":
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		data, err := os.ReadFile(path)
		files[name] = string(data)
		return err
	})
	return files, err
}

func isResult(name string) bool {
	switch name {
	case "expected", "expected_error", "expected_warnings", "images":
		return true
	}
	return false
}

// results are what the reference leaves in a case's folder, as texts by their names there.
func (a *response) results() map[string]string {
	files := map[string]string{}
	switch {
	case a.Error != "":
		files["expected_error"] = a.Error + "\n"
	case len(a.Files) == 0:
		files["expected/.empty"] = ""
	}
	for name, text := range a.Files {
		files["expected/"+name] = text
	}
	if len(a.Warnings) > 0 {
		files["expected_warnings"] = strings.Join(a.Warnings, "\n") + "\n"
	}
	if len(a.Images) > 0 && a.Error == "" {
		files["images"] = strings.Join(a.images(), "\n") + "\n"
	}
	return files
}

// storedResults are the results that a case's folder has.
func storedResults(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if first, _, _ := strings.Cut(name, "/"); !isResult(first) {
			return nil
		}
		data, err := os.ReadFile(path)
		files[name] = string(data)
		return err
	})
	return files, err
}
