package verify

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// How long and how often is asked when the request does not say it.
const (
	// defaultRefused is longer than gRPC's back-off after an executor was away: 8.5 s were measured.
	defaultRefused = 30 * time.Second
	// defaultSilent is for requests that wait their turn in a Flow that works.
	defaultSilent = 2 * time.Minute
	firstPause    = 200 * time.Millisecond
	longestPause  = 2 * time.Second
	// atOnce is how many pods are asked at the same time: each is a connection of its own through the API server.
	atOnce = 8
	// enoughSilent ends the asking of more pods: each would take all the patience that there is.
	enoughSilent = 20
)

// Request says what to find out.
type Request struct {
	// Parts are the workloads of the Flow.
	Parts []plan.Part
	// Servers reads the ready pods. It is called again when asking has failed: pods come and go.
	Servers func(context.Context) ([]Server, error)
	// Stopped reads which parts are to have no pods. It is called when a part has none.
	Stopped func(context.Context) ([]plan.Part, error)
	// Refused is how long is asked again after an answer that is an error, Silent how long an answer is waited for; 0 takes
	// defaults for a rollout that has just ended.
	Refused, Silent time.Duration
	// EachPod asks every pod by itself, and measures how long its answer takes.
	EachPod bool
}

// Run asks until it is clear whether the Flow answers. When it does not the error is a [*FailedError], and the report has what
// was found out all the same. When it cannot be told the report says why, without an error.
func Run(ctx context.Context, dialer Dialer, req Request) (Report, error) {
	if req.Refused == 0 {
		req.Refused = defaultRefused
	}
	if req.Silent == 0 {
		req.Silent = defaultSilent
	}
	v := &verifier{Request: req, dialer: dialer, begin: time.Now()}
	err := v.run(ctx)
	var unreachable *UnreachableError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return v.report, ctx.Err()
	case errors.As(err, &unreachable):
		v.report.Skipped = "no port-forward to its pods: " + plain(unreachable.Error())
		if apierrors.IsForbidden(unreachable.Err) {
			v.report.Skipped = "that needs the right to create pods/portforward"
		}
		return v.report, nil
	}
	return v.report, err
}

// verifier is one run.
type verifier struct {
	Request
	dialer  Dialer
	begin   time.Time
	servers []Server
	report  Report
	// until is when no other pod is asked any more; zero for never.
	until time.Time
}

func (v *verifier) run(ctx context.Context) error {
	if done, err := v.find(ctx); done || err != nil {
		return err
	}
	if slices.ContainsFunc(v.Parts, isGateway) {
		if err := v.throughGateway(ctx); err != nil {
			return v.diagnose(ctx, err)
		}
	}
	return v.byThemselves(ctx)
}

// waited is how long has been asked.
func (v *verifier) waited() time.Duration { return time.Since(v.begin).Round(time.Second) }

// find reads the pods until every part has one, and is done when a part is to have none.
func (v *verifier) find(ctx context.Context) (done bool, err error) {
	var missing []plan.Part
	err = v.again(ctx, func(ctx context.Context) error {
		if v.servers, err = v.Servers(ctx); err != nil {
			return &listError{err}
		}
		if missing = v.withoutServer(); len(missing) == 0 {
			return nil
		}
		stopped, err := v.Stopped(ctx)
		if err != nil {
			return &listError{err}
		}
		if i := slices.IndexFunc(missing, func(p plan.Part) bool { return slices.Contains(stopped, p) }); i >= 0 {
			v.report.Skipped = missing[i].String() + " has no replicas"
			done = true
			return nil
		}
		return errNoPod
	})
	switch list := (*listError)(nil); {
	case errors.As(err, &list) && apierrors.IsForbidden(list.err):
		v.report.Skipped = "that needs the right to list pods"
		return true, nil
	case errors.As(err, &list):
		return false, list.err
	case err != nil:
		return false, &FailedError{Parts: missing, Cause: err, Waited: v.waited()}
	}
	return done, nil
}

