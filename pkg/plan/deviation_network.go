package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// protocolGRPC is the only protocol of Jina that is not HTTP to begin with.
const protocolGRPC = "GRPC"

// endpoint is a port that a container serves.
type endpoint struct {
	port     int
	protocol string
	tls      bool
}

// servedBy are the endpoints of one of Jina's containers, in the order of its protocols. What counts is its command line:
// that is what Jina goes by.
func servedBy(container map[string]any) []endpoint {
	args, _ := container["args"].([]any)
	protocols := optionValues(args, "protocol")
	// These classes speak their own protocol, whatever --protocol says.
	switch class := strings.Join(optionValues(args, "uses"), " "); class {
	case "GRPCGateway":
		protocols = []string{protocolGRPC}
	case "HTTPGateway":
		protocols = []string{"HTTP"}
	case "WebSocketGateway":
		protocols = []string{"WEBSOCKET"}
	}
	if len(protocols) == 0 {
		protocols = []string{protocolGRPC}
	}
	tls := len(optionValues(args, "ssl_certfile")) > 0 && len(optionValues(args, "ssl_keyfile")) > 0
	var served []endpoint
	for i, text := range optionValues(args, "port") {
		if port, err := strconv.Atoi(text); err == nil {
			served = append(served, endpoint{port: port, protocol: protocols[min(i, len(protocols)-1)], tls: tls})
		}
	}
	return served
}

// optionValues are the words that follow an argument's name on a command line.
func optionValues(args []any, name string) []string {
	i := slices.Index(args, any(flow.FlagName(name)))
	if i < 0 {
		return nil
	}
	var values []string
	for _, word := range args[i+1:] {
		text, _ := word.(string)
		if strings.HasPrefix(text, "--") {
			break
		}
		values = append(values, text)
	}
	return values
}

// appProtocol is what a Service says of a port. A mesh opens TLS to nobody, so there is nothing to say of it.
func (e endpoint) appProtocol() string {
	switch {
	case e.tls:
		return ""
	case e.protocol == protocolGRPC:
		return "kubernetes.io/h2c"
	default:
		return "http"
	}
}

// appProtocols tells a mesh what the ports of a Service speak.
func appProtocols(c *deviationContext, o Object) {
	if o.GetKind() != "Service" {
		return
	}
	var served []endpoint
	if containers := containersOf(c.workloads[o.Part]); len(containers) > 0 {
		served = servedBy(containers[0])
	}
	served = append(served, endpoint{port: portMonitoring, protocol: "HTTP"})
	ports, _ := childOf(o.Object, "spec")["ports"].([]any)
	for _, item := range ports {
		port, _ := item.(map[string]any)
		target, _ := port["targetPort"].(int64)
		i := slices.IndexFunc(served, func(e endpoint) bool { return int64(e.port) == target })
		if i >= 0 && served[i].appProtocol() != "" {
			port["appProtocol"] = served[i].appProtocol()
		}
	}
}

// dnsResolver has gRPC look names up as everything else in the pod does; a variable of the file wins, and so does one from a
// Secret, which stands on the container itself.
func dnsResolver(_ *deviationContext, o Object) {
	const key = "GRPC_DNS_RESOLVER"
	if o.GetKind() != "ConfigMap" {
		return
	}
	if data := childOf(o.Object, "data"); data[key] == nil {
		data[key] = "native"
	}
}

// antiAffinity asks the scheduler, where it has a choice, for another node for each replica of a workload. It is there with
// one replica too: a pod template never depends on their number.
func antiAffinity(_ *deviationContext, o Object) {
	if len(containersOf(o)) == 0 {
		return
	}
	affinity := childOf(o.Object, "spec", "template", "spec", "affinity", "podAntiAffinity")
	affinity["preferredDuringSchedulingIgnoredDuringExecution"] = []any{map[string]any{
		"weight": int64(100),
		"podAffinityTerm": map[string]any{
			"labelSelector": map[string]any{"matchLabels": map[string]any{"app": o.GetName()}},
			"topologyKey":   "kubernetes.io/hostname",
		},
	}}
}
