package conformance

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// WriteSample writes the folder of a case as one file, a txtar archive.
func WriteSample(file string, files map[string]string) error {
	archive := &txtar.Archive{Comment: []byte("A random Flow and what Jina makes of it; make conformance-sample wrote it.\n")}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(files[name])})
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, txtar.Format(archive), 0o644)
}

// ReadSample reads what [WriteSample] wrote.
func ReadSample(file string) (*Case, error) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		return nil, err
	}
	files, expected := map[string]string{}, map[string]string{}
	for _, f := range archive.Files {
		if name, ok := strings.CutPrefix(f.Name, "expected/"); ok {
			expected[name] = string(f.Data)
		}
		files[f.Name] = string(f.Data)
	}
	if files["input.yml"] == "" || len(expected) == 0 {
		return nil, fmt.Errorf("%s is no sample: input.yml or expected/ is missing", file)
	}
	c := New(strings.TrimSuffix(filepath.Base(file), ".txtar"), []byte(files["input.yml"]), splitLines(files["env"]), splitLines(files["args"]))
	c.Beside(files)
	c.Hub(splitLines(files["images"]))
	c.Expected, err = TreeOfTexts(expected)
	return c, err
}
