package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// leaves writes every leaf of a tree as path → value. A container's arguments are one leaf a flag, and one for their
// order; JSON in them is compared as JSON.
func leaves(tree Tree) map[string]string {
	w := leafWriter{}
	for file, objects := range tree {
		for i, o := range objects {
			w.walk(fmt.Sprintf("%s#%d %s", file, i, o.GetKind()), o.Object)
		}
	}
	return w
}

type leafWriter map[string]string

func (w leafWriter) walk(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			w[path] = "{}"
		}
		for key, child := range v {
			words, isList := child.([]any)
			if key == "args" && isList {
				w.arguments(path+".args", words)
				continue
			}
			w.walk(path+"."+key, child)
		}
	case []any:
		if len(v) == 0 {
			w[path] = "[]"
		}
		for i, child := range v {
			key := fmt.Sprint(i)
			if m, ok := child.(map[string]any); ok && m["name"] != nil {
				key += ":" + fmt.Sprint(m["name"])
			}
			w.walk(path+"["+key+"]", child)
		}
	case string:
		w[path] = fmt.Sprintf("%q", v)
	default:
		w[path] = fmt.Sprint(v)
	}
}

// arguments has a leaf for each flag with its words, and one for the order of the flags.
func (w leafWriter) arguments(path string, words []any) {
	var order []string
	flag := ""
	for i, word := range words {
		text := fmt.Sprint(word)
		if strings.HasPrefix(text, "--") || i == 0 {
			if flag = text; slices.Contains(order, flag) {
				flag += " again"
			}
			order = append(order, flag)
			w[path+" "+flag] = ""
			continue
		}
		w[path+" "+flag] = strings.TrimPrefix(w[path+" "+flag]+" "+argumentText(text), " ")
	}
	w[path+" order"] = strings.Join(order, " ")
}

// argumentText is a word of a command line; JSON objects in one spelling.
func argumentText(text string) string {
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		var decoded any
		if json.Unmarshal([]byte(text), &decoded) == nil {
			if normal, err := json.Marshal(decoded); err == nil {
				return "json " + string(normal)
			}
		}
	}
	return fmt.Sprintf("%q", text)
}

// Differences lists every leaf that is not the same, sorted by path, and counts the leaves of the reference.
func Differences(reference, ours Tree) (lines []string, compared int) {
	want, got := leaves(reference), leaves(ours)
	for path, w := range want {
		if g, ok := got[path]; !ok {
			lines = append(lines, fmt.Sprintf("%s\n  reference %s\n  ours      absent", path, w))
		} else if g != w {
			lines = append(lines, fmt.Sprintf("%s\n  reference %s\n  ours      %s", path, w, g))
		}
	}
	for path, g := range got {
		if _, ok := want[path]; !ok {
			lines = append(lines, fmt.Sprintf("%s\n  reference absent\n  ours      %s", path, g))
		}
	}
	slices.Sort(lines)
	return lines, len(want)
}

// changed counts the leaves that differ.
func changed(before, after map[string]string) int {
	n := 0
	for path, v := range after {
		if old, ok := before[path]; !ok || old != v {
			n++
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok {
			n++
		}
	}
	return n
}
