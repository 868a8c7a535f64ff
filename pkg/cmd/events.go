package cmd

import (
	"encoding/json"
	"io"
	"reflect"
	"sync"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
	"github.com/kubectl-jina/kubectl-jina/pkg/verify"
)

// eventAPIVersion names the form of the events, which docs/events.md and docs/events.schema.json describe.
const eventAPIVersion = "cli.jina.ai/v1alpha1"

// eventHeader is what every event has.
type eventHeader struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Type       string    `json:"type"`
	Time       time.Time `json:"time"`
}

type checkEvent struct {
	eventHeader
	Check meshcheck.Result `json:"check"`
}

type planEvent struct {
	eventHeader
	Plan planOutput `json:"plan"`
}

type objectName struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

func nameOf(r plan.Ref) objectName { return objectName{r.Kind, r.Name, r.Namespace} }

// objectEvent says what was done to an object: applied, pruned, restored, discarded.
type objectEvent struct {
	eventHeader
	Object objectName  `json:"object"`
	Part   string      `json:"part"`
	Action plan.Action `json:"action,omitempty"`
}

// workloadEvent is how far a workload is.
type workloadEvent struct {
	eventHeader
	Object objectName `json:"object"`
	Part   string     `json:"part"`
	Status string     `json:"status"`
	Reason string     `json:"reason,omitempty"`
	Wanted int32      `json:"wanted"`
	Ready  int32      `json:"ready"`
	Old    int32      `json:"old"`
	// AllowedSeconds that a container may load for, as its startup probe says, and Since when it does.
	Since          time.Time `json:"since,omitzero"`
	AllowedSeconds int64     `json:"allowedSeconds,omitempty"`
	// WorkloadsReady of Workloads.
	WorkloadsReady int `json:"workloadsReady"`
	Workloads      int `json:"workloads"`
}

type causeEvent struct {
	eventHeader
	Object objectName    `json:"object"`
	Part   string        `json:"part"`
	Cause  rollout.Cause `json:"cause"`
}

type verifyEvent struct {
	eventHeader
	Status   string   `json:"status"`
	Proved   string   `json:"proved,omitempty"`
	Skipped  string   `json:"skipped,omitempty"`
	Error    string   `json:"error,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

type messageEvent struct {
	eventHeader
	Text string `json:"text"`
}

type endEvent struct {
	eventHeader
	ExitCode int    `json:"exitCode"`
	Error    string `json:"error,omitempty"`
}

// eventStream writes events, a JSON object a line. All methods may be called from any goroutine.
type eventStream struct {
	mu  sync.Mutex
	out *json.Encoder
	now func() time.Time
	// causes that were told last.
	causes map[plan.Ref]rollout.Cause
	err    error
}

func newEventStream(w io.Writer, now func() time.Time) *eventStream {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &eventStream{out: enc, now: now, causes: map[plan.Ref]rollout.Cause{}}
}

func (s *eventStream) header(kind string) eventHeader {
	return eventHeader{APIVersion: eventAPIVersion, Kind: "Event", Type: kind, Time: s.now().UTC()}
}

// write remembers the first error: who no longer reads does not stop what is under way.
func (s *eventStream) write(event any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = s.out.Encode(event)
	}
}

func (s *eventStream) plan(flowName, namespace string, p plan.Plan) {
	s.write(planEvent{s.header("plan"), planOutputOf(flowName, namespace, p)})
}

func (s *eventStream) checks(results []meshcheck.Result) {
	for _, r := range results {
		s.write(checkEvent{s.header("check"), r})
	}
}

func (s *eventStream) object(kind string, e apply.Event) {
	o := objectEvent{eventHeader: s.header(kind), Object: nameOf(e.Ref), Part: e.Part.String()}
	if kind == "applied" {
		o.Action = e.Action
	}
	s.write(o)
}

func (s *eventStream) message(text string) {
	s.write(messageEvent{s.header("message"), text})
}

// rollout tells an event of a rollout.
func (s *eventStream) rollout(e rollout.Event) {
	switch e.Type {
	case rollout.WorkloadProgress, rollout.WorkloadDone:
		s.write(workloadEvent{
			eventHeader: s.header("progress"), Object: nameOf(e.State.Ref), Part: e.State.Part.String(), Status: statusOf(e.State), Reason: e.State.Why(),
			Wanted: e.State.Wanted, Ready: e.State.Ready, Old: e.State.Old, Since: e.State.Since, AllowedSeconds: int64(e.State.Allowed / time.Second),
			WorkloadsReady: e.Done, Workloads: e.Total,
		})
		s.cause(e.State)
	case rollout.Notice:
		s.message(e.Text)
	}
}

// statusOf a workload in a word.
func statusOf(s rollout.State) string {
	switch {
	case s.Failure != "":
		return "failed"
	case s.Done:
		return "ready"
	case s.Trouble:
		return "trouble"
	default:
		return "waiting"
	}
}

// cause tells what is wrong with a workload, once for each thing, and again when more is known of it.
func (s *eventStream) cause(state rollout.State) {
	s.mu.Lock()
	if state.Cause == nil {
		delete(s.causes, state.Ref)
		s.mu.Unlock()
		return
	}
	cause, told := *state.Cause, s.causes[state.Ref]
	s.causes[state.Ref] = cause
	s.mu.Unlock()
	told.Since = cause.Since
	if !reflect.DeepEqual(cause, told) {
		s.write(causeEvent{s.header("cause"), nameOf(state.Ref), state.Part.String(), cause})
	}
}

// failed tells the causes that a rollout has ended with.
func (s *eventStream) failed(states []rollout.State) {
	for _, state := range states {
		s.cause(state)
	}
}

// verified tells what was found out about whether the Flow answers.
func (s *eventStream) verified(r verify.Report, err error) {
	e := verifyEvent{eventHeader: s.header("verify"), Status: "verified", Proved: r.Proved, Skipped: r.Skipped, Warnings: r.Warnings}
	switch {
	case err != nil:
		e.Status, e.Error = "failed", err.Error()
	case r.Skipped != "":
		e.Status = "skipped"
	}
	s.write(e)
}

// end tells how the command ends, and returns why the events could not be written.
func (s *eventStream) end(err error) error {
	kind, text := "done", ""
	if err != nil {
		kind, text = "failed", err.Error()
	}
	s.write(endEvent{s.header(kind), exitCode(err), text})
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
