package flow

import "math"

// Scope is where an argument may stand.
type Scope int

// The scopes: the arguments of an executor (or Deployment), of the gateway, and of the Flow itself. Of what stands in
// a Flow's with, the Flow takes its own arguments and the gateway and the executors inherit the rest.
const (
	OnExecutor Scope = 1 << iota
	OnGateway
	OnFlow
)

// String is how messages call the scope.
func (s Scope) String() string {
	switch s {
	case OnExecutor:
		return "an executor"
	case OnGateway:
		return "the gateway"
	default:
		return "the Flow"
	}
}

// ArgumentType is what values an argument takes and how it becomes part of a command line.
type ArgumentType int

// The types of arguments.
const (
	TextArgument      ArgumentType = iota // --key text
	IntArgument                           // --key number
	FlagArgument                          // --key, when on
	TextsArgument                         // --key text text …
	HostsArgument                         // as texts, one text is split at commas
	PortsArgument                         // numbers; never written as given
	MappingArgument                       // --key JSON, from a mapping or k=v texts
	JSONArgument                          // --key text, from text or a mapping
	ProtocolArgument                      // --key NAME NAME …
	ChoiceArgument                        // --key NAME, one of Choices in any case
	ExactArgument                         // --key NAME, one of Choices as they are written
	PeerPortsArgument                     // --key JSON, lists of ports by shard
)

// Argument is an argument that Jina knows.
type Argument struct {
	// Name as it is written in a file, with underscores.
	Name string
	In   Scope
	Type ArgumentType
	// Default is the text of the value that is not written to the command line.
	Default string
	// Choices of an enumeration.
	Choices []string
	// Aliases are other names.
	Aliases []string
	// NotEmpty refuses an empty list, with which Jina fails; elsewhere it is as if the key were absent.
	NotEmpty bool
	// NoEffect says why it changes nothing on Kubernetes; such an argument is warned about.
	NoEffect string
	// Min and Max are the least and the greatest value of a whole number that has one.
	Min, Max *int
}

func bound(n int) *int { return &n }

const (
	alwaysPort = "on Kubernetes the ports are always 8080 and the following ones"
	internal   = "Jina sets it itself"
	local      = "it is for the process that runs the Flow on one machine"
	docker     = "it is for containers that Jina starts with Docker itself"
	pull       = "it is for what Jina takes from its Hub; here the cluster pulls the image"
	unchanging = "the files of an image do not change while it runs"
	oneRuntime = "the program in the container has one runtime"
)

