package cmd

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
)

// printResults prints every check, one line each, under the headings of their groups, and below what did not pass
// what to do about it.
func printResults(w io.Writer, results []meshcheck.Result) error {
	width := 0
	for _, r := range results {
		width = max(width, len(r.ID))
	}
	b := bufio.NewWriter(w)
	group := ""
	for _, r := range results {
		if r.Group != group {
			group = r.Group
			fmt.Fprintln(b, group)
		}
		text := r.Detail
		if r.Status == meshcheck.StatusPass {
			text = r.Title + " (" + r.Detail + ")"
		}
		fmt.Fprintf(b, "  %-7s  %-*s  %s\n", statusWord(r.Status), width, r.ID, text)
		printRemedy(b, r, strings.Repeat(" ", 2+7+2))
	}
	return b.Flush()
}

// printNotable prints, for a command that goes on to do something else, only what its user should know: what failed,
// what is a warning, and what is not known of a check that decides.
func printNotable(w io.Writer, results []meshcheck.Result) {
	b := bufio.NewWriter(w)
	for _, r := range results {
		switch {
		case r.Status == meshcheck.StatusFail, r.Status == meshcheck.StatusWarn,
			r.Status == meshcheck.StatusUnknown && r.Decides:
			fmt.Fprintf(b, "%s  %s: %s\n", statusWord(r.Status), r.ID, r.Detail)
			printRemedy(b, r, "      ")
		}
	}
	// Progress that cannot be written must not stop the command.
	_ = b.Flush()
}

func printRemedy(w io.Writer, r meshcheck.Result, indent string) {
	switch r.Status {
	case meshcheck.StatusPass, meshcheck.StatusSkipped:
		return
	}
	for _, line := range r.Remedy {
		fmt.Fprintf(w, "%s%s\n", indent, line)
	}
	fmt.Fprintf(w, "%ssee %s\n", indent, r.Docs)
}

// statusWord makes failures stand out where there is no colour.
func statusWord(s meshcheck.Status) string {
	if s == meshcheck.StatusFail {
		return "FAIL"
	}
	return string(s)
}

// summary counts the results in one line.
func summary(results []meshcheck.Result) string {
	counts := map[meshcheck.Status]int{}
	for _, r := range results {
		counts[r.Status]++
	}
	parts := []string{fmt.Sprintf("%d passed", counts[meshcheck.StatusPass])}
	for _, c := range []struct {
		status meshcheck.Status
		word   string
	}{
		{meshcheck.StatusWarn, "with a warning"},
		{meshcheck.StatusFail, "failed"},
		{meshcheck.StatusUnknown, "unknown"},
		{meshcheck.StatusSkipped, "skipped"},
	} {
		if n := counts[c.status]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, c.word))
		}
	}
	return fmt.Sprintf("%d checks: %s", len(results), strings.Join(parts, ", "))
}
