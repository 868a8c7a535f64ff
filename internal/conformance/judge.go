package conformance

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Outcome of the two comparisons of a case that the reference exports.
type Outcome struct {
	// Leaves of the reference that were compared.
	Leaves int
	// Compat are the differences between --compat and the reference, Default those between the default output and the
	// reference with the named deviations replayed on it.
	Compat, Default []string
	// CompatRefused and DefaultRefused are the problems of a mode that makes no objects of the case.
	CompatRefused, DefaultRefused flow.Problems
	// Touched counts the leaves that each deviation changed.
	Touched map[string]int
}

// Agrees tells that there is no difference. A refusal is for the caller to judge.
func (o *Outcome) Agrees() bool {
	return len(o.Compat) == 0 && len(o.Default) == 0 && o.CompatRefused.Err() == nil
}

// Judge compares what the plugin makes of a case with what the reference has made of it.
func Judge(c *Case) *Outcome {
	out := &Outcome{Touched: map[string]int{}}
	compat := c.Export(true)
	if compat.Problems.Err() != nil {
		out.CompatRefused = compat.Problems
		return out
	}
	ours := compat.Tree()
	if c.AsReferenceReads {
		ours = ours.copy()
		if word := quoteWords(ours); word != "" {
			out.Compat = []string{fmt.Sprintf("the reference should have failed on the word %q", word)}
			return out
		}
	}
	if out.Compat, out.Leaves = Differences(c.Expected, ours); len(out.Compat) > 0 {
		return out
	}
	byDefault := c.Export(false)
	if byDefault.Problems.Err() != nil {
		out.DefaultRefused = byDefault.Problems
		return out
	}
	replayed := out.replay(c, compat, byDefault)
	out.Default, _ = Differences(treeOf(byDefault.Flow, replayed), byDefault.Tree())
	return out
}

// replay applies the named deviations to the reference's own objects.
func (o *Outcome) replay(c *Case, compat, byDefault *Export) []plan.Object {
	reference := referenceObjects(c, compat)
	if c.AsReferenceReads {
		unquoteWords(reference, compat.Objects)
	}
	before := leaves(treeOf(byDefault.Flow, reference))
	return plan.Deviate(byDefault.Flow, byDefault.Options, reference, func(d plan.Deviation, objects []plan.Object) {
		after := leaves(treeOf(byDefault.Flow, objects))
		o.Touched[d.ID] += changed(before, after)
		before = after
	})
}

// referenceObjects gives the reference's objects the parts of ours, which equal them.
func referenceObjects(c *Case, compat *Export) []plan.Object {
	var out []plan.Object
	next := map[string]int{}
	for _, o := range compat.Objects {
		file := plan.File(compat.Flow, o.Part)
		out = append(out, plan.Object{Part: o.Part, Unstructured: c.Expected[file][next[file]].DeepCopy()})
		next[file]++
	}
	return out
}

// ErrorIDs are the ids of the errors among some problems, sorted, each once.
func ErrorIDs(problems flow.Problems) []string {
	var ids []string
	for _, p := range problems {
		if p.Severity == flow.Error {
			ids = append(ids, p.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Verdicts of a random Flow, on top of [Equal].
const (
	// BothRefuse: neither program exports the Flow.
	BothRefuse Verdict = "both refuse"
	// Quoting: the reference fails on its own quoting of a text, we export it (semantics D16).
	Quoting Verdict = "quoting"
	// SearchPaths: the reference fails on an included Deployment whose extra_search_paths is a text, which it takes for a
	// list everywhere else; we export it.
	SearchPaths Verdict = "search paths"
	// Different: a difference that nothing documents.
	Different Verdict = "different"
)

// JudgeRandom judges a case that nobody has looked at. What it says of a different one is for people to read.
func JudgeRandom(c *Case) (Verdict, *Outcome, string) {
	c.AsReferenceReads = true
	if c.ExpectedError != "" {
		compat := c.Export(true)
		switch err := compat.Problems.Err(); {
		case err != nil:
			return BothRefuse, nil, c.ExpectedError
		case quoteWords(compat.Tree().copy()) != "" && isQuotingError(c.ExpectedError):
			return Quoting, nil, c.ExpectedError
		case c.ExpectedError == searchPathsError && includesText(c, "extra_search_paths:"):
			return SearchPaths, nil, c.ExpectedError
		}
		return Different, nil, "the reference fails, we do not: " + c.ExpectedError
	}
	out := Judge(c)
	if err := out.CompatRefused.Err(); err != nil {
		return Different, out, fmt.Sprintf("the reference exports it, we refuse it (%s):\n%v", strings.Join(ErrorIDs(out.CompatRefused), ", "), err)
	}
	if lines := append(out.Compat, out.Default...); len(lines) > 0 {
		kind := "--compat is not the reference"
		if len(out.Compat) == 0 {
			kind = "the default output is not the reference with the deviations"
		}
		return Different, out, kind + ":\n" + strings.Join(lines, "\n")
	}
	for _, id := range ErrorIDs(out.DefaultRefused) {
		if !slices.Contains(refusedByDefault(), id) {
			return Different, out, fmt.Sprintf("only --compat exports it (%s):\n%v", id, out.DefaultRefused.Err())
		}
	}
	return Equal, out, ""
}

// refusedByDefault are the problems for which the default mode makes no objects of what --compat exports: executors that
// say nothing of what they run, what cannot work on a cluster (TLS of executors or with half a certificate, stateful ones), context variables
// without a value.
func refusedByDefault() []string {
	return []string{flow.IDImage, flow.IDUnsupported, flow.IDVariableContext}
}

// searchPathsError is Python's, when the reference adds its list of folders to a text.
const searchPathsError = `TypeError: can only concatenate str (not "list") to str`

// includedFile is the name of a Deployment's file in the list of executors.
var includedFile = regexp.MustCompile(`(?m)^\s*-\s+["']?([\w./-]+\.ya?ml)["']?\s*$`)

// includesText tells whether a file that the Flow includes has a text.
func includesText(c *Case, text string) bool {
	if c.Source.ReadFile == nil {
		return false
	}
	return slices.ContainsFunc(includedFile.FindAllSubmatch(c.Source.Data, -1), func(m [][]byte) bool {
		file, err := c.Source.ReadFile(string(m[1]))
		return err == nil && strings.Contains(string(file.Data), text)
	})
}

// isQuotingError tells whether the reference's YAML library stumbled over what the reference has written itself.
func isQuotingError(message string) bool {
	return strings.HasPrefix(message, "yaml.parser.ParserError") || strings.HasPrefix(message, "yaml.scanner.ScannerError")
}

// Improvement is our error, or every leaf in which --compat differs on purpose.
func Improvement(c *Case) string {
	export := c.Export(true)
	if err := export.Problems.Err(); err != nil {
		return err.Error() + "\n"
	}
	lines, _ := Differences(c.Expected, export.Tree())
	return strings.Join(lines, "\n") + "\n"
}
