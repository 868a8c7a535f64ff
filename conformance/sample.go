package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/internal/conformance"
	"github.com/kubectl-jina/kubectl-jina/internal/conformance/random"
)

// sampleBytes bounds a stored Flow with its output: the sample is part of the repository.
const sampleBytes = 16_000

// sample stores small random Flows with what the real program makes of them, in the place of those before: `make test`
// reads them.
func (t *tool) sample(ctx context.Context, seed uint64, count int) error {
	jina, err := t.start(ctx)
	if err != nil {
		return err
	}
	defer jina.close()
	unlock, err := lockCorpusDir()
	if err != nil {
		return err
	}
	defer unlock()
	dir := t.path("internal", "conformance", "testdata", "random")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	stored := 0
	for ; stored < count && ctx.Err() == nil; seed++ {
		f := random.New(seed)
		c, answer, err := jina.export(fmt.Sprintf("seed-%d", seed), f, conformance.CorpusDir)
		if err != nil {
			return err
		}
		size := len(f.Text())
		for _, text := range answer.Files {
			size += len(text)
		}
		if answer.Error != "" || len(answer.Files) == 0 || size > sampleBytes {
			continue
		}
		if err := conformance.WriteSample(filepath.Join(dir, c.Name+".txtar"), sampleFiles(f, answer)); err != nil {
			return err
		}
		stored++
	}
	fmt.Fprintf(t.out, "jina %s: %d Flows stored in %s\n", jina.Version, stored, dir)
	return ctx.Err()
}

// sampleFiles are the files of a stored Flow: what the export reads, and what it has made.
func sampleFiles(f *random.Flow, answer *response) map[string]string {
	files := answer.results()
	maps.Copy(files, f.Files())
	files["input.yml"] = f.Text()
	files["env"] = strings.Join(f.Env(), "\n") + "\n"
	if args := f.Args(); len(args) > 0 {
		files["args"] = strings.Join(args, "\n") + "\n"
	}
	delete(files, "expected_warnings")
	return files
}
