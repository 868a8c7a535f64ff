package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// probeText is a probe in one line.
func probeText(t *testing.T, o Object, container int, key string) string {
	t.Helper()
	probe, ok := containersOf(o)[container][key].(map[string]any)
	if !ok {
		t.Fatalf("%s has no %s", o.Ref(), key)
	}
	return fmt.Sprint(probe)
}

func TestKubeletAsksTheFirstPort(t *testing.T) {
	const grpc, http, https = "grpc:map[port:%d service:]", "httpGet:map[path:/ port:%d scheme:HTTP]", "httpGet:map[path:/ port:%d scheme:HTTPS]"
	for name, c := range map[string]struct {
		text, object string
		container    int
		want         string
	}{
		"executor":            {"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1}]", "Deployment/e", 0, fmt.Sprintf(grpc, 8080)},
		"HTTP executor":       {"jtype: Deployment\nwith: {name: e, uses: docker://e:1, protocol: http}", "Deployment/e", 0, fmt.Sprintf(http, 8080)},
		"two protocols":       {"jtype: Deployment\nwith: {name: e, uses: docker://e:1, protocol: [http, grpc]}", "Deployment/e", 0, fmt.Sprintf(http, 8080)},
		"shard":               {"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, shards: 2}]", "Deployment/e-1", 0, fmt.Sprintf(grpc, 8080)},
		"head":                {sides, "Deployment/e-head", 0, fmt.Sprintf(grpc, 8080)},
		"uses_before":         {sides, "Deployment/e-head", 1, fmt.Sprintf(grpc, 8078)},
		"uses_after":          {sides, "Deployment/e-head", 2, fmt.Sprintf(grpc, 8079)},
		"gRPC gateway":        {gatewayWith("{}"), "Deployment/gateway", 0, fmt.Sprintf(grpc, 8080)},
		"HTTP gateway":        {gatewayWith("{protocol: http}"), "Deployment/gateway", 0, fmt.Sprintf(http, 8080)},
		"WebSocket gateway":   {gatewayWith("{protocol: websocket}"), "Deployment/gateway", 0, fmt.Sprintf(http, 8080)},
		"HTTP and gRPC":       {gatewayWith("{protocol: [http, grpc]}"), "Deployment/gateway", 0, fmt.Sprintf(http, 8080)},
		"class, not protocol": {gatewayWith("{uses: HTTPGateway}"), "Deployment/gateway", 0, fmt.Sprintf(http, 8080)},
		"gRPC over TLS":       {gatewayWith("{ssl_certfile: c, ssl_keyfile: k}"), "Deployment/gateway", 0, fmt.Sprintf(https, 8080)},
		"HTTP over TLS":       {gatewayWith("{protocol: [http, grpc], ssl_certfile: c, ssl_keyfile: k}"), "Deployment/gateway", 0, fmt.Sprintf(https, 8080)},
		"image":               {gatewayWith("{uses: 'docker://g:1', protocol: http}"), "Deployment/gateway", 0, fmt.Sprintf(http, 8080)},
	} {
		t.Run(name, func(t *testing.T) {
			o := objectNamed(t, objectsOf(t, c.text, Options{}), c.object)
			for _, key := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
				if got := probeText(t, o, c.container, key); !strings.Contains(got, c.want) || strings.Contains(got, "exec") {
					t.Errorf("%s is %s, not %s", key, got, c.want)
				}
			}
		})
	}
	if served := servedBy(map[string]any{}); served != nil {
		t.Errorf("a container without arguments serves %v", served)
	}
}

const sides = "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, shards: 2, uses_before: docker://b:1, uses_after: docker://a:1}]"

func gatewayWith(args string) string {
	return "jtype: Flow\ngateway: " + args + "\nexecutors: [{name: e, uses: docker://e:1}]"
}

func TestProbesAreSoonAtTheStartAndPatientAfterwards(t *testing.T) {
	const executor = "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1%s}]"
	for name, c := range map[string]struct {
		args                         string
		startup, readiness, liveness int64
	}{
		"default":       {"", 605, 6, 30},
		"timeout_ready": {", timeout_ready: 1801000", 5 + 1805, 6, 30},
		"forever":       {", timeout_ready: -1", 605, 6, 30},
		"at once":       {", timeout_ready: 1", 5 + 15, 6, 30},
		"long requests": {", timeout_send: 200001", 605, 41, 41},
	} {
		t.Run(name, func(t *testing.T) {
			container := containersOf(objectNamed(t, objectsOf(t, fmt.Sprintf(executor, c.args), Options{}), "Deployment/e"))[0]
			for _, p := range []struct {
				key                        string
				period, timeout, threshold int64
			}{{"startupProbe", 1, 1, c.startup}, {"readinessProbe", 5, 5, c.readiness}, {"livenessProbe", 10, 10, c.liveness}} {
				probe := childOf(container, p.key)
				got := [3]any{probe["periodSeconds"], probe["timeoutSeconds"], probe["failureThreshold"]}
				if want := [3]any{p.period, p.timeout, p.threshold}; got != want {
					t.Errorf("%s has period, time-out and threshold %v, not %v", p.key, got, want)
				}
				if _, has := probe["initialDelaySeconds"]; has {
					t.Errorf("%s is delayed", p.key)
				}
			}
		})
	}
}

func TestStatefulSetHasTheSameProbes(t *testing.T) {
	objects := objectsOf(t, "jtype: Deployment\nwith: {name: e, uses: docker://e:1, volumes: [/data], timeout_ready: 1200000}", Options{})
	o := objectNamed(t, objects, "StatefulSet/e")
	for key, want := range map[string]string{"startupProbe": "failureThreshold:1205", "readinessProbe": "failureThreshold:6", "livenessProbe": "failureThreshold:30"} {
		if got := probeText(t, o, 0, key); !strings.Contains(got, want) || !strings.Contains(got, "grpc:map[port:8080 service:]") {
			t.Errorf("%s is %s", key, got)
		}
	}
	if deadline := field(t, o, "spec", "progressDeadlineSeconds"); deadline != nil {
		t.Errorf("a StatefulSet has no progressDeadlineSeconds, this one has %v", deadline)
	}
	if grace := field(t, o, "spec", "template", "spec", "terminationGracePeriodSeconds"); grace != int64(42) {
		t.Errorf("the pod has %v s at its end", grace)
	}
	if got, want := StartupBudget(objects), 1205*time.Second+StartupAllowance; got != want {
		t.Errorf("budget is %s, not %s", got, want)
	}
}
