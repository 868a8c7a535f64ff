package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
	"github.com/kubectl-jina/kubectl-jina/pkg/verify"
)

// The exit codes, documented in docs/exit-codes.md.
const (
	codeOK          = 0
	codeError       = 1
	codeChanges     = 2
	codeConflict    = 3
	codePreflight   = 4
	codeRollout     = 5
	codeTimeout     = 6
	codeUsage       = 64
	codeInterrupted = 130
)

// exitError is an error that carries its exit code. An error without text prints nothing.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageErrorf says that the command line is wrong.
func usageErrorf(format string, args ...any) error {
	return &exitError{code: codeUsage, err: fmt.Errorf(format, args...)}
}

// exitCode maps an error to the process's exit code: the one place where that is decided.
func exitCode(err error) int {
	var coded *exitError
	var conflict *apply.ConflictError
	var replaced *apply.ReplacedError
	var scaled *apply.ScaledMeanwhileError
	var check *meshcheck.FailedError
	var failed *rollout.FailedError
	var silent *verify.FailedError
	var timeout *rollout.TimeoutError
	switch {
	case err == nil:
		return codeOK
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, context.Canceled):
		return codeInterrupted
	case flow.IsInvalid(err):
		return codeUsage
	case errors.As(err, &conflict), errors.As(err, &replaced), errors.As(err, &scaled):
		return codeConflict
	case errors.As(err, &check):
		return codePreflight
	case errors.As(err, &failed), errors.As(err, &silent):
		return codeRollout
	case errors.As(err, &timeout):
		return codeTimeout
	default:
		return codeError
	}
}
