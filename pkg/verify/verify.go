package verify

import (
	"context"
	"errors"
	"slices"
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
	// atOnce is how many pods are asked at the same time.
	atOnce = 8
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
func (v *verifier) throughGateway(ctx context.Context) error {
	gateways := slices.DeleteFunc(slices.Clone(v.servers), func(s Server) bool { return !isGateway(s.Part) })
	if !v.EachPod {
		gateways = gateways[:1]
	}
	for _, g := range gateways {
		answer, err := v.dryRun(ctx, g)
		v.report.Gateways = append(v.report.Gateways, answer)
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) dryRun(ctx context.Context, g Server) (Answer, error) {
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
	return answer, err
}

// byThemselves asks executors without the gateway: all of them where the gateway could not tell, else those that a dry run may
// have passed by, and one of each image for what it runs.
func (v *verifier) byThemselves(ctx context.Context) error {
	asked := v.toAsk()
	v.report.Replicated, v.report.eachPod = v.replicated(), v.EachPod
	answers, err := v.askAll(ctx, asked)
	if err != nil {
		return err
	}
	needed := v.notCovered()
	var silent []Answer
	for _, a := range answers {
		switch {
		case a.Err == nil:
		case needed[a.Part], v.EachPod:
			silent = append(silent, a)
		default:
			v.report.Warnings = append(v.report.Warnings, "pod "+a.Pod+" of "+a.Part.String()+" does not say what it runs: "+plain(a.Err.Error()))
		}
	}
	v.report.Executors = answers
	v.report.Warnings = append(v.report.Warnings, differences(slices.Concat(v.report.Gateways, answers))...)
	if len(silent) > 0 {
		var unreachable *UnreachableError
		if errors.As(silent[0].Err, &unreachable) {
			return unreachable
		}
		return &FailedError{Parts: partsOf(silent), Cause: silent[0].Err, Waited: v.waited()}
	}
	v.report.Proved = v.report.proof(v.Parts)
	return nil
}

// notCovered are the parts that no dry run has surely reached.
func (v *verifier) notCovered() map[plan.Part]bool {
	parts := map[plan.Part]bool{}
	for _, p := range v.Parts {
		if !isGateway(p) && (!v.report.dryRun() || v.report.overHTTP() || p.Role == plan.RoleShard) {
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

// askAll asks servers by themselves. Their errors are in the answers; the error is that of the context.
func (v *verifier) askAll(ctx context.Context, servers []Server) ([]Answer, error) {
	answers := make([]Answer, len(servers))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, s := range servers {
		group.Go(func() error {
			answers[i] = v.ask(ctx, s)
			return nil
		})
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
		if a.Versions, err = l.versions(ctx); err != nil {
			return err
		}
		if e.Protocol == plan.ProtocolGRPC && (s.Part.Role == plan.RoleHead || v.report.overHTTP()) {
			a.Latency, err = timed(func() error { a.Default, err = l.endpoints(ctx); return err })
			if rpc := (*rpcError)(nil); errors.As(err, &rpc) && rpc.code == grpcUnimplemented {
				err = nil // it has answered, and that is all that it can
			}
			return err
		}
		if v.EachPod { // again, without the time that the connection took
			a.Latency, err = timed(func() error { _, err := l.versions(ctx); return err })
		}
		return err
	})
	return a
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
	failed := &FailedError{Cause: cause, Named: namedExecutor(cause), Waited: v.waited()}
	if g := v.report.Gateways; len(g) > 0 {
		failed.Gateway = g[len(g)-1].Pod
	}
	// The patience is used up, the deadline perhaps as well: each is asked once more, for a moment.
	const moment = 5 * time.Second
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), moment)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			cancel()
		}
	})
	defer stop()
	once := *v
	once.Refused = 0
	var asked []Server
	seen := map[plan.Part]bool{}
	for _, s := range v.servers {
		if !isGateway(s.Part) && (v.EachPod || !seen[s.Part]) {
			seen[s.Part] = true
			asked = append(asked, s)
		}
	}
	answers, err := once.askAll(limited, asked)
	if err != nil {
		return err
	}
	v.report.Executors = answers
	v.report.Warnings = append(v.report.Warnings, differences(slices.Concat(v.report.Gateways, answers))...)
	failed.Parts = partsOf(slices.DeleteFunc(slices.Clone(answers), func(a Answer) bool { return a.Err == nil }))
	failed.AllAsked = true
	return failed
}

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
