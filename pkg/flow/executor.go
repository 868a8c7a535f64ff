package flow

import (
	"slices"
	"strings"
)

// flowExecutor reads an entry of executors and adds it to the Flow.
func (p *parser) flowExecutor(v *Value, inherited []Entry) {
	switch v.Kind {
	case Mapping:
		p.method(v, inherited)
	case String:
		p.includedExecutor(v, inherited)
	default:
		p.refuse("")
		p.errorf(v.Position, IDType, "write '- name: encoder' and its arguments below", "an executor is a mapping of arguments, not %s", v.describe())
	}
}

// refuse remembers that a node of the graph could not be read.
func (p *parser) refuse(node string) { p.refused[node] = true }

// node reads an executor of the Flow; nil when it has no name that can stand in the graph. Without one it gets fallback.
func (p *parser) node(v *Value, inherited []Entry, fallback string) *Executor {
	p.count++
	e := &Executor{Name: p.rawName(v, fallback), Position: v.Position, NamePosition: v.Position}
	v = p.images.give(v, e.Name)
	p.executorArguments(e, v, inherited)
	p.flowDefaults(e)
	if !p.executorName(e, v, fallback) {
		p.refuse(e.Name)
		return nil
	}
	e.Node = e.Name
	p.executorRules(e)
	return e
}

// rawName is the name of an executor before anything is checked.
func (p *parser) rawName(v *Value, fallback string) string {
	name := fallback
	for i := range v.Entries {
		if a, ok := p.lookup(v.Entries[i].Key, OnExecutor); ok && a.Name == "name" && v.Entries[i].Value.Kind == String {
			name = v.Entries[i].Value.Text
		}
	}
	return name
}

// flowDefaults gives an executor what it takes over from the Flow's own arguments.
func (p *parser) flowDefaults(e *Executor) {
	for _, name := range []string{"workspace", "log_config"} {
		if s, ok := p.flow.Args.Lookup(name); ok && !e.Args.Has(name) {
			s.Inherited = true
			e.Args.settings = append(e.Args.settings, s)
		}
	}
}

// notInherited are the keys of with that nobody inherits in a scope. Jina looks at the key as it is written: a beginning of
// one of them, or one with hyphens, is inherited.
func notInherited(in Scope) []string {
	if in == OnGateway {
		return []string{"uses", "uses_with"}
	}
	return []string{"port", "ports", "port_monitoring", "uses", "uses_with", "protocol", "protocols"}
}

// inherit reads what a scope takes over from with: the arguments that it has not set itself.
func (p *parser) inherit(args *Args, in Scope, own map[string]Entry, inherited []Entry, external bool) {
	for _, entry := range inherited {
		a, ok := p.lookup(entry.Key, in)
		if !ok || slices.Contains(notInherited(in), entry.Key) {
			continue
		}
		mine, set := own[a.Name]
		switch {
		case !set:
			p.readInherited(args, ofExternal(a, external), entry)
		case mine.Key != entry.Key && entry.Value.Kind != Null && entry.Value.Text != "false":
			p.errorf(mine.Position, IDDuplicateKey, "write "+a.Name+" in both places",
				"%s is the same argument as %s of with (%s), and Jina would take the value of with", mine.Key, entry.Key, entry.Position)
		}
	}
}

// executorArguments reads the arguments of an executor: its own, and what it inherits.
func (p *parser) executorArguments(e *Executor, v *Value, inherited []Entry) {
	set := map[string]Entry{}
	e.External = p.isExternal(v.Entries, inherited)
	for _, entry := range v.Entries {
		switch entry.Key {
		case "needs", "method", "jtype":
			continue
		}
		if key, ok := inlineUses(entry); ok {
			p.inlineUses(&e.Args, entry, "executor "+e.Name, e.imageKey(key))
			continue
		}
		if a, ok := p.find(entry, OnExecutor); ok {
			set[a.Name] = entry
			p.read(&e.Args, ofExternal(a, e.External), entry)
		} else if !p.known(entry.Key, OnExecutor) && !p.reportedAt(entry.Position) {
			p.unknown(entry, OnExecutor)
		}
		if _, ok := p.lookup(entry.Key, OnExecutor); !ok {
			for _, a := range p.begins(entry.Key, OnExecutor) { // of an ambiguous key
				e.Args.wrong = append(e.Args.wrong, a.Name)
			}
		}
	}
	p.inherit(&e.Args, OnExecutor, set, inherited, e.External)
	e.Args.defaults = p.defaults[OnExecutor]
}

