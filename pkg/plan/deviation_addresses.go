package plan

import (
	"encoding/json"
	"slices"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// gatewayRunsBuiltin gives a gateway without a class of its own the one of its protocols.
func gatewayRunsBuiltin(c *deviationContext, o Object) {
	if o.Part.Role != RoleGateway || !isOddGateway(c.flow.Gateway) {
		return
	}
	for _, container := range containersOf(o) {
		words, _ := container["args"].([]any)
		words = replaceWords(words, option("uses", "config.yml"), option("uses", builtinGateway(c.flow.Gateway)))
		if s, ok := c.flow.Gateway.Args.Lookup("runtime_cls"); ok {
			words = replaceWords(words, s.CommandLine(flow.Kept), nil)
		}
		container["args"] = words
	}
}

// externalReplicas tells the gateway all hosts of an external executor, each with TLS where the file asks for it.
func externalReplicas(c *deviationContext, o Object) {
	c.rewriteAddresses(o, func(e *flow.Executor) []string {
		if !e.External {
			return nil
		}
		addresses := make([]string, len(e.Hosts))
		for i, h := range e.Hosts {
			// The scheme tells the gateway nothing but whether to use TLS: it calls executors by gRPC alone.
			scheme := "grpc"
			if h.TLS() || e.AsksTLS() {
				scheme = "grpcs"
			}
			addresses[i] = scheme + "://" + h.Name + ":" + h.Port
		}
		return addresses
	})
}

// plaintextExecutors has the gateway call the Flow's own executors as they listen.
func plaintextExecutors(c *deviationContext, o Object) {
	b := &builder{flow: c.flow, options: c.options, form: flow.Coerced}
	c.rewriteAddresses(o, func(e *flow.Executor) []string {
		if e.External || !e.ReferenceTLS() {
			return nil
		}
		return []string{b.ownAddress(e, false)}
	})
}

// rewriteAddresses replaces the addresses at which the gateway calls some executors: those for which there are others.
func (c *deviationContext) rewriteAddresses(o Object, addresses func(*flow.Executor) []string) {
	if o.Part.Role != RoleGateway {
		return
	}
	const argument = "deployments_addresses"
	for _, container := range containersOf(o) {
		words, _ := container["args"].([]any)
		i := slices.Index(words, any(flow.FlagName(argument))) + 1
		if i == 0 || i >= len(words) {
			continue
		}
		text, _ := words[i].(string)
		var old map[string][]string
		if json.Unmarshal([]byte(text), &old) != nil {
			continue // the builder wrote it
		}
		var all members
		for _, e := range c.flow.Executors {
			list, known := old[e.Node]
			if !known {
				continue
			}
			if others := addresses(e); len(others) > 0 {
				list = others
			}
			var quoted members
			for _, a := range list {
				quoted.add(a, "")
			}
			all.add(e.Node, quoted.array())
		}
		words = slices.Clone(words)
		words[i] = all.object()
		container["args"] = words
	}
}
