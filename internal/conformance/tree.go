package conformance

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Tree has the objects of each file of an export, in their order.
type Tree map[string][]*unstructured.Unstructured

func treeOf(f *flow.Flow, objects []plan.Object) Tree {
	tree := Tree{}
	for _, o := range objects {
		file := plan.File(f, o.Part)
		tree[file] = append(tree[file], o.Unstructured)
	}
	return tree
}

// copy is a deep copy.
func (t Tree) copy() Tree {
	out := make(Tree, len(t))
	for file, objects := range t {
		for _, o := range objects {
			out[file] = append(out[file], o.DeepCopy())
		}
	}
	return out
}

// ReadTree reads the folder that the reference wrote, with a reader for which on, y, 1e3 and 0o10 are text, as they
// were meant. A folder that is missing is empty.
func ReadTree(dir string) (Tree, error) {
	tree := Tree{}
	err := filepath.WalkDir(dir, func(file string, entry os.DirEntry, err error) error {
		if file == dir && errors.Is(err, fs.ErrNotExist) {
			return fs.SkipAll
		}
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".yml" {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		objects, err := readObjects(data)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		tree[filepath.ToSlash(name)] = objects
		return nil
	})
	return tree, err
}

// TreeOfTexts reads the reference's files from memory.
func TreeOfTexts(files map[string]string) (Tree, error) {
	tree := Tree{}
	for name, text := range files {
		objects, err := readObjects([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		tree[name] = objects
	}
	return tree, nil
}

func readObjects(data []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, err
		}
		object, ok := plainValue(doc.Content[0], "").(map[string]any)
		if !ok {
			return nil, errors.New("a document is no object")
		}
		objects = append(objects, &unstructured.Unstructured{Object: object})
	}
}

// plainValue reads what PyYAML writes. It leaves texts like on, no and 123 without quotes, so that only the key tells
// what is a number.
func plainValue(n *yaml.Node, key string) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plainValue(n.Content[i+1], n.Content[i].Value)
		}
		return m
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			list = append(list, plainValue(c, ""))
		}
		return list
	case yaml.AliasNode:
		return plainValue(n.Alias, key)
	}
	switch key {
	case "replicas", "port", "targetPort", "containerPort", "initialDelaySeconds", "periodSeconds", "timeoutSeconds",
		"failureThreshold", "maxSurge", "maxUnavailable":
		if number, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return number
		}
	}
	return n.Value
}
