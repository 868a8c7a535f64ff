package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// flowInputs are what a Flow file is read with: images for what has none, values of context variables, other files.
type flowInputs struct {
	images     []string
	imagesFile string
	context    []string
	// strict takes the file's warnings for errors.
	strict bool
}

// bind adds the flags to a command's.
func (o *flowInputs) bind(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.images, "image", nil, "KEY=IMAGE: the image of an executor that has none, or another one. KEY is the executor's name, or the text of its uses (repeatable)")
	flags.StringVar(&o.imagesFile, "images", "", "File with KEY=IMAGE a line, # comments; --image wins over it")
	flags.StringArrayVar(&o.context, "context-var", nil, "NAME=VALUE: the value of ${{ CONTEXT.NAME }} (repeatable)")
}

// bindStrict adds --strict.
func (o *flowInputs) bindStrict(flags *pflag.FlagSet) {
	flags.BoolVar(&o.strict, "strict", false, "Take warnings about the file for errors")
}

// given names the flags that are set; empty when there are none.
func (o *flowInputs) given() string {
	switch {
	case len(o.images) > 0:
		return "--image"
	case o.imagesFile != "":
		return "--images"
	case len(o.context) > 0:
		return "--context-var"
	}
	return ""
}

// fill gives a source what the flags say.
func (o *flowInputs) fill(src *flow.Source) error {
	var err error
	if src.Images, err = o.readImages(); err != nil {
		return err
	}
	src.Context, err = o.contextVariables()
	return err
}

// readImages are those of the file, then those of the flags, which win.
func (o *flowInputs) readImages() ([]flow.Image, error) {
	var images []flow.Image
	if o.imagesFile != "" {
		data, err := readAtMost(o.imagesFile, flow.MaxSize+1)
		if err != nil {
			return nil, usageErrorf("cannot read --images %s: %w", o.imagesFile, reason(err))
		}
		var problems flow.Problems
		if images, problems = flow.ParseImages(o.imagesFile, data); problems.Err() != nil {
			return nil, problems.Err()
		}
	}
	given := map[string]string{}
	for _, text := range o.images {
		i, err := flow.ParseImage(text, flow.Position{File: "--image"})
		if err != nil {
			return nil, usageErrorf("--image: %w", err)
		}
		if other, twice := given[i.Key]; twice && other != i.Image {
			return nil, usageErrorf("--image: %s has two images, %s and %s: give one of them", i.Key, other, i.Image)
		}
		given[i.Key] = i.Image
		images = append(images, i)
	}
	return images, nil
}

var contextName = regexp.MustCompile(`^\w+$`)

func (o *flowInputs) contextVariables() (map[string]string, error) {
	values := map[string]string{}
	for _, text := range o.context {
		name, value, ok := strings.Cut(text, "=")
		if !ok || !contextName.MatchString(name) {
			return nil, usageErrorf("--context-var: %q is not of the form NAME=VALUE, with a NAME of letters, digits and underscores", text)
		}
		if other, twice := values[name]; twice && other != value {
			return nil, usageErrorf("--context-var: %s has two values: give one of them", name)
		}
		values[name] = value
	}
	return values, nil
}

// readAtMost reads the beginning of a file: a little more than can be used shows that it is too large.
func readAtMost(name string, most int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("it is not a file")}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// fileReader reads the files that stand in the place of executors. They are looked for beside the Flow file, then in the
// working folder; Jina looks in the working folder only, and in every folder of PATH (semantics D41), so --compat takes the
// working folder first.
//
// A Flow that somebody else wrote must not make this program show what lies elsewhere on the machine: its text would be in
// the messages. So links are followed, and the file must be in or below one of the two folders.
type fileReader struct {
	folders []string
}

func newFileReader(flowFile string, compat bool) *fileReader {
	folders := []string{"."}
	if dir := filepath.Dir(flowFile); flowFile != "-" && dir != "." {
		folders = []string{dir, "."}
		if compat {
			folders = []string{".", dir}
		}
	}
	return &fileReader{folders: folders}
}

// read finds a file by the text that names it.
func (r *fileReader) read(name string) (flow.File, error) {
	var found []string
	outside := ""
	for _, folder := range r.folders {
		candidate := filepath.FromSlash(name)
		if !filepath.IsAbs(candidate) {
			candidate = filepath.Join(folder, candidate)
		}
		switch inside, err := r.inside(candidate); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return flow.File{}, reason(err)
		case !inside:
			outside = candidate
		default:
			found = append(found, candidate)
		}
	}
	if len(found) == 0 && outside != "" {
		return flow.File{}, fmt.Errorf("%s is neither in the folder of the Flow file nor in the working folder; copy it there, or start in a folder above both", outside)
	}
	if len(found) == 0 {
		return flow.File{Other: r.nearest(name)}, fs.ErrNotExist
	}
	data, err := readAtMost(found[0], flow.MaxSize+1)
	if err != nil {
		return flow.File{}, reason(err)
	}
	file := flow.File{Name: filepath.ToSlash(found[0]), Data: data}
	if len(found) > 1 && !sameFile(found[0], found[1]) {
		file.Other = filepath.ToSlash(found[1])
	}
	return file, nil
}

// inside tells whether a file is in or below one of the folders, links followed.
func (r *fileReader) inside(name string) (bool, error) {
	resolved, err := resolve(name)
	if err != nil {
		return false, err
	}
	for _, folder := range r.folders {
		root, err := resolve(folder)
		if err != nil {
			return false, err
		}
		if rel, err := filepath.Rel(root, resolved); err == nil && filepath.IsLocal(rel) {
			return true, nil
		}
	}
	return false, nil
}

func resolve(name string) (string, error) {
	absolute, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// nearest is the file of the first folder that was most likely meant.
func (r *fileReader) nearest(name string) string {
	if path.IsAbs(name) {
		return ""
	}
	dir, base := path.Split(name)
	folder := filepath.Join(r.folders[0], filepath.FromSlash(dir))
	if inside, err := r.inside(folder); err != nil || !inside {
		return ""
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yml" || ext == ".yaml") {
			names = append(names, e.Name())
		}
	}
	if near := flow.Nearest(base, names); near != "" {
		return "did you mean " + dir + near + "?"
	}
	return ""
}
