package random

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Flow is a random Flow or Deployment file, with the environment and the command line of its export.
type Flow struct {
	document *node
	env      []pair
	args     []string
	// files are the names of the Deployment files that the Flow includes, included what stands in them.
	files    []string
	included []*node
}

// Files are the texts of the files beside the Flow, by their names.
func (f *Flow) Files() map[string]string {
	files := map[string]string{}
	for i, name := range f.files {
		files[name] = f.included[i].write()
	}
	return files
}

// Text of the file.
func (f *Flow) Text() string { return f.document.write() }

// Env is the environment of the export as K=V.
func (f *Flow) Env() []string {
	var lines []string
	for _, p := range f.env {
		lines = append(lines, p.key+"="+p.value.raw)
	}
	return lines
}

// Args are the further words of the command line.
func (f *Flow) Args() []string { return slices.Clone(f.args) }

func (f *Flow) clone() *Flow {
	c := &Flow{document: f.document.clone(), env: slices.Clone(f.env), args: slices.Clone(f.args), files: slices.Clone(f.files)}
	for _, n := range f.included {
		c.included = append(c.included, n.clone())
	}
	return c
}

// New makes the Flow of a seed.
func New(seed uint64) *Flow {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, seed)), spellings: map[string]string{}}
	f := &Flow{}
	g.environment(f)
	if g.chance(12) {
		f.document = g.deploymentFile()
	} else {
		f.document = g.flowFile(f)
	}
	if g.chance(20) {
		f.args = []string{"--k8s-namespace", g.pick("prod", "team-a", "n1")}
	}
	return f
}

// generator draws what stands in a file.
type generator struct {
	*rand.Rand
	// names of the executors so far, floating ones among them.
	names []string
	// spellings are the keys that arguments have in this file.
	spellings map[string]string
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) pick(choices ...string) string { return choices[g.IntN(len(choices))] }

func (g *generator) between(low, high int) int { return low + g.IntN(high-low+1) }

func (g *generator) number(low, high int) *node { return text(strconv.Itoa(g.between(low, high))) }

func (g *generator) environment(f *Flow) {
	f.env = []pair{
		{"V1", text(g.pick("one", "1", "a b", "0.50", "true", "é", "x/y:z"))},
		{"V2", text(g.pick("two", "$V1", "${V1}-2", "007", "[1, 2]"))},
		{"TAG", text(g.pick("1.0", "v2", "2024"))},
	}
	if g.chance(10) {
		f.env = append(f.env, pair{"JINA_LOG_LEVEL", text(g.pick("DEBUG", "ERROR"))})
	}
	if g.chance(15) {
		f.env = append(f.env, pair{"JINA_GATEWAY_IMAGE", text(g.pick("registry.example/jina:3", "gw"))})
	}
}

func (g *generator) flowFile(f *Flow) *node {
	doc := mappingOf(pair{"jtype", text("Flow")})
	if g.chance(30) {
		doc.add("version", text(g.pick("'1'", "1", "1.0", `"1.5"`)))
	}
	if g.chance(60) {
		if with := g.with(); len(with.pairs) > 0 || g.chance(50) {
			doc.add("with", with)
		}
	}
	if g.chance(55) {
		gateway := mappingOf()
		g.gateway(gateway)
		if len(gateway.pairs) == 0 && g.chance(50) {
			gateway = text(g.pick("", "~", "{}"))
		}
		doc.add("gateway", gateway)
	}
	executors := listOf()
	for range g.between(0, 1) + g.between(0, 2) + g.between(0, 2) + g.IntN(2) {
		executors.items = append(executors.items, g.entry(f))
	}
	if len(executors.items) == 0 {
		executors.items = append(executors.items, g.executor())
	}
	doc.add(g.pick("executors", "executors", "executors", "deployments"), executors)
	if g.chance(6) {
		doc.add("jcloud", mappingOf(pair{"version", text("3.34.0")}))
	}
	return doc
}

func (g *generator) deploymentFile() *node {
	with := mappingOf(pair{"uses", text(g.image())})
	if g.chance(60) {
		with.add("name", text(g.pick("encoder", "My_Enc", "rank-2")))
	}
	g.executorArguments(with, true)
	return mappingOf(pair{"jtype", text("Deployment")}, pair{"with", with})
}

// with has the Flow's own arguments and what the gateway and the executors inherit.
func (g *generator) with() *node {
	with := mappingOf()
	g.maybe(with, 30, "name", func() *node { return text(g.pick("shop", "'shop-2'", "search")) })
	g.maybe(with, 25, "env", g.env)
	g.maybe(with, 12, "workspace", func() *node { return text(g.pick("/data/ws", "./ws", "ws/a")) })
	g.maybe(with, 8, "log_config", func() *node { return text(g.pick("default", "json", "plain")) })
	g.maybe(with, 25, "protocol", func() *node { return text(g.pick("grpc", "http", "GRPC", "websocket", "[grpc, http]")) })
	g.maybe(with, 10, "port", func() *node { return text(g.pick("8080", "54321")) })
	g.maybe(with, 5, "uses_with", func() *node { return g.mappingValue(1) })
	shared := with.clone()
	g.common(with)
	g.maybe(with, 8, "shards", func() *node { return g.number(1, 3) })
	g.maybe(with, 8, "polling", func() *node { return text(g.pick("ALL", "any")) })
	g.maybe(with, 6, "gpus", func() *node { return g.number(1, 2) })
	g.maybe(with, 8, "prefetch", func() *node { return text(g.pick("0", "10", "1000")) })
	g.maybe(with, 8, "cors", g.flag)
	if len(shared.pairs) > 0 && g.chance(5) {
		with.add("unknown_key", text("1"))
	}
	return with
}

