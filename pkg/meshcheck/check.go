package meshcheck

import (
	"fmt"
	"strings"
)

// Status is what a check came to.
type Status string

// The statuses.
const (
	// StatusPass: what the check asks for is there.
	StatusPass Status = "pass"
	// StatusWarn: the Flow will run, and something about it is worth knowing.
	StatusWarn Status = "warn"
	// StatusFail: the Flow would not run, or not as it was asked to.
	StatusFail Status = "fail"
	// StatusSkipped: the question has no meaning here.
	StatusSkipped Status = "skipped"
	// StatusUnknown: the question was not answered, mostly because the user may not ask it.
	StatusUnknown Status = "unknown"
)

// docsURL is where every check has a section under its ID.
const docsURL = "https://github.com/kubectl-jina/kubectl-jina/blob/main/docs/checks.md"

// The headings that checks are shown under.
const (
	groupKubernetes = "Kubernetes"
	groupMesh       = "Mesh"
)

// Check is one row of the table of checks.
type Check struct {
	// ID is stable; it is the anchor in docs/checks.md.
	ID string
	// Group is the heading that the check is shown under.
	Group string
	// Title says what is checked, as the fact that holds when it passes.
	Title string
	// Why says what goes wrong where it does not hold.
	Why string
	// Remedy is what to do in general; an outcome that knows better has its own.
	Remedy []string
	// Decides: only such a check can fail, and only such a check counts when it is unknown and nothing may be left
	// open (Strict). linkerd-control-plane fails only on top of a failed injection, of which it tells the cause.
	Decides bool

	run func(Facts) Outcome
}

// Docs is the address of the check's section in the documentation.
func (c Check) Docs() string { return docsURL + "#" + c.ID }

// Outcome is what a check says about the facts.
type Outcome struct {
	Status Status
	// Detail is one line about what was found.
	Detail string
	// Remedy replaces the check's own; each is one line.
	Remedy []string
}

// Result is the outcome of a check, ready to be shown. The JSON form is documented in docs/checks.md.
type Result struct {
	ID     string `json:"id"`
	Group  string `json:"group"`
	Title  string `json:"title"`
	Status Status `json:"status"`
	// Detail is one line; it may quote the cluster.
	Detail string `json:"detail"`
	// Remedy has one line for each thing that can be done; empty when the check passed or was skipped.
	Remedy []string `json:"remedy,omitempty"`
	// Decides is the check's.
	Decides bool `json:"decides"`
	// Docs is the address of the check's documentation.
	Docs string `json:"docs"`
}

// Evaluate runs every check of the table over the facts, in the table's order. It is pure. When the API server could
// not be used, the first check fails and says why, and all others are skipped.
func Evaluate(f Facts) []Result {
	unreachable := f.unreachable()
	var results []Result
	for _, c := range Checks() {
		o := Outcome{Status: StatusSkipped, Detail: "the API server was not reached"}
		if unreachable == nil || c.ID == apiReachable {
			o = c.run(f)
		}
		results = append(results, c.result(o))
	}
	return results
}

// result is the outcome, ready to be shown.
func (c Check) result(o Outcome) Result {
	r := Result{
		ID: c.ID, Group: c.Group, Title: c.Title, Docs: c.Docs(), Decides: c.Decides,
		Status: o.Status, Detail: oneLine(o.Detail),
	}
	if o.Status != StatusPass && o.Status != StatusSkipped {
		r.Remedy = o.Remedy
		if r.Remedy == nil {
			r.Remedy = c.Remedy
		}
	}
	return r
}

// FailedError says which checks failed. The command line ends with exit code 4 on it.
type FailedError struct {
	// Results are those that failed, at least one.
	Results []Result
}

// Error is one line that names each failed check and what it found.
func (e *FailedError) Error() string {
	parts := make([]string, 0, len(e.Results))
	for _, r := range e.Results {
		parts = append(parts, r.ID+": "+r.Detail)
	}
	return "preflight failed: " + strings.Join(parts, "; ")
}

// Failed returns a *FailedError when a check failed, else nil. Call [Facts.Unreachable] before it: an API server that
// cannot be used is an error of another kind.
func Failed(results []Result) error {
	return failed(results, func(r Result) bool { return r.Status == StatusFail })
}

// Strict is Failed, and counts as failed a warning, too, and an unknown outcome of a check that decides.
func Strict(results []Result) error {
	return failed(results, func(r Result) bool {
		return r.Status == StatusFail || r.Status == StatusWarn || r.Status == StatusUnknown && r.Decides
	})
}

func failed(results []Result, counts func(Result) bool) error {
	var e FailedError
	for _, r := range results {
		if counts(r) {
			e.Results = append(e.Results, r)
		}
	}
	if len(e.Results) == 0 {
		return nil
	}
	return &e
}

func pass(format string, args ...any) Outcome {
	return Outcome{Status: StatusPass, Detail: fmt.Sprintf(format, args...)}
}

func warn(format string, args ...any) Outcome {
	return Outcome{Status: StatusWarn, Detail: fmt.Sprintf(format, args...)}
}

func fail(format string, args ...any) Outcome {
	return Outcome{Status: StatusFail, Detail: fmt.Sprintf(format, args...)}
}

func skip(format string, args ...any) Outcome {
	return Outcome{Status: StatusSkipped, Detail: fmt.Sprintf(format, args...)}
}

func unknown(format string, args ...any) Outcome {
	return Outcome{Status: StatusUnknown, Detail: fmt.Sprintf(format, args...)}
}

// remedies gives the outcome its own remedies; none leaves the check's.
func (o Outcome) remedies(lines ...string) Outcome {
	o.Remedy = lines
	return o
}
