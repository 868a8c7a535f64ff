package flow

import (
	"slices"
	"strings"
)

// Host is a place where an executor listens: the address of an external one, or what one of the Flow's own binds to.
type Host struct {
	Position Position
	// Name without scheme and port.
	Name string
	// Scheme of a URL as written, else empty.
	Scheme string
	// Port as written, in the host or else under port; empty when the file has none.
	Port string
	// URLPort is the port inside of the host's text. Where that text has more than a name, the reference knows no other.
	URLPort string
}

// IsURL tells that the host's text has more than a name.
func (h Host) IsURL() bool { return h.Scheme != "" || h.URLPort != "" }

// TLS tells that the scheme asks for it.
func (h Host) TLS() bool { return slices.Contains([]string{"grpcs", "https", "wss"}, h.Scheme) }

// hasCertificate tells that a certificate and its key are given.
func (a Args) hasCertificate() bool { return a.Has("ssl_certfile") && a.Has("ssl_keyfile") }

// AsksTLS tells that the file asks for TLS on an executor's port, whatever its hosts say.
func (e *Executor) AsksTLS() bool { return e.Args.Flag("tls") || e.Args.hasCertificate() }

// ReferenceTLS tells that the reference addresses the executor with TLS: of a host that is a URL it believes the scheme,
// and forgets the flag tls (semantics D18).
func (e *Executor) ReferenceTLS() bool {
	tls := e.Args.Flag("tls")
	for _, h := range e.Hosts {
		if h.IsURL() {
			tls = h.TLS()
		}
	}
	return tls || e.Args.hasCertificate()
}

// Certificate tells that the gateway's port speaks TLS: the reference gives its container a certificate and a key.
func (g *Gateway) Certificate() bool { return g.Args.hasCertificate() }

// hosts reads where an executor is. One host or one port stands for several of the other, else they go in pairs; the
// reference takes them for replicas.
func (p *parser) hosts(e *Executor) {
	hosts, at := e.hostTexts(p.defaults[OnExecutor]["host"].Default)
	ports := e.portTexts()
	n := max(len(hosts), len(ports))
	pos := e.Args.Position("host", e.Args.Position("port", e.Position))
	switch {
	case len(hosts) > 1 && len(ports) > 1 && len(hosts) != len(ports):
		p.errorf(pos, IDValue, "write one port for all, or one a host", "executor %s has %d hosts and %d ports", e.Name, len(hosts), len(ports))
		return
	case n > 1 && e.Replicas() != 1 && e.Replicas() != n:
		hint := "take host and port away: on Kubernetes they have no effect"
		if e.External {
			hint = "take replicas away: it is the number of hosts"
		}
		p.errorf(pos, IDValue, hint, "executor %s has %d hosts or ports and %d replicas", e.Name, n, e.Replicas())
		return
	case n == 1 && e.External && e.Replicas() > 1:
		p.errorf(e.Args.Position("replicas", pos), IDValue, "take replicas away, or list the hosts of all", "executor %s is external and has %d replicas, but one host", e.Name, e.Replicas())
		return
	}
	for i := range n {
		h, ok := p.host(e, hosts[min(i, len(hosts)-1)], at[min(i, len(at)-1)])
		if !ok {
			return
		}
		if h.Port = h.URLPort; h.Port == "" && len(ports) > 0 {
			h.Port = ports[min(i, len(ports)-1)]
		}
		e.Hosts = append(e.Hosts, h)
	}
}

// hostTexts are the hosts as written with their positions, else the default.
func (e *Executor) hostTexts(fallback string) ([]string, []Position) {
	s, ok := e.Args.Lookup("host")
	if !ok {
		return []string{fallback}, []Position{e.Position}
	}
	at := make([]Position, len(s.values))
	for i, v := range s.values {
		at[i] = v.Position
	}
	return s.Texts(Coerced), at
}

// portTexts are the ports as written. A cloud provider's server has a port of its own.
func (e *Executor) portTexts() []string {
	if e.Args.Provider() != "" {
		return []string{"8080"}
	}
	if s, ok := e.Args.Lookup("port"); ok {
		return s.Texts(Coerced)
	}
	return nil
}

// host takes a host apart as the reference does: a scheme, a name, a port.
func (p *parser) host(e *Executor, text string, pos Position) (Host, bool) {
	h := Host{Position: pos}
	rest := strings.TrimSpace(text)
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		h.Scheme, rest = strings.ToLower(scheme), after
	}
	switch {
	case strings.Contains(rest, "://"):
		p.errorf(pos, IDValue, "write one address a host: grpc://HOST:PORT", "host of executor %s: %q has two schemes", e.Name, shorten(text))
		return h, false
	case strings.Count(rest, ":") > 1:
		p.errorf(pos, IDValue, "write a DNS name, which can have an IPv6 address", "host of executor %s: %q has several colons; Jina reads HOST:PORT and no IPv6 address", e.Name, shorten(text))
		return h, false
	}
	h.Name, h.URLPort, _ = strings.Cut(rest, ":")
	return h, true
}

// externalArguments are the ones that mean something for an executor that runs elsewhere.
func externalArguments() []string {
	return []string{
		"name", "external", "host", "port", "protocol", "tls", "ssl_certfile", "ssl_keyfile", "grpc_metadata", "no_reduce",
		"when", "floating", "replicas", "provider",
	}
}

// externalRules warns about what an external executor does not read.
func (p *parser) externalRules(e *Executor) {
	for _, s := range e.Args.settings {
		if !s.Inherited && s.Argument.NoEffect == "" && !slices.Contains(externalArguments(), s.Argument.Name) {
			p.warnf(s.Key, IDNoEffect, "take it away", "%s has no effect: executor %s is external, nothing is deployed for it", s.Argument.Name, e.Name)
		}
	}
}

// externalReduce refuses what the reference refuses: its gateway joins the results before it calls out.
func (p *parser) externalReduce(e *Executor) {
	if s, ok := e.Args.Lookup("no_reduce"); ok && e.External && len(e.Needs) > 1 {
		p.errorf(s.Position, IDUnsupported, "take "+s.Argument.Name+" away", "executor %s is external and needs several others: their results are always reduced to one", e.Name)
	}
}

// isExternal looks whether an executor is external before its arguments are read, which mean something else then.
func (p *parser) isExternal(own, inherited []Entry) bool {
	for _, entries := range [][]Entry{own, inherited} {
		for i := range entries {
			v := entries[i].Value
			if a, ok := p.lookup(entries[i].Key, OnExecutor); ok && a.Name == "external" {
				return v.Kind != Null && (v.Kind != Bool || v.Text == "true")
			}
		}
	}
	return false
}

// ofExternal is an argument as it is for an external executor: its port counts.
func ofExternal(a Argument, external bool) Argument {
	if external && a.Name == "port" {
		a.NoEffect = ""
	}
	return a
}
