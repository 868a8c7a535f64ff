package flow

import (
	"slices"
	"strconv"
)

// methods are the ways to add an executor to a Flow that a file can name; Jina would call any method of its own class.
func methods() []string { return []string{"add", "needs", "needs_all", "inspect", "gather_inspect"} }

// inspection is what the method inspect has made of an executor.
type inspection int

const (
	notInspecting inspection = iota
	inspecting               // looks at what another executor gives
	passing                  // stands beside the one that looks, for the executors behind
)

// method adds an executor in the way that its entry says.
func (p *parser) method(v *Value, inherited []Entry) {
	name := "add"
	m := v.Get("method")
	if m != nil && m.Kind != Null {
		name = m.Text
	}
	switch name {
	case "add":
		if m != nil && m.Kind == Null {
			p.warnf(m.Position, IDNoEffect, "take the key away", "method has no value: it is as if it were absent")
		}
		if e := p.node(v, inherited, p.unnamed()); e != nil {
			p.connect(e, p.needs(v), v.Get("needs"))
		}
	case "needs":
		p.join(v, inherited)
	case "needs_all":
		p.joinAll(v, inherited)
	case "inspect":
		p.inspect(v, inherited)
	case "gather_inspect":
		p.gatherInspect(v, inherited)
	default:
		p.refuse("")
		p.errorf(m.Position, IDMethod, didYouMean(name, methods(), "take one of those"), "method is %s, not %s", listing(methods()), m.describe())
	}
}

// unnamed is the name of an executor that has none.
func (p *parser) unnamed() string { return "executor" + strconv.Itoa(p.count) }

// defaultName is the name that a method gives when the file has none; Jina numbers the second of a name.
func (p *parser) defaultName(v *Value, name string) string {
	if v.Get("name") != nil {
		return p.unnamed() // a key without a value
	}
	if p.names[name] != nil {
		return name + strconv.Itoa(p.count)
	}
	return name
}

// join adds an executor that waits for several.
func (p *parser) join(v *Value, inherited []Entry) {
	e := p.node(v, inherited, p.defaultName(v, "joiner"))
	if e == nil {
		return
	}
	needs := p.needs(v)
	if len(needs) < 2 && !p.errorAt(positionOf(v, "needs")) {
		p.errorf(positionOf(v, "needs"), IDMethod, "write needs: [A, B], or leave method out", "method: needs waits for two executors or more, here are %d", len(needs))
	}
	p.connect(e, needs, v.Get("needs"))
}

// joinAll adds an executor that waits for all that nobody waits for yet.
func (p *parser) joinAll(v *Value, inherited []Entry) {
	e := p.node(v, inherited, p.defaultName(v, "joiner"))
	if e == nil || !p.withoutNeeds(v, "needs_all", "it waits for every executor above that nothing needs yet") {
		return
	}
	needed := map[string]bool{}
	for _, other := range p.flow.Executors {
		for _, name := range other.Needs {
			needed[name] = true
		}
	}
	var open []string
	for _, other := range p.flow.Executors {
		if !needed[other.Node] && !other.Floating() {
			open = append(open, other.Node)
		}
	}
	if len(open) == 0 && len(p.refused) == 0 {
		p.errorf(v.Get("method").Position, IDMethod, "put it below the executors that it is to wait for", "method: needs_all has nothing to wait for")
	}
	p.connect(e, open, nil)
}

// withoutNeeds refuses needs beside a method that finds them itself.
func (p *parser) withoutNeeds(v *Value, method, why string) bool {
	if v.Get("needs") == nil {
		return true
	}
	p.errorf(positionOf(v, "needs"), IDMethod, "take needs away, or method", "method: %s has no needs: %s", method, why)
	return false
}

// inspect adds an executor that looks at what the last one gives, and beside it one that passes the same on to those that
// follow.
func (p *parser) inspect(v *Value, inherited []Entry) {
	target := p.lastNode()
	e := p.node(v, inherited, p.defaultName(v, "inspect"))
	if e == nil || !p.withoutNeeds(v, "inspect", "it looks at the executor above") {
		return
	}
	e.inspection = inspecting
	p.connect(e, []string{target}, nil)

	passes := &Executor{
		Name: "_aux_" + p.inspectorName(v), Position: e.Position, NamePosition: v.Get("method").Position,
		Helper: true, inspection: passing, UsesBefore: e.UsesBefore, UsesAfter: e.UsesAfter, Hosts: e.Hosts, Volumes: e.Volumes,
	}
	if p.names[passes.Name] != nil {
		passes.Name += strconv.Itoa(p.count)
	}
	p.count++
	passes.Node = passes.Name
	passes.Uses.Position = e.Position
	p.executorArguments(passes, without(v, "uses", "name"), inherited)
	p.flowDefaults(passes)
	p.connect(passes, []string{target}, nil)
	p.inspected[target] = p.lastNode()
}

