package plan

import (
	"strings"
	"testing"
)

// addressesOf is what the gateway is told of its executors.
func addressesOf(t *testing.T, text string, o Options) string {
	t.Helper()
	args := argsOf(objectNamed(t, objectsOf(t, text, o), "Deployment/gateway"), 0)
	_, rest, ok := strings.Cut(args, "--deployments-addresses ")
	if !ok {
		t.Fatalf("no addresses: %s", args)
	}
	addresses, _, _ := strings.Cut(rest, " --")
	return addresses
}

func TestGatewayCallsAllHostsOfAnExternalExecutor(t *testing.T) {
	for _, c := range []struct{ name, executor, compat, want string }{
		{"hosts and ports", "host: [a.example, b.example], port: [1, 2]", `["grpc://a.example:1"]`, `["grpc://a.example:1", "grpc://b.example:2"]`},
		{"one port for all", "host: 'a, b', port: 5", `["grpc://a:5"]`, `["grpc://a:5", "grpc://b:5"]`},
		{"one host, several ports", "host: a, port: [1, 2]", `["grpc://a:1"]`, `["grpc://a:1", "grpc://a:2"]`},
		{"TLS of a host with a port", "host: 'a:1', tls: true", `["grpc://a:1"]`, `["grpcs://a:1"]`},
		{"TLS of one host", "host: ['a:1', 'grpcs://b:2']", `["grpcs://a:1"]`, `["grpc://a:1", "grpcs://b:2"]`},
		{"schemes", "host: ['https://a:1', 'http://b:2', 'wss://c:3']", `["grpcs://a:1"]`, `["grpcs://a:1", "grpc://b:2", "grpcs://c:3"]`},
		{"the protocol is always gRPC", "host: a, port: 80, protocol: http", `["http://a:80"]`, `["grpc://a:80"]`},
		{"port of a URL stands elsewhere", "host: 'grpcs://a', port: 443", `["grpcs://a:None"]`, `["grpcs://a:443"]`},
	} {
		text := "jtype: Flow\nexecutors:\n  - {name: own, uses: docker://o:1}\n  - {name: ext, external: true, " + c.executor + "}"
		for compat, want := range map[bool]string{true: c.compat, false: c.want} {
			want = `{"own": ["grpc://own.prod.svc:8080"], "ext": ` + want + `}`
			if got := addressesOf(t, text, Options{Compat: compat}); got != want {
				t.Errorf("%s, compat %t: %s, not %s", c.name, compat, got, want)
			}
		}
	}
}

func TestNothingIsDeployedForAnExternalExecutor(t *testing.T) {
	for _, compat := range []bool{true, false} {
		for _, o := range objectsOf(t, "jtype: Flow\nexecutors: [{name: ext, external: true, host: a, port: 1, shards: 2}]", Options{Compat: compat}) {
			if o.Part.Role != RoleGateway {
				t.Errorf("compat %t: %s", compat, o.Ref())
			}
		}
	}
}

func TestOwnExecutorsAreCalledAsTheyListen(t *testing.T) {
	const text = `
jtype: Flow
with: {ssl_certfile: c.pem, ssl_keyfile: k.pem}
executors:
  - {name: a, uses: docker://a:1}
  - {name: b, uses: docker://b:1, shards: 2}
  - {name: ext, external: true, host: x, port: 1}
`
	for compat, want := range map[bool]string{
		true:  `{"a": ["grpcs://a.prod.svc:8080"], "b": ["grpcs://b-head.prod.svc:8080"], "ext": ["grpcs://x:1"]}`,
		false: `{"a": ["grpc://a.prod.svc:8080"], "b": ["grpc://b-head.prod.svc:8080"], "ext": ["grpcs://x:1"]}`,
	} {
		if got := addressesOf(t, text, Options{Compat: compat}); got != want {
			t.Errorf("compat %t: %s", compat, got)
		}
		args := argsOf(objectNamed(t, objectsOf(t, text, Options{Compat: compat}), "Deployment/gateway"), 0)
		if !strings.Contains(args, "--ssl-certfile c.pem --ssl-keyfile k.pem") {
			t.Errorf("compat %t: the gateway has no certificate: %s", compat, args)
		}
	}
}

func TestGatewayRunsTheClassOfItsProtocols(t *testing.T) {
	for gateway, want := range map[string]string{
		"{port: [1, 2]}":                               "GRPCGateway",
		"{port: [1, 2], protocol: http}":               "HTTPGateway",
		"{runtime_cls: X, protocol: websocket}":        "WebSocketGateway",
		"{runtime_cls: X, protocol: [http, grpc]}":     "CompositeGateway",
		"{runtime_cls: X, uses: 'docker://mine/gw:1'}": "config.yml",
	} {
		text := "jtype: Flow\ngateway: " + gateway + "\nexecutors: [{name: e, uses: docker://e:1}]"
		for compat, class := range map[bool]string{true: "config.yml", false: want} {
			args := argsOf(objectNamed(t, objectsOf(t, text, Options{Compat: compat}), "Deployment/gateway"), 0)
			if !strings.Contains(args, "--uses "+class+" ") {
				t.Errorf("%s, compat %t: %s", gateway, compat, args)
			}
		}
	}
}
