package cmd

import (
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Bounds of a folder that is read: an export of a thousand executors has a thousand files and eight megabytes.
const (
	maxFolderFiles   = 20_000
	maxFolderEntries = 100_000
	maxFolderSize    = 64 << 20
)

// readFolder reads the YAML and JSON files of a folder and the folders in it, sorted by name: those that `kubectl apply -R`
// reads, too. Hidden ones are left out, and nothing outside of the folder is read, whatever links say.
func readFolder(dir string) ([]plan.FolderFile, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, usageErrorf("cannot read %s: %w", dir, reason(err))
	}
	defer root.Close()
	w := &folderWalk{root: root, dir: dir}
	if err := fs.WalkDir(root.FS(), ".", w.visit); err != nil {
		return nil, err
	}
	if len(w.files) == 0 {
		return nil, usageErrorf("%s has no YAML files: -f takes a Flow file, or the folder that `jina export kubernetes` or flow.to_kubernetes_yaml() wrote", dir)
	}
	return w.files, nil
}

type folderWalk struct {
	root    *os.Root
	dir     string
	files   []plan.FolderFile
	entries int
	size    int64
}

func (w *folderWalk) visit(name string, entry fs.DirEntry, err error) error {
	shown := filepath.ToSlash(filepath.Join(w.dir, filepath.FromSlash(name)))
	if err != nil {
		return usageErrorf("cannot read %s: %w", shown, reason(err))
	}
	if w.entries++; w.entries > maxFolderEntries {
		return usageErrorf("%s has more than %d files: is this the right folder?", w.dir, maxFolderEntries)
	}
	if name != "." && strings.HasPrefix(entry.Name(), ".") {
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	if entry.IsDir() {
		return nil
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".yml", ".yaml", ".json":
	default:
		return refuseLinkToFolder(shown, entry)
	}
	return w.read(name, shown)
}

// refuseLinkToFolder refuses a link to a folder, here or elsewhere: what it leads to would be missing without a word.
func refuseLinkToFolder(shown string, entry fs.DirEntry) error {
	if entry.Type()&fs.ModeSymlink == 0 {
		return nil
	}
	if info, err := os.Stat(filepath.FromSlash(shown)); err == nil && info.IsDir() {
		return usageErrorf("%s is a link to a folder, which is not followed: copy the folder, or take the link away", shown)
	}
	return nil
}

func (w *folderWalk) read(name, shown string) error {
	info, err := w.root.Stat(name)
	if err != nil {
		return usageErrorf("cannot read %s: %w", shown, reason(err))
	}
	if !info.Mode().IsRegular() {
		return usageErrorf("%s is no file", shown)
	}
	if w.size += info.Size(); w.size > maxFolderSize || len(w.files) == maxFolderFiles {
		return usageErrorf("%s has more than %d files or %d MB of YAML: is this the right folder?", w.dir, maxFolderFiles, maxFolderSize>>20)
	}
	f, err := w.root.Open(name)
	if err != nil {
		return usageErrorf("cannot read %s: %w", shown, reason(err))
	}
	defer f.Close()
	// No more than was counted, even when the file grows meanwhile.
	data, err := io.ReadAll(io.LimitReader(f, info.Size()))
	if err != nil {
		return usageErrorf("cannot read %s: %w", shown, reason(err))
	}
	w.files = append(w.files, plan.FolderFile{Name: shown, Data: data})
	return nil
}

// readObjects is read for a folder that Jina exported.
func (o *flowFlags) readObjects(files []plan.FolderFile, namespace string) (*flowFile, flow.Problems, error) {
	if o.compat {
		return nil, nil, usageErrorf("--compat makes the objects of a Flow file; %s is a folder, which has its objects already", o.Filename)
	}
	if o.JinaVersion != plan.JinaVersion {
		return nil, nil, usageErrorf("--jina-version is for Flow files; the images of %s stand in its objects", o.Filename)
	}
	if flag := o.given(); flag != "" {
		return nil, nil, usageErrorf("%s is for Flow files; %s is a folder, whose objects are taken as they are", flag, o.Filename)
	}
	dir := o.Filename
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute
	}
	folder, problems := plan.ReadFolder(files, plan.FolderOptions{
		FlowName: o.Name, Names: []string{plan.NameFromFolder(filepath.ToSlash(dir))},
		Namespace: namespace, NamespaceGiven: o.namespaceGiven,
	})
	if folder == nil {
		return &flowFile{}, problems, nil
	}
	return &flowFile{Flow: folder.Flow, Name: folder.Name, Named: o.Name != "", Namespace: folder.Namespace, Objects: folder.Objects}, problems, nil
}
