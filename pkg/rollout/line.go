package rollout

import (
	"strings"
	"unicode"
)

// PlainLine makes a line safe to print: no control sequences, no control or invisible formatting characters but tabs. What can
// be seen stays as it is, spaces and length among it. Of a progress bar that is drawn over itself, all pictures stay, a space
// between them.
func PlainLine(s string) string {
	if isPlain(s) {
		return s
	}
	s = escapeSequence.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), "")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case r == '\r', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
}

// isPlain finds the lines, nearly all, that have nothing to take out.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '\t' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}
