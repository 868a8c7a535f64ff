package flow

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Provider is the cloud provider whose inference service a pod is made for, empty for none.
func (a Args) Provider() string {
	if text := a.Text("provider", Coerced); text != "NONE" {
		return text
	}
	return ""
}

// provider makes a pod that serves a cloud provider's own protocol speak HTTP, whatever the file says.
func (p *parser) provider(args *Args, who string) {
	if args.Provider() == "" {
		return
	}
	s, ok := args.Lookup("protocol")
	if ok && (len(s.values) > 1 || s.values[0].Text != "HTTP") {
		p.warnf(s.Position, IDNoEffect, "write protocol: http", "protocol has no effect: a server for %s speaks HTTP, so does %s", args.Provider(), who)
	}
	if !ok {
		at := args.Position("provider", Position{})
		s = Setting{Argument: args.defaults["protocol"], Key: at, Position: at}
	}
	s.values = []*Value{stringValue(s.Position, "HTTP")}
	args.settings = append(slices.DeleteFunc(args.settings, func(old Setting) bool { return old.Argument.Name == "protocol" }), s)
}

// reservedPort refuses port 8080 of a Deployment for a cloud provider, as the reference does.
func (p *parser) reservedPort(args Args, with *Value) {
	if port := with.Get("port"); args.Provider() != "" && port != nil && port.Kind == Int && port.Text == "8080" {
		p.errorf(port.Position, IDValue, "take it away: the port is 8080 anyway", "port 8080 is reserved for the server for %s", args.Provider())
	}
}

// peerPorts reads the ports of a consensus: numbers, a list of them, or lists by shard, also as JSON. The value becomes
// what Jina makes of it, in which the first key may stand twice.
func (r *argumentReader) peerPorts(e Entry, s *Setting) bool {
	first := Entry{Key: "0", Position: e.Value.Position, Value: &Value{Position: e.Value.Position, Kind: List}}
	ports := &Value{Position: e.Value.Position, Kind: Mapping, Entries: []Entry{first}}
	items := []*Value{e.Value}
	if e.Value.Kind == List {
		items = e.Value.Items
	}
	if len(items) == 0 {
		r.errorf(e.Value.Position, IDType, "leave the key out", "%s takes ports, not an empty list", e.Key)
		return false
	}
	for _, item := range items {
		if !r.peerPort(e, ports, item) {
			return false
		}
	}
	s.values = []*Value{ports}
	return true
}

func (r *argumentReader) peerPort(e Entry, ports, item *Value) bool {
	if item.Kind == String {
		if v := jsonValue(item); v != nil {
			item = v
		}
	}
	switch item.Kind {
	case Int:
		first := ports.Entries[0].Value
		first.Items = append(first.Items, item)
		return true
	case List:
		list, ok := r.portList(e, item)
		ports.Entries[0].Value = list
		return ok
	case Mapping:
		seen := &Value{Kind: Mapping, Entries: ports.Entries[1:]}
		for i := range item.Entries {
			list, ok := r.portList(e, item.Entries[i].Value)
			if !ok {
				return false
			}
			seen.set(Entry{Key: item.Entries[i].Key, Position: item.Entries[i].Position, Value: list})
		}
		ports.Entries = append(ports.Entries[:1:1], seen.Entries...)
		return true
	default:
		r.errorf(item.Position, IDType, "write a list of ports, or one a shard: {0: [PORT, …], 1: […]}", "%s takes ports, not %s", e.Key, item.describe())
		return false
	}
}

// portList reads ports, which Jina makes whole numbers.
func (r *argumentReader) portList(e Entry, v *Value) (*Value, bool) {
	list := &Value{Position: v.Position, Kind: List}
	if v.Kind != List {
		r.errorf(v.Position, IDType, "write a list of ports", "%s takes a list of ports for each shard, not %s", e.Key, v.describe())
		return list, false
	}
	for _, item := range v.Items {
		n, err := strconv.Atoi(strings.TrimSpace(item.Text))
		if err != nil || item.Kind != Int && item.Kind != String {
			r.errorf(item.Position, IDType, "", "%s: a port is a whole number, not %s", e.Key, item.describe())
			return list, false
		}
		text := strconv.Itoa(n)
		list.Items = append(list.Items, &Value{Position: item.Position, Kind: Int, Text: text, Written: text})
	}
	return list, true
}

// jsonValue reads a text that is JSON; nil when it is none.
func jsonValue(t *Value) *Value {
	if !json.Valid([]byte(t.Text)) {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(t.Text))
	dec.UseNumber()
	return parseJSON(dec, t.Position, 0)
}

// consensus checks what the reference checks of stateful executors, and peer_ports with or without them. who is the
// executor or the gateway.
func (p *parser) consensus(args Args, who string, replicas, shards int) {
	p.peers(args, who, replicas, shards)
	s, ok := args.Lookup("stateful")
	if !ok {
		for _, name := range []string{"peer_ports", "raft_configuration"} {
			if s, ok := args.Lookup(name); ok && !s.Inherited {
				p.warnf(s.Key, IDNoEffect, "take it away", "%s has no effect: %s is not stateful", name, who)
			}
		}
		return
	}
	const hint = "take stateful away; with volumes each replica keeps its data"
	protocols := args.Texts("protocol", Coerced)
	switch {
	case p.errorAt(s.Position): // inherited, and reported of another one
	case len(protocols) > 1 || protocols[0] != "GRPC":
		p.errorf(args.Position("protocol", s.Position), IDUnsupported, hint, "%s is stateful and speaks %s, a consensus speaks grpc alone", who, strings.Join(protocols, " and "))
	case replicas < 3:
		p.errorf(s.Position, IDUnsupported, hint, "%s is stateful and has %s: Jina's consensus takes three or more", who, countReplicas(replicas))
	case !args.Has("workspace"):
		p.errorf(s.Position, IDUnsupported, hint, "%s is stateful and has no workspace to keep its log in", who)
	case shards > 1 && len(args.peerShards()) < shards:
		p.errorf(args.Position("peer_ports", s.Position), IDUnsupported, hint, "%s is stateful and has %d shards, but peer_ports for %d", who, shards, len(args.peerShards()))
	}
}

func countReplicas(n int) string {
	if n == 1 {
		return "one replica"
	}
	return strconv.Itoa(n) + " replicas"
}

// peers checks that there is a peer port for each replica, or none.
func (p *parser) peers(args Args, who string, replicas, shards int) {
	ports := args.peerShards()
	for shard := range min(shards, len(ports)) {
		list := ports[strconv.Itoa(shard)]
		if list != nil && len(list.Items) > 0 && len(list.Items) != replicas {
			p.errorf(list.Position, IDValue, "write one port a replica", "%s has %s and %d peer_ports", who, countReplicas(replicas), len(list.Items))
			return
		}
	}
}

// peerShards are the peer ports of each shard.
func (a Args) peerShards() map[string]*Value {
	ports := map[string]*Value{"0": nil}
	if s, ok := a.Lookup("peer_ports"); ok {
		for i := range s.values[0].Entries {
			ports[s.values[0].Entries[i].Key] = s.values[0].Entries[i].Value
		}
	}
	return ports
}