// errNoPod: a part has replicas and no ready pod.
var errNoPod = errors.New("it has no ready pod")

// listError is an error of the API server's.
type listError struct{ err error }

func (e *listError) Error() string { return e.err.Error() }

func isGateway(p plan.Part) bool { return p.Role == plan.RoleGateway }

func (v *verifier) withoutServer() []plan.Part {
	served := map[plan.Part]bool{}
	for _, s := range v.servers {
		served[s.Part] = true
	}
	var missing []plan.Part
	for _, p := range v.Parts {
		if !served[p] {
			missing = append(missing, p)
		}
	}
	return missing
}

// throughGateway asks one gateway pod, or with EachPod all of them, for a dry run.
func (v *verifier) throughGateway(ctx context.Context) (err error) {
	gateways := slices.DeleteFunc(slices.Clone(v.servers), func(s Server) bool { return !isGateway(s.Part) })
	v.report.gatewayPods = len(gateways)
	if !v.EachPod {
		gateways = gateways[:1]
	}
	v.report.floating = gateways[0].Floating
	if v.report.Gateways, err = v.each(ctx, gateways, v.dryRun); err != nil {
		return err
	}
	silent, unknown := sorted(v.report.Gateways)
	if failed := slices.Concat(silent, unknown); len(failed) > 0 {
		return &gatewayError{pod: failed[0].Pod, err: failed[0].Err}
	}
	return nil
}

// gatewayError is why a gateway pod's dry run has not come back.
type gatewayError struct {
	pod string
	err error
}

func (e *gatewayError) Error() string { return e.err.Error() }
func (e *gatewayError) Unwrap() error { return e.err }

func (v *verifier) dryRun(ctx context.Context, g Server) Answer {
	e := g.endpoint()
	answer := Answer{Part: g.Part, Pod: g.Pod, Protocol: e.Protocol, TLS: e.TLS}
	var last error
	err := v.again(ctx, func(ctx context.Context) (err error) {
		defer func() { last = err }()
		g = v.replacement(ctx, g, last)
		answer.Pod = g.Pod
		l := lineTo(v.dialer, g.Pod, e)
		defer l.Close()
		// What it runs is asked first: it opens the connection, whose time is not the Flow's. It is no error when it does not tell.
		var rpc *rpcError
		versions, err := l.versions(ctx)
		if err != nil && !errors.As(err, &rpc) {
			return err
		}
		answer.Versions = versions
		answer.Latency, err = timed(func() error { return l.dryRun(ctx) })
		return err
	})
	switch {
	case errors.Is(err, errNoDryRun):
		err = nil
	case err == nil:
		answer.DryRun = true
	}
	answer.Err = err
	return answer
}

// byThemselves asks executors without the gateway: all of them where the gateway could not tell, else those that a dry run may
// have passed by, and one of each image for what it runs.
func (v *verifier) byThemselves(ctx context.Context) error {
	asked := v.toAsk()
	v.report.Replicated, v.report.eachPod = v.replicated(), v.EachPod
	answers, err := v.each(ctx, asked, v.ask)
	if err != nil {
		return err
	}
	needed := v.notCovered()
	var failed []Answer
	notAsked := (*notAskedError)(nil)
	for _, a := range answers {
		switch {
		case a.Err == nil:
			if a.Protocol == plan.ProtocolGRPC && !a.Versions.known() {
				v.report.Warnings = append(v.report.Warnings, "pod "+a.Pod+" of "+a.Part.String()+" does not say what it runs")
			}
		case needed[a.Part], v.EachPod:
			failed = append(failed, a)
		case !errors.As(a.Err, &notAsked):
			v.report.Warnings = append(v.report.Warnings, "pod "+a.Pod+" of "+a.Part.String()+" does not say what it runs: "+plain(a.Err.Error()))
		}
	}
	v.report.Executors = answers
	v.report.Warnings = append(v.report.Warnings, differences(slices.Concat(v.report.Gateways, answers))...)
	// What does not answer goes before what could not be asked: that is no more than not known.
	silent, unknown := sorted(failed)
	switch unreachable := (*UnreachableError)(nil); {
	case len(silent) > 0:
		return &FailedError{Parts: partsOf(silent), Unknown: len(partsOf(unknown)), Cause: silent[0].Err, Waited: v.waited()}
	case len(unknown) > 0 && errors.As(unknown[0].Err, &unreachable):
		return unreachable
	case len(unknown) > 0:
		return &FailedError{Parts: partsOf(unknown), Cause: unknown[0].Err, Waited: v.waited()}
	}
	v.report.Proved = v.report.proof(v.Parts)
	return nil
}

