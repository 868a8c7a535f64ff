package random

import (
	"fmt"
	"slices"
	"strconv"
)

// elsewhere makes an executor one that runs somewhere else, or one that keeps data, or one that only a method of the Flow
// class adds. At most one of them, so that a difference has one cause.
func (g *generator) elsewhere(e *node) {
	switch n := g.IntN(100); {
	case n < 8:
		g.external(e)
	case n < 16:
		g.maybe(e, 100, "volumes", func() *node {
			return text(g.pick("/data", "[/data]", "[/host:/data, /cache]", "['/a b', /c]"))
		})
	case n < 19:
		e.add("stateful", text("true"))
		g.maybe(e, 100, "replicas", func() *node { return text(g.pick("3", "4")) })
		g.maybe(e, 100, "workspace", func() *node { return text("/w") })
	case n < 23:
		g.tls(e)
	case n < 25:
		e.add("provider", text(g.pick("none", "NONE")))
	}
}

// external names an executor that runs somewhere else.
func (g *generator) external(e *node) {
	e.add("external", text(g.pick("true", "yes")))
	switch g.IntN(4) {
	case 0:
		e.add("host", text(g.pick("grpc://x.example:123", "https://x.example:443", "grpcs://x.example:1", "http://x.example:80", "'x.example:99'")))
	default:
		e.add("host", text(g.pick("x.example", "1.2.3.4", "[x.example]")))
		e.add("port", text(g.pick("80", "12345", "[81]", "'90'")))
	}
	g.maybe(e, 25, "tls", g.flag)
}

func (g *generator) tls(e *node) {
	if g.chance(50) {
		g.maybe(e, 100, "tls", g.flag)
		return
	}
	g.certificate(e)
}

func (g *generator) certificate(m *node) {
	m.add("ssl_certfile", text("cert.pem"))
	m.add("ssl_keyfile", text("key.pem"))
}

// hubImage is an image that only the Hub knows.
func (g *generator) hubImage() string {
	return g.pick("jinahub+docker://Encoder", "jinahub+docker://Encoder/v1", "jinahub+docker://Enc:secret/v2", "jinaai+docker://team/Encoder", "jinaai+docker://team/Encoder:v3")
}

// method is an entry of executors that is not simply added.
func (g *generator) method() *node {
	m := mappingOf()
	switch {
	case len(g.names) > 1 && g.chance(50):
		m.add("method", text("needs"))
		m.add("needs", listOf(text(g.names[0]), text(g.names[len(g.names)-1])))
		m.pairs[1].value.inline = true
	default:
		m.add("method", text("needs_all"))
	}
	name := fmt.Sprintf("join%d", len(g.names))
	m.add("name", text(name))
	g.maybe(m, 20, "uses", func() *node { return text(g.image()) })
	g.maybe(m, 15, "env", g.env)
	g.maybe(m, 15, "timeout_ready", func() *node { return text("1000") })
	g.names = append(g.names, name)
	return m
}

// included is an executor in a file of its own.
func (g *generator) included(f *Flow) *node {
	file := "part" + strconv.Itoa(len(f.files)) + ".yml"
	with := mappingOf(pair{"uses", text(g.image())}, pair{"name", text(g.pick("part", "Other_part") + strconv.Itoa(len(f.files)))})
	g.executorArguments(with, false)
	// The reference imports the modules of a Deployment while it exports, and cannot read search paths that are no list.
	with.pairs = slices.DeleteFunc(with.pairs, func(p pair) bool { return p.key == "py_modules" || p.key == "extra_search_paths" })
	f.files = append(f.files, file)
	f.included = append(f.included, mappingOf(pair{"jtype", text("Deployment")}, pair{"with", with}))
	g.names = append(g.names, fmt.Sprintf("executor%d", len(g.names)))
	return text(file)
}