// inspectorName is the name in the file: Jina's default has no number here.
func (p *parser) inspectorName(v *Value) string {
	if name := v.Get("name"); name != nil && name.Kind == String {
		return name.Text
	}
	return "inspect"
}

// without is a mapping without some of its keys.
func without(v *Value, keys ...string) *Value {
	out := *v
	out.Entries = slices.DeleteFunc(slices.Clone(v.Entries), func(e Entry) bool { return slices.Contains(keys, e.Key) })
	return &out
}

// inspectors are the nodes that look.
func (p *parser) inspectors() []string {
	var nodes []string
	for _, e := range p.flow.Executors {
		if e.inspection == inspecting {
			nodes = append(nodes, e.Node)
		}
	}
	return nodes
}

// gatherInspect adds an executor that waits for all that look.
func (p *parser) gatherInspect(v *Value, inherited []Entry) {
	const key = "include_last_deployment"
	needs := p.inspectors()
	if len(needs) == 0 {
		if len(p.refused) == 0 {
			p.errorf(v.Get("method").Position, IDMethod, "take it away, or put it below an executor with method: inspect", "method: gather_inspect has nothing to gather: nothing above inspects")
		}
		return
	}
	if last := v.Get(key); last == nil || last.Kind != Bool || last.Text == "true" {
		needs = append(needs, p.lastNode())
		if last != nil && last.Kind != Bool {
			p.errorf(last.Position, IDType, "", "%s takes true or false, not %s", key, last.describe())
		}
	}
	e := p.node(without(v, key), inherited, p.defaultName(v, "gather_inspect"))
	if e != nil && p.withoutNeeds(v, "gather_inspect", "it waits for all that inspect") {
		p.connect(e, needs, nil)
	}
}

// finishInspection does what the Flow's inspect says about the executors that look: they are gathered in the end, left
// hanging, or taken out again.
func (p *parser) finishInspection(inherited []Entry) {
	needs := p.inspectors()
	if len(needs) == 0 {
		return
	}
	switch p.flow.Args.Text("inspect", Coerced) {
	case "COLLECT", "":
		at := p.flow.Executor(needs[0]).Position
		v := &Value{Position: at, Kind: Mapping}
		if e := p.node(v, inherited, p.defaultName(v, "gather_inspect")); e != nil {
			p.connect(e, append(needs, p.lastNode()), nil)
		}
	case "REMOVE":
		p.removeInspection()
	}
}

// removeInspection takes out what inspects; who needed what stands beside it needs the inspected executor again.
func (p *parser) removeInspection() {
	behind := map[string]string{}
	for target, passes := range p.inspected {
		behind[passes] = target
	}
	gone := func(e *Executor) bool { return e.inspection != notInspecting }
	p.flow.declared = slices.Clone(p.flow.Executors)
	for _, e := range p.flow.Executors {
		if gone(e) {
			p.removed[e.Node] = true
			delete(p.names, e.Node)
		}
	}
	p.flow.Executors = slices.DeleteFunc(p.flow.Executors, gone)
	p.lasts = slices.DeleteFunc(p.lasts, gone)
	p.needsOf = slices.DeleteFunc(p.needsOf, func(n needsOf) bool { return gone(n.executor) })
	for _, e := range p.flow.Executors {
		for i, name := range e.Needs {
			if target, ok := behind[name]; ok {
				e.Needs[i] = target
			}
		}
		slices.Sort(e.Needs)
		e.Needs = slices.Compact(e.Needs)
	}
}

// WithoutHelpers is the Flow without the executors that stand beside those of the method inspect and only pass on what they
// get: who needs one of them needs what is behind it. Nothing is left of inspections that are removed. It is the Flow itself
// when there is no inspection.
func (f *Flow) WithoutHelpers() *Flow {
	if f.declared == nil && !slices.ContainsFunc(f.Executors, func(e *Executor) bool { return e.Helper }) {
		return f
	}
	nodes := map[string]*Executor{}
	for _, e := range f.Executors {
		nodes[e.Node] = e
	}
	behind := func(name string) string {
		for e := nodes[name]; e != nil && e.Helper; e = nodes[name] {
			name = e.Needs[0]
		}
		return name
	}
	out := *f
	out.Executors, out.declared = nil, nil
	for _, e := range f.Executors {
		if e.Helper {
			continue
		}
		c := *e
		c.Needs = nil
		for _, name := range e.Needs {
			c.Needs = append(c.Needs, behind(name))
		}
		slices.Sort(c.Needs)
		c.Needs = slices.Compact(c.Needs)
		out.Executors = append(out.Executors, &c)
	}
	if f.last != "" {
		out.last = behind(f.last)
	}
	return &out
}
