package plan

import (
	"path"
	"strconv"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// The ports of jina 3.34.0's export. The ports of the file are never used.
const (
	portFirst      = 8080 // of the first protocol; each further one has the next
	portMonitoring = 9090
	portUsesBefore = 8078
	portUsesAfter  = 8079
)

// overrides are arguments that the export sets itself: the words of the command line by the argument's name. An
// argument with no words is left out.
type overrides map[string][]string

// option is an argument with its value.
func option(name string, values ...string) []string {
	return append([]string{flow.FlagName(name)}, values...)
}

// commandLine writes arguments in Jina's order: what the export sets itself, else what the file sets and is not the
// default.
func commandLine(program string, order []string, args flow.Args, form flow.Form, over overrides) []string {
	line := []string{program}
	for _, name := range order {
		if words, ok := over[name]; ok {
			line = append(line, words...)
		} else if s, ok := args.Lookup(name); ok {
			line = append(line, s.CommandLine(form)...)
		}
	}
	return line
}

// metasAndNative ends the command line of every executor.
func metasAndNative(line []string, metas, with *flow.Value, form flow.Form) []string {
	text := "{}"
	if metas != nil {
		text = metas.JSON(form)
	}
	line = append(line, option("uses_metas", text)...)
	if with != nil {
		line = append(line, option("uses_with", with.JSON(form))...)
	}
	return append(line, flow.FlagName("native"))
}

// everyExecutor are the overrides that executors, shards, heads and side containers have in common.
func (b *builder) everyExecutor(e *flow.Executor, name string, ports ...int) overrides {
	over := overrides{
		"name":                option("name", name),
		"k8s_namespace":       option("k8s_namespace", b.options.Namespace),
		"workspace":           b.workspace(e),
		"uses":                nil,
		"polling":             nil,
		"host":                option("host", e.Hosts[0].Name),
		"shard_id":            nil,
		"port":                option("port", decimals(ports)...),
		"port_monitoring":     option("port_monitoring", strconv.Itoa(portMonitoring)),
		"uses_before_address": nil,
		"uses_after_address":  nil,
	}
	if e.File != "" {
		over["extra_search_paths"] = option("extra_search_paths", e.SearchPaths...)
	}
	return over
}

func decimals(numbers []int) []string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.Itoa(n)
	}
	return texts
}

// workspace of an executor. In a Flow the reference makes a relative one absolute against the folder in which the
// export runs.
func (b *builder) workspace(e *flow.Executor) []string {
	s, ok := e.Args.Lookup("workspace")
	if !ok {
		return nil
	}
	text := s.Texts(b.form)[0]
	if b.flow.Kind == flow.KindFlow && e.File == "" && b.options.WorkingDir != "" {
		if !strings.HasPrefix(text, "/") {
			text = b.options.WorkingDir + "/" + text
		}
		text = path.Clean(text)
	}
	return option("workspace", text)
}

// workerArguments are those of an executor without shards.
func (b *builder) workerArguments(e *flow.Executor) []string {
	over := b.everyExecutor(e, e.Name, executorPorts(e)...)
	if e.Uses.Image != "" || e.Uses.Builtin != "" {
		over["uses"] = option("uses", "config.yml")
	}
	line := commandLine("executor", flow.ExecutorOrder(), e.Args, b.form, over)
	return metasAndNative(line, e.Args.Mapping("uses_metas"), e.Args.Mapping("uses_with"), b.form)
}

// shardArguments are those of one of several shards.
func (b *builder) shardArguments(e *flow.Executor, shard int) []string {
	over := b.everyExecutor(e, e.Name+"-"+strconv.Itoa(shard), executorPorts(e)...)
	if e.Uses.Image != "" || e.Uses.Builtin != "" {
		over["uses"] = option("uses", "config.yml")
	}
	if shard > 0 {
		over["shard_id"] = option("shard_id", strconv.Itoa(shard))
	}
	over["connection_list"] = nil
	line := commandLine("executor", flow.ExecutorOrder(), e.Args, b.form, over)
	return metasAndNative(line, e.Args.Mapping("uses_metas"), e.Args.Mapping("uses_with"), b.form)
}

