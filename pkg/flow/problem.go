package flow

import (
	"errors"
	"fmt"
	"strings"
)

// Position is a place in a file. Line and Column count from 1; a zero Line means the file as a whole.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String writes file:line:column, the form that editors jump to.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Severity tells whether a problem stops the file from being used.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is something that is wrong, or has no effect, in a file.
type Problem struct {
	Position Position `json:"position"`
	Severity Severity `json:"severity"`
	// ID names the rule, for instance "unknown-key".
	ID string `json:"id"`
	// Message says what is wrong, in one line.
	Message string `json:"message"`
	// Hint says what to do; may be empty.
	Hint string `json:"hint,omitempty"`
	// ImageKey is the KEY of --image KEY=IMAGE that would solve it; empty when none would.
	ImageKey string `json:"imageKey,omitempty"`
}

// String is one line: file:line:column: severity: message; hint [id].
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s", p.Position, p.Severity, printable(p.Message))
	if p.Hint != "" {
		fmt.Fprintf(&b, "; %s", printable(p.Hint))
	}
	fmt.Fprintf(&b, " [%s]", p.ID)
	return b.String()
}

// Problems are all the problems of a file, sorted by position.
type Problems []Problem

// Err returns an *InvalidError when one of the problems is an error, else nil.
func (ps Problems) Err() error {
	for _, p := range ps {
		if p.Severity == Error {
			return &InvalidError{Problems: ps}
		}
	}
	return nil
}

// InvalidError says that a file cannot be used, and every reason why.
type InvalidError struct{ Problems Problems }

// Error has one line a problem that is an error, then the file of images that would solve those of several executors.
func (e *InvalidError) Error() string {
	var lines []string
	for _, p := range e.Problems {
		if p.Severity == Error {
			lines = append(lines, p.String())
		}
	}
	if advice := e.Problems.ImagesAdvice(); advice != "" {
		lines = append(lines, strings.TrimSuffix(advice, "\n"))
	}
	return strings.Join(lines, "\n")
}

// IsInvalid tells whether err says that a Flow file is invalid.
func IsInvalid(err error) bool {
	var e *InvalidError
	return errors.As(err, &e)
}
