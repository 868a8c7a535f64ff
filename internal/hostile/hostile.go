// Package hostile has Flow files that mean no good, or that an accident has made, for the tests of whoever reads files.
package hostile

import (
	"bytes"
	"fmt"
	"strings"
)

// File is a file and what is said of it.
type File struct {
	Name string
	Data []byte
	// Problem is part of the first error; empty for a file that is accepted.
	Problem string
}

const executor = "jtype: Flow\nexecutors:\n  - {name: e, uses: docker://e:1, "

// Files are the files, each as large as can be with its kind of trouble.
func Files() []File {
	const mega = 1 << 20
	fill := func(unit string) string { return strings.Repeat(unit, (mega-200)/len(unit)) }
	text := func(name, data, problem string) File { return File{name, []byte(data), problem} }
	return append([]File{
		// Not text.
		text("empty", "", "the file is empty"),
		text("nul", "jtype: Flow\nexecutors: []\x00\n", "NUL byte"),
		text("binary", "\x7fELF\x02\x01\x00\x00\xff\xfe", "NUL byte"),
		text("not-utf8", "jtype: Flow\nexecutors: [{name: \xff}]\n", "not UTF-8"),
		text("utf16", "\xff\xfej\x00t\x00y\x00p\x00e\x00", "NUL byte"),
		text("escape", "jtype: Flow\nexecutors: [] # \x1b[31m\n", "control character"),
		text("surrogate", executor+`env: {A: "\ud800"}}`+"\n", "not YAML"),
		text("nul-escaped", executor+`workspace: "a\0b"}`+"\n", "NUL character"),

		// Odd, but text.
		text("bom", "\ufeff"+executor+"}\n", ""),
		text("crlf", strings.ReplaceAll(executor+"replicas: 2}\n", "\n", "\r\n"), ""),
		text("crlf-wrong", strings.ReplaceAll(executor+"replicas: two}\n", "\n", "\r\n"), "3:45: error: replicas"),
		text("cr", strings.ReplaceAll(executor+"replicas: two}\n", "\n", "\r"), "3:45: error: replicas"),
		text("nel", "jtype: Flow # \u0085executors:\n  - {name: e, uses: docker://e:1, replicas: two}\n", "2:45: error: replicas"),
		text("tab", "jtype: Flow\nexecutors:\n\t- name: e\n", "use blanks"),
		text("one-document", "---\n"+executor+"}\n...\n", ""),
		text("two-documents", executor+"}\n---\njtype: Flow\n", "several YAML documents"),
		text("many-documents", fill("---\na\n"), "several YAML documents"),
		text("twice", executor+"name: f}\n", "a second time"),
		text("long-line", executor+"env: {A: \""+fill("long ")+"\"}}\n", ""),
		text("long-word", executor+"env: {A: "+fill("x")+"}}\n", ""),
		text("long-key", executor+"? "+fill("x")+" : 1}\n", ""),
		text("long-name", "jtype: Flow\nexecutors:\n  - {uses: docker://e:1, name: "+fill("x")+"}\n", "no cluster accepts"),
		text("long-number", executor+"replicas: "+fill("9")+"}\n", "whole number"),
		text("long-time", executor+"replicas: 1"+fill(":59")+"}\n", "whole number"),

		// Too much.
		{"ten-megabytes", bytes.Repeat([]byte("# ten bytes\n"), 10*mega/12), "more than 1048576 bytes"},
		text("depth-flow", "jtype: "+strings.Repeat("[", 10_001)+strings.Repeat("]", 10_001), "not YAML"),
		text("depth-flow-10000", "jtype: "+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000), "nested deeper"),
		text("depth-mapping", "jtype: "+strings.Repeat("{a: ", 10_001)+strings.Repeat("}", 10_001), "not YAML"),
		text("depth-block", "jtype:\n  "+strings.Repeat("- ", 10_000)+"a\n", "not YAML"),
		text("depth-lines", depthByLines(1_400), "nested deeper"),
		text("depth-text", executor+"env: '"+strings.Repeat(`{"a":`, 10_000)+"1"+strings.Repeat("}", 10_000)+"'}\n", "not legal"),
		text("brackets", fill("["), "not YAML"),
		text("braces", fill("{"), "not YAML"),
		text("questions", fill("? "), "not YAML"),
		text("aliases", bomb("[", "*", "]"), "200000 values"),
		text("aliases-of-mappings", mappingBomb(), "200000 values"),
		text("aliases-of-text", "a: &a "+strings.Repeat("x", 100_000)+"\nb: ["+strings.Repeat("*a,", 1000)+"]\n", "use fewer aliases"),
		text("alias-of-itself", executor+"env: {A: &a [*a]}}\n", "inside of what it stands for"),
		text("merges", "a: &a {k: v}\n"+strings.Repeat("b: {<<: *a}\n", 60_000), "a second time"),
		text("commas", "jtype: ["+fill("a,")+"]", "200000 values"),
		text("comments", fill("#\n"), "no content but comments"),
		text("anchors", "jtype: ["+fill("&a a,")+"]", "200000 values"),
	}, many()...)
}

