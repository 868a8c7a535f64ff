package flow

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// argumentReader reads mappings of arguments by the table.
type argumentReader struct {
	*reporter
	table []Argument
	// byName has the arguments of each scope by their names and aliases, defaults by their names.
	byName, defaults map[Scope]map[string]Argument
}

func scopes() []Scope { return []Scope{OnExecutor, OnGateway, OnFlow} }

func newArgumentReader(r *reporter) *argumentReader {
	reader := &argumentReader{reporter: r, table: arguments(), byName: map[Scope]map[string]Argument{}, defaults: map[Scope]map[string]Argument{}}
	for _, scope := range scopes() {
		names, defaults := map[string]Argument{}, map[string]Argument{}
		for _, a := range reader.table {
			if a.In&scope == 0 {
				continue
			}
			names[a.Name], defaults[a.Name] = a, a
			for _, alias := range a.Aliases {
				names[alias] = a
			}
		}
		reader.byName[scope], reader.defaults[scope] = names, defaults
	}
	return reader
}

// argumentName is a key as the table has it.
func argumentName(key string) string { return strings.ReplaceAll(key, "-", "_") }

// find returns the argument that a key names in a scope. A unique beginning of a name is taken for it, as Jina does.
func (r *argumentReader) find(e Entry, in Scope) (Argument, bool) {
	if a, ok := r.byName[in][argumentName(e.Key)]; ok {
		return a, true
	}
	begins := r.begins(e.Key, in)
	switch {
	case len(begins) == 1 && in != OnFlow:
		r.warnf(e.Position, IDAbbreviatedKey, "write "+begins[0].Name, "%s is taken for %s", e.Key, begins[0].Name)
		return begins[0], true
	case len(begins) > 1 && in != OnFlow:
		var names []string
		for _, b := range begins {
			names = append(names, b.Name)
		}
		r.errorf(e.Position, IDAmbiguousKey, "write the whole name", "%s could be %s", e.Key, listing(names))
	}
	return Argument{}, false
}

// lookup is find for a key that has been reported on before.
func (r *argumentReader) lookup(key string, in Scope) (Argument, bool) {
	if a, ok := r.byName[in][argumentName(key)]; ok {
		return a, true
	}
	if begins := r.begins(key, in); len(begins) == 1 && in != OnFlow {
		return begins[0], true
	}
	return Argument{}, false
}

// begins are the arguments whose names begin with a key.
func (r *argumentReader) begins(key string, in Scope) []Argument {
	var begins []Argument
	name := argumentName(key)
	matches := func(full string) bool { return strings.HasPrefix(full, name) }
	for _, a := range r.table {
		if name != "" && a.In&in != 0 && (matches(a.Name) || slices.ContainsFunc(a.Aliases, matches)) {
			begins = append(begins, a)
		}
	}
	return begins
}

// known tells whether a key is an argument of one of some scopes, by its full name.
func (r *argumentReader) known(key string, in Scope) bool {
	for _, scope := range scopes() {
		if _, ok := r.byName[scope][argumentName(key)]; ok && scope&in != 0 {
			return true
		}
	}
	return false
}

// names of all arguments of a scope.
func (r *argumentReader) names(in Scope) []string {
	var names []string
	for _, a := range r.table {
		if a.In&in != 0 {
			names = append(names, a.Name)
		}
	}
	return names
}

// unknown warns about a key that no argument of the scope has: Jina drops it.
func (r *argumentReader) unknown(e Entry, in Scope) {
	if r.full(Warning) {
		return // the search for the nearest name is what takes long
	}
	for _, other := range scopes() {
		if other&in == 0 && r.known(e.Key, other) {
			r.warnf(e.Position, IDNoEffect, "take it away", "%s is an argument of %s; here it has no effect", e.Key, other)
			return
		}
	}
	if e.Key == "jcloud" {
		r.warnf(e.Position, IDNoEffect, "", "jcloud is for Jina AI Cloud; on Kubernetes it has no effect")
		return
	}
	r.warnf(e.Position, IDUnknownKey, didYouMean(e.Key, r.names(in), "take it away"), "unknown key %s has no effect", e.Key)
}

