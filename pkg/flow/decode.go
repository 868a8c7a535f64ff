package flow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of what is read. Real Flows have a few hundred values, at most ten levels deep.
const (
	maxDepth    = 64
	maxValues   = 200_000
	maxExpanded = 4 * MaxSize // bytes of all texts, those of aliases as often as they are used
)

// decoder turns the text of a file into values.
type decoder struct {
	*reporter
	src    Source
	values int
	text   int
	lines  []Position          // where the lines of YAML start
	open   map[*yaml.Node]bool // aliases being followed
}

// document reads the only document of the source. It is nil after an error that leaves nothing to go on with.
func (d *decoder) document() *Value {
	if !d.readable() {
		return nil
	}
	node, ok := d.parse()
	if !ok {
		return nil
	}
	if node == nil || len(node.Content) == 0 {
		d.errorf(Position{File: d.src.Name}, IDUnreadable, "write a Flow that starts with 'jtype: Flow'", "the file has no content but comments")
		return nil
	}
	return d.value(node.Content[0], 0)
}

// readable refuses what is no YAML text before the YAML library sees it.
func (d *decoder) readable() bool {
	file, data := Position{File: d.src.Name}, d.src.Data
	switch {
	case len(data) > MaxSize:
		d.errorf(file, IDUnreadable, "a Flow file has a few kilobytes; is this the right file?", "the file has more than %d bytes", MaxSize)
	case len(bytes.TrimSpace(data)) == 0:
		d.errorf(file, IDUnreadable, "write a Flow that starts with 'jtype: Flow'", "the file is empty")
	case bytes.IndexByte(data, 0) >= 0:
		d.errorf(d.positionAt(bytes.IndexByte(data, 0)), IDUnreadable, "a Flow file is YAML in UTF-8", "the file is binary: it has a NUL byte")
	case !utf8.Valid(data):
		at := 0
		for at < len(data) {
			r, size := utf8.DecodeRune(data[at:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			at += size
		}
		d.errorf(d.positionAt(at), IDUnreadable, "save the file as UTF-8", "the file is not UTF-8")
	default:
		at := bytes.IndexFunc(data, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\n\r\u0085", r) })
		if at < 0 {
			return true
		}
		d.errorf(d.positionAt(at), IDUnreadable, "delete it, or write it as \\xNN between double quotes", "the file has a control character, which YAML does not allow")
	}
	return false
}

func (d *decoder) positionAt(offset int) Position {
	before := d.src.Data[:offset]
	start := bytes.LastIndexAny(before, "\r\n") + 1
	breaks := bytes.Count(before, []byte("\n")) + bytes.Count(before, []byte("\r")) - bytes.Count(before, []byte("\r\n"))
	return Position{File: d.src.Name, Line: breaks + 1, Column: utf8.RuneCount(before[start:]) + 1}
}

// place is where the library's line and column (from 1) are in an editor.
func (d *decoder) place(line, column int) Position {
	if d.lines == nil {
		d.lines = yamlLines(d.src.Data)
	}
	start := d.lines[max(0, min(line, len(d.lines))-1)]
	return Position{File: d.src.Name, Line: start.Line, Column: start.Column - 1 + max(1, column)}
}

// yamlLines are where the lines of YAML 1.1 start: it breaks lines at characters (NEL, LS, PS) at which editors do not.
func yamlLines(data []byte) []Position {
	at := Position{Line: 1, Column: 1}
	lines := []Position{at}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		i += size
		at.Column++
		switch r {
		case '\r':
			if i < len(data) && data[i] == '\n' {
				i++
			}
			at.Line, at.Column = at.Line+1, 1
		case '\n':
			at.Line, at.Column = at.Line+1, 1
		case '\u0085', '\u2028', '\u2029':
		default:
			continue
		}
		lines = append(lines, at)
	}
	return lines
}

// parse runs the YAML library; it reports what the library says of a broken file.
func (d *decoder) parse() (node *yaml.Node, ok bool) {
	defer func() {
		// The library promises errors, but its scanner has panicked on odd input before; a file must never end the
		// program.
		if r := recover(); r != nil {
			d.errorf(Position{File: d.src.Name}, IDSyntax, "", "the file is not YAML: %v", r)
			node, ok = nil, false
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(d.src.Data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, true
	} else if err != nil {
		d.syntaxError(err)
		return nil, false
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		pos := d.position(&second)
		if len(second.Content) > 0 {
			pos = d.position(second.Content[0])
		}
		d.errorf(pos, IDYAMLFeature, "put each Flow in a file of its own", "the file has several YAML documents, a Flow file has one")
		return nil, false
	} else if !errors.Is(err, io.EOF) {
		d.syntaxError(err)
		return nil, false
	}
	return &doc, true
}

var unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)

var yamlErrorLine = regexp.MustCompile(`^line (\d+): `)

// syntaxError gives the library's message a position and a hint.
func (d *decoder) syntaxError(err error) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	pos, hint := Position{File: d.src.Name}, ""
	if m := yamlErrorLine.FindStringSubmatch(message); m != nil {
		line, _ := strconv.Atoi(m[1])
		pos = d.place(line, 1)
		message = message[len(m[0]):]
	}
	// The library counts the line of a tab either as it is or one too low.
	if tab := d.tabIndent(pos.Line); tab > 0 {
		pos.Line, pos.Column = tab, 1
		hint = "YAML does not allow tabs for indentation: use blanks"
	}
	if m := unknownAnchor.FindStringSubmatch(message); m != nil {
		if at := bytes.Index(d.src.Data, []byte("*"+m[1])); at >= 0 {
			pos = d.positionAt(at)
		}
		hint = "define the anchor with & before the alias, or quote the text"
	}
	message = strings.Join(strings.Fields(message), " ")
	d.errorf(pos, IDSyntax, hint, "the file is not YAML: %s", message)
}

// tabIndent is the line near the given one that is indented with a tab, or 0.
func (d *decoder) tabIndent(line int) int {
	lines := bytes.Split(d.src.Data, []byte("\n"))
	for _, n := range []int{line, line + 1, line - 1} {
		if n >= 1 && n <= len(lines) {
			text := lines[n-1]
			if indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]; bytes.IndexByte(indent, '\t') >= 0 {
				return n
			}
		}
	}
	return 0
}

func (d *decoder) position(n *yaml.Node) Position {
	return d.place(n.Line, n.Column)
}

// value turns a node into a value. What cannot be read is reported and becomes null.
func (d *decoder) value(n *yaml.Node, depth int) *Value {
	v := &Value{Position: d.position(n)}
	d.values++
	switch {
	case d.values > maxValues:
		if d.values == maxValues+1 {
			d.errorf(v.Position, IDUnreadable, "use fewer aliases", "the file has more than %d values", maxValues)
		}
		return v
	case depth > maxDepth:
		d.errorf(v.Position, IDUnreadable, "", "values are nested deeper than %d levels", maxDepth)
		return v
	}
	switch n.Kind {
	case yaml.AliasNode:
		return d.alias(n, depth)
	case yaml.ScalarNode:
		d.scalar(n, v)
	case yaml.SequenceNode:
		d.tag(n, v)
		v.Kind = List
		for _, c := range n.Content {
			v.Items = append(v.Items, d.value(c, depth+1))
		}
	case yaml.MappingNode:
		v.Kind = Mapping
		if tag := d.tag(n, v); tag != "" {
			v.Entries = append(v.Entries, Entry{Key: "jtype", Position: v.Position, Value: stringValue(v.Position, tag)})
		}
		d.mapping(n, v, depth)
	}
	return v
}

func stringValue(pos Position, text string) *Value {
	return &Value{Position: pos, Kind: String, Text: text, Written: text}
}

func (d *decoder) alias(n *yaml.Node, depth int) *Value {
	if d.open[n.Alias] {
		d.errorf(d.position(n), IDYAMLFeature, "", "alias *%s is inside of what it stands for", n.Value)
		return &Value{Position: d.position(n)}
	}
	d.open[n.Alias] = true
	defer delete(d.open, n.Alias)
	return d.value(n.Alias, depth+1)
}

var jtypeTag = regexp.MustCompile(`^!\w+$`)

// tag returns the word of a tag like !Flow, which Jina reads as a key jtype, and refuses every other tag.
func (d *decoder) tag(n *yaml.Node, v *Value) string {
	if n.Style&yaml.TaggedStyle == 0 {
		return ""
	}
	if n.Kind == yaml.MappingNode && jtypeTag.MatchString(n.Tag) {
		return n.Tag[1:]
	}
	d.errorf(v.Position, IDYAMLFeature, "take the tag away, and quote what is to be text", "YAML tag %s is not read by Jina here", n.Tag)
	return ""
}

func (d *decoder) scalar(n *yaml.Node, v *Value) {
	if before := d.text; before <= maxExpanded {
		if d.text += len(n.Value); d.text > maxExpanded {
			d.errorf(v.Position, IDUnreadable, "use fewer aliases", "the texts of the file, with what its aliases stand for, have more than %d bytes", maxExpanded)
		}
	}
	if d.text > maxExpanded {
		return
	}
	d.tag(n, v)
	v.Written = n.Value
	v.Kind, v.Text = String, n.Value
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		v.Literal = true
		return
	}
	var ok bool
	if v.Kind, v.Text, ok = plainScalar(n.Value); !ok {
		d.errorf(v.Position, IDYAMLFeature, fmt.Sprintf("quote it: '%s'", n.Value), "%s is a date, which Jina cannot use", n.Value)
	}
	if v.Kind == Null {
		v.Written = ""
	}
}

