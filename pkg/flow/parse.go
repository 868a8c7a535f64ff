package flow

import (
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Parse reads a Flow or Deployment file. All problems are reported at once, sorted by position. The Flow is nil when
// one of the problems is an error.
func Parse(src Source) (*Flow, Problems) {
	f, problems := Read(src)
	if problems.Err() != nil {
		return nil, problems
	}
	return f, problems
}

// Read is Parse for whoever goes on looking for problems after an error: the Flow has what could be read of the file, and
// is nil only when the file does not say what it is. A setting that is wrong is not in it; [Args.Written] knows of it.
func Read(src Source) (*Flow, Problems) {
	r := newReporter()
	p := &parser{
		argumentReader: newArgumentReader(r), source: src, images: newImageMap(src.Images),
		names: map[string]*Executor{}, objects: map[string]*Executor{}, refused: map[string]bool{},
		inspected: map[string]string{}, removed: map[string]bool{},
	}
	if root := p.values(src); root != nil {
		if root.Kind != Mapping {
			r.errorf(root.Position, IDKind, "start with 'jtype: Flow'", "a Flow file is a mapping, this is %s", root.Kind)
		} else {
			p.document(root)
		}
	}
	r.problems.Sort()
	if p.flow != nil && p.flow.Kind == "" {
		return nil, r.problems
	}
	return p.flow, r.problems
}

// parser builds a Flow from the values of a file.
type parser struct {
	*argumentReader
	source Source
	images *imageMap
	flow   *Flow
	// names has the Flow's executors by their names in the graph, objects by those of their objects.
	names, objects map[string]*Executor
	// count is the number of executors so far, those that could not be read among them.
	count int
	// lasts are the executors that the next one followed by default, in order.
	lasts []*Executor
	// inspected has, for a node that the method inspect looks at, the node that stands in for it; removed those that
	// inspect: REMOVE has taken out.
	inspected map[string]string
	removed   map[string]bool
	// refused has the names of executors that could not be read: who needs one of them makes no mistake of its own.
	refused map[string]bool
	// needsOf has the needs of the Flow's executors, in their order.
	needsOf []needsOf
	// decoded counts the values of all files, text the bytes of their texts, replaced those of texts with variables, included
	// the bytes of the files in the place of executors.
	decoded, text, replaced, included int
}

// values reads a file: its values with their variables replaced; nil when there is nothing to go on with.
func (p *parser) values(src Source) *Value {
	d := &decoder{reporter: p.reporter, src: src, open: map[*yaml.Node]bool{}, values: p.decoded, text: p.text}
	root := d.document()
	p.decoded, p.text = d.values, d.text
	if root == nil || p.has(IDUnreadable) {
		return nil
	}
	if root.Kind == Mapping {
		s := &substituter{reporter: p.reporter, src: src, root: root, done: map[*Value]bool{}, size: p.replaced}
		s.all(root, root)
		p.replaced = s.size
	}
	return root
}

func (p *parser) document(root *Value) {
	p.nestedKinds(root)
	kind := root.Get("jtype")
	kinds := []string{string(KindFlow), string(KindDeployment)}
	if kind == nil {
		p.errorf(root.Position, IDKind, "write 'jtype: Flow' (or 'jtype: Deployment') first", "the file does not say what it is: jtype is missing")
		return
	}
	p.flow = &Flow{Position: root.Position}
	switch Kind(kind.Text) {
	case KindFlow:
		p.flow.Kind = KindFlow
		p.flowFile(root)
	case KindDeployment:
		p.flow.Kind = KindDeployment
		p.deploymentFile(root)
	default:
		hint := didYouMean(kind.Text, kinds, "only a Flow or a Deployment can be deployed")
		p.errorf(kind.Position, IDKind, hint, "jtype is %s, the known ones are Flow and Deployment", kind.describe())
		return
	}
	if len(p.refused) == 0 {
		p.images.unused(p.reporter)
	}
}

// nestedKinds refuses a jtype anywhere but at the top: Jina would build Python objects from it while reading.
func (p *parser) nestedKinds(root *Value) {
	var walk func(v *Value, under string)
	walk = func(v *Value, under string) {
		for i := range v.Entries {
			e := v.Entries[i]
			if e.Key == "jtype" && v != root && !strings.HasPrefix(under, "uses") {
				hint := "take it away"
				if e.Value.Text == string(KindDeployment) {
					hint = "write the arguments of its with directly as the executor"
				}
				p.errorf(e.Position, IDKind, hint, "an inline %s cannot be exported: jtype stands only at the top of the file", e.Value.describe())
			}
			walk(e.Value, e.Key)
		}
		for _, item := range v.Items {
			walk(item, under)
		}
	}
	walk(root, "")
}

// flowFile reads a file of jtype Flow.
func (p *parser) flowFile(root *Value) {
	with, gateway, executors := p.flowKeys(root)
	inherited := p.flowArguments(with)
	p.gateway(root, gateway, inherited)
	for _, v := range executors {
		p.flowExecutor(v, inherited)
	}
	p.finishInspection(inherited)
	if len(p.lasts) > 0 {
		p.flow.last = p.lasts[len(p.lasts)-1].Node
	}
	p.graph()
}

// flowKeys finds the parts of a Flow and reports the keys that Jina does not read.
func (p *parser) flowKeys(root *Value) (with, gateway *Value, executors []*Value) {
	var list *Entry
	for i := range root.Entries {
		e := root.Entries[i]
		switch e.Key {
		case "jtype":
		case "version":
			p.version(e)
		case "with":
			if e.Value.Kind != Mapping {
				p.errorf(e.Value.Position, IDType, "leave with out when it has no arguments", "with takes a mapping of arguments, not %s", e.Value.describe())
				continue
			}
			with = e.Value
		case "gateway":
			switch e.Value.Kind {
			case Mapping:
				gateway = e.Value
			case Null:
			default:
				p.errorf(e.Value.Position, IDType, "", "gateway takes a mapping of arguments, not %s", e.Value.describe())
			}
		case "executors":
			list = &e
		case "deployments":
			if root.Get("executors") != nil {
				p.warnf(e.Position, IDNoEffect, "move its entries to executors", "deployments is not read when there are executors")
				continue
			}
			list = &e
		case "pods":
			p.errorf(e.Position, IDUnknownKey, "rename it to executors", "pods was the name of executors before Jina 3; Jina 3 drops it")
			if root.Get("executors") == nil && root.Get("deployments") == nil {
				list = &e // for what else there is to say
			}
		default:
			p.topLevelKey(e, []string{"jtype", "version", "with", "gateway", "executors"})
		}
	}
	switch {
	case list == nil:
		if root.Get("pods") == nil {
			p.errorf(root.Position, IDNoExecutors, "list them under executors", "the Flow has no executors")
		}
	case list.Value.Kind != List:
		p.errorf(list.Value.Position, IDType, "write one executor a line: '- name: encoder'", "%s takes a list, not %s", list.Key, list.Value.describe())
	case len(list.Value.Items) == 0:
		p.warnf(list.Value.Position, IDNoExecutors, "", "the Flow has no executors: only the gateway will run")
	default:
		executors = list.Value.Items
	}
	return with, gateway, executors
}

// topLevelKey reports a key at the top that has no meaning there.
func (p *parser) topLevelKey(e Entry, known []string) {
	where := "with"
	switch {
	case e.Key == "jcloud":
		p.warnf(e.Position, IDNoEffect, "", "jcloud is for Jina AI Cloud; on Kubernetes it has no effect")
	case p.known(e.Key, OnExecutor|OnGateway|OnFlow):
		p.warnf(e.Position, IDMisplacedKey, "move it under "+where, "%s has no effect here: it is an argument, which stands under %s", e.Key, where)
	default:
		p.warnf(e.Position, IDUnknownKey, didYouMean(e.Key, known, "take it away"), "unknown key %s has no effect", e.Key)
	}
}

func (p *parser) version(e Entry) {
	major, _, _ := strings.Cut(e.Value.Text, ".")
	if major != "1" || e.Value.Kind > String {
		p.errorf(e.Value.Position, IDVersion, "write version: '1'", "version is %s, the only one is '1'", e.Value.describe())
	}
}

// flowArguments reads with: what is the Flow's own goes into Flow.Args, the rest is inherited.
func (p *parser) flowArguments(with *Value) []Entry {
	var inherited []Entry
	if with == nil {
		return nil
	}
	entries := slices.Clone(with.Entries)
	for i := 0; i < len(entries); i++ {
		e := entries[i]
		switch e.Key {
		case "kwargs":
			entries = append(entries, e.Value.Entries...)
			continue
		case "args":
			if e.Value.Kind != Null && len(e.Value.Items) > 0 || e.Value.Kind != Null && e.Value.Kind != List {
				p.errorf(e.Position, IDValue, "write the arguments by name", "with.args cannot be exported")
			}
			continue
		}
		if a, ok := p.find(e, OnFlow); ok {
			// Jina knows the Flow's own by the key as it is written; one with hyphens is inherited besides.
			shared := e.Key != a.Name && p.known(e.Key, OnExecutor|OnGateway)
			if !shared || a.NoEffect == "" {
				p.read(&p.flow.Args, a, e)
			}
			if shared {
				inherited = append(inherited, e)
			}
			continue
		}
		if p.known(e.Key, OnExecutor|OnGateway) {
			if e.Key == "uses_with" {
				p.warnf(e.Position, IDNoEffect, "put it into gateway or into each executor", "the uses_with of with is for nobody")
			}
			inherited = append(inherited, e)
			continue
		}
		p.inheritedUnknown(e, &inherited)
	}
	p.flow.Name = p.flow.Args.Text("name", Kept)
	return inherited
}

// inheritedUnknown looks at a key of with that is no argument's full name: a beginning of one, or unknown.
func (p *parser) inheritedUnknown(e Entry, inherited *[]Entry) {
	before := len(p.problems)
	_, executor := p.find(e, OnExecutor)
	_, gateway := p.find(e, OnGateway)
	if executor || gateway {
		*inherited = append(*inherited, e)
		return
	}
	if len(p.problems) == before {
		p.unknown(e, OnFlow|OnExecutor|OnGateway)
	}
}

// gateway reads the gateway's arguments: its own, and what it inherits.
func (p *parser) gateway(root, own *Value, inherited []Entry) {
	g := &Gateway{Position: root.Position}
	p.flow.Gateway = g
	set := map[string]Entry{}
	if own != nil {
		g.Position = own.Position
		own = p.images.give(own, GatewayName)
		for _, e := range own.Entries {
			if _, ok := inlineUses(e); ok && e.Key == "uses" {
				p.inlineUses(&g.Args, e, "the gateway", GatewayName)
			} else if a, ok := p.find(e, OnGateway); ok {
				set[a.Name] = e
				p.read(&g.Args, a, e)
			} else {
				p.unknown(e, OnGateway)
			}
		}
	}
	p.inherit(&g.Args, OnGateway, set, inherited, false)
	for _, name := range []string{"env", "log_config"} {
		if s, ok := p.flow.Args.Lookup(name); ok && set[name].Key == "" {
			g.Args.settings = append(g.Args.settings, s)
		}
	}
	g.Args.defaults = p.defaults[OnGateway]
	g.Uses, _ = p.uses(g.Args, "uses", "the gateway", GatewayName, g.Position)
	p.gatewayRules(g)
}

func (p *parser) gatewayRules(g *Gateway) {
	if s, ok := g.Args.Lookup("name"); ok && s.Texts(Coerced)[0] != GatewayName {
		p.errorf(s.Position, IDName, "take it away", "the gateway's name is always gateway")
	}
	p.provider(&g.Args, "the gateway")
	protocols := g.Args.Texts("protocol", Coerced)
	g.Ports = 1
	if s, ok := g.Args.Lookup("port"); ok && g.Args.Provider() == "" {
		g.Ports = len(s.values)
		if g.Ports > 1 && g.Ports < len(protocols) && !g.HasOwnClass() && g.Args.Text("runtime_cls", Coerced) == p.defaults[OnGateway]["runtime_cls"].Default {
			p.errorf(s.Position, IDValue, "write one port a protocol, or no port at all",
				"the gateway has %d ports for %s, which Jina's own gateway cannot serve", g.Ports, listing(protocols))
		}
	}
	p.consensus(g.Args, "the gateway", g.Args.Int("replicas"), 1)
	p.secrets(g.Args)
}

// secrets checks env_from_secret: NAME: {name: SECRET, key: KEY}.
func (p *parser) secrets(args Args) {
	secrets := args.Mapping("env_from_secret")
	if secrets == nil {
		return
	}
	for i := range secrets.Entries {
		e := secrets.Entries[i]
		for _, key := range []string{"name", "key"} {
			if v := e.Value.Get(key); v == nil || v.Kind == Null || v.Kind == List || v.Kind == Mapping {
				p.errorf(e.Position, IDType, "write "+e.Key+": {name: SECRET, key: KEY}", "env_from_secret.%s does not say which %s of a Secret to take", e.Key, key)
				break
			}
		}
	}
}

// isIdentifier tells whether Python takes a text as a name.
func isIdentifier(s string) bool {
	for i, r := range s {
		switch {
		case r == '_', unicode.IsLetter(r), unicode.Is(unicode.Nl, r):
		case i > 0 && (unicode.IsDigit(r) || unicode.In(r, unicode.Mn, unicode.Mc, unicode.Pc)):
		default:
			return false
		}
	}
	return s != ""
}
