package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	kubernetesyaml "sigs.k8s.io/yaml/goyaml.v2"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// Bounds of a folder. A folder of a thousand executors has some 400,000 values.
const (
	maxFolderDepth  = 64
	maxFolderValues = 2_000_000
)

// objectDecoder turns the YAML of one object into the values that Kubernetes reads, guided by the Go type of its kind: so
// a field that does not exist is found with its place, and a text that Kubernetes' reader takes for something else is known.
type objectDecoder struct {
	*folderReader
	file string
	// open are the aliases that are being followed.
	open map[*yaml.Node]bool
	// repaired are the deviations that this object needed while it was read.
	repaired []string
	// strategy is where a StatefulSet has the field of a Deployment.
	strategy *yaml.Node
}

func (d *objectDecoder) position(n *yaml.Node) flow.Position {
	return flow.Position{File: d.file, Line: n.Line, Column: n.Column}
}

// value of a node. A nil type takes anything. Null means absent, as for Kubernetes.
func (d *objectDecoder) value(n *yaml.Node, t reflect.Type, path string, depth int) any {
	d.values++
	if d.values > maxFolderValues || depth > maxFolderDepth {
		if !d.tooMuch {
			d.tooMuch = true
			d.errorf(d.position(n), flow.IDUnreadable, "use fewer aliases, or take fewer files", "more than %d values, or values nested deeper than %d levels, are not read", maxFolderValues, maxFolderDepth)
		}
		return nil
	}
	if n.Kind == yaml.AliasNode {
		if d.open[n.Alias] {
			d.errorf(d.position(n), flow.IDYAMLFeature, "", "alias *%s is inside of what it stands for", n.Value)
			return nil
		}
		d.open[n.Alias] = true
		defer delete(d.open, n.Alias)
		return d.value(n.Alias, t, path, depth+1)
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil || t.Kind() == reflect.Interface:
		return d.untyped(n, path, depth)
	case reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return d.opaque(n, t, path, depth)
	}
	if n.Kind == yaml.ScalarNode && isNull(n) && t.Kind() != reflect.String {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return d.structure(n, t, path, depth)
	case reflect.Map:
		return d.mapping(n, path, depth, func(string, *yaml.Node) (reflect.Type, bool) { return t.Elem(), true })
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return d.text(n, path)
		}
		return d.list(n, t.Elem(), path, depth)
	default:
		return d.scalar(n, t, path)
	}
}

// untyped reads a value whose kind has no Go type here.
func (d *objectDecoder) untyped(n *yaml.Node, path string, depth int) any {
	switch n.Kind {
	case yaml.MappingNode:
		return d.mapping(n, path, depth, func(string, *yaml.Node) (reflect.Type, bool) { return nil, true })
	case yaml.SequenceNode:
		return d.list(n, nil, path, depth)
	default:
		return d.asKubernetes(n)
	}
}

// opaque reads what has a form of its own: quantities, ports by number or name, times.
func (d *objectDecoder) opaque(n *yaml.Node, t reflect.Type, path string, depth int) any {
	v := d.untyped(n, path, depth)
	if v == nil {
		return nil
	}
	switch t {
	case reflect.TypeFor[resource.Quantity]():
		text := fmt.Sprint(v)
		if _, err := resource.ParseQuantity(text); err != nil {
			d.errorf(d.position(n), flow.IDValue, "write a number, with a unit such as Gi or m where one is meant", "%s: %q is no quantity", path, text)
		}
	case reflect.TypeFor[intstr.IntOrString]():
		switch v.(type) {
		case string, int64:
		default:
			d.wrongType(n, path, "a number or a text")
			return nil
		}
	}
	return v
}

// structure reads a mapping whose fields are known.
func (d *objectDecoder) structure(n *yaml.Node, t reflect.Type, path string, depth int) any {
	fields := d.fieldsOf(t)
	return d.mapping(n, path, depth, func(key string, at *yaml.Node) (reflect.Type, bool) {
		field, known := fields[key]
		switch {
		case known:
			return field, true
		case t == reflect.TypeFor[appsv1.StatefulSetSpec]() && key == "strategy":
			d.strategy = at
			return nil, false
		}
		names := slices.Sorted(maps.Keys(fields))
		hint := "take it away; the fields are " + strings.Join(names, ", ")
		if best := flow.Nearest(key, names); best != "" {
			hint = "did you mean " + best + "?"
		}
		d.errorf(d.position(at), flow.IDUnknownKey, hint, "%s is no field that Kubernetes knows", strings.TrimPrefix(path+"."+quoteOdd(key), "."))
		return nil, false
	})
}

