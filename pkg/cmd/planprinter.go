package cmd

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// signs of the actions in the text of a plan.
func sign(a plan.Action) string {
	switch a {
	case plan.Create:
		return "+"
	case plan.Update:
		return "~"
	case plan.Recreate:
		return "±"
	case plan.Adopt:
		return "<"
	case plan.Prune:
		return "-"
	case plan.Unknown:
		return "?"
	default:
		return " "
	}
}

// maxPlanValue is the longest value in the text of a plan, in letters. JSON has all of it.
const maxPlanValue = 160

// printPlan writes a plan for people: one line an object, grouped by the part of the Flow, and one a changed field;
// unchanged objects are only counted unless there is something to say about them. What most fields of an object have in common is
// said once, beside the object.
func printPlan(w io.Writer, now time.Time, flowName, namespace string, p plan.Plan) {
	fmt.Fprintf(w, "Flow %s in namespace %s\n", flowName, namespace)
	for _, note := range p.Notes {
		fmt.Fprintf(w, "  note: %s\n", rollout.PlainText(note))
	}
	part := ""
	for _, c := range p.Changes {
		if c.Action == plan.Keep && c.Reason == "" {
			continue
		}
		if c.Part.String() != part {
			part = c.Part.String()
			fmt.Fprintf(w, "  %s\n", part)
		}
		printChange(w, now, c)
	}
	for _, c := range p.Conflicts {
		fmt.Fprintf(w, "    ! conflict %s\n", rollout.PlainText(conflictText(c, now)))
	}
	fmt.Fprintln(w, planSummary(p))
}

func printChange(w io.Writer, now time.Time, c plan.Change) {
	whys := make([]string, len(c.Fields))
	for i, f := range c.Fields {
		whys[i] = fieldReason(c, f, now)
	}
	common := mostFrequent(whys)
	reason := c.Reason
	if common != "" {
		reason = strings.TrimPrefix(reason+"; "+common, "; ")
	}
	fmt.Fprintf(w, "    %s %s %s%s\n", sign(c.Action), actionText(c), c.Ref, inBrackets(reason))
	for i, f := range c.Fields {
		if whys[i] == common {
			whys[i] = ""
		}
		fmt.Fprintf(w, "        %s%s\n", fieldText(f), inBrackets(whys[i]))
	}
}

// mostFrequent is the text that most of the others are, the first of several; empty where none is there twice.
func mostFrequent(texts []string) string {
	counts := map[string]int{}
	best := ""
	for _, t := range texts {
		counts[t]++
	}
	for _, t := range texts {
		if t != "" && counts[t] > max(1, counts[best]) {
			best = t
		}
	}
	return best
}

// fieldReason says who owns a field's live value and why it changes, as far as the change itself does not say so: what is new
// has its sign, and what is adopted says from whom.
func fieldReason(c plan.Change, f plan.FieldChange, now time.Time) string {
	switch {
	case f.Live == "":
		if f.Reason == plan.ReasonNew {
			return ""
		}
		return f.Reason
	case f.Owner == nil || f.Owner.Manager == plan.FieldManager:
		return f.Reason
	}
	for _, m := range c.Migrate {
		if f.Owner.Manager == m {
			return ""
		}
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(f.Reason, "set by "+f.Owner.Manager), "; ")
	return "set by " + ownerText(*f.Owner, now) + "; " + rest
}

func actionText(c plan.Change) string {
	if c.Action == plan.Prune {
		return "delete"
	}
	return string(c.Action)
}

func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return "  (" + rollout.PlainText(text) + ")"
}

func fieldText(f plan.FieldChange) string {
	path, live, ours := rollout.PlainText(f.Path), shortened(f.Live), shortened(f.Ours)
	switch {
	case path == "":
		return ours
	case f.Live == plan.Masked && f.Ours == plan.Masked:
		return path + ": changes (values masked)"
	case f.Live == "":
		return fmt.Sprintf("%s: + %s", path, ours)
	case f.Ours == "":
		return fmt.Sprintf("%s: - %s", path, live)
	case live == ours:
		return path + ": changes (the values are long; -o json has them)"
	default:
		return fmt.Sprintf("%s: %s → %s", path, live, ours)
	}
}

// shortened is a value on one line and of bounded length.
func shortened(value string) string {
	letters := []rune(rollout.PlainText(value))
	if len(letters) > maxPlanValue {
		return string(letters[:maxPlanValue-1]) + "…"
	}
	return string(letters)
}

// planSummary is the last line of a plan.
func planSummary(p plan.Plan) string {
	var parts []string
	for _, s := range []struct {
		action plan.Action
		text   string
	}{
		{plan.Create, "to create"}, {plan.Update, "to update"}, {plan.Recreate, "to recreate"}, {plan.Adopt, "to adopt"},
		{plan.Prune, "to delete"}, {plan.Unknown, "unknown"}, {plan.Keep, "unchanged"},
	} {
		if n := p.Count(s.action); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s.text))
		}
	}
	if n := len(p.Conflicts); n > 0 {
		parts = append(parts, countText(n, "conflict"))
	}
	if !p.Changed() && len(p.Conflicts) == 0 {
		return fmt.Sprintf("Nothing to do: %s unchanged", countText(p.Count(plan.Keep), "object"))
	}
	return "Plan: " + strings.Join(parts, ", ")
}

func countText(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
