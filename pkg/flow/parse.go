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
	r := newReporter()
	p := &parser{argumentReader: newArgumentReader(r), names: map[string]*Executor{}}
	d := &decoder{reporter: r, src: src, open: map[*yaml.Node]bool{}}
	root := d.document()
	if root != nil && !r.has(IDUnreadable) {
		if root.Kind != Mapping {
			r.errorf(root.Position, IDKind, "start with 'jtype: Flow'", "a Flow file is a mapping, this is %s", root.Kind)
		} else {
			s := &substituter{reporter: r, env: src.Env, root: root, done: map[*Value]bool{}}
			s.all(root, root)
			p.document(root)
		}
	}
	r.problems.Sort()
	if r.problems.Err() != nil {
		return nil, r.problems
	}
	return p.flow, r.problems
}

// parser builds a Flow from the values of a file.
type parser struct {
	*argumentReader
	flow *Flow
	// names has the Flow's executors, last the one that the next follows by default.
	names map[string]*Executor
	last  *Executor
	// needsOf has the needs of the Flow's executors, in their order.
	needsOf []needsOf
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
	}
}

// nestedKinds refuses a jtype anywhere but at the top: Jina would build Python objects from it while reading.
func (p *parser) nestedKinds(root *Value) {
	var walk func(v *Value, under string)
	walk = func(v *Value, under string) {
		for i := range v.Entries {
			e := v.Entries[i]
			if e.Key == "jtype" && v != root {
				hint := "take it away"
				if under == "uses" {
					hint = "build an image of the executor and write 'uses: docker://IMAGE'"
				} else if e.Value.Text == string(KindDeployment) {
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
	for i, v := range executors {
		p.flowExecutor(v, i, inherited)
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
			p.read(&p.flow.Args, a, e)
			continue
		}
		if p.known(e.Key, OnExecutor|OnGateway) {
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
	set := map[string]bool{"uses": true, "uses_with": true} // never inherited
	if own != nil {
		g.Position = own.Position
		for _, e := range own.Entries {
			if a, ok := p.find(e, OnGateway); ok {
				set[a.Name] = true
				p.read(&g.Args, a, e)
			} else {
				p.unknown(e, OnGateway)
			}
		}
	}
	for _, e := range inherited {
		if a, ok := p.lookup(e.Key, OnGateway); ok && !set[a.Name] {
			p.read(&g.Args, a, e)
		}
	}
	if env, ok := p.flow.Args.Lookup("env"); ok && !set["env"] {
		g.Args.settings = append(g.Args.settings, env)
	}
	g.Args.defaults = p.defaults[OnGateway]
	g.Uses, _ = p.uses(g.Args, "uses", "the gateway", g.Position)
	p.gatewayRules(g)
}

func (p *parser) gatewayRules(g *Gateway) {
	if s, ok := g.Args.Lookup("name"); ok && s.Texts(Coerced)[0] != GatewayName {
		p.errorf(s.Position, IDName, "take it away", "the gateway's name is always gateway")
	}
	protocols, ports := g.Args.Texts("protocol", Coerced), 1
	if s, ok := g.Args.Lookup("port"); ok {
		ports = len(s.values)
		if ports > 1 && ports != len(protocols) && g.Uses == (Uses{Position: g.Uses.Position}) {
			p.errorf(s.Position, IDValue, "write one port a protocol, or no port at all",
				"the gateway has %d ports for %s, which Jina's own gateway cannot serve", ports, listing(protocols))
		}
	}
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

// deploymentFile reads a file of jtype Deployment.
func (p *parser) deploymentFile(root *Value) {
	var with *Value
	for i := range root.Entries {
		e := root.Entries[i]
		switch {
		case e.Key == "jtype":
		case e.Key == "with":
			if with = e.Value; with.Kind != Mapping {
				p.errorf(with.Position, IDType, "", "with takes a mapping of arguments, not %s", with.describe())
				return
			}
		case e.Key == "executors", e.Key == "deployments":
			p.errorf(e.Position, IDMisplacedKey, "write 'jtype: Flow'", "a Deployment is one executor and has no %s", e.Key)
		case e.Key == "version":
			p.errorf(e.Position, IDVersion, "take it away", "a Deployment has no version")
		case e.Key == "needs", e.Key == "gateway":
			p.warnf(e.Position, IDNoEffect, "take it away", "a Deployment stands alone: %s has no effect", e.Key)
		case p.known(e.Key, OnExecutor):
			p.errorf(e.Position, IDMisplacedKey, "move it under with", "%s is an argument, which stands under with", e.Key)
		default:
			p.topLevelKey(e, []string{"jtype", "with"})
		}
	}
	if with == nil {
		p.errorf(root.Position, IDImage, "write with: and under it uses: docker://IMAGE", "the Deployment has no with and so no image")
		return
	}
	e := &Executor{Position: with.Position, NamePosition: with.Position}
	p.executorArguments(e, with, nil)
	e.Name = e.Args.Text("name", Kept)
	if e.Name == "" {
		e.Name = "executor"
	}
	e.NamePosition = e.Args.Position("name", with.Position)
	p.flow.Name = ""
	if e.Args.Has("name") {
		p.flow.Name = e.Name
	}
	p.flow.Executors = []*Executor{e}
	p.executorRules(e)
	if e.Name == GatewayName {
		p.errorf(e.NamePosition, IDReservedName, "choose another name", "a Deployment cannot be called gateway")
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
