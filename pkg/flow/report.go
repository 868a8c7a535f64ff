package flow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// The ids of the problems that a file can have.
const (
	IDUnreadable      = "unreadable"       // too large, binary, not UTF-8, empty
	IDSyntax          = "yaml-syntax"      // not YAML
	IDYAMLFeature     = "yaml-unsupported" // YAML that Jina does not read: tags, several documents, dates
	IDDuplicateKey    = "duplicate-key"
	IDKind            = "jtype"
	IDVersion         = "version"
	IDUnknownKey      = "unknown-key"
	IDAbbreviatedKey  = "abbreviated-key"
	IDAmbiguousKey    = "ambiguous-key"
	IDMisplacedKey    = "misplaced-key"
	IDNoEffect        = "no-effect"
	IDType            = "wrong-type"
	IDValue           = "wrong-value"
	IDRange           = "out-of-range"
	IDName            = "executor-name"
	IDDuplicateName   = "duplicate-name"
	IDReservedName    = "reserved-name"
	IDNeedsUnknown    = "needs-unknown"
	IDNeedsSelf       = "needs-self"
	IDNeedsLater      = "needs-later"
	IDNeedsCycle      = "needs-cycle"
	IDDeadEnd         = "dead-end"
	IDImage           = "no-image"
	IDImageKey        = "image-key"     // an --image or --images that gives nothing an image
	IDIncludedFile    = "included-file" // the file of an executor cannot be used
	IDMethod          = "method"
	IDUnsupported     = "unsupported"
	IDVariableUnset   = "variable-unset"
	IDVariableContext = "variable-context"
	IDStorage         = "storage" // the environment asks for storage in a way that cannot be read
	IDAddress         = "address" // of an external executor
	IDNoExecutors     = "no-executors"
	IDEnvName         = "env-name"
	IDNamespace       = "namespace"
	IDTooMany         = "too-many-problems"

	// Of a folder that Jina exported.
	IDFolderKind     = "folder-kind"     // no object that a Flow has
	IDFolderPart     = "folder-part"     // an object that belongs to no part of the Flow
	IDFolderGraph    = "folder-graph"    // what the gateway or a head calls, and what there is, do not fit
	IDFolderDefect   = "folder-defect"   // a known defect of Jina's export
	IDFolderRepaired = "folder-repaired" // what no cluster takes, and is written differently
	IDFolderServer   = "folder-server"   // fields that the API server writes
)

// maxProblems bounds the errors and the warnings that are reported of one file.
const maxProblems = 200

// reporter collects problems.
type reporter struct {
	problems Problems
	seen     map[Problem]bool
	places   map[Position]Severity
	counts   map[Severity]int
}

func newReporter() *reporter {
	return &reporter{seen: map[Problem]bool{}, places: map[Position]Severity{}, counts: map[Severity]int{}}
}

func (r *reporter) add(severity Severity, pos Position, id, hint, format string, args ...any) {
	if r.full(severity) {
		return
	}
	p := Problem{Position: pos, Severity: severity, ID: id, Message: bounded(printable(fmt.Sprintf(format, args...))), Hint: bounded(printable(hint))}
	// What the gateway and several executors inherit is looked at once for each of them.
	if r.seen[p] {
		return
	}
	r.seen[p] = true
	r.problems = append(r.problems, p)
	if r.counts[severity]++; r.full(severity) {
		r.problems = append(r.problems, tooMany(pos.File, severity))
	}
	if r.places[pos] != Error {
		r.places[pos] = severity
	}
}

// full tells that there are enough problems of a severity: nobody reads more.
func (r *reporter) full(severity Severity) bool { return r.counts[severity] >= maxProblems }

func (r *reporter) errorf(pos Position, id, hint, format string, args ...any) {
	r.add(Error, pos, id, hint, format, args...)
}

func (r *reporter) warnf(pos Position, id, hint, format string, args ...any) {
	r.add(Warning, pos, id, hint, format, args...)
}

func (r *reporter) has(id string) bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool { return p.ID == id })
}

// errorAt tells whether an error was found at a place: what follows from it is not worth saying.
func (r *reporter) errorAt(pos Position) bool { return r.places[pos] == Error }

func (r *reporter) reportedAt(pos Position) bool { return r.places[pos] != "" }

// Sort orders problems by position; those of one place keep their order.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Position.File, b.Position.File), cmp.Compare(a.Position.Line, b.Position.Line),
			cmp.Compare(a.Position.Column, b.Position.Column))
	})
}

func tooMany(file string, severity Severity) Problem {
	return Problem{
		Position: Position{File: file}, Severity: severity, ID: IDTooMany,
		Message: fmt.Sprintf("the file has more %ss than the %d that are shown", severity, maxProblems), Hint: "repair these first",
	}
}

// Limit leaves out what nobody reads: of each severity it keeps the first problems, and says so.
func (ps Problems) Limit() Problems {
	counts := map[Severity]int{}
	var kept Problems
	for _, p := range ps {
		counts[p.Severity]++
		switch n := counts[p.Severity]; {
		case n <= maxProblems:
			kept = append(kept, p)
		case n == maxProblems+1:
			kept = append(kept, tooMany(p.Position.File, p.Severity))
		}
	}
	return kept
}

// bounded is a message that can be read: names in it may be as long as the file.
func bounded(text string) string {
	const most = 600
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// printable is a text in one line and without control sequences: a file must not write to the terminal on its own.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
