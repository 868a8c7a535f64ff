package random

// maybe adds an argument in some percent of all cases, its key in one of the spellings that Jina takes.
func (g *generator) maybe(m *node, percent int, name string, value func() *node) {
	if g.chance(percent) && !m.has(name) {
		v := value()
		m.add(g.spelling(name), v)
	}
}

// spelling is a name, at times with hyphens, an alias, or the unique beginning of it. It is the same everywhere in a
// file: two spellings of one argument in with and below are an error here, and a surprise in Jina.
func (g *generator) spelling(name string) string {
	if g.spellings[name] == "" {
		g.spellings[name] = name
		if g.chance(15) {
			g.spellings[name] = g.otherSpelling(name)
		}
	}
	return g.spellings[name]
}

func (g *generator) otherSpelling(name string) string {
	spellings := map[string][]string{
		"timeout_ready": {"timeout-ready", "timeout_rea", "timeout-r"},
		"timeout_send":  {"timeout-send", "timeout_se"},
		"timeout_ctrl":  {"timeout-ctrl", "timeout_c"},
		"monitoring":    {"monitor"},
		"uses_with":     {"uses-with", "uses_wi"},
		"uses_metas":    {"uses-metas", "uses_m"},
		"uses_before":   {"uses-before"},
		"gpus":          {"gpu"},
		"polling":       {"poll"},
		"protocol":      {"protocols"},
		"no_reduce":     {"disable_reduce", "no-reduce", "disable-reduce"},
		"force_update":  {"force", "force-update"},
		"retries":       {"retr"},
		"compression":   {"compress"},
		"prefetch":      {"prefet"},
		"quiet_error":   {"quiet-error"},
	}[name]
	if len(spellings) == 0 {
		return name
	}
	return g.pick(spellings...)
}

// flag is one of the values that a flag takes.
func (g *generator) flag() *node {
	return text(g.pick("true", "true", "True", "yes", "false", "no", "0", "1", "'no'", "on", "~"))
}

// words are a text of a few words.
func (g *generator) words() *node {
	return text(g.pick("My Flow", "'a: b'", `"tab\there"`, "'C:\\x'", "日本 é", `"it's"`, "'# 1'", "'007x'", "a#b", `'say "x"'`, "$V1 and ${V2}"))
}

// common are the arguments that the gateway and the executors share.
func (g *generator) common(m *node) {
	g.maybe(m, 20, "timeout_ready", func() *node { return text(g.pick("600000", "-1", "1", "60000", "120001", "'30000'", "010")) })
	g.maybe(m, 10, "timeout_send", func() *node { return text(g.pick("-1", "500", "0x10", "1_000")) })
	g.maybe(m, 6, "timeout_ctrl", func() *node { return text(g.pick("60", "5")) })
	g.maybe(m, 10, "retries", func() *node { return text(g.pick("-1", "0", "3")) })
	g.maybe(m, 10, "compression", func() *node { return text(g.pick("Gzip", "Deflate", "NoCompression")) })
	g.maybe(m, 15, "monitoring", g.flag)
	g.maybe(m, 5, "port_monitoring", func() *node { return text("9100") })
	g.maybe(m, 10, "tracing", g.flag)
	g.maybe(m, 8, "traces_exporter_host", func() *node { return text(g.pick("http://otel.obs", "otel")) })
	g.maybe(m, 8, "traces_exporter_port", func() *node { return text("4317") })
	g.maybe(m, 6, "metrics", g.flag)
	g.maybe(m, 6, "metrics_exporter_host", func() *node { return text("otel") })
	g.maybe(m, 6, "metrics_exporter_port", func() *node { return text("'4317'") })
	g.maybe(m, 5, "quiet", g.flag)
	g.maybe(m, 5, "quiet_error", g.flag)
	g.maybe(m, 5, "reload", g.flag)
	g.maybe(m, 6, "grpc_server_options", g.grpcOptions)
	g.maybe(m, 6, "grpc_channel_options", g.grpcOptions)
	g.maybe(m, 8, "image_pull_secrets", func() *node { return text(g.pick("[regcred]", "regcred", "[a, b]", "['1']")) })
	g.maybe(m, 8, "env_from_secret", func() *node {
		return mappingOf(pair{"PASSWORD", mappingOf(pair{"name", text("db")}, pair{"key", text(g.pick("password", "'1'"))})})
	})
	g.maybe(m, 4, "extra_search_paths", func() *node { return text(g.pick("[a, b]", "a", "['x y']")) })
	g.maybe(m, 4, "entrypoint", func() *node { return text(g.pick("jina", "sh x.sh", "'a b'")) })
	g.maybe(m, 4, "docker_kwargs", func() *node { return g.mappingValue(1) })
	g.maybe(m, 3, "k8s_namespace", func() *node { return text("other") })
	g.maybe(m, 3, "replica_id", func() *node { return text(g.pick("0", "1", "-1")) })
	g.maybe(m, 3, "workspace_id", func() *node { return text("w1") })
}