// executorName finds the name and refuses what Jina would change or skip in silence.
func (p *parser) executorName(e *Executor, v *Value, fallback string) bool {
	e.Name = fallback
	for i := range v.Entries {
		entry := v.Entries[i]
		if a, ok := p.lookup(entry.Key, OnExecutor); !ok || a.Name != "name" || entry.Value.Kind == Null {
			continue
		}
		e.NamePosition = entry.Value.Position
		if entry.Value.Kind != String {
			if p.errorAt(e.NamePosition) {
				return false
			}
			p.errorf(e.NamePosition, IDName, "quotes do not help: choose a name that begins with a letter", "an executor's name is text, Jina reads %s", entry.Value.describe())
			return false
		}
		e.Name = entry.Value.Text
	}
	switch {
	case !isIdentifier(e.Name):
		suggestion := strings.Map(func(r rune) rune {
			if isIdentifier("a" + string(r)) {
				return r
			}
			return '_'
		}, e.Name)
		hint := "use letters, digits and underscores, a letter first"
		if isIdentifier(suggestion) {
			hint += ": " + suggestion
		}
		p.errorf(e.NamePosition, IDName, hint, "executor name %q is not one that Jina takes", shorten(e.Name))
		return false
	case e.Name == GatewayName:
		p.errorf(e.NamePosition, IDReservedName, "put its arguments under the key gateway at the top, or choose another name",
			"an executor cannot be called gateway: Jina skips it")
		return false
	}
	if other := p.names[e.Name]; other != nil {
		p.errorf(e.NamePosition, IDDuplicateName, "give each executor a name of its own", "executor name %s is taken, by the one at %s", e.Name, other.position())
		return false
	}
	return true
}

// executorRules checks what arguments mean together.
func (p *parser) executorRules(e *Executor) {
	p.provider(&e.Args, "executor "+e.Name)
	p.hosts(e)
	p.consensus(e.Args, "executor "+e.Name, e.Replicas(), e.Shards())
	p.protocols(e)
	if e.External {
		p.externalRules(e)
		return
	}
	p.executorImages(e)
	p.volumes(e)
	p.secrets(e.Args)
	if s, ok := e.Args.Lookup("gpus"); ok {
		p.gpus(s)
	}
	p.effects(e)
}

// protocols checks what an executor can speak.
func (p *parser) protocols(e *Executor) {
	protocols := e.Args.Texts("protocol", Coerced)
	at := e.Args.Position("protocol", e.Position)
	switch {
	case slices.Contains(protocols, "WEBSOCKET"):
		p.errorf(at, IDUnsupported, "take grpc; the gateway can speak WebSocket", "executor %s speaks WebSocket, which only the gateway can", e.Name)
	case e.Shards() > 1 && slices.Contains(protocols, "HTTP"):
		p.errorf(at, IDUnsupported, "take grpc, or one shard", "executor %s speaks HTTP and has %d shards, which Jina cannot do", e.Name, e.Shards())
	}
}

// executorImages reads uses, uses_before and uses_after.
func (p *parser) executorImages(e *Executor) {
	e.Uses, _ = p.uses(e.Args, "uses", "executor "+e.Name, e.imageKey("uses"), e.Position)
	for _, side := range []struct {
		key string
		to  **Uses
	}{{"uses_before", &e.UsesBefore}, {"uses_after", &e.UsesAfter}} {
		s, ok := e.Args.Lookup(side.key)
		if !ok {
			continue
		}
		if e.Shards() < 2 {
			if e.Args.isWrong("shards") {
				continue // how many there are is not known
			}
			p.warnf(s.Key, IDNoEffect, "make it an executor of its own, or add shards", "%s has no effect: executor %s has one shard", side.key, e.Name)
			continue
		}
		if u, ok := p.uses(e.Args, side.key, side.key+" of executor "+e.Name, e.imageKey(side.key), s.Position); ok {
			*side.to = &u
		}
	}
}

// gpus warns about what asks Kubernetes for no GPU.
func (p *parser) gpus(s Setting) {
	if s.Texts(Coerced)[0] == "all" {
		p.warnf(s.Position, IDNoEffect, "write a number", "gpus: all asks Kubernetes for no GPU: it can only count them")
	}
}

