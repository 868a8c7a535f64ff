package cmd

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

func TestInterruptedCommandSaysWhatItHasDone(t *testing.T) {
	running, cancelled := t.Context(), cancelledContext(t)
	other := errors.New("forbidden")
	partial := &apply.PartialError{Err: context.Canceled, Applied: []plan.Ref{{Kind: "Service", Name: "a"}}, NotApplied: []plan.Ref{{Kind: "Deployment", Name: "a"}}}
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		done string
		want string
		code int
	}{
		"before anything":   {cancelled, fmt.Errorf("list: %w", context.Canceled), "nothing was applied", "interrupted: nothing was applied", codeInterrupted},
		"nothing to say":    {cancelled, context.Canceled, "", "interrupted", codeInterrupted},
		"in the middle":     {cancelled, partial, "nothing was applied", "interrupted\n1 of 2 objects were applied\n  applied: Service/a\n  not applied: Deployment/a\nrun the same command again to go on from here", codeInterrupted},
		"said already":      {cancelled, &exitError{code: codeInterrupted, err: fmt.Errorf("all: %w", context.Canceled)}, "nothing was applied", "all: context canceled", codeInterrupted},
		"another error":     {cancelled, other, "nothing was applied", "forbidden", codeError},
		"no signal":         {running, context.Canceled, "nothing was applied", "context canceled", codeInterrupted},
		"no error, no code": {cancelled, nil, "nothing was applied", "", codeOK},
	} {
		t.Run(name, func(t *testing.T) {
			err := interrupted(c.ctx, c.err, c.done)
			if exitCode(err) != c.code {
				t.Errorf("exit code %d, want %d", exitCode(err), c.code)
			}
			if err != nil && err.Error() != c.want {
				t.Errorf("%q, want %q", err.Error(), c.want)
			}
		})
	}
}

func cancelledContext(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
