package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Report is what was found out.
type Report struct {
	// Skipped says why it cannot be told whether the Flow answers, as the end of a sentence; empty when it can.
	Skipped string
	// Proved says what the answers prove, and what they do not; empty when the Flow does not answer.
	Proved string
	// Gateways are the answers of gateway pods to a dry run.
	Gateways []Answer
	// Executors are the answers of executors, heads and shards that were asked by themselves.
	Executors []Answer
	// Replicated: some part has several ready pods.
	Replicated bool
	// eachPod was asked by itself.
	eachPod bool
	// Warnings are about what answers and yet may not be right.
	Warnings []string
}

// Answer is what a pod has answered.
type Answer struct {
	Part     plan.Part
	Pod      string
	Protocol string
	// TLS: it was asked over TLS, without a look at its certificate.
	TLS bool
	// DryRun: a dry run through the graph came back.
	DryRun bool
	// Default: it has a default endpoint, which the dry run of an HTTP gateway reaches.
	Default bool
	// Latency of the answer through the port-forward, without the time that this took to set up. Zero when it was not measured.
	Latency  time.Duration
	Versions Versions
	Err      error
}

// ErrorText is the error in one line that is safe to print.
func (a Answer) ErrorText() string { return plain(a.Err.Error()) }

// dryRun tells whether a dry run has gone through the graph.
func (r *Report) dryRun() bool {
	return slices.ContainsFunc(r.Gateways, func(a Answer) bool { return a.DryRun })
}

// overHTTP: the gateway was asked over HTTP, by a dry run that reaches only executors with a default endpoint.
func (r *Report) overHTTP() bool {
	return slices.ContainsFunc(r.Gateways, func(a Answer) bool { return a.Protocol == plan.ProtocolHTTP })
}

// notReached is what is known of the way from a gateway to executors that no dry run has gone.
const notReached = "that the gateway reaches %s is not proved beyond what it needed to start"

// proof says what was proved.
func (r *Report) proof(parts []plan.Part) string {
	shards := executorsOf(parts, func(p plan.Part) bool { return p.Role == plan.RoleShard })
	executors := executorsOf(parts, func(p plan.Part) bool { return !isGateway(p) })
	var said []string
	switch {
	case r.overHTTP() && r.dryRun():
		said = r.proofOverHTTP(executors)
	case r.dryRun():
		said = append(said, fmt.Sprintf("a dry run through the gateway (%s) reached every executor%s", r.protocol(), r.oneReplica()))
	case len(r.Gateways) > 0:
		said = append(said, fmt.Sprintf("the gateway (%s) answers", r.protocol()), "each executor answers by itself"+r.oneAlone(),
			fmt.Sprintf(notReached, "them")+": it has no dry run")
	default:
		said = append(said, some(executors)+" answers by itself"+r.oneAlone())
	}
	if len(shards) > 0 && r.dryRun() {
		said = append(said, fmt.Sprintf("each shard of %s answers by itself", some(shards)))
	}
	if slices.ContainsFunc(slices.Concat(r.Gateways, r.Executors), func(a Answer) bool { return a.TLS }) {
		said = append(said, "the TLS certificate was not verified")
	}
	return strings.Join(said, "; ")
}

// proofOverHTTP tells the executors that the dry run has reached from those that it has passed by.
func (r *Report) proofOverHTTP(executors []string) []string {
	var reached, passed []string
	for _, name := range executors {
		if slices.ContainsFunc(r.Executors, func(a Answer) bool { return a.Default && a.Part.Executor == name && a.Part.Role != plan.RoleShard }) {
			reached = append(reached, name)
		} else {
			passed = append(passed, name)
		}
	}
	var said []string
	if len(reached) > 0 {
		said = append(said, fmt.Sprintf("a dry run through the gateway (HTTP) reached %s%s", some(reached), r.oneReplica()))
	} else {
		said = append(said, "the gateway (HTTP) answers")
	}
	if len(passed) > 0 {
		said = append(said, fmt.Sprintf("asked by themselves, these answer: %s%s", some(passed), r.oneAlone()),
			fmt.Sprintf(notReached, "those")+": over HTTP a dry run passes by executors without a default endpoint")
	}
	return said
}

