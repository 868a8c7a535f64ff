package cmd

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

var (
	checkLong = templates.LongDesc(`
		Check whether the cluster can take a Flow, without writing anything.

		The checks are those that up makes before it applies: the API server and its version, the namespace, the rights
		that up, scale and down need, Linkerd, and whether its injector gives a pod like the gateway's a proxy, which is
		seen by a dry run. What your rights do not let you see is unknown and not a failure.

		With -f the checks are about that Flow: its gateway's pod, its kinds of objects, its replicas.

		--print-rbac asks no cluster. It prints the Role with exactly the rights that up, scale, status and down need, or
		some of them, and apart from it one with the rights that they can do without.

		Exit codes: 0 no check failed, 1 the API server cannot be reached or does not accept the credentials, 4 a check
		failed (with --strict: or warned, or could not decide), 64 the file or the command line is wrong.`)

	checkExample = templates.Examples(`
		# Can the current namespace take a Flow?
		kubectl jina check

		# Can the namespace search take this one?
		kubectl jina check -f flow.yml -n search

		# In CI: warnings count, too
		kubectl jina check -f flow.yml --strict

		# For a program
		kubectl jina check -o json

		# The Role for somebody who may bring Flows up, scale and look at them, but not take them down
		kubectl jina check --print-rbac=up,scale,status -n search | kubectl apply -f -`)
)

type checkOptions struct {
	flowFlags
	mesh   string
	output string
	strict bool

	// printsRBAC: --print-rbac was given, for the commands of that name; roles are those that it means.
	printsRBAC bool
	rbac       []string
	roles      []meshcheck.Command

	factory *factory
	genericiooptions.IOStreams
}

func newCheckCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &checkOptions{factory: f, IOStreams: streams}
	c := &cobra.Command{
		Use:     "check [-f FILE]",
		Short:   "Check whether the cluster can take a Flow",
		Long:    checkLong,
		Example: checkExample,
		Args: func(c *cobra.Command, args []string) error {
			o.printsRBAC = c.Flags().Changed(printRBACFlag)
			if o.printsRBAC && len(args) > 0 {
				return usageErrorf("--%s takes its value after an equals sign: --%s=%s", printRBACFlag, printRBACFlag, args[0])
			}
			return noArgs(c, args)
		},
		RunE: validateAndRun(o),
	}
	o.bind(c.Flags())
	fs := c.Flags()
	fs.StringVar(&o.mesh, "mesh", string(meshcheck.MeshLinkerd), "Service mesh that balances between replicas: linkerd, or none to go on without")
	fs.BoolVar(&o.strict, "strict", false, "Fail on a warning, too, and on a check that decides and could not")
	fs.StringVarP(&o.output, "output", "o", "text", "Output format: text or json")
	fs.StringSliceVar(&o.rbac, printRBACFlag, nil, "Print the Role that the commands need instead of checking: all, or some of up, scale, status, down")
	fs.Lookup(printRBACFlag).NoOptDefVal = allCommands
	return c
}

const printRBACFlag = "print-rbac"

// Validate the flags.
func (o *checkOptions) Validate() error {
	if _, err := meshcheck.ParseMesh(o.mesh); err != nil {
		return usageErrorf("--mesh: %w", err)
	}
	if o.output != "text" && o.output != "json" {
		return usageErrorf("--output: %q is not known; it can be text or json", o.output)
	}
	if o.Filename == "" && (o.Name != "" || o.JinaVersion != plan.JinaVersion) {
		return usageErrorf("--name and --jina-version are about a Flow file: give it with -f FILE")
	}
	if given := o.given(); o.Filename == "" && given != "" {
		return usageErrorf("%s is about a Flow file: give it with -f FILE", given)
	}
	if !o.printsRBAC {
		return nil
	}
	if o.output != "text" || o.strict {
		return usageErrorf("--print-rbac prints YAML and checks nothing: drop --output and --strict")
	}
	var err error
	if o.roles, err = parseCommands(o.rbac); err != nil {
		return usageErrorf("--print-rbac: %w", err)
	}
	return nil
}

// Run makes the checks and prints them.
func (o *checkOptions) Run(ctx context.Context) error {
	if o.printsRBAC {
		return o.printRBAC()
	}
	s, request, err := o.request()
	if err != nil {
		return err
	}
	facts := meshcheck.Collect(ctx, meshcheck.ClientsFor(s.typed), request)
	if err := facts.Unreachable(); err != nil {
		return err
	}
	results := meshcheck.Evaluate(facts)
	if o.output == "json" {
		err = o.printJSON(facts, results)
	} else if err = printResults(o.Out, results); err == nil {
		_, err = fmt.Fprintln(o.Out, summary(results))
	}
	if err != nil {
		return err
	}
	if o.strict {
		return meshcheck.Strict(results)
	}
	return meshcheck.Failed(results)
}

// request is about the Flow of the file, or, without one, about any Flow.
func (o *checkOptions) request() (*session, meshcheck.Request, error) {
	request := meshcheck.Request{Mesh: meshcheck.Mesh(o.mesh)}
	kinds := usualKinds()
	var s *session
	var err error
	if o.Filename == "" {
		s, err = o.factory.connect()
	} else {
		var file *flowFile
		if s, file, err = o.factory.open(&o.flowFlags, o.IOStreams); err == nil {
			kinds = plan.Kinds(file.Objects)
			request.Pod = plan.GatewayPod(file.Objects)
			request.MultiReplicaParts = multiReplicaParts(file.Objects)
		}
	}
	if err != nil {
		return nil, request, err
	}
	request.Namespace = s.namespace
	request.Permissions = meshcheck.CheckPermissions(kinds)
	return s, request, nil
}

// checkReport is what `check -o json` prints; docs/checks.md documents it.
type checkReport struct {
	Namespace string             `json:"namespace"`
	Server    string             `json:"server"`
	Mesh      meshcheck.Mesh     `json:"mesh"`
	Verdict   meshcheck.Status   `json:"verdict"`
	Checks    []meshcheck.Result `json:"checks"`
}

func (o *checkOptions) printJSON(f meshcheck.Facts, results []meshcheck.Result) error {
	enc := json.NewEncoder(o.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(checkReport{
		Namespace: f.Request.Namespace, Server: f.Server, Mesh: f.Request.Mesh,
		Verdict: verdict(results), Checks: results,
	})
}

// verdict is the worst of the results: fail, then warn, which stands for unknown too, then pass.
func verdict(results []meshcheck.Result) meshcheck.Status {
	worst := meshcheck.StatusPass
	for _, r := range results {
		switch r.Status {
		case meshcheck.StatusFail:
			return meshcheck.StatusFail
		case meshcheck.StatusWarn, meshcheck.StatusUnknown:
			worst = meshcheck.StatusWarn
		}
	}
	return worst
}
