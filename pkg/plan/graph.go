package plan

import (
	"strconv"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// graphArgument is an argument of the gateway that describes the Flow; without JSON it is left out.
type graphArgument struct{ name, json string }

// graphArguments are the gateway's arguments that follow from the executors (semantics 2).
func (b *builder) graphArguments() []graphArgument {
	var conditions, addresses, metadata, noReduce members
	for _, e := range b.flow.Declared() {
		if when := e.Args.Mapping("when"); when != nil {
			conditions.add(e.Node, when.JSON(b.form))
		}
		if m := e.Args.Mapping("grpc_metadata"); m != nil {
			metadata.add(e.Node, m.JSON(b.form))
		}
		if e.Args.Flag("no_reduce") {
			noReduce.add(e.Node, "")
		}
	}
	for _, e := range b.flow.Executors {
		addresses.add(e.Node, "["+quote(b.address(e))+"]")
	}
	return []graphArgument{
		{"graph_description", b.graphDescription()},
		{"graph_conditions", conditions.object()},
		{"deployments_addresses", addresses.object()},
		{"deployments_metadata", metadata.object()},
		{"deployments_no_reduce", noReduce.array()},
	}
}

// address of an executor as the gateway calls it.
func (b *builder) address(e *flow.Executor) string {
	if !e.External {
		return b.ownAddress(e, e.ReferenceTLS())
	}
	return schemeOf(e, e.ReferenceTLS()) + "://" + externalAddress(e.Hosts[0])
}

// schemeOf is an executor's protocol in an address.
func schemeOf(e *flow.Executor, tls bool) string {
	scheme := strings.ToLower(e.Args.Texts("protocol", flow.Coerced)[0])
	if tls {
		scheme += "s"
	}
	return scheme
}

// ownAddress is the address of an executor that runs in the Flow's own namespace.
func (b *builder) ownAddress(e *flow.Executor, tls bool) string {
	name := DNSName(e.Name)
	if e.Shards() > 1 {
		name += "-head"
	}
	return schemeOf(e, tls) + "://" + b.host(name) + ":" + strconv.Itoa(portFirst)
}

// externalAddress is what the reference makes of a host; Python's None is the port of a URL that has none (semantics D18).
func externalAddress(h flow.Host) string {
	port := h.Port
	if h.IsURL() {
		if port = h.URLPort; port == "" {
			port = "None"
		}
	}
	return h.Name + ":" + port
}

func (b *builder) host(name string) string { return name + "." + b.options.Namespace + ".svc" }

// connectionList has the addresses of an executor's shards.
func (b *builder) connectionList(e *flow.Executor) string {
	var list members
	for i := range e.Shards() {
		n := strconv.Itoa(i)
		list.add(n, quote(b.host(DNSName(e.Name)+"-"+n)+":"+strconv.Itoa(portFirst)))
	}
	return list.object()
}

// graphDescription maps each node to the nodes after it, in the order in which they are first mentioned: an executor
// comes before the nodes that it needs.
func (b *builder) graphDescription() string {
	if len(b.flow.Executors) == 0 {
		return ""
	}
	after := map[string][]string{}
	var order []string
	mention := func(node string) {
		if _, known := after[node]; !known {
			after[node] = nil
			order = append(order, node)
		}
	}
	for _, e := range b.flow.Executors {
		mention(e.Node)
		for _, need := range e.Needs {
			if need == flow.GatewayName {
				need = "start-gateway"
			}
			mention(need)
			after[need] = append(after[need], e.Node)
		}
	}
	if last := b.flow.Last(); last != nil {
		after[last.Node] = append(after[last.Node], "end-gateway")
	}
	var graph members
	for _, node := range order {
		var list members
		for _, next := range after[node] {
			list.add(next, "")
		}
		if json := list.array(); json != "" {
			graph.add(node, json)
		} else {
			graph.add(node, "[]")
		}
	}
	return graph.object()
}

// members are the members of a JSON object or the names of a JSON array, in order, as Python's json.dumps writes them.
type members []struct{ key, value string }

func (m *members) add(key, value string) {
	*m = append(*m, struct{ key, value string }{key, value})
}

func (m members) object() string {
	parts := make([]string, len(m))
	for i, e := range m {
		parts[i] = quote(e.key) + ": " + e.value
	}
	return enclose("{", parts, "}")
}

func (m members) array() string {
	parts := make([]string, len(m))
	for i, e := range m {
		parts[i] = quote(e.key)
	}
	return enclose("[", parts, "]")
}

func enclose(open string, parts []string, end string) string {
	if len(parts) == 0 {
		return ""
	}
	return open + strings.Join(parts, ", ") + end
}

func quote(s string) string {
	var b strings.Builder
	flow.WriteJSONString(&b, s)
	return b.String()
}
