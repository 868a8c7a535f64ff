package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// folderGraph is what the gateway and the heads call, by their arguments.
type folderGraph struct {
	// description is the gateway's argument; nil without one.
	description *folderArgument
	// order of the nodes that the description has, and what each needs.
	order []string
	needs map[string][]string
	// calls of the gateway, in the order of the Flow, and of the heads.
	calls []folderCall
}

// folderCall is an address in an argument.
type folderCall struct {
	by *folderObject
	// node of the graph; empty for a head's call of a shard.
	node, address string
	// service and namespace of an address in the cluster; empty for others.
	service, namespace string
	tls                bool
	place              flow.Position
}

const (
	startOfGraph = "start-gateway"
	endOfGraph   = "end-gateway"
)

// graph reads the arguments of the gateway and the heads.
func (r *folderReader) graph() *folderGraph {
	g := &folderGraph{needs: map[string][]string{}}
	if gateway := r.gateway(); gateway != nil {
		g.description = gateway.pod.argument("graph-description")
		for _, m := range r.members(gateway, g.description) {
			var after []string
			if err := json.Unmarshal(m.value, &after); err != nil {
				r.errorf(g.description.place, flow.IDFolderGraph, "export the Flow again", "%s: --graph-description: what comes after %q is no list of names", gateway.Ref(), m.key)
			}
			g.node(m.key)
			for _, to := range after {
				g.node(to)
				g.needs[to] = append(g.needs[to], m.key)
			}
		}
		addresses := gateway.pod.argument("deployments-addresses")
		for _, m := range r.members(gateway, addresses) {
			var list []string
			if err := json.Unmarshal(m.value, &list); err != nil {
				r.errorf(addresses.place, flow.IDFolderGraph, "export the Flow again", "%s: --deployments-addresses: %q has no list of addresses", gateway.Ref(), m.key)
			}
			for _, address := range list {
				g.call(gateway, m.key, address, addresses.place)
			}
		}
	}
	for _, o := range r.objects {
		if o.pod == nil || o.Part.Role != RoleHead {
			continue
		}
		list := o.pod.argument("connection-list")
		for _, m := range r.members(o, list) {
			var address string
			if json.Unmarshal(m.value, &address) == nil {
				g.call(o, "", address, list.place)
			}
		}
	}
	return g
}

func (g *folderGraph) node(name string) {
	if name != startOfGraph && name != endOfGraph && !slices.Contains(g.order, name) {
		g.order = append(g.order, name)
	}
}

var clusterHost = regexp.MustCompile(`^([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?$`)

func (g *folderGraph) call(by *folderObject, node, address string, place flow.Position) {
	c := folderCall{by: by, node: node, address: address, place: place}
	text := address
	if !strings.Contains(text, "://") {
		text = "grpc://" + text
	}
	if u, err := url.Parse(text); err == nil {
		c.tls = tlsScheme.MatchString(text)
		if m := clusterHost.FindStringSubmatch(u.Hostname()); m != nil {
			c.service, c.namespace = m[1], m[2]
		} else if !strings.Contains(u.Hostname(), ".") {
			c.service = u.Hostname()
		}
	}
	g.calls = append(g.calls, c)
}

// member of a JSON object, in its order.
type jsonMember struct {
	key   string
	value json.RawMessage
}

// members are those of the JSON object that an argument has.
func (r *folderReader) members(o *folderObject, a *folderArgument) []jsonMember {
	if a == nil || len(a.values) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(a.values[0])))
	var members []jsonMember
	token, err := dec.Token()
	for err == nil && token == json.Delim('{') && dec.More() {
		var m jsonMember
		var key json.Token
		if key, err = dec.Token(); err == nil {
			m.key, _ = key.(string)
			err = dec.Decode(&m.value)
			members = append(members, m)
		}
	}
	if err != nil || token != json.Delim('{') {
		r.errorf(a.place, flow.IDFolderGraph, "export the Flow again", "%s: the value of --%s is no JSON object", o.Ref(), a.name)
		return nil
	}
	return members
}

// services of the folder by their names.
func (r *folderReader) services() map[string]*folderObject {
	services := map[string]*folderObject{}
	for _, o := range r.objects {
		if o.GetKind() == "Service" {
			services[o.GetName()] = o
		}
	}
	return services
}

// namespace that the addresses of the folder's own Services have; empty when there is none.
func (g *folderGraph) namespace(r *folderReader) (string, flow.Position) {
	services := r.services()
	for _, c := range g.calls {
		if c.namespace != "" && services[c.service] != nil {
			return c.namespace, c.place
		}
	}
	return "", flow.Position{}
}