func (g *generator) grpcOptions() *node {
	return mappingOf(pair{"grpc.max_send_message_length", text(g.pick("-1", "1_000"))}, pair{"a", g.scalar()})
}

// executorArguments are those of an executor in a Flow or alone.
func (g *generator) executorArguments(e *node, alone bool) {
	sharded := g.chance(25)
	switch {
	case sharded:
		g.maybe(e, 100, "shards", func() *node { return text(g.pick("2", "3", "'2'", "1")) })
		g.maybe(e, 50, "polling", g.polling)
		g.maybe(e, 30, "uses_before", func() *node { return text(g.pick(g.image(), "BaseExecutor")) })
		g.maybe(e, 30, "uses_after", func() *node { return text(g.pick(g.image(), "docker://after:1")) })
	default:
		g.maybe(e, 5, "polling", g.polling)
		g.maybe(e, 5, "uses_before", func() *node { return text(g.image()) })
		// An executor that inherits shards has one nevertheless, since HTTP has no head.
		if g.chance(15) {
			e.add("protocol", text(g.pick("http", "grpc", "HTTP", "[http]")))
			e.add("shards", text("1"))
		}
	}
	if alone && !e.has("protocol") && !sharded {
		g.maybe(e, 15, "protocol", func() *node { return text("[grpc, http]") })
	}
	g.maybe(e, 25, "replicas", func() *node { return text(g.pick("1", "2", "3", "'2'", "0x2")) })
	g.maybe(e, 30, "env", g.env)
	g.maybe(e, 45, "uses_with", g.usesWith)
	g.maybe(e, 12, "uses_metas", func() *node { return g.mappingValue(2) })
	g.maybe(e, 10, "uses_requests", func() *node {
		return mappingOf(pair{"/index", text("foo")}, pair{g.pick("/search", "'/a b'"), text("bar")})
	})
	g.maybe(e, 6, "uses_dynamic_batching", func() *node {
		return mappingOf(pair{"/bar", mappingOf(pair{"preferred_batch_size", g.number(1, 9)}, pair{"timeout", text("200")})})
	})
	g.maybe(e, 10, "when", func() *node {
		return mappingOf(pair{g.pick("tags__a", "'tags__é'"), mappingOf(pair{g.pick("$eq", "'$gt'"), g.scalar()})})
	})
	g.maybe(e, 6, "grpc_metadata", func() *node { return mappingOf(pair{"authorization", g.words()}, pair{"k", g.scalar()}) })
	g.maybe(e, 8, "no_reduce", g.flag)
	g.maybe(e, 8, "gpus", func() *node { return text(g.pick("1", "2", "all", "'1'", "0")) })
	g.maybe(e, 12, "workspace", func() *node { return text(g.pick("/w", "./w", "w", "~/w", "'../w'", "a/./b")) })
	g.maybe(e, 5, "log_config", func() *node { return text(g.pick("default", "json")) })
	g.maybe(e, 5, "native", g.flag)
	g.maybe(e, 4, "allow_concurrent", g.flag)
	g.maybe(e, 4, "install_requirements", g.flag)
	g.maybe(e, 4, "force_update", g.flag)
	g.maybe(e, 4, "disable_auto_volume", g.flag)
	g.maybe(e, 4, "force_network_mode", func() *node { return text(g.pick("AUTO", "host", "Bridge")) })
	g.maybe(e, 4, "prefer_platform", func() *node { return text("linux/amd64") })
	g.maybe(e, 4, "output_array_type", func() *node { return text("numpy") })
	g.maybe(e, 4, "exit_on_exceptions", func() *node { return text("[ValueError, KeyError]") })
	if !alone { // the reference imports those of a Deployment while it exports
		g.maybe(e, 5, "py_modules", func() *node { return text(g.pick("[a.py, b.py]", "my.py")) })
	}
	g.maybe(e, 5, "port", func() *node { return text(g.pick("8080", "12345")) })
	g.maybe(e, 3, "host", func() *node { return text(g.pick("0.0.0.0", "1.2.3.4", "localhost")) })
	g.maybe(e, 3, "prefetch", func() *node { return text("5") })
	g.maybe(e, 3, "no_such_key", func() *node { return text("1") })
	g.common(e)
}

func (g *generator) polling() *node {
	if g.chance(30) {
		return mappingOf(pair{"/index", text("ANY")}, pair{"/search", text("ALL")}, pair{"'*'", text("ANY")})
	}
	return text(g.pick("ANY", "ALL", "all", `'{"/search": "ALL", "*": "ANY"}'`))
}
