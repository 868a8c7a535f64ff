package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

var (
	listLong = templates.LongDesc(`
		List the Flows of the namespace, or with -A of all namespaces: how many of their workloads are ready, and whether they
		are healthy, as status has it.

		It costs the same number of requests however many Flows there are.`)

	listExample = templates.Examples(`
		# The Flows of the current namespace
		kubectl jina list

		# Those of the whole cluster, for a program
		kubectl jina list -A -o json`)
)

// listedFlow is a Flow in a list. Its JSON form is what list -o json prints.
type listedFlow struct {
	Flow      string `json:"flow"`
	Namespace string `json:"namespace"`
	Healthy   bool   `json:"healthy"`
	Paused    bool   `json:"paused,omitempty"`
	Ready     int    `json:"ready"`
	Workloads int    `json:"workloads"`
	// Gateway is nil for a Flow without, of a Deployment file.
	Gateway *listedGateway `json:"gateway,omitempty"`
	// NotHealthy are the parts that are not.
	NotHealthy []string  `json:"notHealthy,omitempty"`
	Created    time.Time `json:"created,omitzero"`
	// Tooling is the plugin's version that last applied the Flow.
	Tooling string `json:"tooling"`
	// Unknown says why the Flow's graph cannot be read: what is missing of it is then not seen.
	Unknown string `json:"unknown,omitempty"`
}

// listedGateway is a Flow's gateway in a list.
type listedGateway struct {
	Ready  int32 `json:"ready"`
	Wanted int32 `json:"wanted"`
}

// listedFlows is the JSON form of a list.
type listedFlows struct {
	Flows []listedFlow `json:"flows"`
	// Unreadable are the resources that could not be read: crashes that they would show are not known.
	Unreadable []string `json:"unreadable,omitempty"`
}

type listOptions struct {
	output        string
	allNamespaces bool

	factory *factory
	now     func() time.Time
	genericiooptions.IOStreams
}

func newListCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &listOptions{factory: f, now: f.terminal().now, IOStreams: streams}
	c := &cobra.Command{
		Use:     "list [-A]",
		Aliases: []string{"ls"},
		Short:   "List the Flows of a namespace, or of all",
		Long:    listLong,
		Example: listExample,
		Args:    noArgs,
		RunE:    validateAndRun(o),
	}
	c.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "The Flows of all namespaces")
	c.Flags().StringVarP(&o.output, "output", "o", "", "Output format: "+joinOr(listOutputs())+"; a table without")
	return c
}

func listOutputs() []string { return []string{outputWide, outputJSON, outputYAML, outputName} }

// Validate the flags.
func (o *listOptions) Validate() error {
	if o.output != "" && !slices.Contains(listOutputs(), o.output) {
		return usageErrorf("--output: %q is not known; it can be %s", o.output, joinOr(listOutputs()))
	}
	if o.allNamespaces && *o.factory.flags.Namespace != "" {
		return usageErrorf("-A and -n both say where: give one of them")
	}
	return nil
}

// Run prints the list.
func (o *listOptions) Run(ctx context.Context) error {
	s, err := o.factory.connect()
	if err != nil {
		return err
	}
	namespace := s.namespace
	if o.allNamespaces {
		namespace = metav1.NamespaceAll
	}
	list, err := s.listFlows(ctx, namespace, o.now())
	if err != nil {
		return err
	}
	if len(list.Flows) == 0 && (o.output == "" || o.output == outputWide) {
		where := "namespace " + namespace
		if o.allNamespaces {
			where = "any namespace"
		}
		_, err := fmt.Fprintf(o.ErrOut, "no Flow in %s; `kubectl jina up -f FILE` brings one up\n", where)
		return err
	}
	return o.print(o.Out, list)
}