// read reads one argument into args. Of two settings of one argument the later wins, which only aliases can bring
// about.
func (r *argumentReader) read(args *Args, a Argument, e Entry) {
	if e.Value.Kind == Null || (e.Value.Kind == Bool && e.Value.Text == "false") {
		r.withoutValue(a, e)
		return
	}
	if old, ok := args.Lookup(a.Name); ok && old.Key != e.Position {
		r.warnf(old.Key, IDNoEffect, "keep one of them", "%s is set twice: %s at %s counts", a.Name, e.Key, e.Position)
	}
	s := Setting{Argument: a, Key: e.Position, Position: e.Value.Position}
	var ok bool
	switch a.Type {
	case FlagArgument:
		ok = r.flag(e, &s)
	case MappingArgument:
		ok = r.mappingArgument(e, &s)
	case PeerPortsArgument:
		ok = r.peerPorts(e, &s)
	case TextsArgument, PortsArgument, HostsArgument, ProtocolArgument:
		ok = r.several(e, &s)
	default:
		ok = r.single(e, &s)
	}
	if !ok || !r.valid(e, &s) {
		args.wrong = append(args.wrong, a.Name)
		return
	}
	if a.NoEffect != "" && !s.isWhatKubernetesHas() {
		r.warnf(e.Position, IDNoEffect, "take it away", "%s has no effect: %s", e.Key, a.NoEffect)
	}
	args.settings = slices.DeleteFunc(args.settings, func(old Setting) bool { return old.Argument.Name == a.Name })
	args.settings = append(args.settings, s)
}

// readInherited reads an argument of the with of a Flow.
func (r *argumentReader) readInherited(args *Args, a Argument, e Entry) {
	r.read(args, a, e)
	for i := range args.settings {
		if s := &args.settings[i]; s.Argument.Name == a.Name && s.Key == e.Position {
			s.Inherited = true
		}
	}
}

// withoutValue warns about a key that is as if it were absent.
func (r *argumentReader) withoutValue(a Argument, e Entry) {
	switch {
	case e.Value.Kind == Null:
		r.warnf(e.Position, IDNoEffect, "write a value, or take the key away", "%s has no value: it is as if it were absent", e.Key)
	case a.Type != FlagArgument:
		r.warnf(e.Value.Position, IDNoEffect, "write "+a.takes()+", or take the key away", "%s: false is as if it were absent", e.Key)
	}
}

// isWhatKubernetesHas tells that ports are those that the pods have anyway.
func (s *Setting) isWhatKubernetesHas() bool {
	first := 8080
	if s.Argument.Name == "port_monitoring" {
		first = 9090
	}
	for i, v := range s.values {
		if s.Argument.Type != PortsArgument || v.Text != strconv.Itoa(first+i) {
			return false
		}
	}
	return true
}

// flag is on for every value but false and nothing.
func (r *argumentReader) flag(e Entry, s *Setting) bool {
	if e.Value.Kind != Bool {
		r.warnf(e.Value.Position, IDValue, "write true or false", "%s: %s switches it on", e.Key, e.Value.describe())
	}
	s.values = []*Value{e.Value}
	return true
}

// single takes one word; of a list Jina takes the first.
func (r *argumentReader) single(e Entry, s *Setting) bool {
	v := e.Value
	if v.Kind == List {
		if len(v.Items) == 0 {
			r.errorf(v.Position, IDType, "leave the key out", "%s takes a value, not an empty list", e.Key)
			return false
		}
		if len(v.Items) > 1 {
			r.warnf(v.Position, IDValue, "write one value", "%s takes one value: only the first of the list counts", e.Key)
		}
		v = v.Items[0]
	}
	if v.Kind == Mapping && s.Argument.Type != JSONArgument {
		if r.errorAt(v.Position) {
			return false // an inline class, which is reported
		}
		r.errorf(v.Position, IDType, "write one value", "%s takes %s, not a mapping", e.Key, s.Argument.takes())
		return false
	}
	s.values = []*Value{v}
	return r.word(e, s, v)
}