// some are the first of many names.
func some(names []string) string {
	const most = 10
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// oneAlone says of what was asked by itself that not all replicas were.
func (r *Report) oneAlone() string {
	if r.eachPod {
		return ""
	}
	return r.oneReplica()
}

// oneReplica says that a request goes to one replica of each part.
func (r *Report) oneReplica() string {
	if r.Replicated {
		return " (one replica of each)"
	}
	return ""
}

// protocol of the gateway's port that was asked.
func (r *Report) protocol() string {
	return protocolName(r.Gateways[0].Protocol)
}

func protocolName(protocol string) string {
	switch protocol {
	case plan.ProtocolGRPC:
		return "gRPC"
	case plan.ProtocolWebSocket:
		return "WebSocket"
	default:
		return protocol
	}
}

// executorsOf are the names of the executors of some parts, each once.
func executorsOf(parts []plan.Part, some func(plan.Part) bool) []string {
	var names []string
	for _, p := range parts {
		if some(p) && !slices.Contains(names, p.Executor) {
			names = append(names, p.Executor)
		}
	}
	return names
}

func partsOf(answers []Answer) []plan.Part {
	var parts []plan.Part
	for _, a := range answers {
		if !slices.Contains(parts, a.Part) {
			parts = append(parts, a.Part)
		}
	}
	return parts
}

// differences are warnings about servers that run other versions than the first, which is the gateway where there is one.
func differences(answers []Answer) []string {
	var known []Answer
	for _, a := range answers {
		if a.Versions.known() {
			known = append(known, a)
		}
	}
	if len(known) == 0 {
		return nil
	}
	first := known[0]
	others := map[Versions][]string{}
	var order []Versions
	for _, a := range known[1:] {
		name := a.Part.String()
		if a.Versions == first.Versions || slices.Contains(others[a.Versions], name) {
			continue
		}
		if others[a.Versions] == nil {
			order = append(order, a.Versions)
		}
		others[a.Versions] = append(others[a.Versions], name)
	}
	var warnings []string
	for _, v := range order {
		runs := "runs"
		if len(others[v]) > 1 {
			runs = "run"
		}
		warnings = append(warnings, fmt.Sprintf("%s %s %s, and %s runs %s: they may not understand each other",
			strings.Join(others[v], ", "), runs, v, first.Part, first.Versions))
	}
	return warnings
}

// FailedError says that the Flow does not answer.
type FailedError struct {
	// Gateway is the pod that the dry run went through; empty when none did.
	Gateway string
	// Named is the executor that the gateway does not reach, by its own words; empty when it names none.
	Named string
	// Parts are those that do not answer by themselves.
	Parts []plan.Part
	// AllAsked: every part was asked by itself.
	AllAsked bool
	// Waited is how long was asked, in seconds.
	Waited time.Duration
	Cause  error
}

func (e *FailedError) Unwrap() error { return e.Cause }

func (e *FailedError) Error() string {
	names := make([]string, 0, len(e.Parts))
	for _, p := range e.Parts {
		names = append(names, p.String())
	}
	silent := strings.Join(names, ", ")
	cause := plain(e.Cause.Error())
	again := ""
	if e.Waited > 0 {
		again = fmt.Sprintf(" (asked for %s)", e.Waited)
	}
	if e.Gateway == "" {
		return fmt.Sprintf("the Flow does not answer: %s: %s%s", silent, cause, again)
	}
	text := "the Flow does not answer: "
	if e.Named != "" {
		text += fmt.Sprintf("the gateway does not reach executor %s", e.Named)
	} else {
		text += "the gateway has no good answer to a dry run"
	}
	text += fmt.Sprintf(": %s%s", cause, again)
	switch {
	case !e.AllAsked:
	case silent != "":
		text += fmt.Sprintf("; asked by themselves, these do not answer: %s", silent)
	default:
		text += "; asked by themselves, all executors answer: look at the network between the gateway and them, and at the gateway's log"
	}
	return text
}
