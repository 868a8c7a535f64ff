package verify

import (
	"errors"
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
	// Replicated: some part besides the gateway has several ready pods.
	Replicated bool
	// eachPod was asked by itself.
	eachPod bool
	// gatewayPods are how many gateway pods are ready.
	gatewayPods int
	// floating are the executors that no dry run tells of, since the gateway does not wait for their answers.
	floating []string
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

// dryRun tells whether a dry run has gone through the graph, from each gateway pod that was asked.
func (r *Report) dryRun() bool {
	return len(r.Gateways) > 0 && !slices.ContainsFunc(r.Gateways, func(a Answer) bool { return !a.DryRun })
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
		said = r.proofOfAll(executors)
	case len(r.Gateways) > 0:
		said = append(said, r.through()+" answers", "each executor answers by itself"+r.oneAlone(),
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

// proofOfAll is of a dry run that goes to each executor, and waits for all but the floating ones.
func (r *Report) proofOfAll(executors []string) []string {
	floating := slices.DeleteFunc(slices.Clone(executors), func(name string) bool { return !slices.Contains(r.floating, name) })
	if len(floating) == 0 {
		return []string{fmt.Sprintf("a dry run through %s reached every executor%s", r.through(), r.oneReplica())}
	}
	return []string{
		fmt.Sprintf("a dry run through %s reached every executor that it waits for%s", r.through(), r.oneReplica()),
		fmt.Sprintf("asked by themselves, these answer: %s%s", some(floating), r.oneAlone()),
		fmt.Sprintf(notReached, "those") + ": they are floating",
	}
}

// through is the way that a dry run has gone.
func (r *Report) through() string {
	switch {
	case r.gatewayPods < 2:
		return fmt.Sprintf("the gateway (%s)", r.protocol())
	case r.eachPod:
		return fmt.Sprintf("each of %d gateway pods (%s)", r.gatewayPods, r.protocol())
	default:
		return fmt.Sprintf("one of %d gateway pods (%s)", r.gatewayPods, r.protocol())
	}
}

// proofOverHTTP tells the executors that the dry run has reached from those that it has passed by.
func (r *Report) proofOverHTTP(executors []string) []string {
	var reached, passed, floating []string
	for _, name := range executors {
		if slices.Contains(r.floating, name) {
			floating = append(floating, name)
		} else if slices.ContainsFunc(r.Executors, func(a Answer) bool { return a.Default && a.Part.Executor == name && a.Part.Role != plan.RoleShard }) {
			reached = append(reached, name)
		} else {
			passed = append(passed, name)
		}
	}
	var said []string
	if len(reached) > 0 {
		said = append(said, fmt.Sprintf("a dry run through %s reached %s%s", r.through(), some(reached), r.oneReplica()))
	} else {
		said = append(said, r.through()+" answers")
	}
	if len(passed) > 0 {
		said = append(said, fmt.Sprintf("asked by themselves, these answer: %s%s", some(passed), r.oneAlone()),
			fmt.Sprintf(notReached, "those")+": over HTTP a dry run passes by executors without a default endpoint")
	}
	if len(floating) > 0 {
		said = append(said, fmt.Sprintf("asked by themselves, these answer: %s%s", some(floating), r.oneAlone()),
			fmt.Sprintf(notReached, "those")+": they are floating")
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

// sorted tells the parts that have not answered from those of which it is not known.
func sorted(answers []Answer) (silent, unknown []Answer) {
	for _, a := range answers {
		var unreachable *UnreachableError
		var notAsked *notAskedError
		switch {
		case a.Err == nil:
		case errors.As(a.Err, &unreachable), errors.As(a.Err, &notAsked):
			unknown = append(unknown, a)
		default:
			silent = append(silent, a)
		}
	}
	return silent, unknown
}

func partsOf(answers []Answer) []plan.Part {
	var parts []plan.Part
	seen := map[plan.Part]bool{}
	for _, a := range answers {
		if !seen[a.Part] {
			seen[a.Part] = true
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
			some(others[v]), runs, v, first.Part, first.Versions))
	}
	return warnings
}

// FailedError says that the Flow does not answer.
type FailedError struct {
	// Gateway is the pod that the dry run went through, and Gateways how many there are; empty when none did.
	Gateway  string
	Gateways int
	// Named is the executor that the gateway does not reach, by its own words; empty when it names none.
	Named string
	// Parts are those that do not answer by themselves.
	Parts []plan.Part
	// Unknown is how many others could not be asked, or were not any more.
	Unknown int
	// AllAsked: every part besides those was asked by itself.
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
	silent := some(names)
	cause := plain(e.Cause.Error())
	again := ""
	if e.Waited > 0 {
		again = fmt.Sprintf(" (asked for %s)", e.Waited)
	}
	unknown := ""
	if e.Unknown > 0 {
		unknown = fmt.Sprintf("; whether %d others answer by themselves is not known", e.Unknown)
	}
	if notAsked := (*notAskedError)(nil); errors.As(e.Cause, &notAsked) {
		return fmt.Sprintf("it is not known whether the Flow answers: %s: %s%s", silent, cause, again)
	}
	if e.Gateway == "" {
		return fmt.Sprintf("the Flow does not answer: %s: %s%s%s", silent, cause, again, unknown)
	}
	gateway := "the gateway"
	if e.Gateways > 1 {
		gateway = "gateway pod " + e.Gateway
	}
	text := "the Flow does not answer: " + gateway
	if e.Named != "" {
		text += fmt.Sprintf(" does not reach executor %s", e.Named)
	} else {
		text += " has no good answer to a dry run"
	}
	text += fmt.Sprintf(": %s%s", cause, again)
	if silent != "" {
		text += fmt.Sprintf("; asked by themselves, these do not answer: %s", silent)
	}
	text += unknown
	if e.AllAsked && silent == "" && e.Unknown == 0 {
		text += "; asked by themselves, all executors answer: look at the network between the gateway and them, and at the gateway's log"
	}
	return text
}