// notCovered are the parts that no dry run has surely reached.
func (v *verifier) notCovered() map[plan.Part]bool {
	parts := map[plan.Part]bool{}
	for _, p := range v.Parts {
		if !isGateway(p) && (!v.report.dryRun() || v.report.overHTTP() || p.Role == plan.RoleShard || slices.Contains(v.report.floating, p.Executor)) {
			parts[p] = true
		}
	}
	return parts
}

func (v *verifier) toAsk() []Server {
	needed := v.notCovered()
	parts, images := map[plan.Part]bool{}, map[string]bool{}
	var asked []Server
	for _, s := range v.servers {
		if isGateway(s.Part) {
			continue
		}
		if v.EachPod || needed[s.Part] && !parts[s.Part] || !images[s.Image] {
			parts[s.Part], images[s.Image] = true, true
			asked = append(asked, s)
		}
	}
	return asked
}

// replicated tells whether any part has more than one ready pod.
func (v *verifier) replicated() bool {
	seen := map[plan.Part]bool{}
	for _, s := range v.servers {
		if !isGateway(s.Part) && seen[s.Part] {
			return true
		}
		seen[s.Part] = true
	}
	return false
}

// notAskedError says why a pod was not asked. Whether it answers is not known.
type notAskedError struct{ text string }

func (e *notAskedError) Error() string { return e.text }

// each asks servers, a few at the same time. Their errors are in the answers; the error is that of an interrupt.
func (v *verifier) each(ctx context.Context, servers []Server, ask func(context.Context, Server) Answer) ([]Answer, error) {
	answers := make([]Answer, len(servers))
	var silent atomic.Int64
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, s := range servers {
		e := s.endpoint()
		answers[i] = Answer{Part: s.Part, Pod: s.Pod, Protocol: e.Protocol, TLS: e.TLS}
		switch {
		case silent.Load() >= enoughSilent:
			answers[i].Err = &notAskedError{"not asked, since many others do not answer"}
		case ctx.Err() != nil, !v.until.IsZero() && time.Now().After(v.until):
			answers[i].Err = &notAskedError{"not asked, the time was up"}
		default:
			group.Go(func() error {
				if answers[i] = ask(ctx, s); answers[i].Err != nil {
					silent.Add(1)
				}
				return nil
			})
		}
	}
	_ = group.Wait() // nobody returns one
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, ctx.Err()
	}
	return answers, nil
}

func (v *verifier) ask(ctx context.Context, s Server) Answer {
	e := s.endpoint()
	a := Answer{Part: s.Part, Pod: s.Pod, Protocol: e.Protocol, TLS: e.TLS}
	var last error
	a.Err = v.again(ctx, func(ctx context.Context) (err error) {
		defer func() { last = err }()
		s = v.replacement(ctx, s, last)
		a.Pod = s.Pod
		l := lineTo(v.dialer, s.Pod, e)
		defer l.Close()
		if a.Versions, err = l.versions(ctx); err != nil && !unimplemented(err) {
			return err
		}
		if e.Protocol == plan.ProtocolGRPC && (s.Part.Role == plan.RoleHead || v.report.overHTTP()) {
			a.Latency, err = timed(func() error { a.Default, err = l.endpoints(ctx); return err })
		} else if v.EachPod { // again, without the time that the connection took
			a.Latency, err = timed(func() error { _, err := l.versions(ctx); return err })
		}
		if unimplemented(err) {
			return nil // it has answered, and that is all that it can
		}
		return err
	})
	return a
}