// headArguments are those of the container that spreads requests over shards.
func (b *builder) headArguments(e *flow.Executor) []string {
	over := b.headAndSides(e, e.Name+"/head", portFirst)
	delete(over, "polling")
	over["workspace"] = nil
	over["runtime_cls"] = option("runtime_cls", "HeadRuntime")
	over["pod_role"] = option("pod_role", "HEAD")
	if e.UsesBefore != nil {
		over["uses_before_address"] = option("uses_before_address", "127.0.0.1:"+strconv.Itoa(portUsesBefore))
	}
	if e.UsesAfter != nil {
		over["uses_after_address"] = option("uses_after_address", "127.0.0.1:"+strconv.Itoa(portUsesAfter))
	}
	over["connection_list"] = option("connection_list", b.connectionList(e))
	line := commandLine("executor", flow.ExecutorOrder(), e.Args, b.form, over)
	return metasAndNative(line, nil, nil, b.form)
}

// sideArguments are those of uses_before and uses_after, which stand beside the head.
func (b *builder) sideArguments(e *flow.Executor, side string, u *flow.Uses, port int) []string {
	over := b.headAndSides(e, e.Name+"/"+side, port)
	if u.Image != "" || u.Builtin != "" {
		over["uses"] = option("uses", "config.yml")
	}
	over["runtime_cls"], over["pod_role"], over["connection_list"] = nil, nil, nil
	line := commandLine("executor", flow.ExecutorOrder(), e.Args, b.form, over)
	return metasAndNative(line, nil, nil, b.form)
}

func (b *builder) headAndSides(e *flow.Executor, name string, port int) overrides {
	over := b.everyExecutor(e, name, port)
	over["replicas"], over["gpus"] = nil, nil
	return over
}

// gatewayArguments are those of the gateway, the graph among them.
func (b *builder) gatewayArguments(g *flow.Gateway) []string {
	over := overrides{
		"k8s_namespace":    option("k8s_namespace", b.options.Namespace),
		"expose_endpoints": option("expose_endpoints", "{}"),
		"uses":             option("uses", gatewayClass(g)),
		"port":             option("port", decimals(gatewayPorts(g))...),
		"port_monitoring":  option("port_monitoring", strconv.Itoa(portMonitoring)),
	}
	if s, ok := g.Args.Lookup("expose_endpoints"); ok {
		over["expose_endpoints"] = option("expose_endpoints", s.Texts(b.form)...)
	}
	for _, argument := range b.graphArguments() {
		over[argument.name] = nil
		if argument.json != "" {
			over[argument.name] = option(argument.name, argument.json)
		}
	}
	return commandLine("gateway", flow.GatewayOrder(), g.Args, b.form, over)
}

// gatewayClass is the class that the gateway's container runs.
func gatewayClass(g *flow.Gateway) string {
	switch {
	case g.Uses.Image != "", isOddGateway(g):
		return "config.yml"
	case g.Uses.Builtin != "":
		return g.Uses.Builtin
	default:
		return builtinGateway(g)
	}
}

// isOddGateway tells that the reference looks for the gateway's class in a file of Jina's own image, which has none: it
// chooses no class for a runtime that it does not know, nor for one protocol with several ports (semantics D17).
func isOddGateway(g *flow.Gateway) bool {
	return !g.HasOwnClass() &&
		(g.Args.Text("runtime_cls", flow.Coerced) != "GatewayRuntime" || g.Ports > 1 && len(g.Args.Texts("protocol", flow.Coerced)) == 1)
}

// builtinGateway is the class of Jina's own image that speaks the gateway's protocols.
func builtinGateway(g *flow.Gateway) string {
	protocols := g.Args.Texts("protocol", flow.Coerced)
	switch {
	case len(protocols) > 1:
		return "CompositeGateway"
	case protocols[0] == "HTTP":
		return "HTTPGateway"
	case protocols[0] == "WEBSOCKET":
		return "WebSocketGateway"
	default:
		return "GRPCGateway"
	}
}

func gatewayPorts(g *flow.Gateway) []int {
	return portsFor(g.Args.Texts("protocol", flow.Coerced))
}

func executorPorts(e *flow.Executor) []int {
	return portsFor(e.Args.Texts("protocol", flow.Coerced))
}

// portsFor has one port a protocol.
func portsFor(protocols []string) []int {
	ports := make([]int, len(protocols))
	for i := range protocols {
		ports[i] = portFirst + i
	}
	return ports
}
