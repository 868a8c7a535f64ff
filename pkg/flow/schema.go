package flow

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Schema is a JSON Schema (2020-12) of Flow and Deployment files, made from the table of arguments, for editors and other
// programs. It refuses nothing that [Parse] accepts; with strict it also refuses most of what Parse warns about. A schema
// cannot say everything: Parse knows more, as to what is right together (needs, shards with protocols) and as to
// beginnings of names, which a lenient schema lets pass unseen.
func Schema(strict bool) ([]byte, error) {
	b := &schemaBuilder{reader: newArgumentReader(newReporter()), strict: strict}
	text, err := json.Marshal(b.document())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// schema is a JSON Schema, as much of it as is needed. What checks something means the same since draft 7, which is what some
// editors know: a $ref has nothing beside it but words.
type schema struct {
	Dialect              string      `json:"$schema,omitempty"`
	Comment              string      `json:"$comment,omitempty"`
	Ref                  string      `json:"$ref,omitempty"`
	Title                string      `json:"title,omitempty"`
	Description          string      `json:"description,omitempty"`
	Deprecated           bool        `json:"deprecated,omitempty"`
	Default              any         `json:"default,omitempty"`
	Examples             []any       `json:"examples,omitempty"`
	Type                 any         `json:"type,omitempty"`
	Enum                 []any       `json:"enum,omitempty"`
	Const                any         `json:"const,omitempty"`
	Pattern              string      `json:"pattern,omitempty"`
	MaxLength            int         `json:"maxLength,omitempty"`
	Minimum              *int        `json:"minimum,omitempty"`
	Maximum              *int        `json:"maximum,omitempty"`
	MinItems             int         `json:"minItems,omitempty"`
	MaxItems             *int        `json:"maxItems,omitempty"`
	Items                *schema     `json:"items,omitempty"`
	Required             []string    `json:"required,omitempty"`
	PropertyNames        *schema     `json:"propertyNames,omitempty"`
	Properties           schemaTable `json:"properties,omitempty"`
	PatternProperties    schemaTable `json:"patternProperties,omitempty"`
	AdditionalProperties any         `json:"additionalProperties,omitempty"`
	AnyOf                []*schema   `json:"anyOf,omitempty"`
	Not                  *schema     `json:"not,omitempty"`
	If                   *schema     `json:"if,omitempty"`
	Then                 *schema     `json:"then,omitempty"`
	Else                 *schema     `json:"else,omitempty"`
	Defs                 schemaTable `json:"$defs,omitempty"`
}

// schemaTable is a mapping of names to schemas, in order.
type schemaTable []schemaEntry

type schemaEntry struct {
	name  string
	value *schema
}

// MarshalJSON writes an object in the order of the table.
func (t schemaTable) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, e := range t {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := json.Marshal(e.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(e.value)
		if err != nil {
			return nil, err
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// schemaBuilder makes the schema of a file.
type schemaBuilder struct {
	reader *argumentReader
	strict bool
}

// open tells of a mapping whether it may have other keys than the schema knows: they have no effect, which Parse warns about.
func (b *schemaBuilder) open() any {
	if b.strict {
		return false
	}
	return nil
}

// never is a place where nothing may stand; the description says why.
func never(description string) *schema {
	return &schema{Description: description, Not: &schema{}}
}

func (b *schemaBuilder) document() *schema {
	isDeployment := &schema{Required: []string{"jtype"}, Properties: schemaTable{{"jtype", &schema{Const: string(KindDeployment)}}}}
	return &schema{
		Dialect: "https://json-schema.org/draft/2020-12/schema",
		Comment: "Made by `kubectl jina schema` from the table of Jina's arguments. `kubectl jina validate` knows more than a schema can say: " +
			"what is right together, and that a unique beginning of an argument's name stands for it.",
		Title:       "Jina Flow or Deployment",
		Description: "What Jina deploys: a Flow is a graph of executors behind a gateway, a Deployment one executor alone. A file that starts with the tag !Flow instead of jtype is read as well, but not by a schema.",
		Type:        "object", Required: []string{"jtype"},
		Properties: schemaTable{{"jtype", &schema{Description: "What the file is.", Enum: []any{string(KindFlow), string(KindDeployment)}}}},
		If:         isDeployment, Then: &schema{Ref: "#/$defs/deployment"}, Else: &schema{Ref: "#/$defs/flow"},
		Defs: schemaTable{
			{"flow", b.flow()}, {"deployment", b.deployment()}, {"with", b.arguments("with", OnFlow|OnExecutor|OnGateway)},
			{"gateway", b.arguments("gateway", OnGateway)}, {"executor", b.arguments("executor", OnExecutor)},
			{"deploymentWith", b.arguments("deploymentWith", OnExecutor)},
		},
	}
}

func (b *schemaBuilder) flow() *schema {
	// if and else, where anyOf would do: editors then show what is wrong with an executor, and not that none of several forms fits.
	executor := &schema{Description: "Arguments of an executor, or the file of a Deployment beside this one.", If: &schema{Type: "string"}, Else: &schema{Ref: "#/$defs/executor"}}
	list := &schema{Type: "array", Items: executor}
	s := &schema{
		Type: "object",
		If:   &schema{Required: []string{"executors"}}, // then deployments is not read
		Else: &schema{Required: []string{"deployments"}, Properties: schemaTable{{"deployments", list}}},
		Properties: schemaTable{
			{"jtype", &schema{}},
			{"version", &schema{Description: "Always '1'.", AnyOf: []*schema{{Const: 1}, {Type: "number", Minimum: bound(1), Not: &schema{Type: "number", Minimum: bound(2)}}, {Type: "string", Pattern: `^1(\..*)?$`}}}},
			{"with", &schema{Ref: "#/$defs/with"}},
			{"gateway", &schema{AnyOf: []*schema{{Ref: "#/$defs/gateway"}, {Type: "null"}}}},
			{"executors", &schema{Description: "The executors, each following the one above it unless it has needs.", Type: "array", Items: executor}},
			{"deployments", &schema{Description: "Another name of executors.", Deprecated: true}},
			{"pods", never("The name of executors before Jina 3, which Jina 3 drops: rename it.")},
		},
		AdditionalProperties: b.open(),
	}
	return s
}

func (b *schemaBuilder) deployment() *schema {
	s := &schema{
		Type: "object", Required: []string{"with"},
		Properties: schemaTable{
			{"jtype", &schema{}},
			{"with", &schema{Ref: "#/$defs/deploymentWith"}},
			{"executors", never("A Deployment is one executor: write jtype: Flow.")},
			{"deployments", never("A Deployment is one executor: write jtype: Flow.")},
			{"version", never("A Deployment has no version.")},
		},
		AdditionalProperties: b.open(),
	}
	if !b.strict {
		var names []string
		for _, name := range b.reader.names(OnExecutor) {
			names = append(names, strings.ReplaceAll(name, "_", "[-_]"))
		}
		s.PatternProperties = schemaTable{{"^(" + strings.Join(names, "|") + ")$", never("An argument stands under with.")}}
	}
	return s
}

// arguments is the schema of a mapping of arguments: their names, aliases, and both with hyphens.
func (b *schemaBuilder) arguments(def string, in Scope) *schema {
	s := &schema{Type: "object", AdditionalProperties: b.open()}
	pointer := "#/$defs/" + def + "/properties/"
	var seen []string
	add := func(name string, value *schema) {
		if !slices.Contains(seen, name) {
			seen = append(seen, name)
			s.Properties = append(s.Properties, schemaEntry{name, value})
		}
	}
	for _, name := range b.reader.names(in) {
		add(name, b.argument(def, name, in))
	}
	for _, a := range b.reader.table {
		for _, alias := range a.Aliases {
			if a.In&in != 0 {
				add(alias, &schema{Ref: pointer + a.Name, Description: "Another name of " + a.Name + ".", Deprecated: true})
			}
		}
	}
	for _, e := range b.structure(def) {
		add(e.name, e.value)
	}
	for _, name := range seen {
		if strings.Contains(name, "_") {
			s.PatternProperties = append(s.PatternProperties, schemaEntry{"^" + strings.ReplaceAll(name, "_", "-") + "$", &schema{Ref: pointer + name}})
		}
	}
	return s
}

// structure are the keys of a mapping of arguments that are no arguments.
func (b *schemaBuilder) structure(def string) schemaTable {
	inline := never("Only the file itself has a jtype.")
	switch def {
	case "executor":
		names := &schema{Type: "array", Items: &schema{Type: "string"}}
		var known []any
		for _, method := range methods() {
			known = append(known, method)
		}
		return schemaTable{
			{"needs", &schema{
				Description: "Executors whose answers this one waits for, gateway for the Flow's entry; without it the one above.",
				AnyOf:       []*schema{{Type: []string{"string", "null"}}, names},
			}},
			{"method", &schema{Description: "How the executor is added to the Flow.", AnyOf: []*schema{{Enum: known}, {Type: "string", Pattern: textVariable}, {Type: "null"}}, Default: "add"}},
			{"include_last_deployment", &schema{Description: "Of method: gather_inspect: whether it also follows the executor above.", Default: true}},
			{"jtype", inline},
		}
	case "with":
		return schemaTable{
			{"kwargs", &schema{Description: "Further arguments, as if they stood in with itself.", Type: []string{"object", "null"}}},
			{"args", &schema{Description: "Cannot be exported: write arguments by name.", AnyOf: []*schema{{Type: "null"}, {Type: "array", MaxItems: bound(0)}}}},
			{"jtype", inline},
		}
	default:
		return schemaTable{{"jtype", inline}}
	}
}

// argument is the schema of an argument's value: where scopes read it by different rules, one of them must fit.
func (b *schemaBuilder) argument(def, name string, in Scope) *schema {
	var rows []Argument
	for _, a := range b.reader.table {
		if a.Name == name && a.In&in != 0 {
			rows = append(rows, a)
		}
	}
	s := &schema{Description: describeIn(rows[0], in), AnyOf: b.values(def, rows[0])}
	if d := rows[0].Default; d != "" {
		s.Default = defaultValue(rows[0])
	}
	for _, a := range rows[1:] {
		for _, v := range b.values(def, a) {
			if !slices.ContainsFunc(s.AnyOf, func(old *schema) bool { return sameSchema(old, v) }) {
				s.AnyOf = append(s.AnyOf, v)
			}
		}
	}
	if reason := rows[0].NoEffect; reason != "" && !slices.ContainsFunc(rows, func(a Argument) bool { return a.NoEffect == "" }) {
		s.Description += " It has no effect: " + reason + "."
		s.Deprecated = true
	}
	return s
}

func sameSchema(a, b *schema) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// describeIn is what an argument is for in the first scope that has it.
func describeIn(a Argument, in Scope) string {
	for _, d := range descriptions() {
		if d.name == a.Name && d.in&a.In&in != 0 {
			return d.text
		}
	}
	return ""
}

func defaultValue(a Argument) any {
	if n, err := strconv.Atoi(a.Default); err == nil && a.Type != TextArgument {
		return n
	}
	return a.Default
}
