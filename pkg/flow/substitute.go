package flow

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The forms of variables (semantics 1.2). Exactly one blank on either side of a name makes it a variable, none makes
// it a reference to another value of the file.
var (
	envVariable     = regexp.MustCompile(`\$\{\{ (?:ENV|env)\.(\w+) \}\}`)
	contextVariable = regexp.MustCompile(`\$\{\{ (?:(?:CONTEXT|context)\.)?(\w+) \}\}`)
	reference       = regexp.MustCompile(`\$\{\{([\w\[\].]+)\}\}`)
	shellVariable   = regexp.MustCompile(`\$(\w+|\{[^{}]*\})`)
	oddVariable     = regexp.MustCompile(`\$\{\{[^{}]*\}\}`)
)

// maxText bounds a text after its variables are replaced.
const maxText = 1 << 20

// substituter replaces variables in all texts of a file.
type substituter struct {
	*reporter
	src  Source
	root *Value
	// done holds the texts that are ready; false while their own variables are being replaced.
	done map[*Value]bool
	size int
}

// all replaces and converts every text below v; parent is the mapping that "this" stands for.
func (s *substituter) all(v, parent *Value) {
	switch v.Kind {
	case String:
		s.text(v, parent)
	case List:
		for _, item := range v.Items {
			s.all(item, parent)
		}
	case Mapping:
		for i := range v.Entries {
			s.all(v.Entries[i].Value, v)
		}
	}
}

// text replaces what one text names. Aliases and references can lead here more than once.
func (s *substituter) text(v, parent *Value) bool {
	if ready, seen := s.done[v]; seen {
		return ready
	}
	s.done[v] = false
	before := v.Text
	if strings.Contains(v.Text, "$") {
		v.Text = s.replace(v, parent)
	}
	if v.Text != before {
		v.Written, v.Literal = v.Text, false
	}
	s.done[v] = true
	convert(v)
	return true
}

func (s *substituter) replace(v, parent *Value) string {
	text := v.Text
	// A variable may name others: Jina replaces in four rounds.
	for range 4 {
		before := text
		text = envVariable.ReplaceAllStringFunc(text, func(match string) string {
			return s.variable(v, match, envVariable.FindStringSubmatch(match)[1])
		})
		text = reference.ReplaceAllStringFunc(text, func(match string) string {
			return s.reference(v, parent, match, reference.FindStringSubmatch(match)[1])
		})
		text = contextVariable.ReplaceAllStringFunc(text, func(match string) string {
			return s.context(v, match, contextVariable.FindStringSubmatch(match)[1])
		})
		text = s.shell(v, text)
		if s.size += len(text); s.size > 8*maxText || len(text) > maxText {
			s.errorf(v.Position, IDUnreadable, "", "variables make the text longer than %d bytes", maxText)
			return ""
		}
		if text == before {
			break
		}
	}
	if odd := oddVariable.FindString(text); odd != "" && !s.errorAt(v.Position) {
		s.warnf(v.Position, IDValue, "a variable is written ${{ ENV.NAME }}, with one blank on either side", "%s is no variable and stays as it is", odd)
	}
	return text
}

// variable is the value of ${{ ENV.NAME }}.
func (s *substituter) variable(v *Value, match, name string) string {
	if value, ok := s.lookup(v, name); ok {
		return value
	}
	s.errorf(v.Position, IDVariableUnset, "export "+name+"=… before", "environment variable %s is not set", name)
	return match
}

// context is the value of ${{ CONTEXT.NAME }}. Jina's own export has none and leaves $$NAME (semantics D39).
func (s *substituter) context(v *Value, match, name string) string {
	if value, ok := s.src.Context[name]; ok {
		if !utf8.ValidString(value) {
			s.errorf(v.Position, IDValue, "give it text in UTF-8", "the value of context variable %s is not UTF-8", name)
			return ""
		}
		return value
	}
	if s.src.KeepContext {
		s.warnf(v.Position, IDVariableContext, "give it with --context-var "+name+"=VALUE", "context variable %s has no value: $$%s stays, as Jina leaves it", match, name)
		return "$$" + name
	}
	s.errorf(v.Position, IDVariableContext, "give it with --context-var "+name+"=VALUE", "context variable %s has no value", match)
	return match
}

// lookup is the value of an environment variable. What is no UTF-8 can be in no Kubernetes object.
func (s *substituter) lookup(v *Value, name string) (string, bool) {
	if s.src.Env == nil {
		return "", false
	}
	value, ok := s.src.Env(name)
	if ok && !utf8.ValidString(value) {
		s.errorf(v.Position, IDValue, "set it to text in UTF-8", "the value of environment variable %s is not UTF-8", name)
		return "", true
	}
	return value, ok
}

// shell replaces $NAME and ${NAME}; a name that is not set stays, since a dollar sign may just be text.
func (s *substituter) shell(v *Value, text string) string {
	return shellVariable.ReplaceAllStringFunc(text, func(match string) string {
		name := strings.Trim(match[1:], "{}")
		if value, ok := s.lookup(v, name); ok {
			return value
		}
		if s.has(IDVariableContext) && strings.Contains(text, "$"+match) {
			return match // which a context variable has become
		}
		s.warnf(v.Position, IDVariableUnset, "export "+name+"=… before, if it is meant as a variable", "environment variable %s is not set: %s stays as it is", name, match)
		return match
	})
}

// reference is the text of ${{root.a.b[0]}}, ${{this.key}} or ${{ENV.NAME}}.
func (s *substituter) reference(v, parent *Value, match, path string) string {
	first, rest, _ := strings.Cut(path, ".")
	var at *Value
	switch first {
	case "ENV":
		return s.variable(v, match, rest)
	case "root":
		at = s.root
	case "this":
		at = parent
	default:
		return match // a name of somebody else
	}
	target, within := follow(at, rest)
	hint := "root. starts at the top of the file, this. in the same mapping"
	switch {
	case target == nil:
		s.errorf(v.Position, IDValue, hint, "%s names nothing in this file", match)
	case target.Kind == List || target.Kind == Mapping:
		s.errorf(v.Position, IDValue, hint, "%s names %s, only single values can be referred to", match, target.Kind)
	case target.Kind == String && !s.text(target, within):
		s.errorf(v.Position, IDValue, "", "%s refers to itself", match)
	default:
		return target.pythonText(false)
	}
	return ""
}

// follow goes along a path like a.b[0].c; within is the mapping that holds the result.
func follow(v *Value, path string) (target, within *Value) {
	for step := range strings.SplitSeq(path, ".") {
		name, indices, _ := strings.Cut(step, "[")
		if within, v = v, v.Get(name); v == nil {
			return nil, nil
		}
		if indices == "" {
			continue
		}
		for index := range strings.SplitSeq(indices, "[") {
			i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if err != nil || v.Kind != List || i < 0 || i >= len(v.Items) {
				return nil, nil
			}
			v = v.Items[i]
		}
	}
	return v, within
}