// quoteOdd writes a key of the file in a message: plain when it is a word.
func quoteOdd(key string) string {
	if q := strconv.Quote(key); q != `"`+key+`"` || strings.ContainsAny(key, " .") || key == "" {
		return q
	}
	return key
}

// mapping reads a mapping; field gives a key's type, and false to leave it out. Merged mappings (<<) give way to its own keys.
func (d *objectDecoder) mapping(n *yaml.Node, path string, depth int, field func(string, *yaml.Node) (reflect.Type, bool)) any {
	if n.Kind != yaml.MappingNode {
		d.wrongType(n, path, aMapping)
		return nil
	}
	out := map[string]any{}
	own := map[string]flow.Position{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		keyNode, valueNode := n.Content[i], n.Content[i+1]
		if keyNode.Kind == yaml.ScalarNode && keyNode.Style == 0 && keyNode.Value == "<<" {
			d.merge(valueNode, path, depth, out, own, field)
			continue
		}
		for keyNode.Kind == yaml.AliasNode {
			keyNode = keyNode.Alias
		}
		if keyNode.Kind != yaml.ScalarNode {
			d.errorf(d.position(keyNode), flow.IDType, "", "a key is text, not a list or mapping")
			continue
		}
		key := keyNode.Value
		if first, twice := own[key]; twice {
			d.errorf(d.position(keyNode), flow.IDDuplicateKey, "keep one of them", "key %q stands here a second time, the first is at %s", key, first)
			continue
		}
		own[key] = d.position(keyNode)
		t, ok := field(key, keyNode)
		if !ok {
			continue
		}
		if v := d.value(valueNode, t, strings.TrimPrefix(path+"."+quoteOdd(key), "."), depth+1); v != nil {
			out[key] = v
		} else {
			delete(out, key)
		}
	}
	return out
}

func (d *objectDecoder) merge(n *yaml.Node, path string, depth int, out map[string]any, own map[string]flow.Position, field func(string, *yaml.Node) (reflect.Type, bool)) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	sources := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		sources = n.Content
	}
	for _, s := range sources {
		for s.Kind == yaml.AliasNode {
			s = s.Alias
		}
		if d.open[s] {
			continue // an anchor that merges itself adds nothing
		}
		d.open[s] = true
		merged, _ := d.mapping(s, path, depth+1, field).(map[string]any)
		delete(d.open, s)
		for key, v := range merged {
			if _, has := out[key]; !has {
				if _, has := own[key]; !has {
					out[key] = v
				}
			}
		}
	}
}

func (d *objectDecoder) list(n *yaml.Node, t reflect.Type, path string, depth int) any {
	if n.Kind != yaml.SequenceNode {
		d.wrongType(n, path, aList)
		return nil
	}
	out := make([]any, 0, len(n.Content))
	for i, c := range n.Content {
		v := d.value(c, t, fmt.Sprintf("%s[%d]", path, i), depth+1)
		if v == nil && c.Kind == yaml.ScalarNode && isNull(c) {
			d.errorf(d.position(c), flow.IDType, "write the item, or take the line away", "%s[%d] has no value", path, i)
		}
		if v != nil {
			out = append(out, v)
		}
	}
	return out
}

// scalar reads a text, a number or a boolean.
func (d *objectDecoder) scalar(n *yaml.Node, t reflect.Type, path string) any {
	if t.Kind() == reflect.String {
		return d.text(n, path)
	}
	v := d.asKubernetes(n)
	expected := "a number"
	switch t.Kind() {
	case reflect.Bool:
		if _, ok := v.(bool); ok {
			return v
		}
		expected = "true or false"
	case reflect.Float32, reflect.Float64:
		switch v.(type) {
		case int64, float64:
			return v
		}
	default:
		expected = "a whole number"
		if i, ok := v.(int64); ok && (t.Bits() == 64 || i == int64(int32(i))) {
			return v
		}
	}
	d.wrongType(n, path, expected)
	return nil
}

const (
	aMapping = "a mapping"
	aList    = "a list"
)

