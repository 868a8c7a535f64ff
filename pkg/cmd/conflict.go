package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// explainApply adds to a conflict what can be done about it; other errors are explained as usual.
func explainApply(err error) error {
	var conflict *apply.ConflictError
	if !errors.As(err, &conflict) {
		return explain(err)
	}
	var b strings.Builder
	b.WriteString(err.Error())
	if owned, field := kindsOfConflict(conflict.Conflicts); owned && madeByKubectl(conflict.Conflicts) {
		b.WriteString("\nnothing was applied; objects that kubectl has made, as from a folder that Jina exported, are not taken over: " +
			"delete them with kubectl (`kubectl delete -R -f FOLDER`), then run this command again")
	} else if owned {
		b.WriteString("\nnothing was applied; use another namespace (-n), or delete what is in the way if nobody needs it")
	} else if field {
		fmt.Fprintf(&b, "\nnothing was applied; write the live value into the file to keep it, or take the field over with --force-conflicts")
	}
	return &explained{b.String(), err}
}

// madeByKubectl tells whether every object that is in the way was made by kubectl, which names itself kubectl,
// kubectl-client-side-apply or kubectl-create as a field manager. Controllers may have written to the objects since.
func madeByKubectl(conflicts []plan.Conflict) bool {
	for _, c := range conflicts {
		if c.Field == "" && (!strings.HasPrefix(c.Owner, "kubectl") || strings.HasPrefix(c.Owner, plan.FieldManager)) {
			return false
		}
	}
	return true
}

func kindsOfConflict(conflicts []plan.Conflict) (owned, field bool) {
	for _, c := range conflicts {
		if c.Field == "" {
			owned = true
		} else {
			field = true
		}
	}
	return owned, field
}
