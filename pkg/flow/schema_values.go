package flow

import (
	"regexp"
	"strings"
)

// The forms of texts that stand for something else than text: what names a variable can become anything, quotes and
// brackets may hide anything.
const (
	textVariable = `\$`
	textHidden   = `^\s*['"\[]`
	textInt      = `^\s*[-+]?[0-9]+(_[0-9]+)*\s*$`
	textFlag     = `^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$`
	textWord     = `^([^-]|$)|^-([0-9]+|[0-9]*\.[0-9]+)$` // no word of a command line begins with a hyphen, but negative numbers
	textMapping  = `[:=]|^\s*\{`
	envName      = `^[-._a-zA-Z][-._a-zA-Z0-9]*$`
	objectName   = `^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$`
	dnsName      = `^[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?$`
)

// text is the schema of text that a pattern fits, or that becomes something else when it is read.
func text(pattern string) *schema {
	return &schema{Type: "string", Pattern: "(" + pattern + ")|" + textVariable + "|" + textHidden + "|^$"}
}

// values are the schemas of an argument's value, one of which must fit.
func (b *schemaBuilder) values(def string, a Argument) []*schema {
	absent := &schema{Enum: []any{nil, false}} // as if the key were not there
	switch a.Type {
	case FlagArgument:
		if !b.strict {
			return []*schema{{Type: []string{"boolean", "null"}}, {Comment: "any other value switches it on"}}
		}
		return []*schema{{Type: []string{"boolean", "null"}}, text(textFlag)}
	case MappingArgument:
		kv := text(textMapping)
		return []*schema{b.mapping(a), absent, kv, {Type: "array", Items: kv}}
	case TextsArgument, HostsArgument, PortsArgument:
		item := b.word(def, a)
		list := &schema{Type: "array", Items: item}
		if a.NotEmpty {
			list.MinItems = 1
		}
		return []*schema{item, absent, list}
	case PeerPortsArgument:
		ports := &schema{Type: "array", MinItems: 1}
		return []*schema{{Type: []string{"integer", "string"}}, absent, ports, {Type: "object"}}
	case ProtocolArgument:
		choices := b.choices(def, a)
		list := &schema{Type: "array", Items: &schema{AnyOf: choices}}
		if def == "executor" && b.strict {
			list.MaxItems = bound(1)
		}
		return append(choices, absent, list)
	case ChoiceArgument, ExactArgument:
		return append(b.choices(def, a), absent, b.firstOf())
	case JSONArgument:
		return []*schema{b.word(def, a), absent, {Type: "object"}, b.firstOf()}
	default:
		return []*schema{b.word(def, a), absent, b.firstOf()}
	}
}

// firstOf is a list of which the first value is taken; more than one has a warning.
func (b *schemaBuilder) firstOf() *schema {
	s := &schema{Type: "array", MinItems: 1}
	if b.strict {
		s.MaxItems = bound(1)
	}
	return s
}

// word is one word of a command line.
func (b *schemaBuilder) word(def string, a Argument) *schema {
	scalar := []string{"string", "number"}
	switch {
	case a.Type == IntArgument:
		return &schema{AnyOf: []*schema{{Type: "integer", Minimum: a.Min, Maximum: a.Max}, text(textInt)}}
	case a.Name == "name" && def == "gateway":
		return &schema{Const: GatewayName}
	case a.Name == "name" && (def == "executor" || def == "deploymentWith"):
		pattern := objectName
		if def == "deploymentWith" {
			pattern = dnsName
		}
		s := text(pattern)
		s.Not = &schema{Const: GatewayName}
		s.Examples = []any{"encoder"}
		return s
	case a.Name == "uses" && def != "with":
		s := &schema{Type: scalar, Pattern: textWord, Examples: []any{"docker://registry.example/encoder:1.0"}}
		return s
	case a.Type == TextsArgument:
		return &schema{Type: []string{"string", "number", "boolean"}, Pattern: textWord}
	default:
		return &schema{Type: scalar, Pattern: textWord}
	}
}

// choices are the values of an enumeration: as editors complete them, and in any case of letters.
func (b *schemaBuilder) choices(def string, a Argument) []*schema {
	enum, patterns := &schema{Type: "string"}, []string{}
	for _, choice := range a.Choices {
		if b.strict && a.Type == ProtocolArgument && choice == "WEBSOCKET" && (def == "executor" || def == "deploymentWith") {
			continue // only the gateway can; with a provider it has no effect
		}
		enum.Enum = append(enum.Enum, choice)
		patterns = append(patterns, anyCase(choice, a.Type != ExactArgument))
	}
	return []*schema{enum, text("^(" + strings.Join(patterns, "|") + ")$")}
}

// anyCase is the pattern of a word in any case of letters.
func anyCase(word string, any bool) string {
	if !any {
		return regexp.QuoteMeta(word)
	}
	var b strings.Builder
	for _, r := range word {
		upper, lower := strings.ToUpper(string(r)), strings.ToLower(string(r))
		if upper == lower {
			b.WriteString(regexp.QuoteMeta(upper))
			continue
		}
		b.WriteString("[" + upper + lower + "]")
	}
	return b.String()
}

// mapping is the mapping of an argument that takes one.
func (b *schemaBuilder) mapping(a Argument) *schema {
	s := &schema{Type: "object"}
	switch a.Name {
	case "env":
		s.PropertyNames = &schema{Pattern: envName}
	case "env_from_secret":
		s.PropertyNames = &schema{Pattern: envName}
		part := &schema{Type: []string{"string", "number", "boolean"}}
		s.AdditionalProperties = &schema{
			Type: "object", Required: []string{"name", "key"}, Properties: schemaTable{
				{"name", &schema{Type: part.Type, Description: "Name of the Secret."}}, {"key", &schema{Type: part.Type, Description: "Key in the Secret."}},
			},
		}
	}
	return s
}
