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

			Each problem has its place as file:line:column, what is wrong, what to do, and an id, which docs/validate.md
			explains. All problems are found in one run and sorted by their place. Neither a cluster, nor a kubeconfig, nor
			the network is asked. The exit code is 64 when there is an error, or with --strict a warning.`),
		Example: templates.Examples(`
			# All problems of a file
			kubectl jina validate -f flow.yml

			# A line a problem, for an editor
			kubectl jina validate -f flow.yml -o lines

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
	c.Flags().StringVarP(&o.output, "output", "o", "text", "Output format: text, lines (one a problem, nothing else) or json")
	c.Flags().BoolVar(&o.strict, "strict", false, "Take warnings for errors")
	return c
}

// Validate the flags.
func (o *validateOptions) Validate() error {
	switch o.output {
	case "text", "lines", "json":
		return nil
	}
	return usageErrorf("--output: %q is not known; it can be text, lines or json", o.output)
}

// Run finds the problems and prints them.
func (o *validateOptions) Run() error {
	src, err := o.source(o.In)
	if err != nil {
		return err
	}
	texts := map[string][]byte{src.Name: src.Data}
	for _, f := range o.folder {
		texts[f.Name] = f.Data
	}
	if readFile := src.ReadFile; readFile != nil {
		src.ReadFile = func(name string) (flow.File, error) {
			included, err := readFile(name)
			texts[included.Name] = included.Data
			return included, err
		}
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
	switch o.output {
	case "json":
		err = printProblemsJSON(o.Out, src, problems)
	case "lines":
		err = printProblemLines(o.Out, problems)
	default:
		err = printProblems(o.Out, src.Name, texts, file, problems)
	}
	if err == nil && problems.Err() != nil {
		return &exitError{code: codeUsage}
	}
	return err
}

// validateReport is what `validate -o json` prints; docs/validate.md describes it. New fields may come, the meaning of
// those that are here changes only with apiVersion.
type validateReport struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	File       string        `json:"file"`
	Valid      bool          `json:"valid"`
	Errors     int           `json:"errors"`
	Warnings   int           `json:"warnings"`
	Problems   flow.Problems `json:"problems"`
}

// validateAPIVersion names the form of validateReport.
const validateAPIVersion = "cli.jina.ai/v1alpha1"

func printProblemsJSON(w io.Writer, src flow.Source, problems flow.Problems) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	errors := countErrors(problems)
	return enc.Encode(validateReport{
		APIVersion: validateAPIVersion, Kind: "Validation", File: src.Name, Valid: errors == 0,
		Errors: errors, Warnings: len(problems) - errors, Problems: append(flow.Problems{}, problems...),
	})
}

func countErrors(problems flow.Problems) int {
	errors := 0
	for _, p := range problems {
		if p.Severity == flow.Error {
			errors++
		}
	}
	return errors
}

// printProblemLines writes a line a problem, each with a line and a column, so that one pattern reads them all.
func printProblemLines(w io.Writer, problems flow.Problems) error {
	var b strings.Builder
	for _, p := range problems {
		if p.Position.Line == 0 {
			p.Position.Line, p.Position.Column = 1, 1
		}
		fmt.Fprintln(&b, p)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printProblems writes each problem in the form that editors read, its line and a caret under the place; texts are those
// of the files.
func printProblems(w io.Writer, name string, texts map[string][]byte, file *flowFile, problems flow.Problems) error {
	lines := map[string][]string{}
	errors := countErrors(problems)
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintln(&b, p)
		text, read := lines[p.Position.File]
		if !read {
			text = editorLines(texts[p.Position.File])
			lines[p.Position.File] = text
		}
		if n := p.Position.Line; n > 0 && n <= len(text) {
			writeCaret(&b, text[n-1], p.Position.Column)
		}
	}
	switch {
	case errors > 0:
		fmt.Fprintf(&b, "%s is not valid: %s, %s\n", name, count(errors, "error"), count(len(problems)-errors, "warning"))
	default:
		fmt.Fprintf(&b, "%s is valid: %s with %s, %s\n", name, file.Flow.Kind, count(len(file.Flow.Executors), "executor"), count(len(problems), "warning"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// editorLines splits a text where editors do, which is where problems count lines.
func editorLines(text []byte) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(text)), "\n")
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
