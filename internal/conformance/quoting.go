package conformance

import (
	"bytes"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// doubleNewlines is what the reference's YAML reader gets: lines with their newlines, joined with another one
// (semantics 1.1 step 1). Only block texts and texts of several lines show it.
func doubleNewlines(data []byte) []byte {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	var out bytes.Buffer
	for i, line := range strings.SplitAfter(text, "\n") {
		if i > 0 && line != "" {
			out.WriteByte('\n')
		}
		out.WriteString(line)
	}
	return out.Bytes()
}

// quoteWords changes the arguments of all containers as the reference's own quoting does (semantics D16). It tells the
// word on which the reference fails, if there is one.
func quoteWords(tree Tree) (failing string) {
	for _, objects := range tree {
		for _, o := range objects {
			for _, c := range containers(o.Object) {
				words, _ := c["args"].([]any)
				for i, w := range words {
					text, _ := w.(string)
					quoted, ok := asQuoted(text)
					if !ok {
						return text
					}
					words[i] = quoted
				}
			}
		}
	}
	return ""
}

// asQuoted is a word after the reference's quoting: it is written as Python's repr and read as YAML. Python prefers
// single quotes, in which YAML knows no backslash, so that what Python has escaped stays escaped. With single quotes in
// the text Python takes double quotes, in which both agree; with both kinds the reference fails, which ok tells.
func asQuoted(word string) (quoted string, ok bool) {
	if strings.Contains(word, "'") {
		return word, !strings.Contains(word, `"`)
	}
	repr := flow.PythonRepr(word)
	return repr[1 : len(repr)-1], true
}

// unquoteWords gives the reference's objects the words of ours that became theirs by quoting alone.
func unquoteWords(reference, ours []plan.Object) {
	for i, o := range reference {
		mine := containers(ours[i].Object)
		for n, c := range containers(o.Object) {
			theirs, _ := c["args"].([]any)
			words, _ := mine[n]["args"].([]any)
			for w := range min(len(theirs), len(words)) {
				text, _ := words[w].(string)
				if quoted, ok := asQuoted(text); ok && quoted == theirs[w] {
					theirs[w] = text
				}
			}
		}
	}
}

// containers are the containers of a workload; nil for any other object.
func containers(object map[string]any) []map[string]any {
	at := any(object)
	for _, key := range []string{"spec", "template", "spec", "containers"} {
		m, _ := at.(map[string]any)
		at = m[key]
	}
	list, _ := at.([]any)
	var found []map[string]any
	for _, item := range list {
		if c, ok := item.(map[string]any); ok {
			found = append(found, c)
		}
	}
	return found
}
