package flow

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Documents reads the YAML documents of a file that is no Flow: each with its root node, comments and empty documents left out.
// It stops at the first thing that is not YAML.
func Documents(src Source) ([]*yaml.Node, Problems) {
	d := &decoder{reporter: newReporter(), src: src}
	nodes := d.documents()
	return nodes, d.problems
}

func (d *decoder) documents() (nodes []*yaml.Node) {
	if !d.isText() {
		return nil
	}
	defer func() {
		// As in parse: a file must never end the program.
		if r := recover(); r != nil {
			d.errorf(Position{File: d.src.Name}, IDSyntax, "", "the file is not YAML: %v", r)
			nodes = nil
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(d.src.Data))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		switch {
		case errors.Is(err, io.EOF):
			return nodes
		case err != nil:
			d.syntaxError(err)
			return nil
		case len(doc.Content) > 0 && !isEmptyDocument(doc.Content[0]):
			nodes = append(nodes, doc.Content[0])
		}
	}
}

// isEmptyDocument recognises what stands between two lines of hyphens when nothing does.
func isEmptyDocument(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Style == 0
}

// isText refuses what the YAML library cannot place: bytes that are no text.
func (d *decoder) isText() bool {
	data := d.src.Data
	if at := bytes.IndexByte(data, 0); at >= 0 {
		d.errorf(d.positionAt(at), IDUnreadable, "YAML is text in UTF-8", "the file is binary: it has a NUL byte")
		return false
	}
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			d.errorf(d.positionAt(at), IDUnreadable, "save the file as UTF-8", "the file is not UTF-8")
			return false
		}
		at += size
	}
	return true
}

// Nearest is the candidate that a misspelt word most likely means, or "".
func Nearest(word string, candidates []string) string { return nearest(word, candidates) }
