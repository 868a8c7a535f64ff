package flow

import (
	"slices"
	"strings"
)

// needs reads the names of the nodes before an executor.
func (p *parser) needs(v *Value) []string {
	var names []string
	needs := v.Get("needs")
	switch {
	case needs == nil:
	case needs.Kind == Null:
		p.warnf(needs.Position, IDNoEffect, "write a name, or take the key away", "needs has no value: the executor follows the one above it")
	case needs.Kind == String:
		names = []string{needs.Text}
	case needs.Kind == List:
		for _, item := range needs.Items {
			if item.Kind != String {
				p.errorf(item.Position, IDType, "", "needs takes names of executors, not %s", item.describe())
				continue
			}
			names = append(names, item.Text)
		}
	default:
		p.errorf(needs.Position, IDType, "", "needs takes a name or a list of names, not %s", needs.describe())
	}
	return names
}

// positionOf is where the value of a key stands, else the mapping.
func positionOf(v *Value, key string) Position {
	if value := v.Get(key); value != nil {
		return value.Position
	}
	return v.Position
}

// lastNode is the node that the next executor follows by default: the last executor that does not float, at the start the
// gateway.
func (p *parser) lastNode() string {
	if len(p.lasts) == 0 {
		return GatewayName
	}
	return p.lasts[len(p.lasts)-1].Node
}

// connect gives an executor its place in the graph, behind the nodes of some names, else behind the last one; value is where
// the names stand. Where the method inspect looks at a node, what stands beside the one that looks takes its place.
func (p *parser) connect(e *Executor, needs []string, value *Value) {
	if other := p.objects[e.Name]; other != nil {
		p.errorf(e.NamePosition, IDDuplicateName, "give each executor a name of its own",
			"the objects of executor %s would be called as those of the executor at %s", e.Name, other.position())
		p.refuse(e.Node)
		return
	}
	if protocols := e.Args.Texts("protocol", Coerced); len(protocols) > 1 {
		p.errorf(e.Args.Position("protocol", e.Position), IDValue, "write one; the gateway can have several", "executor %s has several protocols, in a Flow it has one", e.Name)
	}
	if len(needs) == 0 {
		needs = []string{p.lastNode()}
	}
	for _, name := range needs {
		if passes, ok := p.inspected[name]; ok {
			name = passes
		}
		e.Needs = append(e.Needs, name)
	}
	slices.Sort(e.Needs)
	e.Needs = slices.Compact(e.Needs)
	p.externalReduce(e)
	p.needsOf = append(p.needsOf, needsOf{executor: e, value: value})
	p.flow.Executors = append(p.flow.Executors, e)
	p.names[e.Node], p.objects[e.Name] = e, e
	if !e.Floating() {
		p.lasts = append(p.lasts, e)
	}
}

// needsOf remembers where the needs of an executor stand.
type needsOf struct {
	executor *Executor
	value    *Value
}

func (n needsOf) position(name string) Position {
	if n.value == nil {
		return n.executor.Position
	}
	for _, item := range n.value.Items {
		if item.Text == name {
			return item.Position
		}
	}
	return n.value.Position
}

// graph checks the edges: Jina checks none of them, and the gateway would wait for ever.
func (p *parser) graph() {
	place := map[string]int{}
	names := []string{GatewayName}
	for i, e := range p.flow.Executors {
		place[e.Node] = i
		names = append(names, e.Node)
	}
	for i, n := range p.needsOf {
		e := n.executor
		for _, name := range e.Needs {
			at, known := place[name]
			if name == GatewayName || known && at < i || !known && p.refused[name] || p.full(Error) {
				continue
			}
			pos := n.position(name)
			switch {
			case name == e.Node:
				p.errorf(pos, IDNeedsSelf, "", "executor %s needs itself", e.Name)
			case p.removed[name]:
				p.errorf(pos, IDNeedsUnknown, "take the need away, or inspect: REMOVE", "executor %s needs %s, which inspect: REMOVE takes out", e.Name, name)
			case !known && p.objects[name] != nil:
				p.errorf(pos, IDNeedsUnknown, "write "+p.objects[name].Node, "the executor of the file %s is called %s here, not %s", p.objects[name].File, p.objects[name].Node, name)
			case !known:
				p.errorf(pos, IDNeedsUnknown, didYouMean(name, names, "the executors are "+listing(names)), "executor %s needs %q, which is not in this Flow", e.Name, shorten(name))
			default:
				p.laterNeed(e, name, pos)
			}
		}
	}
	if len(p.refused) == 0 { // else who needs whom is not known
		p.deadEnds()
	}
}

// laterNeed reports a need of an executor that stands below; when that one needs the first again, it is a cycle.
func (p *parser) laterNeed(e *Executor, name string, pos Position) {
	if circle := p.path(name, e.Node); circle != nil {
		const most = 20
		text := strings.Join(append([]string{e.Node}, circle...), " needs ")
		if len(circle) > most {
			text = strings.Join(append([]string{e.Node}, circle[:most]...), " needs ") + " needs … needs " + e.Node
		}
		p.errorf(pos, IDNeedsCycle, "take one of these needs away", "the executors need each other in a circle: %s", text)
		return
	}
	p.errorf(pos, IDNeedsLater, "move "+name+" above "+e.Node, "executor %s needs %s, which stands below it", e.Node, name)
}

// path follows needs from one executor to another, by the fewest steps.
func (p *parser) path(from, to string) []string {
	next := []string{from}
	cameFrom := map[string]string{from: ""}
	for len(next) > 0 {
		name := next[0]
		next = next[1:]
		if name == to {
			var path []string
			for ; name != ""; name = cameFrom[name] {
				path = append(path, name)
			}
			slices.Reverse(path)
			return path
		}
		e := p.names[name]
		if e == nil {
			continue
		}
		for _, need := range e.Needs {
			if _, seen := cameFrom[need]; !seen {
				cameFrom[need] = name
				next = append(next, need)
			}
		}
	}
	return nil
}

// deadEnds warns about executors whose results go nowhere.
func (p *parser) deadEnds() {
	needed := map[string]bool{}
	for _, e := range p.flow.Executors {
		for _, name := range e.Needs {
			needed[name] = true
		}
	}
	last := p.flow.Last()
	for _, e := range p.flow.Executors {
		if !needed[e.Node] && !e.Floating() && e != last && e.inspection == notInspecting {
			p.warnf(e.NamePosition, IDDeadEnd, "write floating: true when that is meant, or let another executor need it",
				"nothing needs executor %s: its result is dropped", e.Name)
		}
	}
}