// arguments is jina 3.34.0's table of arguments: everything that its export accepts in a file, hidden keys included.
// A new version of Jina is a new table.
func arguments() []Argument {
	const everywhere = OnExecutor | OnGateway
	return []Argument{
		// Of the Flow alone.
		{Name: "suppress_root_logging", In: OnFlow, Type: FlagArgument, NoEffect: local},
		{Name: "inspect", In: OnFlow, Type: ChoiceArgument, Default: "COLLECT", Choices: []string{"HANG", "REMOVE", "COLLECT"}},
		{Name: "name", In: OnFlow, Type: TextArgument},
		{Name: "uses", In: OnFlow, Type: TextArgument, NoEffect: "the uses of with is for nobody: put it into gateway or into each executor"},

		{Name: "quiet", In: OnFlow, Type: FlagArgument, NoEffect: local},
		{Name: "quiet_error", In: OnFlow, Type: FlagArgument, NoEffect: local},
		{Name: "reload", In: OnFlow, Type: FlagArgument, NoEffect: local},

		// Of every pod.
		{Name: "name", In: OnExecutor, Type: TextArgument},
		{Name: "name", In: OnGateway, Type: TextArgument, Default: "gateway"},
		{Name: "workspace", In: OnExecutor | OnFlow, Type: TextArgument},
		{Name: "workspace", In: OnGateway, Type: TextArgument, NoEffect: "the gateway gets no workspace"},
		{Name: "log_config", In: everywhere | OnFlow, Type: TextArgument, Default: "default"},
		{Name: "quiet", In: everywhere, Type: FlagArgument},
		{Name: "quiet_error", In: everywhere, Type: FlagArgument},
		{Name: "workspace_id", In: everywhere | OnFlow, Type: TextArgument, NoEffect: internal},
		{Name: "extra_search_paths", In: everywhere, Type: TextsArgument},
		{Name: "timeout_ctrl", In: everywhere, Type: IntArgument, Default: "60"},
		{Name: "k8s_namespace", In: everywhere, Type: TextArgument, NoEffect: "the namespace is given on the command line, with -n"},
		{Name: "entrypoint", In: everywhere, Type: TextArgument, NoEffect: docker},
		{Name: "docker_kwargs", In: everywhere, Type: MappingArgument, NoEffect: docker},
		{Name: "replicas", In: everywhere, Type: IntArgument, Default: "1", Min: bound(1), Max: bound(math.MaxInt32)},
		{Name: "uses", In: OnExecutor, Type: TextArgument, Default: "BaseExecutor"},
		{Name: "uses", In: OnGateway, Type: TextArgument},
		{Name: "uses_with", In: everywhere, Type: MappingArgument},
		{Name: "py_modules", In: everywhere, Type: TextsArgument},
		{Name: "grpc_server_options", In: everywhere, Type: MappingArgument},
		{Name: "grpc_channel_options", In: everywhere, Type: MappingArgument},
		{Name: "host", In: OnExecutor, Type: HostsArgument, Default: "0.0.0.0", Aliases: []string{"host_in"}},
		{Name: "host", In: OnGateway, Type: TextArgument, Default: "0.0.0.0", Aliases: []string{"host_in"}},
		{Name: "runtime_cls", In: OnExecutor, Type: TextArgument, Default: "WorkerRuntime", NoEffect: oneRuntime},
		{Name: "runtime_cls", In: OnGateway, Type: TextArgument, Default: "GatewayRuntime", NoEffect: oneRuntime},
		{Name: "timeout_ready", In: everywhere, Type: IntArgument, Default: "600000", Min: bound(-1)},
		{Name: "env", In: everywhere | OnFlow, Type: MappingArgument},
		{Name: "env_from_secret", In: everywhere, Type: MappingArgument},
		{Name: "image_pull_secrets", In: everywhere, Type: TextsArgument},
		{Name: "shard_id", In: everywhere, Type: IntArgument, Default: "0", NoEffect: internal},
		{Name: "pod_role", In: OnExecutor, Type: ChoiceArgument, Default: "WORKER", Choices: []string{"HEAD", "WORKER", "GATEWAY"}, NoEffect: internal},
		{Name: "pod_role", In: OnGateway, Type: ChoiceArgument, Default: "GATEWAY", Choices: []string{"HEAD", "WORKER", "GATEWAY"}, NoEffect: internal},
		{Name: "noblock_on_start", In: everywhere, Type: FlagArgument, NoEffect: local},
		{Name: "floating", In: everywhere, Type: FlagArgument},
		{Name: "replica_id", In: everywhere, Type: IntArgument, Default: "0", NoEffect: internal},
		{Name: "reload", In: everywhere, Type: FlagArgument, NoEffect: unchanging},
		{Name: "port", In: OnExecutor, Type: PortsArgument, Aliases: []string{"ports", "port_in"}, NoEffect: alwaysPort},
		{Name: "port", In: OnGateway, Type: PortsArgument, Aliases: []string{"ports", "port_expose", "port_in"}, NoEffect: alwaysPort},
		{Name: "protocol", In: everywhere, Type: ProtocolArgument, Default: "GRPC", Choices: []string{"GRPC", "HTTP", "WEBSOCKET"}, Aliases: []string{"protocols"}},
		{Name: "provider", In: everywhere, Type: ChoiceArgument, Choices: []string{"NONE", "SAGEMAKER", "AZURE"}},
		{Name: "provider_endpoint", In: everywhere, Type: TextArgument},
		{Name: "monitoring", In: everywhere, Type: FlagArgument},
		{Name: "port_monitoring", In: everywhere, Type: PortsArgument, NoEffect: "on Kubernetes the port of the metrics is always 9090"},
		{Name: "retries", In: everywhere, Type: IntArgument, Default: "-1"},
		{Name: "tracing", In: everywhere, Type: FlagArgument},
		{Name: "traces_exporter_host", In: everywhere, Type: TextArgument},
		{Name: "traces_exporter_port", In: everywhere, Type: IntArgument},
		{Name: "metrics", In: everywhere, Type: FlagArgument},
		{Name: "metrics_exporter_host", In: everywhere, Type: TextArgument},
		{Name: "metrics_exporter_port", In: everywhere, Type: IntArgument},
		{Name: "stateful", In: everywhere, Type: FlagArgument},
		{Name: "peer_ports", In: everywhere, Type: PeerPortsArgument},
		{Name: "compression", In: everywhere, Type: ExactArgument, Choices: []string{"NoCompression", "Deflate", "Gzip"}},
		{Name: "timeout_send", In: everywhere, Type: IntArgument},
		{Name: "title", In: everywhere, Type: TextArgument},
		{Name: "description", In: everywhere, Type: TextArgument},
		{Name: "cors", In: everywhere, Type: FlagArgument},
		{Name: "uvicorn_kwargs", In: everywhere, Type: MappingArgument},
		{Name: "ssl_certfile", In: everywhere, Type: TextArgument},
		{Name: "ssl_keyfile", In: everywhere, Type: TextArgument},

		// Of an executor alone.
		{Name: "polling", In: OnExecutor, Type: JSONArgument, Default: "ANY"},
		{Name: "shards", In: OnExecutor, Type: IntArgument, Default: "1", Min: bound(1), Max: bound(MaxPods)},
		{Name: "native", In: OnExecutor, Type: FlagArgument, NoEffect: internal},
		{Name: "uses_metas", In: OnExecutor, Type: MappingArgument},
		{Name: "uses_requests", In: OnExecutor, Type: MappingArgument},
		{Name: "uses_dynamic_batching", In: OnExecutor, Type: MappingArgument},
		{Name: "output_array_type", In: OnExecutor, Type: TextArgument},
		{Name: "exit_on_exceptions", In: OnExecutor, Type: TextsArgument},
		{Name: "no_reduce", In: OnExecutor, Type: FlagArgument, Aliases: []string{"disable_reduce"}},
		{Name: "allow_concurrent", In: OnExecutor, Type: FlagArgument},
		{Name: "raft_configuration", In: OnExecutor, Type: MappingArgument},
		{Name: "volumes", In: OnExecutor, Type: TextsArgument, NotEmpty: true},
		{Name: "gpus", In: OnExecutor, Type: TextArgument},
		{Name: "disable_auto_volume", In: OnExecutor, Type: FlagArgument, NoEffect: docker},
		{Name: "force_network_mode", In: OnExecutor, Type: ChoiceArgument, Default: "AUTO", Choices: []string{"AUTO", "HOST", "BRIDGE", "NONE"}, NoEffect: docker},
		{Name: "install_requirements", In: OnExecutor, Type: FlagArgument, NoEffect: "it is for executors from source; an image has its requirements"},
		{Name: "force_update", In: OnExecutor, Type: FlagArgument, Aliases: []string{"force"}, NoEffect: pull},
		{Name: "prefer_platform", In: OnExecutor, Type: TextArgument, NoEffect: pull},
		{Name: "uses_before_address", In: OnExecutor, Type: TextArgument, NoEffect: internal},
		{Name: "uses_after_address", In: OnExecutor, Type: TextArgument, NoEffect: internal},
		{Name: "connection_list", In: OnExecutor, Type: TextArgument, NoEffect: internal},
		{Name: "uses_before", In: OnExecutor, Type: TextArgument},
		{Name: "uses_after", In: OnExecutor, Type: TextArgument},
		{Name: "when", In: OnExecutor, Type: MappingArgument},
		{Name: "external", In: OnExecutor, Type: FlagArgument},
		{Name: "grpc_metadata", In: OnExecutor, Type: MappingArgument},
		{Name: "deployment_role", In: OnExecutor, Type: ChoiceArgument, Choices: []string{"DEPLOYMENT", "JOIN", "INSPECT", "GATEWAY", "INSPECT_AUX_PASS", "JOIN_INSPECT"}, NoEffect: internal},
		{Name: "tls", In: OnExecutor, Type: FlagArgument},

		// Of the gateway alone.
		{Name: "prefetch", In: OnGateway, Type: IntArgument, Default: "1000"},
		{Name: "no_debug_endpoints", In: OnGateway, Type: FlagArgument},
		{Name: "no_crud_endpoints", In: OnGateway, Type: FlagArgument},
		{Name: "expose_endpoints", In: OnGateway, Type: JSONArgument},
		{Name: "expose_graphql_endpoint", In: OnGateway, Type: FlagArgument},
		{Name: "proxy", In: OnGateway, Type: FlagArgument},
		{Name: "graph_description", In: OnGateway, Type: JSONArgument, Default: "{}", NoEffect: internal},
		{Name: "graph_conditions", In: OnGateway, Type: JSONArgument, Default: "{}", NoEffect: internal},
		{Name: "deployments_addresses", In: OnGateway, Type: JSONArgument, Default: "{}", NoEffect: internal},
		{Name: "deployments_metadata", In: OnGateway, Type: JSONArgument, Default: "{}", NoEffect: internal},
		{Name: "deployments_no_reduce", In: OnGateway, Type: JSONArgument, Default: "[]", Aliases: []string{"deployments_disable_reduce"}, NoEffect: internal},
	}
}

