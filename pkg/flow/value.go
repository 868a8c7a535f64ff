package flow

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// ValueKind is the type of a value.
type ValueKind int

// The kinds of values.
const (
	Null ValueKind = iota
	Bool
	Int
	Float
	String
	List
	Mapping
)

// String is how messages call the kind.
func (k ValueKind) String() string {
	return [...]string{"nothing", "a boolean", "a whole number", "a number", "text", "a list", "a mapping"}[k]
}

// Value is a YAML value as Jina reads it: scalars by the rules of YAML 1.1 and then, for text, by Jina's own
// conversion ('007' becomes the number 7).
type Value struct {
	Position Position
	Kind     ValueKind
	// Text of a scalar in canonical form: the text itself, a decimal whole number, a number as Python prints it,
	// "true" or "false"; empty for null.
	Text string
	// Written is the scalar as it stands in the file, variables replaced.
	Written string
	// Literal tells that a scalar is quoted (or a block) and names no variable: text, whatever it looks like.
	Literal bool
	// Items of a list.
	Items []*Value
	// Entries of a mapping, in the order of the file.
	Entries []Entry
}

// Entry is a key of a mapping with its value.
type Entry struct {
	Key      string
	Position Position
	Value    *Value
}

// Get returns the value of a key of a mapping, or nil.
func (v *Value) Get(key string) *Value {
	if v == nil {
		return nil
	}
	for i := range v.Entries {
		if v.Entries[i].Key == key {
			return v.Entries[i].Value
		}
	}
	return nil
}

// set replaces the entry of a key, else adds it.
func (v *Value) set(e Entry) { v.setAt(v.index(), e) }

// index tells where each key of a mapping is.
func (v *Value) index() map[string]int {
	index := make(map[string]int, len(v.Entries))
	for i := range v.Entries {
		index[v.Entries[i].Key] = i
	}
	return index
}

func (v *Value) setAt(index map[string]int, e Entry) {
	if i, ok := index[e.Key]; ok {
		v.Entries[i] = e
		return
	}
	index[e.Key] = len(v.Entries)
	v.Entries = append(v.Entries, e)
}

// Form says how values become text.
type Form int

// The forms.
const (
	// Coerced is what Jina makes of a value: '007' is 7, true is True, null is None.
	Coerced Form = iota
	// Kept is what the file says: '007' stays '007', true stays true, null is empty.
	Kept
)

// PlainText is the value as the text of an environment variable or argument. A coerced list or mapping is what
// Python prints of it, a kept one is JSON.
func (v *Value) PlainText(form Form) string {
	if form == Coerced {
		return v.pythonText(false)
	}
	if v.Kind == List && v.Written != "" {
		return v.Written
	}
	if v.Kind == List || v.Kind == Mapping {
		return v.JSON(form)
	}
	if v.Kind == Null && !v.Literal {
		return ""
	}
	return v.Written
}

// pythonText is Python's str of the value, or its repr.
func (v *Value) pythonText(repr bool) string {
	switch v.Kind {
	case Null:
		return "None"
	case Bool:
		if v.Text == "true" {
			return "True"
		}
		return "False"
	case String:
		if repr {
			return PythonRepr(v.Text)
		}
		return v.Text
	case List:
		parts := make([]string, len(v.Items))
		for i, item := range v.Items {
			parts[i] = item.pythonText(true)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case Mapping:
		parts := make([]string, len(v.Entries))
		for i := range v.Entries {
			parts[i] = PythonRepr(v.Entries[i].Key) + ": " + v.Entries[i].Value.pythonText(true)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	default:
		return v.Text
	}
}

// JSON is the value as Python's json.dumps writes it: a blank after commas and colons, keys in the order of the
// file, everything beyond ASCII escaped.
func (v *Value) JSON(form Form) string {
	var b strings.Builder
	v.writeJSON(&b, form)
	return b.String()
}

func (v *Value) writeJSON(b *strings.Builder, form Form) {
	if form == Kept && v.Literal && v.Kind != Mapping {
		WriteJSONString(b, v.Written)
		return
	}
	switch v.Kind {
	case Null:
		b.WriteString("null")
	case Bool, Int:
		b.WriteString(v.Text)
	case Float:
		b.WriteString(jsonNumber(v.Text))
	case String:
		WriteJSONString(b, v.Text)
	case List:
		b.WriteByte('[')
		for i, item := range v.Items {
			if i > 0 {
				b.WriteString(", ")
			}
			item.writeJSON(b, form)
		}
		b.WriteByte(']')
	case Mapping:
		b.WriteByte('{')
		for i := range v.Entries {
			if i > 0 {
				b.WriteString(", ")
			}
			WriteJSONString(b, v.Entries[i].Key)
			b.WriteString(": ")
			v.Entries[i].Value.writeJSON(b, form)
		}
		b.WriteByte('}')
	}
}

// jsonNumber is a float's Python text as json.dumps has it, with its names for what is no number.
func jsonNumber(text string) string {
	switch text {
	case "inf":
		return "Infinity"
	case "-inf":
		return "-Infinity"
	case "nan":
		return "NaN"
	}
	return text
}

// WriteJSONString writes a JSON string in ASCII, as Python's json.dumps does.
func WriteJSONString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r > 0xFFFF:
			hi, lo := utf16.EncodeRune(r)
			writeUnicodeEscape(b, hi)
			writeUnicodeEscape(b, lo)
		default:
			writeUnicodeEscape(b, r)
		}
	}
	b.WriteByte('"')
}

func writeUnicodeEscape(b *strings.Builder, r rune) {
	hex := strconv.FormatInt(int64(r), 16)
	b.WriteString(`\u`)
	b.WriteString("0000"[len(hex):])
	b.WriteString(hex)
}

// PythonRepr is Python's repr of a text.
func PythonRepr(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte(quote)
	return b.String()
}
