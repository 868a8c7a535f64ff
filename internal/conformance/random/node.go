// Package random makes random Flow files that Jina accepts, and makes them smaller: for `make soak`, which compares what
// the plugin and Jina make of them. The same seed makes the same file.
package random

import (
	"slices"
	"strings"
)

// node is a YAML value as it is written.
type node struct {
	// raw is a scalar as it stands in the file, quotes included, or the head of a block text: |, >-.
	raw string
	// block are the lines of a block text.
	block []string
	// A mapping has pairs, a list items; inline ones stand in one line.
	kind   kind
	pairs  []pair
	items  []*node
	inline bool
}

type kind int

const (
	scalar kind = iota
	mapping
	list
)

type pair struct {
	key   string
	value *node
}

func text(raw string) *node { return &node{raw: raw} }

func listOf(items ...*node) *node { return &node{kind: list, items: items} }

func mappingOf(pairs ...pair) *node { return &node{kind: mapping, pairs: pairs} }

func (n *node) add(key string, value *node) {
	n.pairs = append(n.pairs, pair{key, value})
}

func (n *node) has(key string) bool {
	return slices.ContainsFunc(n.pairs, func(p pair) bool { return p.key == key })
}

func (n *node) clone() *node {
	c := *n
	c.pairs, c.items = nil, nil
	for _, p := range n.pairs {
		c.pairs = append(c.pairs, pair{p.key, p.value.clone()})
	}
	for _, item := range n.items {
		c.items = append(c.items, item.clone())
	}
	return &c
}

// below tells whether a value cannot stand in one line with others: a block text, nothing at all, or a text with braces
// that no quotes protect.
func (n *node) below() bool {
	return n.block != nil || n.kind == scalar && (n.raw == "" || strings.Contains(n.raw, "${") && !strings.HasPrefix(n.raw, "'")) ||
		slices.ContainsFunc(n.pairs, func(p pair) bool { return p.value.below() }) || slices.ContainsFunc(n.items, (*node).below)
}

// write a document.
func (n *node) write() string {
	var b strings.Builder
	n.writePairs(&b, "")
	return b.String()
}

func (n *node) writePairs(b *strings.Builder, indent string) {
	for i, p := range n.pairs {
		if i > 0 {
			b.WriteString(indent)
		}
		b.WriteString(p.key + ":")
		p.value.writeBelow(b, indent)
	}
}

// writeBelow writes what follows a key or a hyphen.
func (n *node) writeBelow(b *strings.Builder, indent string) {
	inner := indent + "  "
	switch {
	case n.kind == scalar:
		b.WriteString(" " + n.raw + "\n")
		for _, line := range n.block {
			if line != "" {
				b.WriteString(inner + line)
			}
			b.WriteByte('\n')
		}
	case len(n.pairs)+len(n.items) == 0 || n.inline && !n.below():
		b.WriteByte(' ')
		n.writeInline(b)
		b.WriteByte('\n')
	case n.kind == mapping:
		b.WriteString("\n" + inner)
		n.writePairs(b, inner)
	default:
		b.WriteByte('\n')
		for _, item := range n.items {
			b.WriteString(inner + "-")
			if item.kind == mapping && len(item.pairs) > 0 && (!item.inline || item.below()) {
				b.WriteByte(' ')
				item.writePairs(b, inner+"  ")
				continue
			}
			item.writeBelow(b, inner)
		}
	}
}

func (n *node) writeInline(b *strings.Builder) {
	switch n.kind {
	case scalar:
		b.WriteString(n.raw)
	case mapping:
		b.WriteByte('{')
		for i, p := range n.pairs {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(p.key + ": ")
			p.value.writeInline(b)
		}
		b.WriteByte('}')
	default:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteString(", ")
			}
			item.writeInline(b)
		}
		b.WriteByte(']')
	}
}