// several takes one word or a list of words.
func (r *argumentReader) several(e Entry, s *Setting) bool {
	v := e.Value
	if v.Kind != List {
		s.values = []*Value{v}
		if (s.Argument.Type == HostsArgument || s.Argument.Type == PortsArgument) && v.Kind == String {
			s.values = nil
			for part := range strings.SplitSeq(v.Text, ",") {
				s.values = append(s.values, stringValue(v.Position, part))
			}
		}
	} else {
		s.values = v.Items
	}
	if len(s.values) == 0 {
		if s.Argument.NotEmpty {
			r.errorf(v.Position, IDType, "leave the key out", "%s takes a value or a list of values, not an empty list", e.Key)
			return false
		}
		r.warnf(v.Position, IDNoEffect, "write a value, or take the key away", "%s has no value: an empty list is as if it were absent", e.Key)
		return false
	}
	for _, item := range s.values {
		if item.Kind == List || item.Kind == Mapping {
			r.errorf(item.Position, IDType, "write a list of single values", "%s takes %s, not %s", e.Key, s.Argument.takes(), item.Kind)
			return false
		}
		if !r.word(e, s, item) {
			return false
		}
	}
	return true
}

var negativeNumber = regexp.MustCompile(`^-(?:\d+|\d*\.\d+)$`)

// word checks what cannot stand on a command line.
func (r *argumentReader) word(e Entry, s *Setting, v *Value) bool {
	switch {
	case v.Kind == Bool && s.Argument.Type != TextsArgument:
		r.errorf(v.Position, IDType, "", "%s takes %s, not %s", e.Key, s.Argument.takes(), v.describe())
	case v.Kind == Null:
		r.errorf(v.Position, IDType, "", "%s takes %s, not nothing", e.Key, s.Argument.takes())
	case strings.ContainsRune(v.Text, 0):
		r.errorf(v.Position, IDValue, "take it away", "%s: the text has a NUL character, which no command line can have", e.Key)
	case strings.HasPrefix(v.Text, "-") && !negativeNumber.MatchString(v.Text):
		r.errorf(v.Position, IDValue, "", "%s: %s begins with a hyphen, which Jina takes for another argument", e.Key, v.describe())
	default:
		return true
	}
	return false
}

// valid checks numbers and enumerations.
func (r *argumentReader) valid(e Entry, s *Setting) bool {
	a := s.Argument
	switch a.Type {
	case IntArgument:
		v := s.values[0]
		n, err := strconv.Atoi(v.Text)
		if v.Kind != Int || err != nil {
			r.errorf(v.Position, IDType, valueHint(v), "%s takes a whole number, not %s", e.Key, v.describe())
			return false
		}
		if a.Min != nil && n < *a.Min {
			r.errorf(v.Position, IDRange, fmt.Sprintf("write %d or more", *a.Min), "%s is %d, the least is %d", e.Key, n, *a.Min)
			return false
		}
		if a.Max != nil && n > *a.Max {
			r.errorf(v.Position, IDRange, fmt.Sprintf("write %d or less", *a.Max), "%s is %d, the most is %d", e.Key, n, *a.Max)
			return false
		}
	case ProtocolArgument, ChoiceArgument, ExactArgument:
		for i, v := range s.values {
			choice := slices.IndexFunc(a.Choices, func(c string) bool {
				return c == v.Text || (a.Type != ExactArgument && strings.EqualFold(c, v.Text))
			})
			if choice < 0 {
				r.errorf(v.Position, IDValue, didYouMean(v.Text, a.Choices, "take one of those"), "%s is %s, not %s", e.Key, listing(a.Choices), v.describe())
				return false
			}
			s.values[i] = stringValue(v.Position, a.Choices[choice])
		}
	}
	return true
}

// valueHint says what to do about a value that is still the name of a variable, since that is not set.
func valueHint(v *Value) string {
	if name := unsetName(v.Text); name != "" {
		return "export " + name + "=… before"
	}
	return ""
}

// unsetName is the variable that a text names and is nothing but, else empty.
func unsetName(text string) string {
	m := shellVariable.FindStringIndex(text)
	if m == nil || m[0] != 0 || m[1] != len(text) {
		return ""
	}
	return strings.Trim(text[1:], "{}")
}

