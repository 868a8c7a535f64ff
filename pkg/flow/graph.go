package flow

import (
	"slices"
	"strings"
)

// needs reads the names of the nodes before an executor. Without any it is the last executor that does not float,
// at the start the gateway.
func (p *parser) needs(e *Executor, v *Value) {
	if method := v.Get("method"); method != nil && method.Kind != Null && method.Text != "add" {
		p.errorf(method.Position, IDNotYet, "write the executor with needs: [A, B]", "method: %s is not supported yet", shorten(method.Text))
	}
	needs := v.Get("needs")
	switch {
	case needs == nil || needs.Kind == Null:
	case needs.Kind == String:
		e.Needs = []string{needs.Text}
	case needs.Kind == List:
		for _, item := range needs.Items {
			if item.Kind != String {
				p.errorf(item.Position, IDType, "", "needs takes names of executors, not %s", item.describe())
				continue
			}
			e.Needs = append(e.Needs, item.Text)
		}
	default:
		p.errorf(needs.Position, IDType, "", "needs takes a name or a list of names, not %s", needs.describe())
	}
	if len(e.Needs) == 0 {
		e.Needs = []string{GatewayName}
		if p.last != nil {
			e.Needs = []string{p.last.Name}
		}
	}
	slices.Sort(e.Needs)
	e.Needs = slices.Compact(e.Needs)
	p.needsOf = append(p.needsOf, needsOf{executor: e, value: needs})
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
		place[e.Name] = i
		names = append(names, e.Name)
	}
	for i, n := range p.needsOf {
		e := n.executor
		for _, name := range e.Needs {
			at, known := place[name]
			pos := n.position(name)
			switch {
			case name == GatewayName:
			case name == e.Name:
				p.errorf(pos, IDNeedsSelf, "", "executor %s needs itself", e.Name)
			case !known:
				p.errorf(pos, IDNeedsUnknown, didYouMean(name, names, "the executors are "+listing(names)), "executor %s needs %q, which is not in this Flow", e.Name, shorten(name))
			case at > i:
				p.laterNeed(e, name, pos)
			}
		}
	}
	p.deadEnds()
}

// laterNeed reports a need of an executor that stands below; when that one needs the first again, it is a cycle.
func (p *parser) laterNeed(e *Executor, name string, pos Position) {
	if p.full(Error) {
		return
	}
	if path := p.path(name, e.Name, map[string]bool{}); path != nil {
		path = append([]string{e.Name}, path...)
		p.errorf(pos, IDNeedsCycle, "take one of these needs away", "the executors need each other in a circle: %s", strings.Join(path, " needs "))
		return
	}
	p.errorf(pos, IDNeedsLater, "move "+name+" above "+e.Name, "executor %s needs %s, which stands below it", e.Name, name)
}

// path follows needs from one executor to another.
func (p *parser) path(from, to string, seen map[string]bool) []string {
	if from == to {
		return []string{to}
	}
	e := p.names[from]
	if e == nil || seen[from] {
		return nil
	}
	seen[from] = true
	for _, name := range e.Needs {
		if rest := p.path(name, to, seen); rest != nil {
			return append([]string{from}, rest...)
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
		if !needed[e.Name] && !e.Floating() && e != last {
			p.warnf(e.NamePosition, IDDeadEnd, "write floating: true when that is meant, or let another executor need it",
				"nothing needs executor %s: its result is dropped", e.Name)
		}
	}
}
