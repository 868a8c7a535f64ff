package rollout

import (
	"regexp"
	"strings"
	"unicode"
)

// maxText is the longest text from the cluster, in characters, that goes into an event.
const maxText = 600

// escapeSequence is a terminal's control sequence as a whole (ECMA-48: CSI, then OSC, DCS, SOS, PM and APC strings, then
// the two-character ones), so that no parameter of one stays behind as text.
var escapeSequence = regexp.MustCompile(
	"(?:\x1b\\[|\u009b)[0-?]*[ -/]*[@-~]?" +
		"|(?:\x1b[\\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\x07\x1b\u009c]*(?:\x07|\x1b\\\\|\u009c)?" +
		"|\x1b[ -/]*[0-~]?")

// PlainText makes one line of text from the cluster that is safe to print: no control sequences, no control or
// invisible formatting characters (which can reorder a line), white space folded, cut after 600 characters.
func PlainText(s string) string {
	// Bounded before anything looks at it: a message can be as long as an object.
	if len(s) > 16*maxText {
		s = s[:16*maxText]
	}
	s = escapeSequence.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), "")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxText {
		s = string(runes[:maxText-1]) + "…"
	}
	return s
}
