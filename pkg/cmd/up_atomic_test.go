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
	taken, lose := context.WithCancelCause(t.Context())
	lose(&apply.LostError{Flow: "shop", Namespace: "ns"})
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
		{"taken over by another run", true, taken, planOf(plan.Update), "--atomic does not go back when another run has taken over", "interrupted"},
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

func TestWayBackThatDoesNotEndSaysHowFarItCame(t *testing.T) {
	changed := planOf(plan.Update, plan.Update, plan.Create)
	for i := range changed.Changes {
		changed.Changes[i].Object = &plan.Object{}
	}
	for i := range 2 {
		changed.Changes[i].Live = planObject(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}")
	}
	old, fresh := plan.Plan{Changes: changed.Changes[:2]}, plan.Plan{Changes: changed.Changes[2:]}
	for _, c := range []struct {
		plan     plan.Plan
		restored int
		want     string
	}{
		{changed, 1, "1 of 2 objects that this run was to change are as before it; what it has made is there, as far as it is not said to be deleted."},
		{old, 2, "2 of 2 objects that this run was to change are as before it."},
		{fresh, 0, "what it has made is there, as far as it is not said to be deleted."},
	} {
		if got := howFarBack(c.restored, c.plan); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestInterruptedApplyOfAnAtomicUpSaysWhatWasAppliedAndHowToGoBack(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cause := &apply.PartialError{Err: context.Canceled, NotApplied: []plan.Ref{{Kind: "Service", Name: "enc"}}}
	err := interrupted(ctx, notGoneBack(ctx, cause), "nothing was applied")
	if text := err.Error(); exitCode(err) != codeInterrupted || !strings.Contains(text, "not applied: Service/enc") || !strings.Contains(text, "--atomic does not go back when it is interrupted") {
		t.Errorf("exit code %d: %s", exitCode(err), text)
	}
}