// unimplemented: a server of gRPC has answered that it does not know the method.
func unimplemented(err error) bool {
	var rpc *rpcError
	return errors.As(err, &rpc) && rpc.code == grpcUnimplemented
}

// replacement is another ready pod of the same part when the last try found that the server's has gone, else the server itself.
func (v *verifier) replacement(ctx context.Context, s Server, last error) Server {
	if !apierrors.IsNotFound(last) {
		return s
	}
	servers, err := v.Servers(ctx)
	if err != nil {
		return s // the next answer tells
	}
	if i := slices.IndexFunc(servers, func(other Server) bool { return other.Part == s.Part }); i >= 0 {
		return servers[i]
	}
	return s
}

// diagnose asks the executors by themselves when the gateway has said that the Flow does not answer, or nothing.
func (v *verifier) diagnose(ctx context.Context, cause error) error {
	var unreachable *UnreachableError
	if errors.As(cause, &unreachable) || errors.Is(ctx.Err(), context.Canceled) {
		return cause
	}
	failed := &FailedError{Cause: cause, Named: namedExecutor(cause), Gateways: v.report.gatewayPods, Waited: v.waited()}
	if g := (*gatewayError)(nil); errors.As(cause, &g) {
		failed.Gateway = g.pod
	}
	// The patience is used up, the deadline perhaps as well: each is asked once more, for a moment.
	const moment, moments = 5 * time.Second, 10 * time.Second
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), moments+moment)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			cancel()
		}
	})
	defer stop()
	once := *v
	once.Refused, once.Silent, once.until = 0, min(v.Silent, moment), time.Now().Add(moments)
	answers, err := once.each(limited, v.toDiagnose(failed.Named), once.ask)
	if err != nil {
		return err
	}
	v.report.Executors = answers
	v.report.Warnings = append(v.report.Warnings, differences(slices.Concat(v.report.Gateways, answers))...)
	silent, unknown := sorted(answers)
	failed.Parts, failed.Unknown, failed.AllAsked = partsOf(silent), len(partsOf(unknown)), true
	return failed
}

// toDiagnose is one pod of each part, or with EachPod all; first the executor that the gateway has named, before the time is up.
func (v *verifier) toDiagnose(named string) []Server {
	var first, others []Server
	seen := map[plan.Part]bool{}
	for _, s := range v.servers {
		switch {
		case isGateway(s.Part) || seen[s.Part] && !v.EachPod:
		case s.Part.Executor == named:
			first = append(first, s)
		default:
			others = append(others, s)
		}
		seen[s.Part] = true
	}
	return slices.Concat(first, others)
}

// silentError: what was asked has not answered as long as it was waited for.
type silentError struct{ err error }

func (e *silentError) Error() string { return "no answer" }
func (e *silentError) Unwrap() error { return e.err }

// again asks until there is no error, or the patience is at its end. What another try cannot change is not tried again.
func (v *verifier) again(ctx context.Context, ask func(context.Context) error) error {
	begin := time.Now()
	pause := firstPause
	for {
		limited, cancel := context.WithTimeout(ctx, v.Silent)
		err := ask(limited)
		silent := limited.Err() != nil
		cancel()
		var unreachable *UnreachableError
		switch {
		case silent && errors.Is(err, context.DeadlineExceeded):
			return &silentError{err}
		case err == nil, errors.Is(err, errNoDryRun), silent, time.Since(begin)+pause > v.Refused,
			errors.As(err, &unreachable) && apierrors.IsForbidden(unreachable.Err):
			return err
		}
		if list := (*listError)(nil); errors.As(err, &list) {
			return err // the transport has tried again already
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}
