package flow

import "strings"

// effects warns about arguments of an executor that change nothing on a cluster, or something else than they say.
func (p *parser) effects(e *Executor) {
	if s, ok := e.Args.Lookup("timeout_ready"); ok && e.Args.Int("timeout_ready") < 0 {
		p.warnf(s.Position, IDValue, "write the milliseconds that the executor may take to load", "on Kubernetes no start can wait for ever: timeout_ready -1 is ten minutes")
	}
	if env := e.Args.Mapping("env"); env != nil {
		if v := env.Get("CUDA_VISIBLE_DEVICES"); v != nil && strings.HasPrefix(v.Text, "RR") {
			p.warnf(v.Position, IDNoEffect, "use gpus: 1", "CUDA_VISIBLE_DEVICES: RR has no effect: on Kubernetes each pod gets its own GPUs")
		}
	}
	if s, ok := e.ownSetting("polling"); ok && e.Shards() < 2 && !e.Args.isWrong("shards") {
		p.warnf(s.Key, IDNoEffect, "take it away, or add shards", "polling has no effect: executor %s has one shard", e.Name)
	}
	if s, ok := e.ownSetting("host"); ok && s.Texts(Coerced)[0] != s.Argument.Default {
		p.warnf(s.Position, IDValue, "take host away, or write external: true when the executor runs elsewhere",
			"host is no address to find executor %s at: it is what its container listens on, where nothing else can reach it", e.Name)
	}
	for _, key := range []string{"title", "description", "cors", "uvicorn_kwargs"} {
		if s, ok := e.ownSetting(key); ok {
			p.warnf(s.Key, IDNoEffect, "move it to the gateway", "%s has no effect: Jina tells it to gateways alone", key)
		}
	}
}

// ownSetting is what the file says of the executor itself: what it inherits is also meant for others.
func (e *Executor) ownSetting(name string) (Setting, bool) {
	s, ok := e.Args.Lookup(name)
	return s, ok && !s.Inherited
}
