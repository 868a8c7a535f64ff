package cmd

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// writeYAML writes an object as YAML with sorted keys. Whatever any reader, of YAML 1.1 or 1.2, could take for
// something else than text is quoted: libraries leave on, y or 1e3 as they are when their own reader takes them for
// text, and Kubernetes' reader then does not.
func writeYAML(out *bytes.Buffer, object map[string]any) {
	writeMapping(out, object, 0)
}

func writeMapping(out *bytes.Buffer, m map[string]any, indent int) {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for i, key := range keys {
		if i > 0 {
			writeIndent(out, indent)
		}
		writeText(out, key)
		out.WriteByte(':')
		writeChild(out, m[key], indent)
	}
}

// writeChild writes the value of a key: a scalar on the same line, anything else below.
func writeChild(out *bytes.Buffer, v any, indent int) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			out.WriteString(" {}\n")
			return
		}
		out.WriteByte('\n')
		writeIndent(out, indent+2)
		writeMapping(out, v, indent+2)
	case []any:
		if len(v) == 0 {
			out.WriteString(" []\n")
			return
		}
		out.WriteByte('\n')
		// As kubectl writes them: the hyphens stand below the key.
		writeList(out, v, indent)
	default:
		out.WriteByte(' ')
		writeScalar(out, v)
		out.WriteByte('\n')
	}
}

func writeList(out *bytes.Buffer, list []any, indent int) {
	for _, item := range list {
		writeIndent(out, indent)
		out.WriteByte('-')
		switch item := item.(type) {
		case map[string]any:
			if len(item) > 0 {
				out.WriteByte(' ')
				writeMapping(out, item, indent+2)
				continue
			}
			out.WriteString(" {}\n")
		default:
			writeChild(out, item, indent+2)
		}
	}
}

func writeIndent(out *bytes.Buffer, n int) {
	for range n {
		out.WriteByte(' ')
	}
}

func writeScalar(out *bytes.Buffer, v any) {
	switch v := v.(type) {
	case nil:
		out.WriteString("null")
	case string:
		writeText(out, v)
	default:
		fmt.Fprint(out, v)
	}
}

// isPlainText tells whether a text begins with a letter, a slash or the hyphens of an option, and goes on with nothing that
// YAML reads; a colon stands inside of it only. Most texts of an export are plain, so this looks at bytes.
func isPlainText(text string) bool {
	option := strings.HasPrefix(text, "--")
	if option {
		text = text[2:]
	}
	if text == "" || !isLetter(text[0]) && (option || text[0] != '/') {
		return false
	}
	colon := false
	for i := 1; i < len(text); i++ {
		c := text[i]
		switch {
		case c == ':' && !colon:
			colon = true
		case isLetter(c), c >= '0' && c <= '9', c == '_', c == '.', c == '/', c == '@', c == '-':
			colon = false
		default:
			return false
		}
	}
	return !colon
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// words that some version of YAML takes for a boolean, null or number, in any case.
func isWordOfYAML(text string) bool {
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf":
		return true
	}
	return false
}

func writeText(out *bytes.Buffer, text string) {
	if isPlainText(text) && !isWordOfYAML(text) {
		out.WriteString(text)
		return
	}
	if strings.Contains(text, `"`) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		out.WriteString("'" + strings.ReplaceAll(text, "'", "''") + "'")
		return
	}
	out.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteString(`\t`)
		case unicode.IsPrint(r) && r != '\ufeff':
			out.WriteRune(r)
		case r > 0xFFFF:
			out.WriteString(`\U` + hex(r, 8))
		default:
			out.WriteString(`\u` + hex(r, 4))
		}
	}
	out.WriteByte('"')
}

func hex(r rune, digits int) string {
	text := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", digits-len(text)) + text
}
