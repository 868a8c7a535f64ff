package cmd

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
	"github.com/kubectl-jina/kubectl-jina/pkg/verify"
)

// everyEvent is what a run tells in which everything happens.
func everyEvent(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	clock := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := newEventStream(&out, func() time.Time { clock = clock.Add(time.Second); return clock })
	s.checks([]meshcheck.Result{
		{ID: "api", Group: "cluster", Title: "the API answers", Status: meshcheck.StatusPass, Detail: "v1.37", Decides: true, Docs: "docs/checks.md#api"},
		{ID: "mesh", Group: "mesh", Title: "Linkerd is there", Status: meshcheck.StatusFail, Detail: "it is not", Remedy: []string{"install it"}, Docs: "docs/checks.md#mesh"},
	})
	s.plan("search", "prod", everyKindOfChange(t))
	encoder := apply.Event{Ref: plan.Ref{Group: "apps", Version: "v1", Kind: "Deployment", Namespace: "prod", Name: "encoder"}, Part: plan.Part{Role: plan.RoleExecutor, Executor: "encoder"}}
	for _, action := range []plan.Action{plan.Create, plan.Update, plan.Recreate, plan.Adopt, plan.Unknown} {
		encoder.Action = action
		s.object("applied", encoder)
	}
	s.message("waiting for 2 workloads")
	loading := rollout.State{Part: encoder.Part, Ref: encoder.Ref, Wanted: 2, Ready: 1, Old: 1, Reason: "loading", Since: clock, Allowed: 10 * time.Minute}
	broken := loading
	broken.Trouble, broken.Reason = true, "crashes"
	broken.Cause = &rollout.Cause{
		Kind: rollout.CauseCrash, Summary: "container `executor` crashes", Container: "executor", Image: "x:1", Pods: 2, Pod: "encoder-1", Restarts: 3, ExitCode: 137, Limit: "1Gi",
		Message: "OOMKilled", Since: clock, Remedy: "give it more",
	}
	later := *broken.Cause
	later.Since, later.Logs, later.LogNote = clock.Add(time.Hour), []string{"a \x1b[31mline", "<b>"}, "that is all"
	failed := broken
	failed.Failure, failed.Cause = "it cannot come up", &later
	ready := loading
	ready.Ready, ready.Old, ready.Done, ready.Reason, ready.Since, ready.Allowed = 2, 0, true, "", time.Time{}, 0
	for _, state := range []rollout.State{loading, broken, broken, failed, ready, broken} {
		s.rollout(rollout.Event{Type: rollout.WorkloadProgress, State: state, Done: 1, Total: 2})
	}
	s.rollout(rollout.Event{Type: rollout.Notice, Text: "the cluster can be read again"})
	s.verified(verify.Report{Proved: "a dry run came back", Warnings: []string{"two versions"}}, nil)
	s.verified(verify.Report{Skipped: "port-forward is forbidden"}, nil)
	s.verified(verify.Report{}, errors.New("encoder does not answer"))
	for _, kind := range []string{"pruned", "restored", "discarded"} {
		s.object(kind, encoder)
	}
	for _, err := range []error{nil, &rollout.FailedError{Targets: []rollout.State{failed}, Total: 2}} {
		if err := s.end(err); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestEventsAreAsTheirSchemaSays(t *testing.T) {
	text := everyEvent(t)
	golden(t, "events.jsonl", text)
	schema, _ := docSchema(t, "events.schema.json", "plan.schema.json")
	events := strings.Split(strings.TrimSpace(text), "\n")
	valid := func(line string) bool {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if err := schema.Validate(v); err != nil {
			t.Log(err)
			return false
		}
		return true
	}
	for _, line := range events {
		if !valid(line) {
			t.Errorf("not as the schema says: %s", line)
		}
	}
	if n := strings.Count(text, `"type":"cause"`); n != 3 {
		t.Errorf("%d causes: one for each that is new or says more, and one that came again", n)
	}
	// The schema is not one that takes anything.
	for _, edit := range [][2]string{
		{`"type":"applied"`, `"type":"done"`}, {`"action":"adopt"}`, `"action":"keep"}`}, {`"status":"trouble"`, `"status":"bad"`}, {`"exitCode":0`, `"exitCode":1`},
		{`"kind":"Plan"`, `"kind":"plan"`}, {`"summary":"container`, `"text":"container`}, {`"part":"encoder"`, `"parts":"encoder"`}, {`"2026-11-24T12:00:01Z"`, `"noon"`}, {`"text":"waiting`, `"message":"waiting`},
	} {
		i := slices.IndexFunc(events, func(line string) bool { return strings.Contains(line, edit[0]) })
		if i < 0 {
			t.Fatalf("no event has %s", edit[0])
		}
		if valid(strings.Replace(events[i], edit[0], edit[1], 1)) {
			t.Errorf("%s for %s is accepted", edit[1], edit[0])
		}
	}
}

// TestEveryEventIsDocumented holds docs/events.md, its schema and the events together.
func TestEveryEventIsDocumented(t *testing.T) {
	_, document := docSchema(t, "events.schema.json", "plan.schema.json")
	var declared []string
	propertiesOf(document, &declared)
	types := document["properties"].(map[string]any)["type"].(map[string]any)["enum"].([]any)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	events := everyEvent(t)
	for _, kind := range types {
		if !strings.Contains(string(text), "\n| `"+kind.(string)+"` |") {
			t.Errorf("docs/events.md does not have %s", kind)
		}
		if !strings.Contains(events, `"type":"`+kind.(string)+`"`) {
			t.Errorf("no event is of type %s", kind)
		}
	}
	for _, property := range declared {
		if !regexp.MustCompile("[`.]" + property + "`").Match(text) {
			t.Errorf("docs/events.md does not have %s", property)
		}
		if !strings.Contains(events, `"`+property+`":`) {
			t.Errorf("no event has %s", property)
		}
	}
}

func TestEventsThatNobodyReadsDoNotStopTheRunAndAreTold(t *testing.T) {
	broken := errors.New("broken pipe")
	s := newEventStream(writerFunc(func([]byte) (int, error) { return 0, broken }), time.Now)
	s.message("hello")
	if err := s.end(nil); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
