package cmd

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

func planOf(actions ...plan.Action) plan.Plan {
	var p plan.Plan
	for i, a := range actions {
		p.Changes = append(p.Changes, plan.Change{Action: a, Ref: plan.Ref{Kind: "Deployment", Name: string(rune('a' + i))}})
	}
	return p
}

func TestOnlyWhatDestroysIsAskedFor(t *testing.T) {
	dropped := []string{"--image a=b"}
	for _, tc := range []struct {
		name     string
		consent  consent
		plan     plan.Plan
		dropped  []string
		question string
		failure  string
	}{
		{name: "nothing to destroy", plan: planOf(plan.Create, plan.Update, plan.Keep, plan.Unknown)},
		{name: "prune", plan: planOf(plan.Prune, plan.Prune), question: "The plan deletes 2 objects that the file no longer has. Go on?"},
		{name: "prune with --yes", consent: consent{yes: true}, plan: planOf(plan.Prune)},
		{name: "recreate without its flag", consent: consent{yes: true}, plan: planOf(plan.Recreate, plan.Recreate), failure: "Deployment/a and Deployment/b cannot be changed in place"},
		{name: "recreate with its flag", consent: consent{recreate: true}, plan: planOf(plan.Recreate), question: "The plan deletes and creates again 1 object. Go on?"},
		{name: "recreate with both", consent: consent{recreate: true, yes: true}, plan: planOf(plan.Recreate)},
		{name: "adopt", plan: planOf(plan.Adopt), question: "takes over 1 object"},
		{name: "adopt with its flag", consent: consent{adopt: true}, plan: planOf(plan.Adopt)},
		{name: "adopt with --yes", consent: consent{yes: true}, plan: planOf(plan.Adopt)},
		{name: "the flag of one is not the answer to the other", consent: consent{adopt: true}, plan: planOf(plan.Adopt, plan.Prune), question: "The plan deletes 1 object that"},
		{name: "lost options", plan: planOf(plan.Update), dropped: dropped, question: "was made without --image a=b, which the last run had"},
		{name: "lost options that change nothing", plan: planOf(plan.Keep), dropped: dropped},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked := ""
			refusal := errors.New("no")
			err := tc.consent.seek(t.Context(), func(_ context.Context, question, _ string) error {
				asked = question
				return refusal
			}, tc.plan, tc.dropped)
			if !strings.Contains(asked, tc.question) || (asked == "") != (tc.question == "") {
				t.Errorf("asked %q, want %q", asked, tc.question)
			}
			switch {
			case tc.failure != "":
				if err == nil || exitCode(err) != codeUsage || !strings.Contains(err.Error(), tc.failure) {
					t.Errorf("error %v", err)
				}
			case (err == nil) != (tc.question == ""):
				t.Errorf("error %v", err)
			}
		})
	}
}
