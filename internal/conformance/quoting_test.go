package conformance

import "testing"

// TestQuotingIsTheReferences has words and what jina 3.34.0 passes on in their place (cases flow-backslash,
// flow-control-chars, env-subst-special and flow-quotes-both of the corpus).
func TestQuotingIsTheReferences(t *testing.T) {
	for _, c := range []struct {
		word, quoted string
		fails        bool
	}{
		{word: "plain text", quoted: "plain text"},
		{word: `{"re": "\\d+\\n"}`, quoted: `{"re": "\\\\d+\\\\n"}`},
		{word: "a\nb\tc", quoted: `a\nb\tc`},
		{word: `{"e": "\u00e9"}`, quoted: `{"e": "\\u00e9"}`},
		{word: "é", quoted: "é"},
		{word: "it's \\", quoted: "it's \\"},
		{word: `{"a": "it's"}`, fails: true},
		{word: "x\u200by\U000e0001", quoted: `x\u200by\U000e0001`},
	} {
		quoted, ok := asQuoted(c.word)
		if ok == c.fails || ok && quoted != c.quoted {
			t.Errorf("%q is %q, %t", c.word, quoted, ok)
		}
	}
}

func TestEveryNewlineIsDoubled(t *testing.T) {
	for text, want := range map[string]string{"": "", "a": "a", "a\n": "a\n", "a\nb\n": "a\n\nb\n", "a\r\n\nb": "a\n\n\n\nb"} {
		if got := string(doubleNewlines([]byte(text))); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
}
