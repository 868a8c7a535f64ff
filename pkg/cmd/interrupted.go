package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
)

// errInterrupted stands for the cause where a signal ended a command.
var errInterrupted = errors.New("interrupted")

// interrupted says of a command that was ended by a signal what it had done until then. Errors that say so already, and
// those that are not of the signal, stay as they are.
func interrupted(ctx context.Context, err error, done string) error {
	if err == nil || !errors.Is(ctx.Err(), context.Canceled) || !errors.Is(err, context.Canceled) {
		return err
	}
	var coded *exitError
	if errors.As(err, &coded) {
		return err
	}
	said := errInterrupted
	var partial *apply.PartialError
	switch {
	case errors.As(err, &partial):
		p := *partial
		p.Err = errInterrupted
		said = &p
	case done != "":
		said = fmt.Errorf("%w: %s", errInterrupted, done)
	}
	return &exitError{code: codeInterrupted, err: said}
}
