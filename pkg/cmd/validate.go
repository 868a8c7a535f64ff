package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// validateOptions are the flags of validate.
type validateOptions struct {
	genericiooptions.IOStreams
	flowFlags
	output string
	strict bool
}

// newValidateCommand is validate: all that is wrong with a Flow file.
func newValidateCommand(_ *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &validateOptions{IOStreams: streams}
	c := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Find everything that is wrong with a Flow file",
		Long: templates.LongDesc(`
			Find everything that is wrong with a Flow or Deployment file, or has no effect on Kubernetes.

			Each problem has its place as file:line:column, what is wrong, what to do, and an id. Neither a cluster nor
			the network is asked. The exit code is 64 when there is an error, or with --strict a warning.`),
		Example: templates.Examples(`
			# All problems of a file
			kubectl jina validate -f flow.yml

			# For a program
			kubectl jina validate -f flow.yml -o json

			# In a pipeline, where nothing may be dropped in silence
			kubectl jina validate -f flow.yml --strict`),
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := o.Validate(); err != nil {
				return err
			}
			return o.Run()
		},
	}
	o.bind(c.Flags())
	c.Flags().StringVarP(&o.output, "output", "o", "text", "Output format: text or json")
	c.Flags().BoolVar(&o.strict, "strict", false, "Take warnings for errors")
	return c
}

// Validate the flags.
func (o *validateOptions) Validate() error {
	if o.output != "text" && o.output != "json" {
		return usageErrorf("--output: %q is not known; it can be text or json", o.output)
	}
	return nil
}

// Run finds the problems and prints them.
func (o *validateOptions) Run() error {
	src, err := o.source(o.In)
	if err != nil {
		return err
	}
	// No rule depends on the namespace.
	file, problems, err := o.read(src, "default")
	if err != nil {
		return err
	}
	if o.strict {
		for i := range problems {
			problems[i].Severity = flow.Error
		}
	}
	if o.output == "json" {
		err = printProblemsJSON(o.Out, src, problems)
	} else {
		err = printProblems(o.Out, src, file, problems)
	}
	if err == nil && problems.Err() != nil {
		return &exitError{code: codeUsage}
	}
	return err
}

// validateReport is what `validate -o json` prints.
type validateReport struct {
	File     string        `json:"file"`
	Valid    bool          `json:"valid"`
	Problems flow.Problems `json:"problems"`
}

func printProblemsJSON(w io.Writer, src flow.Source, problems flow.Problems) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(validateReport{File: src.Name, Valid: problems.Err() == nil, Problems: append(flow.Problems{}, problems...)})
}

// printProblems writes each problem in the form that editors read, its line and a caret under the place.
func printProblems(w io.Writer, src flow.Source, file *flowFile, problems flow.Problems) error {
	lines := strings.Split(string(src.Data), "\n")
	errors := 0
	var b strings.Builder
	for _, p := range problems {
		if p.Severity == flow.Error {
			errors++
		}
		fmt.Fprintln(&b, p)
		if n := p.Position.Line; n > 0 && n <= len(lines) {
			writeCaret(&b, lines[n-1], p.Position.Column)
		}
	}
	switch {
	case errors > 0:
		fmt.Fprintf(&b, "%s is not valid: %s, %s\n", src.Name, count(errors, "error"), count(len(problems)-errors, "warning"))
	default:
		fmt.Fprintf(&b, "%s is valid: %s with %s, %s\n", src.Name, file.Flow.Kind, count(len(file.Flow.Executors), "executor"), count(len(problems), "warning"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	default:
		return fmt.Sprintf("%d %ss", n, what)
	}
}

// caretWidth is the most that is shown of a line.
const caretWidth = 100

// writeCaret shows a line with a caret below a column (from 1), in plain characters of one cell where it can.
func writeCaret(b *strings.Builder, line string, column int) {
	text := []rune(strings.Map(func(r rune) rune {
		if r == '\t' || r == '\r' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, line))
	column = max(1, min(column, len(text)+1))
	start := 0
	if column > caretWidth*3/4 {
		start = column - caretWidth/2
	}
	end := min(len(text), start+caretWidth)
	shown := strings.TrimRight(string(text[start:end]), " ")
	fmt.Fprintf(b, "    %s\n    %s^\n", shown, strings.Repeat(" ", column-1-start))
}