// listFlows reads how the Flows of a namespace, or of all, are.
func (s *session) listFlows(ctx context.Context, namespace string, now time.Time) (listedFlows, error) {
	parents, err := s.client.Parents(ctx, namespace)
	if err != nil {
		return listedFlows{}, everywhere(namespace, err)
	}
	list := listedFlows{Flows: []listedFlow{}}
	if len(parents) == 0 {
		return list, nil
	}
	groups, unreadable, err := rollout.ReadAll(ctx, s.typed, namespace)
	if err != nil {
		return list, everywhere(namespace, err)
	}
	list.Unreadable = unreadable
	for _, p := range parents {
		name := p.GetLabels()[plan.LabelFlow]
		record, broken := parentRecord(name, p.GetNamespace(), p.GetAnnotations())
		objects := groups[rollout.FlowKey{Namespace: p.GetNamespace(), Flow: name}]
		objects.Unreadable = unreadable
		f := listed(rollout.Status(record, objects, now))
		f.Created = p.GetCreationTimestamp().UTC()
		if broken != nil {
			f.Unknown = rollout.PlainText(fmt.Sprintf("%s%v", plan.RefOf(p), broken))
		}
		list.Flows = append(list.Flows, f)
	}
	return list, nil
}

// everywhere says of a right that is missing in all namespaces what there is instead.
func everywhere(namespace string, err error) error {
	said := explain(err)
	if namespace == metav1.NamespaceAll && apierrors.IsForbidden(err) {
		return fmt.Errorf("%w; -A needs it in all namespaces, by a ClusterRole: without, list one namespace with -n", said)
	}
	return said
}

func listed(status rollout.FlowStatus) listedFlow {
	f := listedFlow{
		Flow: status.Flow, Namespace: status.Namespace, Healthy: status.Healthy, Paused: status.Paused,
		Ready: status.Ready, Workloads: status.Workloads, Tooling: status.Tooling,
	}
	if g := status.Gateway; g != nil {
		f.Gateway = &listedGateway{Ready: g.Ready, Wanted: g.Wanted}
	}
	each(status, func(part string, w rollout.WorkloadStatus) {
		if !w.Healthy {
			f.NotHealthy = append(f.NotHealthy, part)
		}
	})
	for _, e := range status.Executors {
		if e.Phase == rollout.PhaseMissing {
			f.NotHealthy = append(f.NotHealthy, e.Name)
		}
	}
	return f
}

func (o *listOptions) print(w io.Writer, list listedFlows) error {
	switch o.output {
	case outputJSON:
		return printJSON(w, list)
	case outputYAML:
		return printYAML(w, list)
	}
	var b strings.Builder
	if o.output == outputName {
		for _, f := range list.Flows {
			fmt.Fprintln(&b, o.nameOf(f))
		}
	} else {
		for _, line := range o.table(list) {
			fmt.Fprintln(&b, line)
		}
	}
	_, err := io.WriteString(w, b.String())
	var notes []error
	for _, f := range list.Flows {
		if f.Unknown != "" {
			notes = append(notes, errors.New(f.Unknown))
		}
	}
	if len(list.Unreadable) > 0 {
		notes = append(notes, fmt.Errorf("not allowed to list %s: crashes may be missing above", joinAnd(list.Unreadable)))
	}
	if len(notes) > 0 {
		fmt.Fprintln(o.ErrOut, errors.Join(notes...))
	}
	return err
}

func (o *listOptions) nameOf(f listedFlow) string {
	if o.allNamespaces {
		return f.Namespace + "/" + f.Flow
	}
	return f.Flow
}

func (o *listOptions) table(list listedFlows) []string {
	header := []string{"NAME", "READY", "STATUS", "GATEWAY", "AGE", "TOOLING"}
	if o.output == outputWide {
		header = append(header, "NOT HEALTHY")
	}
	if o.allNamespaces {
		header = slices.Insert(header, 0, "NAMESPACE")
	}
	rows := [][]string{header}
	for _, f := range list.Flows {
		gateway := "none"
		if f.Gateway != nil {
			gateway = fmt.Sprintf("%d/%d", f.Gateway.Ready, f.Gateway.Wanted)
		}
		row := []string{
			f.Flow, fmt.Sprintf("%d/%d", f.Ready, f.Workloads), healthText(rollout.FlowStatus{Healthy: f.Healthy, Paused: f.Paused}),
			gateway, duration.HumanDuration(o.now().Sub(f.Created)), strings.TrimPrefix(f.Tooling, plan.FieldManager+"/"),
		}
		if o.output == outputWide {
			row = append(row, strings.Join(f.NotHealthy, ","))
		}
		if o.allNamespaces {
			row = slices.Insert(row, 0, f.Namespace)
		}
		rows = append(rows, row)
	}
	return alignColumns(rows, columnGap)
}