// names are the executors' names by their nodes: a node of an included Deployment has another name than its objects.
func (g *folderGraph) names(services map[string]*folderObject) map[string]string {
	names := map[string]string{startOfGraph: string(RoleGateway)}
	for _, c := range g.calls {
		if s := services[c.service]; c.node != "" && s != nil && s.Part.Executor != "" {
			names[c.node] = s.Part.Executor
		}
	}
	return names
}

// executors in the order of the Flow, with what they need; those that the gateway does not know come last.
func (g *folderGraph) executors(services map[string]*folderObject, all []string) []*flow.Executor {
	names := g.names(services)
	var out []*flow.Executor
	known := map[string]bool{}
	for _, c := range g.calls {
		name, own := names[c.node]
		if c.node == "" || !own || known[name] {
			continue
		}
		known[name] = true
		e := &flow.Executor{Name: name, Node: c.node, Position: c.place, NamePosition: c.place}
		for _, need := range g.needs[c.node] {
			if other, own := names[need]; own {
				need = other
			}
			e.Needs = append(e.Needs, need)
		}
		slices.Sort(e.Needs)
		out = append(out, e)
	}
	for _, name := range all {
		if !known[name] {
			out = append(out, &flow.Executor{Name: name, Node: name})
		}
	}
	return out
}

// checkCalls holds what the gateway and the heads call against what there is.
func (r *folderReader) checkCalls(namespace string, g *folderGraph, executors []string) {
	services := r.services()
	called := map[string]bool{}
	for _, c := range g.calls {
		r.checkCall(namespace, c, services[c.service])
		if s := services[c.service]; s != nil {
			called[s.Part.Executor] = true
		}
		if c.node != "" {
			called["node "+c.node] = true
		}
	}
	gateway := r.gateway()
	if gateway == nil {
		if len(executors) > 1 {
			r.errorf(r.objects[0].start, flow.IDFolderGraph, "export the Flow again, or give each Deployment a folder of its own",
				"the folder has %d executors (%s) and no gateway: the export stopped half-way, or gateway/gateway.yml is missing", len(executors), shortList(executors))
		}
		return
	}
	for _, node := range g.order {
		if !called["node "+node] {
			r.errorf(g.description.place, flow.IDFolderGraph, "write the name of an executor under needs, and export again",
				"%s: the graph has %q, which has no address: the gateway never becomes ready", gateway.Ref(), node)
		}
	}
	for _, o := range r.objects {
		if o.pod != nil && o.Part.Executor != "" && !called[o.Part.Executor] {
			called[o.Part.Executor] = true
			r.warnf(o.start, flow.IDFolderGraph, "delete its files if an earlier export has left them", "the gateway does not call executor %q", o.Part.Executor)
		}
	}
}

// checkCall holds one address against the Service of that name; nil when the folder has none.
func (r *folderReader) checkCall(namespace string, c folderCall, service *folderObject) {
	switch {
	case c.service == "":
	case service == nil && c.node == "":
		r.errorf(c.place, flow.IDFolderGraph, "export the Flow again", "%s calls %s, but the folder has no Service %q: a shard is missing", c.by.Ref(), c.address, c.service)
	case service == nil && (c.namespace == namespace || c.namespace == ""):
		r.warnf(c.place, flow.IDFolderGraph, "export the Flow again if its files are missing", "%s calls %s, but the folder has no Service %q: the gateway waits for it, unless it runs already", c.by.Ref(), c.address, c.service)
	case service == nil:
	case c.namespace != "" && c.namespace != namespace:
		r.errorf(c.place, flow.IDNamespace, "write "+c.service+"."+namespace+".svc", "%s calls %s, but Service/%s of the folder is in namespace %q", c.by.Ref(), c.address, c.service, namespace)
	case c.tls && !r.speaksTLS(service.Part):
		r.defect(c.place, flow.IDFolderDefect, "tls", "leave TLS to the mesh: take tls, ssl_certfile and ssl_keyfile out of the Flow and export again",
			"%s calls %s, but the executor has no certificate: the requests go on without encryption, and nobody is told", c.by.Ref(), c.address)
	}
}

// speaksTLS tells whether a part's container was given a certificate.
func (r *folderReader) speaksTLS(p Part) bool {
	for _, o := range r.objects {
		if o.pod != nil && o.Part == p {
			return o.pod.argument("ssl-certfile") != nil
		}
	}
	return false
}

func shortList(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