// ExecutorOrder are the arguments of an executor's command line in the order in which Jina writes them; uses_metas,
// uses_with and native follow in the end.
func ExecutorOrder() []string {
	return []string{
		"name", "workspace", "log_config", "quiet", "quiet_error", "extra_search_paths", "timeout_ctrl", "k8s_namespace",
		"polling", "shards", "replicas", "native", "uses", "uses_requests", "uses_dynamic_batching", "py_modules",
		"output_array_type", "exit_on_exceptions", "no_reduce", "allow_concurrent", "grpc_server_options",
		"raft_configuration", "grpc_channel_options", "entrypoint", "docker_kwargs", "gpus", "disable_auto_volume",
		"force_network_mode", "host", "runtime_cls", "timeout_ready", "shard_id", "pod_role", "floating", "replica_id",
		"reload", "install_requirements", "port", "protocol", "provider", "provider_endpoint", "monitoring",
		"port_monitoring", "retries", "tracing", "traces_exporter_host", "traces_exporter_port", "metrics",
		"metrics_exporter_host", "metrics_exporter_port", "stateful", "peer_ports", "force_update", "prefer_platform",
		"compression", "uses_before_address", "uses_after_address", "connection_list", "timeout_send",
	}
}

// GatewayOrder are the arguments of the gateway's command line in the order in which Jina writes them.
func GatewayOrder() []string {
	return []string{
		"log_config", "quiet", "quiet_error", "extra_search_paths", "timeout_ctrl", "k8s_namespace", "entrypoint",
		"docker_kwargs", "prefetch", "title", "description", "cors", "uvicorn_kwargs", "ssl_certfile", "ssl_keyfile",
		"no_debug_endpoints", "no_crud_endpoints", "expose_endpoints", "expose_graphql_endpoint", "host", "proxy",
		"uses", "uses_with", "py_modules", "replicas", "grpc_server_options", "grpc_channel_options",
		"graph_description", "graph_conditions", "deployments_addresses", "deployments_metadata",
		"deployments_no_reduce", "compression", "timeout_send", "runtime_cls", "timeout_ready", "shard_id", "pod_role",
		"floating", "replica_id", "reload", "port", "protocol", "provider", "provider_endpoint", "monitoring",
		"port_monitoring", "retries", "tracing", "traces_exporter_host", "traces_exporter_port", "metrics",
		"metrics_exporter_host", "metrics_exporter_port", "stateful", "peer_ports",
	}
}
