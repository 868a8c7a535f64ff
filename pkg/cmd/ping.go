package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/verify"
)

var (
	pingLong = templates.LongDesc(`
		Ask a running Flow whether it answers.

		Each gateway pod is asked for a dry run, which goes through the whole graph and processes nothing, and each pod of
		the executors is asked by itself. LATENCY is that of one answer through the port-forward, without the time to set
		that up; what a gateway's includes is the way through the Flow and back. What runs different versions of jina or
		docarray than the gateway is named.

		A gateway whose executor has come back needs some seconds to notice: after a failure the Flow is asked again
		until --timeout. An HTTP gateway's dry run does not tell whether it reaches its executors; docs/verify.md says
		what is proved then.

		Exit codes: 0 all answers, 4 a permission is missing, 5 something does not answer.`)

	pingExample = templates.Examples(`
		# The only Flow of the current namespace
		kubectl jina ping

		# One of several, once
		kubectl jina ping --flow search --timeout 1s

		# For a program
		kubectl jina ping -o json`)
)

type pingOptions struct {
	flowRef
	output  string
	timeout time.Duration

	factory *factory
	genericiooptions.IOStreams
}

func newPingCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &pingOptions{factory: f, IOStreams: streams}
	c := &cobra.Command{
		Use:     "ping [-f FILE | --flow NAME]",
		Short:   "Ask a Flow, and each of its executors, whether it answers",
		Long:    pingLong,
		Example: pingExample,
		Args:    noArgs,
		RunE:    validateAndRun(o),
	}
	o.bind(c.Flags())
	c.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "How long to ask again what does not answer, and how long to wait for an answer")
	c.Flags().StringVarP(&o.output, "output", "o", "", "Output format: json")
	return c
}

// Validate the flags.
func (o *pingOptions) Validate() error {
	switch {
	case o.timeout <= 0:
		return usageErrorf("--timeout: %s is not a time to wait", o.timeout)
	case o.output != "" && o.output != "json":
		return usageErrorf("--output: %q is not known; it can be json", o.output)
	}
	return o.validate()
}

// Run asks and prints the answers.
func (o *pingOptions) Run(ctx context.Context) (err error) {
	defer func() { err = interrupted(ctx, err, "") }()
	s, live, err := o.findParts(ctx, o.factory, o.IOStreams)
	if err != nil {
		return err
	}
	if err := live.refusePaused(s.namespace); err != nil {
		return &exitError{code: codeRollout, err: err}
	}
	if err := s.mayChange(ctx, meshcheck.CommandPing, live.parts); err != nil {
		return err
	}
	var parts, stopped []plan.Part
	for _, p := range live.parts {
		parts = append(parts, p.part)
		if replicas, set, _ := unstructured.NestedInt64(p.object.Object, "spec", "replicas"); set && replicas == 0 {
			stopped = append(stopped, p.part)
		}
	}
	request := s.verification(live.name, parts, func(context.Context) ([]plan.Part, error) { return stopped, nil })
	request.EachPod, request.Refused, request.Silent = true, o.timeout, o.timeout
	report, err := verify.Run(ctx, s.dialer(), request)
	if failed := (*verify.FailedError)(nil); err != nil && !errors.As(err, &failed) {
		return explain(err)
	}
	if err == nil && report.Skipped != "" {
		err = &exitError{code: codeRollout, err: fmt.Errorf("the Flow cannot be asked: %s", report.Skipped)}
	}
	if o.output == "json" {
		return errors.Join(printPingJSON(o.Out, live.name, s.namespace, report, err), withoutText(err))
	}
	if printErr := printPing(o.Out, report); printErr != nil {
		return printErr
	}
	for _, w := range report.Warnings {
		fmt.Fprintf(o.ErrOut, "warning: %s\n", w)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.Out, "\nFlow %s answers: %s\n", live.name, report.Proved)
	return err
}

// withoutText is the exit code of an error whose text is printed already.
func withoutText(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitCode(err)}
}

// answers of a report, the gateway's first.
func pingAnswers(r verify.Report) []verify.Answer { return slices.Concat(r.Gateways, r.Executors) }

func printPing(w io.Writer, r verify.Report) error {
	rows := [][]string{{"PART", "POD", "ANSWER", "LATENCY", "JINA", "DOCARRAY"}}
	for _, a := range pingAnswers(r) {
		rows = append(rows, []string{a.Part.String(), a.Pod, answerText(a), latencyText(a), orDash(a.Versions.Jina), orDash(a.Versions.DocArray)})
	}
	if len(rows) == 1 {
		return nil
	}
	const gap = 2
	_, err := fmt.Fprintln(w, strings.Join(alignColumns(rows, gap), "\n"))
	return err
}

// answerText says what a pod has answered, in a word or two.
func answerText(a verify.Answer) string {
	switch {
	case a.Err != nil:
		return "none"
	case a.DryRun:
		return "dry run"
	default:
		return "by itself"
	}
}

func latencyText(a verify.Answer) string {
	if a.Err != nil || a.Latency == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", milliseconds(a.Latency))
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// pingJSON is what `ping -o json` prints; docs/verify.md describes it.
type pingJSON struct {
	Flow      string           `json:"flow"`
	Namespace string           `json:"namespace"`
	Answers   bool             `json:"answers"`
	Proved    string           `json:"proved,omitempty"`
	Error     string           `json:"error,omitempty"`
	Warnings  []string         `json:"warnings,omitempty"`
	Pods      []pingAnswerJSON `json:"pods"`
}

type pingAnswerJSON struct {
	Part                string          `json:"part"`
	Pod                 string          `json:"pod"`
	Protocol            string          `json:"protocol"`
	TLS                 bool            `json:"tls,omitempty"`
	Answers             bool            `json:"answers"`
	DryRun              bool            `json:"dryRun,omitempty"`
	LatencyMilliseconds float64         `json:"latencyMilliseconds,omitempty"`
	Versions            verify.Versions `json:"versions,omitzero"`
	Error               string          `json:"error,omitempty"`
}

func printPingJSON(w io.Writer, flowName, namespace string, r verify.Report, failure error) error {
	out := pingJSON{Flow: flowName, Namespace: namespace, Answers: failure == nil, Proved: r.Proved, Warnings: r.Warnings, Pods: []pingAnswerJSON{}}
	if failure != nil {
		out.Error = failure.Error()
	}
	for _, a := range pingAnswers(r) {
		answer := pingAnswerJSON{Part: a.Part.String(), Pod: a.Pod, Protocol: strings.ToLower(a.Protocol), TLS: a.TLS, Answers: a.Err == nil,
			DryRun: a.DryRun, LatencyMilliseconds: milliseconds(a.Latency), Versions: a.Versions}
		if a.Err != nil {
			answer.Error, answer.LatencyMilliseconds = a.ErrorText(), 0
		}
		out.Pods = append(out.Pods, answer)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}
