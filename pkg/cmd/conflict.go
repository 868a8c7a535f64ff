package cmd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// explainApply says of a conflict whose it is, since when, and what the ways out are; other errors are explained as usual.
func explainApply(err error, now time.Time) error {
	var conflict *apply.ConflictError
	if !errors.As(err, &conflict) {
		return explain(err)
	}
	var b strings.Builder
	var objects, fields bool
	for _, c := range conflict.Conflicts {
		b.WriteString(rollout.PlainText(conflictText(c, now)))
		b.WriteByte('\n')
		objects, fields = objects || c.Field == "", fields || c.Field != ""
	}
	b.WriteString(conflictOutcome(err))
	if objects {
		b.WriteString("\nways out: another namespace (-n); or, if nobody needs what is in the way, delete it with the tool that made it")
	}
	if fields {
		b.WriteString("\nways out: write the live value into the file to keep it; or have its owner give the field up; " +
			"or take all these fields over with --force-conflicts")
	}
	return &explained{b.String(), err}
}

// conflictOutcome says what was written: mostly nothing, as a conflict is found before.
func conflictOutcome(err error) string {
	var partial *apply.PartialError
	if !errors.As(err, &partial) {
		return "nothing was applied"
	}
	// Its first line is the conflict itself, which stands above.
	_, rest, _ := strings.Cut(partial.Error(), partial.Err.Error()+"\n")
	return rest
}

// conflictText is one conflict on one line.
func conflictText(c plan.Conflict, now time.Time) string {
	if c.Field == "" {
		text := fmt.Sprintf("%s in namespace %s exists already and belongs to %s", c.Ref, c.Ref.Namespace, c.Owner.Manager)
		if c.Detail != "" {
			text += ": " + c.Detail
		}
		return text
	}
	text := fmt.Sprintf("%s: %s", c.Ref, c.Field)
	switch {
	case c.Live == plan.Masked || c.Ours == plan.Masked:
		text += " has another value (masked)"
	case c.Live != "":
		text += " is " + c.Live
	}
	text += ", set by " + ownerText(c.Owner, now)
	if c.Ours != "" && c.Ours != plan.Masked {
		text += "; the file says " + c.Ours
	}
	if c.Detail != "" {
		text += " (" + c.Detail + ")"
	}
	return text
}

// ownerText is a field's owner as people speak of one: kubectl-edit (Update, 3m ago).
func ownerText(o plan.Owner, now time.Time) string {
	var more []string
	if o.Operation != "" {
		more = append(more, o.Operation)
	}
	if o.Subresource != "" {
		more = append(more, "through "+o.Subresource)
	}
	if !o.Time.IsZero() {
		more = append(more, duration.HumanDuration(now.Sub(o.Time))+" ago")
	}
	if len(more) == 0 {
		return o.Manager
	}
	return o.Manager + " (" + strings.Join(more, ", ") + ")"
}
