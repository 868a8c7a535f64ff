package plan

import (
	"fmt"
	"testing"
)

func TestServicesSayWhatTheirPortsSpeak(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want map[string]string
	}{
		"gRPC":           {gatewayWith("{}"), map[string]string{"Service/e": "kubernetes.io/h2c", "Service/gateway": "kubernetes.io/h2c"}},
		"shards":         {sides, map[string]string{"Service/e-head": "kubernetes.io/h2c", "Service/e-1": "kubernetes.io/h2c"}},
		"each protocol":  {gatewayWith("{protocol: [http, grpc, websocket]}"), map[string]string{"Service/gateway": "http", "Service/gateway-1-grpc": "kubernetes.io/h2c", "Service/gateway-2-websocket": "http"}},
		"HTTP executor":  {"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, protocol: http}]", map[string]string{"Service/e": "http"}},
		"monitoring":     {"jtype: Flow\nwith: {monitoring: true}\nexecutors: [{name: e, uses: docker://e:1}]", map[string]string{"Service/e": "kubernetes.io/h2c http"}},
		"class":          {gatewayWith("{uses: WebSocketGateway}"), map[string]string{"Service/gateway": "http"}},
		"class, one and": {gatewayWith("{uses: GRPCGateway, protocol: http}"), map[string]string{"Service/gateway": "kubernetes.io/h2c"}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := objectsOf(t, c.text, Options{})
			for ref, want := range c.want {
				got := ""
				for _, port := range field(t, objectNamed(t, objects, ref), "spec", "ports").([]any) {
					if got != "" {
						got += " "
					}
					got += fmt.Sprint(port.(map[string]any)["appProtocol"])
				}
				if got != want {
					t.Errorf("%s speaks %s, not %s", ref, got, want)
				}
			}
		})
	}
}

func TestNothingIsSaidOfTLS(t *testing.T) {
	objects := objectsOf(t, gatewayWith("{protocol: [grpc, http], monitoring: true, ssl_certfile: c, ssl_keyfile: k}"), Options{})
	for ref, want := range map[string]string{"Service/gateway": "[<nil> http]", "Service/gateway-1-http": "[<nil>]", "Service/e": "[kubernetes.io/h2c]"} {
		var got []any
		for _, port := range field(t, objectNamed(t, objects, ref), "spec", "ports").([]any) {
			got = append(got, port.(map[string]any)["appProtocol"])
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s speaks %v, not %s", ref, got, want)
		}
	}
}

func TestNamesAreResolvedByThePodsOwnResolver(t *testing.T) {
	const text = "jtype: Flow\n%s\nexecutors: [{name: e, uses: docker://e:1%s}]"
	for name, c := range map[string]struct{ with, env, want string }{
		"nothing said":    {"", "", "native native"},
		"of the executor": {"", ", env: {GRPC_DNS_RESOLVER: ares}", "ares native"},
		"of the Flow":     {"with: {env: {GRPC_DNS_RESOLVER: ares}}", "", "ares ares"},
		"of the gateway":  {"gateway: {env: {GRPC_DNS_RESOLVER: ares}}", "", "native ares"},
		"emptied":         {"", ", env: {GRPC_DNS_RESOLVER: ''}", " native"},
	} {
		t.Run(name, func(t *testing.T) {
			objects := objectsOf(t, fmt.Sprintf(text, c.with, c.env), Options{})
			resolver := func(ref string) any { return field(t, objectNamed(t, objects, ref), "data", "GRPC_DNS_RESOLVER") }
			if got := fmt.Sprint(resolver("ConfigMap/e-configmap"), " ", resolver("ConfigMap/gateway-configmap")); got != c.want {
				t.Errorf("executor and gateway have %q, not %q", got, c.want)
			}
		})
	}
}

func TestReplicasPreferDifferentNodes(t *testing.T) {
	objects := objectsOf(t, "jtype: Flow\nexecutors: [{name: My_E, uses: docker://e:1, shards: 2}]", Options{})
	for _, name := range []string{"my-e-head", "my-e-1", "gateway"} {
		o := objectNamed(t, objects, "Deployment/"+name)
		want := "map[podAntiAffinity:map[preferredDuringSchedulingIgnoredDuringExecution:[map[" +
			"podAffinityTerm:map[labelSelector:map[matchLabels:map[app:" + name + "]] topologyKey:kubernetes.io/hostname] weight:100]]]]"
		if got := fmt.Sprint(field(t, o, "spec", "template", "spec", "affinity")); got != want {
			t.Errorf("%s: %s", name, got)
		}
		if got := field(t, o, "spec", "template", "metadata", "labels", "app"); got != name {
			t.Errorf("%s: the pods are labelled %v", name, got)
		}
	}
}
