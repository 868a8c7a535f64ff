package flow

import (
	"fmt"
	"slices"
	"strings"
)

// flowExecutor reads an entry of executors and adds it to the Flow.
func (p *parser) flowExecutor(v *Value, index int, inherited []Entry) {
	switch v.Kind {
	case Mapping:
	case String:
		p.errorf(v.Position, IDNotYet, "write the arguments of that file's with here", "executor %s is a file of its own, which is not supported yet", v.describe())
		return
	default:
		p.errorf(v.Position, IDType, "write '- name: encoder' and its arguments below", "an executor is a mapping of arguments, not %s", v.describe())
		return
	}
	e := &Executor{Position: v.Position, NamePosition: v.Position}
	p.executorArguments(e, v, inherited)
	if !p.executorName(e, v, index) {
		return
	}
	p.executorRules(e)
	p.needs(e, v)
	if protocols := e.Args.Texts("protocol", Coerced); len(protocols) > 1 {
		p.errorf(e.Args.Position("protocol", e.Position), IDValue, "write one; the gateway can have several", "executor %s has several protocols, in a Flow it has one", e.Name)
	}
	p.flow.Executors = append(p.flow.Executors, e)
	p.names[e.Name] = e
	if !e.Floating() {
		p.last = e
	}
}

// notInherited are the keys of with that no executor inherits.
func notInherited() []string {
	return []string{"port", "port_monitoring", "uses", "uses_with", "protocol"}
}

// executorArguments reads the arguments of an executor: its own, and what it inherits.
func (p *parser) executorArguments(e *Executor, v *Value, inherited []Entry) {
	set := map[string]bool{}
	for _, entry := range v.Entries {
		switch entry.Key {
		case "needs", "method", "jtype":
			continue
		}
		if a, ok := p.find(entry, OnExecutor); ok {
			set[a.Name] = true
			p.read(&e.Args, a, entry)
		} else if !p.known(entry.Key, OnExecutor) && !p.reportedAt(entry.Position) {
			p.unknown(entry, OnExecutor)
		}
	}
	for _, entry := range inherited {
		if a, ok := p.lookup(entry.Key, OnExecutor); ok && !set[a.Name] && !slices.Contains(notInherited(), a.Name) {
			p.read(&e.Args, a, entry)
		}
	}
	for _, name := range []string{"workspace", "log_config"} {
		if s, ok := p.flow.Args.Lookup(name); ok && !e.Args.Has(name) {
			e.Args.settings = append(e.Args.settings, s)
		}
	}
	e.Args.defaults = p.defaults[OnExecutor]
}

// executorName finds the name and refuses what Jina would change or skip in silence.
func (p *parser) executorName(e *Executor, v *Value, index int) bool {
	e.Name = fmt.Sprintf("executor%d", index)
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
		p.errorf(e.NamePosition, IDDuplicateName, "give each executor a name of its own", "executor name %s is taken, by the one at %s", e.Name, other.NamePosition)
		return false
	}
	return true
}

// executorRules checks what arguments mean together.
func (p *parser) executorRules(e *Executor) {
	p.executorImages(e)
	protocols := e.Args.Texts("protocol", Coerced)
	at := e.Args.Position("protocol", e.Position)
	switch {
	case slices.Contains(protocols, "WEBSOCKET"):
		p.errorf(at, IDUnsupported, "take grpc; the gateway can speak WebSocket", "executor %s speaks WebSocket, which only the gateway can", e.Name)
	case e.Shards() > 1 && slices.Contains(protocols, "HTTP"):
		p.errorf(at, IDUnsupported, "take grpc, or one shard", "executor %s speaks HTTP and has %d shards, which Jina cannot do", e.Name, e.Shards())
	}
	p.hosts(e)
	p.secrets(e.Args)
	if s, ok := e.Args.Lookup("gpus"); ok {
		p.gpus(e, s)
	}
	if s, ok := e.Args.Lookup("timeout_ready"); ok && e.Args.Int("timeout_ready") < 0 {
		p.warnf(s.Position, IDValue, "write the milliseconds that the executor may take to load", "on Kubernetes no start can wait for ever: timeout_ready -1 is ten minutes")
	}
	if env := e.Args.Mapping("env"); env != nil {
		if v := env.Get("CUDA_VISIBLE_DEVICES"); v != nil && strings.HasPrefix(v.Text, "RR") {
			p.warnf(v.Position, IDNoEffect, "use gpus: 1", "CUDA_VISIBLE_DEVICES: RR has no effect: on Kubernetes each pod gets its own GPUs")
		}
	}
	if method, ok := e.Args.Lookup("install_requirements"); ok {
		p.warnf(method.Key, IDNoEffect, "install them in the image", "install_requirements is for executors from source, an image has its requirements")
	}
}

