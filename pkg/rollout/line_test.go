package rollout

import (
	"strings"
	"testing"
)

func TestPlainLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "",
		"  indented\tand tabbed  ":             "  indented\tand tabbed  ",
		"naïve 模型 ✓":                           "naïve 模型 ✓",
		"\x1b[31mred\x1b[0m":                   "red",
		"\x1b]0;title\x07after":                "after",
		"\x1b]8;;http://evil\x1b\\link":        "link",
		"50%\r100%":                            "50% 100%",
		"a\x00b\x08c\u202ed\u2028e":            "abcd e",
		"\xffbad":                              "\uFFFDbad",
		"\u009b2Jx":                            "x",
		strings.Repeat("long ", 1000) + "\x1b": strings.Repeat("long ", 1000),
	} {
		if got := PlainLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