// many has files with very many of something.
func many() []File {
	repeat := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i, i+1)
		}
		return b.String()
	}
	text := func(name, data, problem string) File { return File{name, []byte(data), problem} }
	return []File{
		text("keys-unknown", "jtype: Flow\nwith:\n"+repeat(25_000, "  replicz%d: 1 # %d\n")+"executors: []\n", ""),
		text("keys-top", "jtype: Flow\n"+repeat(25_000, "replicz%d: 1 # %d\n")+"executors: []\n", ""),
		text("executors-unnamed", "jtype: Flow\nexecutors:\n"+strings.Repeat("- {}\n", 100_000), "workloads"),
		text("executors-no-image", "jtype: Flow\nexecutors:\n"+strings.Repeat("- {}\n", 9_000), "no image"),
		text("executors-nothing", "jtype: Flow\nexecutors:\n"+strings.Repeat("-\n", 100_000), "mapping of arguments"),
		text("needs-unknown", "jtype: Flow\nexecutors:\n- {uses: docker://e:1, needs: ["+repeat(60_000, "a%d, # %d\n")+"]}\n", "not in this Flow"),
		text("needs-circle", "jtype: Flow\nexecutors:\n"+repeat(9_000, "- {name: a%d, uses: docker://e:1, needs: a%d}\n")+"- {name: a9000, uses: docker://e:1, needs: a0}\n", "circle"),
		text("needs-later", "jtype: Flow\nexecutors:\n"+repeat(9_000, "- {name: a%d, uses: docker://e:1, needs: a%d}\n")+"- {name: a9000, uses: docker://e:1}\n", "stands below"),
		text("shards", executor+"shards: 2147483647}\n", "the most is 10000"),
		text("shards-together", "jtype: Flow\nexecutors:\n"+repeat(100, "- {name: a%d, uses: docker://e:1, shards: 9999} # %d\n"), "workloads"),
		text("replicas", executor+"replicas: 99999999999}\n", "the most is 2147483647"),
		text("inherited", "jtype: Flow\nwith: {grpc_server_options: {a: "+strings.Repeat("x", 500_000)+"}}\nexecutors:\n"+repeat(9_000, "- {name: a%d, uses: docker://e:1} #%d\n"), "longer than"),
		text("env-of-shards", executor+"shards: 9000, env: {A: "+strings.Repeat("x", 500_000)+"}}\n", "longer than"),
		text("json-keys", executor+"env: '{"+repeat(40_000, `"k%d":%d,`)+`"z":1}'}`+"\n", ""),
		text("env-list", executor+"env: ["+repeat(40_000, "K%d=%d,")+"]}\n", ""),
		text("variables", executor+"env: {A: \""+strings.Repeat("$U", 400_000)+"\"}}\n", ""),
		text("references", "jtype: Flow\nexecutors:\n- name: e\n  uses: docker://e:1\n  uses_with:\n"+repeat(20_000, "    a%d: ${{this.a%d}}\n")+"    a20000: end\n", ""),
		text("references-double", "jtype: Flow\nexecutors:\n- name: e\n  uses: docker://e:1\n  uses_with:\n"+doubling(60)+"    a60: xxxxxxxxxxxxxxxx\n", "longer than"),
		text("reference-circle", executor+"env: {A: '${{this.B}}', B: '${{this.A}}'}}\n", "refers to itself"),
	}
}

// doubling are keys each of which has the next one twice.
func doubling(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "    a%d: ${{this.a%d}}${{this.a%d}}\n", i, i+1, i+1)
	}
	return b.String()
}

// bomb grows tenfold with each line.
func bomb(open, alias, end string) string {
	b := strings.Builder{}
	b.WriteString("a0: &a0 x\n")
	for i := 1; i < 10; i++ {
		item := fmt.Sprintf("%sa%d,", alias, i-1)
		fmt.Fprintf(&b, "a%d: &a%d %s%s%s\n", i, i, open, strings.Repeat(item, 10), end)
	}
	return b.String()
}

// mappingBomb is a bomb of mappings.
func mappingBomb() string {
	b := strings.Builder{}
	b.WriteString("a0: &a0 {k: v}\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "a%d: &a%d {", i, i)
		for j := range 10 {
			fmt.Fprintf(&b, "k%d: *a%d,", j, i-1)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// depthByLines nests mappings by indentation.
func depthByLines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i))
	}
	return b.String()
}
