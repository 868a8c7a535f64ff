package plan

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// The sums of times that pods are given to start.
const (
	// StartupAllowance is added to the time that a container may take to load: for scheduling and for pulling images.
	StartupAllowance = 5 * time.Minute
	// reconnectAllowance is for the gateway to notice that the slowest executor answers: gRPC waits up to two minutes between
	// two attempts, give or take a fifth (https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md).
	reconnectAllowance = 150 * time.Second
)

// StartupBudget is the longest time from the creation of the objects until the last of the workloads must be ready: the time
// that its containers may take to load by their startup probes, and [StartupAllowance]; for the gateway see [gatewayBudget].
func StartupBudget(objects []Object) time.Duration {
	var longest time.Duration
	for _, o := range objects {
		longest = max(longest, readyWithin(objects, o))
	}
	return max(longest, StartupAllowance)
}

// readyWithin is the time from the creation of a workload until it must be ready; 0 for any other object.
func readyWithin(objects []Object, o Object) time.Duration {
	switch {
	case len(containersOf(o)) == 0:
		return 0
	case o.Part.Role == RoleGateway:
		return gatewayBudget(objects, o)
	default:
		return probeBudget(o) + StartupAllowance
	}
}

// gatewayBudget is the time that the gateway's own startup probe has to allow: it opens no port before its slowest executor
// has answered it, so that it has to outlast the scheduling, the pull and the loading of all of them, all of which may begin
// when the gateway itself runs already.
func gatewayBudget(objects []Object, gateway Object) time.Duration {
	budget := probeBudget(gateway)
	for _, o := range objects {
		if o.Part.Role != RoleGateway && len(containersOf(o)) > 0 {
			budget = max(budget, probeBudget(o)+StartupAllowance+reconnectAllowance)
		}
	}
	return budget
}

// probeBudget is the time that the slowest container of a workload may take to load, by its startup probe.
func probeBudget(o Object) time.Duration {
	var longest time.Duration
	for _, container := range containersOf(o) {
		probe, _ := container["startupProbe"].(map[string]any)
		longest = max(longest, allowance(probe))
	}
	return longest
}

// startupBudget gives the gateway's startup probe the time that its executors may take. The executors' own is what the file
// says with timeout_ready.
func startupBudget(c *deviationContext, o Object) {
	if o.Part.Role != RoleGateway {
		return
	}
	for _, container := range containersOf(o) {
		probe, _ := container["startupProbe"].(map[string]any)
		if period, _ := probe["periodSeconds"].(int64); period > 0 {
			probe["failureThreshold"] = (wholeSeconds(max(gatewayBudget(c.objects, o), probeBudget(o)+StartupAllowance)) + period - 1) / period
		}
	}
}

// progressDeadline gives the Deployment's controller the same time; a StatefulSet has none.
func progressDeadline(c *deviationContext, o Object) {
	if o.GetKind() == "Deployment" {
		childOf(o.Object, "spec")["progressDeadlineSeconds"] = wholeSeconds(readyWithin(c.objects, o))
	}
}

// The end of a pod: it stays in service for a moment until all callers know that it goes, finishes what it has, and is
// stopped.
const (
	// endpointDelay is the moment. With a mesh 2 s were enough for all callers to turn to other pods.
	endpointDelay = 2 * time.Second
	// defaultRequest is the longest request, with its queue, of a Flow that says nothing about it with timeout_send. Every pod
	// that goes is kept for so long, by each scaling down and each new version: 12 s in all lost no request of 8 s, with
	// retries off, in a rolling restart under load.
	defaultRequest = 10 * time.Second
	// maxRequest keeps the whole end below the ten minutes that a cluster autoscaler grants a pod when it empties a node.
	maxRequest = 9 * time.Minute
	// stopTime is for Jina to stop after that: what Kubernetes grants when nothing is said.
	stopTime = 30 * time.Second
	// A container that the kubelet kills because it does not start has no request to finish; one that hangs is given up soon.
	graceOfStart = 5 * time.Second
	graceOfHang  = 30 * time.Second
)

// gracefulEnd keeps a pod alive for its longest request after its end was decided: Jina cancels what it works on as soon as
// it is told to stop.
func gracefulEnd(c *deviationContext, o Object) {
	containers := containersOf(o)
	if len(containers) == 0 {
		return
	}
	drain := wholeSeconds(endpointDelay + c.longestRequest(o.Part))
	for _, container := range containers {
		childOf(container, "lifecycle", "preStop", "exec")["command"] = []any{"/bin/sh", "-c", "sleep " + strconv.FormatInt(drain, 10)}
		killAfter(container["startupProbe"], graceOfStart)
		killAfter(container["livenessProbe"], graceOfHang)
	}
	childOf(o.Object, "spec", "template", "spec")["terminationGracePeriodSeconds"] = drain + wholeSeconds(stopTime)
}

// killAfter shortens the end that a probe brings about.
func killAfter(probe any, grace time.Duration) {
	if p, ok := probe.(map[string]any); ok {
		p["terminationGracePeriodSeconds"] = wholeSeconds(grace)
	}
}