var keyValue = regexp.MustCompile(`(?s)^(.*?)[:=]\s*(.*)$`)

// mappingArgument takes a mapping, or text or a list of texts of the form k=v, k: v or JSON.
func (r *argumentReader) mappingArgument(e Entry, s *Setting) bool {
	v := e.Value
	if v.Kind == Mapping {
		s.values = []*Value{v}
		return true
	}
	texts := []*Value{v}
	if v.Kind == List {
		texts = v.Items
	}
	result, index := &Value{Position: v.Position, Kind: Mapping}, map[string]int{}
	for _, t := range texts {
		if t.Kind != String {
			r.errorf(t.Position, IDType, "write a mapping, 'KEY: VALUE' a line", "%s takes a mapping or texts like KEY=VALUE, not %s", e.Key, t.Kind)
			return false
		}
		if m := parseJSONMapping(t); m != nil {
			for _, entry := range m.Entries {
				result.setAt(index, entry)
			}
			continue
		}
		m := keyValue.FindStringSubmatch(t.Text)
		if m == nil {
			r.errorf(t.Position, IDType, "write a mapping, 'KEY: VALUE' a line", "%s takes a mapping or texts like KEY=VALUE; this text has neither = nor :", e.Key)
			return false
		}
		value := stringValue(t.Position, m[2])
		convert(value)
		result.setAt(index, Entry{Key: m[1], Position: t.Position, Value: value})
	}
	s.values = []*Value{result}
	return true
}

// parseJSONMapping reads a text that is a JSON object, in its order; nil when it is none.
func parseJSONMapping(t *Value) *Value {
	if !strings.HasPrefix(strings.TrimSpace(t.Text), "{") || !json.Valid([]byte(t.Text)) {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(t.Text))
	dec.UseNumber()
	v := parseJSON(dec, t.Position, 0)
	if v == nil || v.Kind != Mapping {
		return nil
	}
	return v
}

func parseJSON(dec *json.Decoder, pos Position, depth int) *Value {
	token, err := dec.Token()
	if err != nil || depth > maxDepth {
		return nil
	}
	v, index := &Value{Position: pos}, map[string]int{}
	switch t := token.(type) {
	case json.Delim:
		v.Kind = List
		if t == '{' {
			v.Kind = Mapping
		}
		for dec.More() {
			var key string
			if v.Kind == Mapping {
				k, err := dec.Token()
				if err != nil {
					return nil
				}
				key, _ = k.(string)
			}
			item := parseJSON(dec, pos, depth+1)
			if item == nil {
				return nil
			}
			if v.Kind == Mapping {
				v.setAt(index, Entry{Key: key, Position: pos, Value: item})
			} else {
				v.Items = append(v.Items, item)
			}
		}
		if _, err := dec.Token(); err != nil {
			return nil
		}
	case string:
		v.Kind, v.Text, v.Written, v.Literal = String, t, t, true
	case bool:
		v.Kind, v.Text = Bool, strconv.FormatBool(t)
	case json.Number:
		v.Kind, v.Text = Int, t.String()
		if _, err := strconv.ParseInt(t.String(), 10, 64); err != nil && strings.ContainsAny(t.String(), ".eE") {
			f, _ := t.Float64()
			v.Kind, v.Text = Float, pythonFloatText(f)
		}
	}
	if v.Written == "" {
		v.Written = v.Text
	}
	return v
}

// takes names the type in a message.
func (a Argument) takes() string {
	switch a.Type {
	case IntArgument:
		return "a whole number"
	case FlagArgument:
		return "true or false"
	case TextsArgument, HostsArgument, PortsArgument:
		return "a value or a list of values"
	case MappingArgument:
		return "a mapping"
	case ProtocolArgument, ChoiceArgument, ExactArgument:
		return listing(a.Choices)
	default:
		return "text"
	}
}

// describe is a value in a message: short, in one line.
func (v *Value) describe() string {
	switch v.Kind {
	case Null, List, Mapping:
		return v.Kind.String()
	case String:
		return strconv.Quote(shorten(v.Text))
	default:
		return shorten(v.Text)
	}
}

func shorten(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
