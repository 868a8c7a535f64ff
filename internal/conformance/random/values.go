package random

import "strconv"

// scalar is a value as people and tools write it, the oddities of YAML 1.1 and of Jina's own conversion among them.
func (g *generator) scalar() *node {
	switch g.IntN(6) {
	case 0:
		return text(g.pick("a", "abc def", "x-y_z.1", "/a/b", "a:b", "http://x:80/y", "None", "a#b", "é", "日本"))
	case 1:
		return text(g.pick("0", "1", "-3", "+5", "007", "010", "1_000", "0x1F", "0b101", "1:30", "12345678901234567890", "0o10", "1e3", "09"))
	case 2:
		return text(g.pick("1.0", "1.10", "-.5", ".5", "1.", "1.e+3", "1e5", "1.5e-7", "1e-05", ".inf", "-.inf", ".nan", "1.0e+20", "123456789.123456789", "1_0.5"))
	case 3:
		return text(g.pick("yes", "no", "on", "off", "y", "n", "true", "False", "TRUE", "~", "null", "", "Null"))
	case 4:
		return text(g.pick("'1'", "'007'", "'1.10'", "'true'", "'False'", "''", `""`, `'"x"'`, `"'1'"`, "' 1 '", "'None'", "'null'", "'yes'", "'0x10'",
			"'1e5'", "'nan'", "'infinity'", "'1_000'", "'+1'", "'[1, 2]'", "'[a, [b, c]]'", "'[]'", "'[ ]'", "'2024-01-01'", "'12:30'", "'１２'", "'- x'", "'a: b'", "'#x'"))
	default:
		return g.odd()
	}
}

// odd are texts with variables, quotes, backslashes, newlines and letters beyond ASCII.
func (g *generator) odd() *node {
	switch g.IntN(8) {
	case 0:
		return text(g.pick(`"a\tb"`, `"a\nb"`, `"\u00e9"`, `"\x01z"`, `"\U0001F600"`, `"\\d+"`, `'\d+\n'`, `"é\u200bx"`, "'😀'", `"\u2028"`, `"a\u00a0b"`))
	case 1:
		return text(g.pick("$V1", "${V2}", "${{ ENV.V1 }}", "'${{ ENV.V2 }}/x'", "${{ env.TAG }}", "pre-${TAG}.x", "${{ENV.V1}}", "$V1$V2", "a-$NOT_SET", "'$'", "'100$'", "${V1}y"))
	case 2:
		return &node{raw: g.pick("|", "|-", "|+", ">", ">-"), block: []string{g.pick("line one", "x: 1"), g.pick("line two", "  indented", ""), "last"}}
	case 3:
		return text(g.pick(`"it's"`, "'it''s'", `'say "x"'`, `'{"a": 1}'`, `"{\"a\": [1, 2.50, null, true]}"`))
	case 4:
		return text(g.pick("${{root.jtype}}", "'${{root.jtype}}-x'", "${{nope}}", "'${{ CONTEXT.x }}'", "'{x}'", "'{}'"))
	case 5:
		return text(g.pick("'a=b'", "'k: v'", "'x  y'", "'trailing '", "' leading'", "'a\\'"))
	default:
		return text(g.pick("plain", "1", "2.5", "true"))
	}
}

// value is a scalar, a list or a mapping.
func (g *generator) value(depth int) *node {
	switch {
	case depth > 0 && g.chance(12):
		return g.mappingValue(depth - 1)
	case depth > 0 && g.chance(12):
		l := listOf()
		for range g.IntN(4) {
			l.items = append(l.items, g.value(depth-1))
		}
		l.inline = g.chance(50)
		return l
	}
	return g.scalar()
}

// mappingValue is a mapping with keys of all kinds.
func (g *generator) mappingValue(depth int) *node {
	m := mappingOf()
	for i := range g.IntN(4) {
		key := g.pick("dim", "model", "path_", "p-q", "on", "'a b'", "é", "k.l", "9", "true", "1.50", `"q\"r"`, "y", "x/y")
		if m.has(key) {
			key = "k" + strconv.Itoa(i)
		}
		m.add(key, g.value(depth))
	}
	m.inline = g.chance(40)
	return m
}

func (g *generator) usesWith() *node {
	if g.chance(8) {
		return text(g.pick("'a=1'", "[a=1, 'b: x']", `'{"a": {"b": [1, 2.0]}}'`, "'a:'", "{}", "~"))
	}
	return g.mappingValue(3)
}

// env are variables for the pods.
func (g *generator) env() *node {
	if g.chance(5) {
		return text(g.pick("[A=1, B=x]", "'A: 007'", "'A=a=b'", "{}"))
	}
	m := mappingOf()
	for i := range g.between(1, 4) {
		m.add(g.pick("A", "DEBUG", "MODEL_NAME", "zip", "_X")+strconv.Itoa(i), g.value(1))
	}
	m.inline = g.chance(25)
	return m
}