// longestRequest is how long a request may keep a part busy, its queue included, at most maxRequest.
func (c *deviationContext) longestRequest(p Part) time.Duration {
	if p.Role == RoleGateway {
		return min(chainTime(c.flow), maxRequest)
	}
	return min(requestTime(c.flow, c.executors[p.Executor], p.Role == RoleHead), maxRequest)
}

// requestTime is how long a request may keep an executor or its head busy. timeout_send is when the caller gives up: the
// gateway is the caller of executors and heads. Where the gateway's is not set an executor's own stands for it, once for each of
// the containers that a head calls one after the other.
func requestTime(f *flow.Flow, e *flow.Executor, head bool) time.Duration {
	if f.Gateway != nil {
		if t := sendTimeout(f.Gateway.Args); t > 0 {
			return t
		}
	}
	t := sendTimeout(e.Args)
	if t == 0 {
		return defaultRequest
	}
	calls := time.Duration(1)
	for _, side := range []*flow.Uses{e.UsesBefore, e.UsesAfter} {
		if head && side != nil {
			calls++
		}
	}
	return calls * t
}

// chainTime is how long a request may keep the gateway busy: the time of the longest chain of executors. Without any
// timeout_send a request through the whole Flow is taken to need no more than defaultRequest.
func chainTime(f *flow.Flow) time.Duration {
	set := sendTimeout(f.Gateway.Args) > 0
	for _, e := range f.Executors {
		set = set || sendTimeout(e.Args) > 0
	}
	if !set {
		return defaultRequest
	}
	times := make(map[string]time.Duration, len(f.Executors))
	longest := defaultRequest
	for _, e := range f.Executors { // those that an executor needs stand above it
		var before time.Duration
		for _, need := range e.Needs {
			before = max(before, times[need])
		}
		times[e.Node] = before + requestTime(f, e, e.Shards() > 1)
		longest = max(longest, times[e.Node])
	}
	return longest
}

// sendTimeout is timeout_send; 0 when it is not set or says that there is none.
func sendTimeout(args flow.Args) time.Duration {
	// More than a day is a day, so that no sum over the executors of a Flow overflows.
	ms := min(max(int64(args.Int("timeout_send")), 0), (24 * time.Hour).Milliseconds())
	return time.Duration(ms) * time.Millisecond
}

// checkTimes finds times that Kubernetes cannot count, and those whose consequences their author may not expect.
func checkTimes(f *flow.Flow, o Options) flow.Problems {
	all := make([]flow.Args, 0, len(f.Executors)+1)
	if f.Gateway != nil {
		all = append(all, f.Gateway.Args)
	}
	for _, e := range f.Executors {
		all = append(all, e.Args)
	}
	return append(checkTimeoutReady(all, o.Compat), checkTimeoutSend(f, all, o.Compat)...)
}

func checkTimeoutReady(all []flow.Args, compat bool) flow.Problems {
	var problems flow.Problems
	seen := map[flow.Position]bool{} // settings that many executors share
	for _, args := range all {
		s, ok := args.Lookup("timeout_ready")
		if !ok || seen[s.Position] {
			continue
		}
		seen[s.Position] = true
		p := flow.Problem{Position: s.Position, Hint: "write the milliseconds that it may take to load"}
		ms, day := int64(args.Int("timeout_ready")), (24 * time.Hour).Milliseconds()
		switch most := maxTimeoutReady(compat); {
		case ms > most:
			p.Severity, p.ID = flow.Error, flow.IDRange
			p.Message = fmt.Sprintf("timeout_ready is %d, the most that Kubernetes can count is %d", ms, most)
		case ms > day && !compat:
			p.Severity, p.ID = flow.Warning, flow.IDValue
			p.Message = fmt.Sprintf("timeout_ready is in milliseconds: %d are %.1f days, and so long is a start waited for", ms, float64(ms)/float64(day))
		default:
			continue
		}
		problems = append(problems, p)
	}
	return problems
}

// checkTimeoutSend warns, at the first timeout_send, of requests that may take longer than the end of a pod.
func checkTimeoutSend(f *flow.Flow, all []flow.Args, compat bool) flow.Problems {
	var longest time.Duration
	if f.Gateway != nil {
		longest = chainTime(f)
	} else {
		for _, e := range f.Executors {
			longest = max(longest, requestTime(f, e, e.Shards() > 1))
		}
	}
	i := slices.IndexFunc(all, func(args flow.Args) bool { return sendTimeout(args) > 0 })
	if compat || longest <= maxRequest || i < 0 {
		return nil
	}
	return flow.Problems{{
		Position: all[i].Position("timeout_send", f.Position), Severity: flow.Warning, ID: flow.IDValue,
		Message: fmt.Sprintf("by timeout_send a request may take %s; a pod that goes finishes what it has for %s and no longer", longest, maxRequest),
		Hint:    "write less if no request takes so long",
	}}
}

// maxTimeoutReady is the largest timeout_ready, in milliseconds, for which all numbers that follow from it are legal: the
// reference counts probes of five seconds, the deviations seconds, with the allowances on top.
func maxTimeoutReady(compat bool) int64 {
	if compat {
		return math.MaxInt32 * (5 * time.Second).Milliseconds()
	}
	const roundedUp = 10 * time.Second // what the reference adds to timeout_ready
	return math.MaxInt32*time.Second.Milliseconds() - (2*StartupAllowance + reconnectAllowance + roundedUp).Milliseconds()
}
