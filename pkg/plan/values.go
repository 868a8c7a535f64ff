package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// annotationLastApplied is what `kubectl apply` leaves on an object: the whole of what was applied, environment and all.
const annotationLastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// pathText writes a path as people do: spec.template.spec.containers[executor].image.
func pathText(p fieldpath.Path) string {
	var b strings.Builder
	for _, e := range p {
		switch {
		case e.FieldName != nil && strings.ContainsAny(*e.FieldName, "./"):
			fmt.Fprintf(&b, "[%s]", *e.FieldName)
		case e.FieldName != nil:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(*e.FieldName)
		case e.Key != nil:
			var parts []string
			for _, f := range *e.Key {
				text := fmt.Sprint(f.Value.Unstructured())
				if len(*e.Key) > 1 {
					text = f.Name + "=" + text
				}
				parts = append(parts, text)
			}
			fmt.Fprintf(&b, "[%s]", strings.Join(parts, ","))
		default:
			b.WriteString(e.String())
		}
	}
	return b.String()
}

// Masked stands for a value that is not shown.
const Masked = "***"

// isSecretish tells whether the value at a path must not be shown: people put tokens into Jina's env, which becomes
// ConfigMap data and environment variables.
func isSecretish(kind string, path fieldpath.Path) bool {
	var names []string
	for _, e := range path {
		if e.FieldName != nil {
			names = append(names, *e.FieldName)
		}
	}
	if slices.Contains(names, annotationLastApplied) {
		return true
	}
	if kind == "ConfigMap" || kind == "Secret" {
		return len(names) > 0 && (names[0] == "data" || names[0] == "binaryData" || names[0] == "stringData")
	}
	return slices.Contains(names, "env")
}

// redacted is a value without what must not be shown inside it: the values of environment variables of a whole container,
// and what kubectl has applied among a whole object's annotations.
func redacted(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			switch list, isList := item.([]any); {
			case key == annotationLastApplied:
				out[key] = Masked
			case key == "env" && isList:
				out[key] = redactedEnv(list)
			default:
				out[key] = redacted(item)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = redacted(item)
		}
		return out
	default:
		return v
	}
}

func redactedEnv(env []any) []any {
	out := make([]any, len(env))
	for i, item := range env {
		out[i] = Masked
		if variable, ok := item.(map[string]any); ok {
			out[i] = map[string]any{"name": variable["name"], "value": Masked}
		}
	}
	return out
}

// valueText is the value at a path of an object of a kind, as people may read it.
func valueText(kind string, path fieldpath.Path, v any) string {
	if isSecretish(kind, path) {
		return Masked
	}
	if s, ok := v.(string); ok {
		if s == "" {
			return `""`
		}
		return s
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(redacted(v)); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}

// valueTexts are the two sides of a difference; empty where there is no value. Of a long list of arguments only what changes
// is worth reading.
func valueTexts(kind string, d difference) (live, ours string) {
	list, other, ok := stringLists(d.before, d.after)
	if ok && !isSecretish(kind, d.path) {
		if live, ours = without(list, other), without(other, list); live != "" || ours != "" {
			return live, ours
		}
	}
	if d.had {
		live = valueText(kind, d.path, d.before)
	}
	if d.has {
		ours = valueText(kind, d.path, d.after)
	}
	return live, ours
}

func stringLists(a, b any) (x, y []string, ok bool) {
	x, okA := asStrings(a)
	y, okB := asStrings(b)
	return x, y, okA && okB
}

func asStrings(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(list))
	for _, item := range list {
		s, ok := item.(string)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// without lists the items of a that b lacks: of a long argument list only what changed is worth reading.
func without(a, b []string) string {
	rest := slices.Clone(b)
	var out []string
	for _, s := range a {
		if i := slices.Index(rest, s); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
			continue
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}
