package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// consent is what up may do without asking.
type consent struct {
	yes, adopt, recreate bool
}

// seek asks, once, for all that a plan destroys or takes over and that no flag has allowed. Recreating is never asked for:
// it has to be wanted with its flag first. A plan that changes something while options of the last run are missing is asked
// for, too: the change may be no more than their loss.
func (c consent) seek(ctx context.Context, ask func(ctx context.Context, question, instead string) error, p plan.Plan, dropped []string) error {
	if n := p.Count(plan.Recreate); n > 0 && !c.recreate {
		return usageErrorf("%s cannot be changed in place: --recreate deletes and creates what the plan marks so, or undo the change in the file; nothing was applied",
			namesOf(p, plan.Recreate))
	}
	var parts, flags []string
	add := func(n int, flag, format string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf(format, countText(n, "object")))
			if !slices.Contains(flags, flag) {
				flags = append(flags, flag)
			}
		}
	}
	add(p.Count(plan.Prune), "--yes to delete, or --prune=false to keep what the file no longer has", "deletes %s that the file no longer has")
	add(p.Count(plan.Recreate), "--yes to delete and create again", "deletes and creates again %s")
	if !c.adopt {
		add(p.Count(plan.Adopt), "--adopt to take objects over", "takes over %s that another tool has made, for good")
	}
	if len(dropped) > 0 && p.Changed() {
		parts = append(parts, "was made without "+strings.Join(dropped, ", ")+", which the last run had")
		flags = append(flags, "the options again, or --yes to go on without them")
	}
	if len(parts) == 0 || c.yes {
		return nil
	}
	return ask(ctx, "The plan "+joinAnd(parts)+". Go on?", strings.Join(flags, "; "))
}

// joinAnd is a list as in a sentence.
func joinAnd(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

func namesOf(p plan.Plan, action plan.Action) string {
	var names []string
	for _, c := range p.Changes {
		if c.Action == action {
			names = append(names, c.Ref.String())
		}
	}
	return joinAnd(names)
}