// builtins are the gateway classes of Jina's own image.
func builtins() []string {
	return []string{"GRPCGateway", "HTTPGateway", "WebSocketGateway", "CompositeGateway"}
}

// uses reads what runs in a container; it reports what no cluster can run. An image can be given for imageKey.
func (p *parser) uses(args Args, key, who, imageKey string, fallback Position) (Uses, bool) {
	u := Uses{Position: args.Position(key, fallback)}
	text := args.Text(key, Coerced)
	scheme, rest, isURI := strings.Cut(text, "://")
	write := "write " + key + ": docker://IMAGE"
	build := "build an image of it and " + write
	switch {
	case text == "", text == "BaseExecutor" && who != "the gateway":
		return u, true
	case slices.Contains(builtins(), text):
		u.Builtin = text
		return u, true
	case isURI && scheme == "docker":
		u.Image = strings.ReplaceAll(text, "docker://", "")
		if u.Image == "" || strings.ContainsAny(u.Image, blanks) {
			if p.errorAt(u.Position) {
				return u, false // a variable that has no value
			}
			if at := strings.IndexAny(u.Image, blanks); at >= 0 {
				p.noImage(u.Position, imageKey, write, "%s has a blank in its image, behind %q", who, shorten(u.Image[:at]))
			} else {
				p.noImage(u.Position, imageKey, write, "%s has no image in %q", who, shorten(text))
			}
			return u, false
		}
		return u, true
	case unsetName(text) != "":
		p.noImage(u.Position, imageKey, "export "+unsetName(text)+"=docker://IMAGE before", "%s is what the variable %s says, which is not set", who, unsetName(text))
	case isURI && strings.EqualFold(scheme, "docker"):
		p.noImage(u.Position, imageKey, "write docker:// in small letters", "%s: %q is not an image for Jina", who, shorten(text))
	case isURI && (scheme == "jinahub+docker" || scheme == "jinaai+docker"):
		p.noImage(u.Position, imageKey, write, "%s comes from Jina's Hub, which is not asked, so the image of %s is not known", who, hubName(rest))
	case isURI && (strings.HasPrefix(scheme, "jinahub") || strings.HasPrefix(scheme, "jinaai")):
		p.noImage(u.Position, imageKey, write, "%s is source from Jina's Hub, which no cluster can run: %s needs an image", who, hubName(rest))
	case isURI:
		p.noImage(u.Position, imageKey, write, "%s: a uses that begins with %q is not known", who, shorten(scheme)+"://")
	case strings.HasSuffix(text, ".yml"), strings.HasSuffix(text, ".yaml"), strings.HasSuffix(text, ".py"), strings.Contains(text, "/"):
		p.noImage(u.Position, imageKey, build, "%s runs from the file %q of this machine, which no cluster can run", who, shorten(text))
	default:
		p.noImage(u.Position, imageKey, build, "%s is the Python class %q, which no cluster can run", who, shorten(text))
	}
	return u, false
}

const blanks = " \t\r\n"

// hubName is the name of something in the Hub, without the secret that may stand behind a colon.
func hubName(path string) string {
	name, tag, tagged := strings.Cut(path, "/")
	name, _, _ = strings.Cut(name, ":")
	if tagged {
		name += "/" + tag
	}
	return shorten(name)
}

// imageKey is what an image for uses, uses_before or uses_after of the executor is given for.
func (e *Executor) imageKey(key string) string {
	if key == "uses" {
		return e.Name
	}
	return e.Name + "/" + strings.ReplaceAll(key, "_", "-")
}

// inlineUses tells whether an entry describes a Python class where an image should be.
func inlineUses(e Entry) (key string, ok bool) {
	switch e.Key {
	case "uses", "uses_before", "uses_after":
		return e.Key, e.Value.Get("jtype") != nil
	}
	return "", false
}

// inlineUses refuses a Python class that is described in the file.
func (p *parser) inlineUses(args *Args, e Entry, who, imageKey string) {
	args.wrong = append(args.wrong, e.Key)
	if e.Key != "uses" {
		who = e.Key + " of " + who
	}
	p.noImage(e.Value.Get("jtype").Position, imageKey, "build an image of it and write "+e.Key+": docker://IMAGE",
		"%s is the Python class %s, which no cluster can run", who, e.Value.Get("jtype").describe())
}