// mapping reads keys and values. Merged mappings (<<) come first and give way to the mapping's own keys.
func (d *decoder) mapping(n *yaml.Node, v *Value, depth int) {
	own, index := map[string]Position{}, v.index()
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; isMerge(key) {
			d.merge(n.Content[i+1], v, index, depth)
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		keyNode, pos := n.Content[i], d.position(n.Content[i])
		if isMerge(keyNode) {
			continue
		}
		key, ok := d.key(keyNode)
		if !ok {
			continue
		}
		if first, twice := own[key]; twice {
			d.errorf(pos, IDDuplicateKey, "keep one of them", "key %s stands here a second time, the first is at %s", key, first)
			continue
		}
		own[key] = pos
		v.setAt(index, Entry{Key: key, Position: pos, Value: d.value(n.Content[i+1], depth+1)})
	}
}

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Style == 0 && key.Value == "<<"
}

func (d *decoder) merge(n *yaml.Node, v *Value, index map[string]int, depth int) {
	merged := d.value(n, depth+1)
	sources := []*Value{merged}
	if merged.Kind == List {
		sources = merged.Items
	}
	// Of several the first wins, so it is set last.
	for i := len(sources) - 1; i >= 0; i-- {
		if sources[i].Kind != Mapping {
			d.errorf(sources[i].Position, IDType, "", "<< takes a mapping or a list of mappings, not %s", sources[i].Kind)
			continue
		}
		for _, e := range sources[i].Entries {
			v.setAt(index, e)
		}
	}
}

// key is the text of a mapping's key, by the rules of JSON: true, null, numbers as they read.
func (d *decoder) key(n *yaml.Node) (string, bool) {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		d.errorf(d.position(n), IDType, "", "a key is text, not a list or mapping")
		return "", false
	}
	v := &Value{Position: d.position(n)}
	d.scalar(n, v)
	switch v.Kind {
	case Null:
		return "null", true
	case Float:
		return jsonNumber(v.Text), true
	default:
		return v.Text, true
	}
}