func (d *objectDecoder) wrongType(n *yaml.Node, path, expected string) {
	got := aList
	switch {
	case n.Kind == yaml.MappingNode:
		got = aMapping
	case n.Kind == yaml.ScalarNode && isNull(n):
		got = "nothing"
	case n.Kind == yaml.ScalarNode && (expected == aMapping || expected == aList):
		got = "a single value" // which may be a secret
	case n.Kind == yaml.ScalarNode:
		got = strconv.Quote(n.Value)
	}
	if path == "" {
		path = "the document"
	}
	d.errorf(d.position(n), flow.IDType, "", "%s takes %s, not %s", path, expected, got)
}

// text reads a text. What Kubernetes' reader takes for a boolean, a number or nothing is meant as the text that it is written
// as: Jina writes words such as on or 0o644 without quotes, because the reader of its own library takes them for text (semantics D13).
func (d *objectDecoder) text(n *yaml.Node, path string) any {
	if n.Kind != yaml.ScalarNode {
		d.wrongType(n, path, "a text")
		return nil
	}
	v := d.asKubernetes(n)
	if s, ok := v.(string); ok {
		return s
	}
	if v == nil && (strings.ToLower(n.Value) != "null" || !nullIsText(path)) {
		return nil
	}
	d.repair(deviationText)
	d.defect(d.position(n), flow.IDFolderRepaired, deviationText, "quote it", "%s is written without quotes: it stays text here, kubectl would take it for a boolean, a number or nothing", path)
	return n.Value
}

// nullIsText tells where the word null is the text that it reads as: where a name stands. Everywhere else it says that there is no value.
func nullIsText(path string) bool {
	if strings.HasSuffix(path, "]") {
		return true
	}
	parent, last, _ := cutLast(path)
	_, holder, _ := cutLast(parent)
	switch last {
	case "name", "namespace", "value":
		return true
	}
	switch holder {
	case "labels", "matchLabels", "selector", "data", "annotations":
		return true
	}
	return false
}

func cutLast(path string) (parent, last string, found bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

func isNull(n *yaml.Node) bool {
	if n.Style != 0 {
		return false
	}
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

var (
	// plainWord begins with a letter that begins no word of YAML 1.1 for a boolean, a number or null.
	plainInteger = regexp.MustCompile(`^(?:0|-?[1-9][0-9]{0,17})$`)
	plainWord    = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./:-]{5,}$`)
)

// asKubernetes reads a scalar as the library does that Kubernetes reads YAML with. Every plain scalar that is not plainly a word
// or a number is given to that library itself, each text once.
func (d *objectDecoder) asKubernetes(n *yaml.Node) any {
	if n.Kind != yaml.ScalarNode {
		return nil
	}
	if n.Style&yaml.TaggedStyle != 0 {
		if n.Tag == "!!str" {
			return n.Value
		}
		d.errorf(d.position(n), flow.IDYAMLFeature, "take the tag away", "YAML tag %s is not read in Kubernetes' objects", n.Tag)
		return nil
	}
	if n.Style != 0 || plainWord.MatchString(n.Value) {
		return n.Value
	}
	if isNull(n) {
		return nil
	}
	if plainInteger.MatchString(n.Value) {
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if err == nil {
			return i
		}
	}
	v, known := d.scalars[n.Value]
	if !known {
		v = readScalar(n.Value)
		d.scalars[n.Value] = v
	}
	return v
}

// readScalar gives a plain scalar to Kubernetes' library.
func readScalar(text string) any {
	var read struct {
		V any `yaml:"v"`
	}
	if err := kubernetesyaml.Unmarshal([]byte("v: "+text), &read); err != nil {
		return text
	}
	switch v := read.V.(type) {
	case nil, bool, string:
		return v
	case int:
		return int64(v)
	case int64:
		return v
	case float64:
		// JSON, through which everything goes, writes 2.0 as 2.
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v
		}
	}
	return text
}

// fieldsOf are the JSON names of a type's fields, those of inlined types among them.
func (r *folderReader) fieldsOf(t reflect.Type) map[string]reflect.Type {
	if fields, known := r.fields[t]; known {
		return fields
	}
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			maps.Copy(fields, r.fieldsOf(f.Type))
		case name != "" && name != "-":
			fields[name] = f.Type
		}
	}
	r.fields[t] = fields
	return fields
}
