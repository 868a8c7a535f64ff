package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

func TestWhatDoesNotGoBackKeepsItsErrorAndSaysWhy(t *testing.T) {
	cause := explain(&rollout.FailedError{Total: 1, Targets: []rollout.State{{Part: plan.Part{Role: plan.RoleGateway}, Failure: "it crashes"}}})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name   string
		atomic bool
		ctx    context.Context
		plan   plan.Plan
		says   string
		silent string
	}{
		{"not asked for", false, t.Context(), planOf(plan.Update), "What was applied stays applied", "--atomic"},
		{"interrupted", true, ended, planOf(plan.Update), "--atomic does not go back when it is interrupted: to go back, run up with the file from before", ""},
		{"nothing was changed", true, t.Context(), planOf(plan.Keep), "--atomic: this run had nothing to change, so there is nothing to go back to", "What was applied stays applied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := &upOptions{atomic: c.atomic}
			err := o.orGoBack(c.ctx, nil, nil, &comparison{plan: c.plan}, nil, cause)
			text := err.Error()
			if exitCode(err) != codeRollout || !strings.HasPrefix(text, "the rollout failed") || !strings.Contains(text, c.says) || c.silent != "" && strings.Contains(text, c.silent) {
				t.Errorf("exit code %d: %s", exitCode(err), text)
			}
		})
	}
}

func TestCauseOfAWayBackHasNothingThatHoldsOnlyWithoutOne(t *testing.T) {
	partial := &apply.PartialError{Err: errors.New("Deployment/a: refused"), Applied: []plan.Ref{{Kind: "Service", Name: "a"}}}
	for _, c := range []struct {
		err  error
		want string
	}{
		{partial, "Deployment/a: refused"},
		{&exitError{code: codeTimeout, err: fmt.Errorf("timed out after 5s: %w", partial)}, "timed out while it was applied: Deployment/a: refused"},
		{explain(&rollout.TimeoutError{Timeout: time.Minute, Total: 1}), "timed out after 1m0s: 0 of 1 workload ready"},
		{errors.New("something else"), "something else"},
	} {
		if got := causeOnly(c.err).Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestWayBackWaitsForWhatWasThereBefore(t *testing.T) {
	changes := planOf(plan.Update, plan.Keep, plan.Create, plan.Recreate, plan.Adopt)
	for i := range changes.Changes {
		c := &changes.Changes[i]
		c.Ref.Group, c.Generation = "apps", 3
		c.Object = &plan.Object{}
		if c.Action != plan.Create && c.Action != plan.Keep {
			c.Live = planObject(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, labels: {jina.ai/flow: shop}}}")
		}
	}
	changes.Changes[4].Live.SetLabels(nil) // before it was adopted, no label was on it
	restored := apply.Restored{Generations: map[plan.Ref]int64{changes.Changes[0].Ref: 7, changes.Changes[4].Ref: 2}}
	var got []string
	for _, target := range backTargets(changes, restored, "shop") {
		got = append(got, fmt.Sprintf("%s %d", target.Ref.Name, target.MinGeneration))
	}
	// d, which was recreated, could not be restored.
	if want := "a 7, b 3"; strings.Join(got, ", ") != want {
		t.Errorf("waits for %v, want %s", got, want)
	}
}
