package plan

import (
	"time"
)

// How often and how patiently the kubelet asks. A native probe costs the pod 3 ms of CPU, so that it may be frequent; the
// patience is for pods that are busy, not broken: an endpoint written with async that computes without awaiting anything
// answers no probe until it is done.
const (
	// A pod counts as started at most a second after it is. A gRPC probe of a port that does not listen yet takes its whole
	// time-out, which therefore must not be longer than the period: or else the budget would be longer than it says.
	startupPeriod  = 1 * time.Second
	startupTimeout = 1 * time.Second
	// A pod that has not answered for readySilence, or for its longest request if that is longer, gets no new requests. Each
	// answer is waited for longer than any that was measured on a busy machine.
	readinessPeriod  = 5 * time.Second
	readinessTimeout = 5 * time.Second
	readySilence     = 30 * time.Second
	// One that has not answered for aliveSilence, or for twice its longest request, hangs, and is restarted.
	livenessPeriod  = 10 * time.Second
	livenessTimeout = 10 * time.Second
	aliveSilence    = 5 * time.Minute
)

// nativeProbes has the kubelet ask the first port of each container itself. What the reference's startup probe allows stays
// the time to start.
func nativeProbes(c *deviationContext, o Object) {
	containers := containersOf(o)
	if len(containers) == 0 {
		return
	}
	request := c.longestRequest(o.Part)
	for _, container := range containers {
		served := servedBy(container)
		if len(served) == 0 {
			continue
		}
		startup, _ := container["startupProbe"].(map[string]any)
		container["startupProbe"] = served[0].probe(startupPeriod, startupTimeout, allowance(startup))
		container["readinessProbe"] = served[0].probe(readinessPeriod, readinessTimeout, max(readySilence, request))
		container["livenessProbe"] = served[0].probe(livenessPeriod, livenessTimeout, max(aliveSilence, 2*request))
	}
}

// probe asks the endpoint until it has failed for a time. Of a gRPC server the health service without a name is enough: Jina's
// answers for all of it. The kubelet's gRPC probes cannot speak TLS, but its HTTPS probes can: they agree on HTTP/2, and take
// any certificate. A gRPC server answers GET with an error in gRPC's own words, which is an answer of status 200 in HTTP's:
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses.
// A tcpSocket probe would prove nothing in a mesh: the proxy accepts every connection.
func (e endpoint) probe(period, timeout, patience time.Duration) map[string]any {
	probe := map[string]any{
		"periodSeconds":    wholeSeconds(period),
		"timeoutSeconds":   wholeSeconds(timeout),
		"failureThreshold": int64((patience + period - 1) / period),
	}
	if e.protocol == protocolGRPC && !e.tls {
		probe["grpc"] = map[string]any{"port": int64(e.port), "service": ""}
		return probe
	}
	scheme := "HTTP"
	if e.tls {
		scheme = "HTTPS"
	}
	probe["httpGet"] = map[string]any{"path": "/", "port": int64(e.port), "scheme": scheme}
	return probe
}

// allowance is the time that a startup probe gives a container.
func allowance(probe map[string]any) time.Duration {
	number := func(key string) int64 { n, _ := probe[key].(int64); return n }
	return time.Duration(number("initialDelaySeconds")+number("periodSeconds")*number("failureThreshold")) * time.Second
}

// wholeSeconds of a duration, rounded up.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