// executorImages reads uses, uses_before and uses_after.
func (p *parser) executorImages(e *Executor) {
	e.Uses, _ = p.uses(e.Args, "uses", "executor "+e.Name, e.Position)
	for _, side := range []struct {
		key string
		to  **Uses
	}{{"uses_before", &e.UsesBefore}, {"uses_after", &e.UsesAfter}} {
		s, ok := e.Args.Lookup(side.key)
		if !ok {
			continue
		}
		if e.Shards() < 2 {
			p.warnf(s.Key, IDNoEffect, "make it an executor of its own, or add shards", "%s has no effect: executor %s has one shard", side.key, e.Name)
			continue
		}
		if u, ok := p.uses(e.Args, side.key, side.key+" of executor "+e.Name, s.Position); ok {
			*side.to = &u
		}
	}
}

func (p *parser) hosts(e *Executor) {
	s, ok := e.Args.Lookup("host")
	if !ok || len(s.values) < 2 {
		return
	}
	ports := 1
	if port, ok := e.Args.Lookup("port"); ok {
		ports = len(port.values)
	}
	switch {
	case ports > 1 && ports != len(s.values):
		p.errorf(s.Position, IDValue, "write one host", "executor %s has %d hosts and %d ports", e.Name, len(s.values), ports)
	case e.Replicas() != len(s.values):
		p.errorf(s.Position, IDValue, "write one host", "executor %s has %d hosts and %d replicas", e.Name, len(s.values), e.Replicas())
	}
}

func (p *parser) gpus(e *Executor, s Setting) {
	text := s.Texts(Coerced)[0]
	if text == "all" {
		p.warnf(s.Position, IDNoEffect, "write a number", "gpus: all asks Kubernetes for no GPU: it can only count them")
		return
	}
	if v := s.values[0]; v.Kind != Int || strings.HasPrefix(v.Text, "-") {
		p.errorf(s.Position, IDValue, "write how many GPUs a replica needs", "Kubernetes counts GPUs: %s of executor %s is no number", v.describe(), e.Name)
	}
}

// builtins are the gateway classes of Jina's own image.
func builtins() []string {
	return []string{"GRPCGateway", "HTTPGateway", "WebSocketGateway", "CompositeGateway"}
}

// uses reads what runs in a container; it reports what no cluster can run.
func (p *parser) uses(args Args, key, who string, fallback Position) (Uses, bool) {
	u := Uses{Position: args.Position(key, fallback)}
	text := args.Text(key, Coerced)
	scheme, _, isURI := strings.Cut(text, "://")
	const build = "build an image of it and write "
	switch {
	case text == "", text == "BaseExecutor" && who != "the gateway":
		return u, true
	case slices.Contains(builtins(), text):
		u.Builtin = text
		return u, true
	case isURI && scheme == "docker":
		u.Image = strings.ReplaceAll(text, "docker://", "")
		if u.Image == "" || strings.ContainsAny(u.Image, " \t\r\n") {
			if p.errorAt(u.Position) {
				return u, false // a variable that has no value
			}
			p.errorf(u.Position, IDImage, "write "+key+": docker://IMAGE", "%s has no valid image in %q", who, shorten(text))
			return u, false
		}
		return u, true
	case isURI && strings.EqualFold(scheme, "docker"):
		p.errorf(u.Position, IDImage, "write docker:// in small letters", "%s: %q is not an image for Jina", who, shorten(text))
	case isURI && (strings.HasPrefix(scheme, "jinahub") || strings.HasPrefix(scheme, "jinaai")):
		p.errorf(u.Position, IDImage, "write the image itself: "+key+": docker://IMAGE",
			"%s comes from Jina's Hub, which is not asked, so its image is not known", who)
	case strings.HasSuffix(text, ".yml"), strings.HasSuffix(text, ".yaml"), strings.HasSuffix(text, ".py"), strings.Contains(text, "/"):
		p.errorf(u.Position, IDImage, build+key+": docker://IMAGE", "%s runs from the file %q of this machine, which no cluster can run", who, shorten(text))
	default:
		p.errorf(u.Position, IDImage, build+key+": docker://IMAGE", "%s is the Python class %q, which no cluster can run", who, shorten(text))
	}
	return u, false
}
