package cmd

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	yaml3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// awkwardTexts are texts that one reader of YAML or another takes for something else.
func awkwardTexts() []string {
	return []string{
		"", " ", "on", "Off", "y", "N", "yes", "no", "true", "False", "null", "~", "NaN", ".inf", "1e3", "0o10", "0x1F", "010", "1_000", "1:30",
		"12:30:45", "2024-01-01", "-", "--", "---", "- a", "a: b", "a:b", "a #b", "#a", "{a}", "[a]", "*a", "&a", "!a", "|", ">", "%a", "@a", "`a",
		"it's", `say "x"`, `back\slash`, "line\nbreak", "\ttab", "trailing ", " leading", "é", "😀", "\u2028", "\u0085", "\ufeff", "a\x01b", "\x1b[31m",
		"--name", "-1", "+1", ".5", "=", "<<", "?", "? a", "docker.io/a/b:1@sha256:0", "http://x:80/y?z=1", "{\"a\": \"it's\"}", strings.Repeat("long ", 100),
		"a:", ":a", "a: ", "/index", "e3", "0", "1.10", "1.2.3",
	}
}

// TestEveryReaderReadsTheSameText writes awkward texts as values, keys and items, and reads them with Kubernetes' reader and
// with one of YAML 1.2's rules.
func TestEveryReaderReadsTheSameText(t *testing.T) {
	data, items := map[string]any{}, []any{}
	for _, text := range awkwardTexts() {
		data[text] = text
		items = append(items, text)
	}
	object := map[string]any{
		"data": data, "items": items, "number": int64(3), "flag": true, "nothing": nil, "empty": map[string]any{}, "none": []any{},
		"nested": []any{map[string]any{"a": []any{"x", []any{"y"}}, "b": map[string]any{"c": "d"}}, map[string]any{}, []any{}},
	}
	var out bytes.Buffer
	writeYAML(&out, object)
	var kubernetes, other map[string]any
	if err := yaml.UnmarshalStrict(out.Bytes(), &kubernetes); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if err := yaml3.Unmarshal(out.Bytes(), &other); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for name, read := range map[string]map[string]any{"Kubernetes": kubernetes, "YAML 1.2": other} {
		if !reflect.DeepEqual(read["data"], object["data"]) || !reflect.DeepEqual(read["items"], object["items"]) || !reflect.DeepEqual(read["nested"], object["nested"]) {
			t.Errorf("%s reads\n%#v\nfrom\n%s", name, read, out.String())
		}
		if v, there := read["nothing"]; v != nil || !there || read["flag"] != true {
			t.Errorf("%s reads nothing as %v, flag as %v", name, v, read["flag"])
		}
	}
	// What Python's reader of YAML 1.1 takes for a boolean or number must not stand unquoted.
	for _, line := range strings.Split(out.String(), "\n") {
		switch strings.TrimPrefix(strings.TrimSpace(line), "- ") {
		case "on", "Off", "y", "N", "1e3", "0o10", "010", "1_000", "1:30", "12:30:45", "2024-01-01", "=", "<<", ".5", "+1":
			t.Errorf("%s is not quoted", line)
		}
	}
}

func TestCaretStandsUnderThePlace(t *testing.T) {
	for _, c := range []struct {
		line   string
		column int
		want   string
	}{
		{"  a: b", 6, "      a: b\n         ^\n"},
		{"\ta: b\r", 2, "     a: b\n     ^\n"},
		{"", 1, "    \n    ^\n"},
		{"ab", 9, "    ab\n      ^\n"},
		{strings.Repeat("x", 200), 150, "    " + strings.Repeat("x", 100) + "\n    " + strings.Repeat(" ", 49) + "^\n"},
		{"\x1b[31m", 1, "    \ufffd[31m\n    ^\n"},
	} {
		var b strings.Builder
		writeCaret(&b, c.line, c.column)
		if b.String() != c.want {
			t.Errorf("%q at %d is\n%q, not\n%q", c.line, c.column, b.String(), c.want)
		}
	}
}