func (g *generator) gateway(gw *node) {
	protocols := g.IntN(10)
	switch {
	case protocols < 3:
		g.maybe(gw, 100, "protocol", func() *node { return text(g.pick("http", "grpc", "websocket", "HTTP", "[http]")) })
	case protocols < 5:
		g.maybe(gw, 100, "protocol", func() *node { return text(g.pick("[grpc, http]", "[http, grpc, websocket]", "[GRPC, websocket]")) })
	}
	if !gw.has("protocol") {
		g.maybe(gw, 15, "port", func() *node { return text(g.pick("8080", "12345", "[8080]")) })
	}
	if g.chance(4) {
		g.certificate(gw)
	}
	if g.chance(12) {
		gw.add("uses", text(g.pick(g.image(), "HTTPGateway", "GRPCGateway", "CompositeGateway")))
	}
	g.maybe(gw, 12, "uses_with", func() *node { return g.mappingValue(2) })
	g.maybe(gw, 20, "env", g.env)
	g.maybe(gw, 15, "replicas", func() *node { return g.number(1, 3) })
	g.maybe(gw, 10, "prefetch", func() *node { return text(g.pick("0", "5", "1000", "1_000")) })
	g.maybe(gw, 12, "title", g.words)
	g.maybe(gw, 8, "description", g.words)
	g.maybe(gw, 12, "cors", g.flag)
	g.maybe(gw, 8, "no_debug_endpoints", g.flag)
	g.maybe(gw, 8, "no_crud_endpoints", g.flag)
	g.maybe(gw, 6, "proxy", g.flag)
	g.maybe(gw, 6, "expose_graphql_endpoint", g.flag)
	g.maybe(gw, 8, "expose_endpoints", func() *node {
		return mappingOf(pair{"/foo", mappingOf(pair{"methods", text("[GET, POST]")}, pair{"summary", text("a b")})})
	})
	g.maybe(gw, 8, "uvicorn_kwargs", func() *node { return mappingOf(pair{"limit", g.number(1, 9)}, pair{"loop", text("asyncio")}) })
	g.common(gw)
}

// entry is an executor in one of the forms in which it can stand in a list.
func (g *generator) entry(f *Flow) *node {
	switch {
	case g.chance(3):
		return g.included(f)
	case len(g.names) > 0 && g.chance(4):
		return g.method()
	}
	return g.executor()
}

func (g *generator) executor() *node {
	e := mappingOf()
	name := fmt.Sprintf("executor%d", len(g.names))
	if g.chance(90) {
		name = g.pick("encoder", "idx", "my_Ranker", "A", "seg_2x", "x1", "rank") + strconv.Itoa(len(g.names))
		e.add("name", text(name))
	}
	switch {
	case g.chance(88):
		e.add("uses", text(g.image()))
	case g.chance(40):
		e.add("uses", text(g.pick("BaseExecutor", "", "~", "GRPCGateway", "''")))
	case g.chance(50):
		e.add("uses", text(g.pick("docker://e:${{ ENV.TAG }}", "docker://e:${TAG}", "docker://e:$TAG", "docker://e:${{ENV.TAG}}")))
	}
	g.needs(e)
	g.maybe(e, 12, "floating", g.flag)
	g.elsewhere(e)
	g.executorArguments(e, false)
	g.names = append(g.names, name)
	g.Shuffle(len(e.pairs), func(i, j int) { e.pairs[i], e.pairs[j] = e.pairs[j], e.pairs[i] })
	if g.chance(10) {
		e.inline = true
	}
	return e
}

// needs names some of the executors before.
func (g *generator) needs(e *node) {
	if len(g.names) == 0 || g.chance(45) {
		g.maybe(e, 8, "needs", func() *node { return text(g.pick("gateway", "[]", "", "[gateway]")) })
		return
	}
	var some []string
	for _, name := range g.names {
		if g.chance(50) {
			some = append(some, name)
		}
	}
	if len(some) == 0 || g.chance(10) {
		some = append(some, "gateway")
	}
	g.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	if len(some) == 1 && g.chance(60) {
		e.add("needs", text(some[0]))
		return
	}
	if g.chance(15) {
		e.add("needs", text("'["+strings.Join(some, ", ")+"]'"))
		return
	}
	items := listOf()
	for _, name := range some {
		items.items = append(items.items, text(name))
	}
	items.inline = g.chance(70)
	e.add("needs", items)
}

func (g *generator) image() string {
	if g.chance(6) {
		return g.hubImage()
	}
	return "docker://" + g.pick("e", "registry.example/team/encoder:1.0", "localhost:5000/x", "jinahub/abc:v1-gpu",
		"e@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
}
