package cmd

import (
	"bytes"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func TestListIsPrintedInEachFormat(t *testing.T) {
	list := listedFlows{
		Flows: []listedFlow{
			{Flow: "search", Namespace: "prod", Healthy: true, Ready: 5, Workloads: 5, Gateway: &listedGateway{3, 3}, Created: statusNow.Add(-26 * time.Hour), Tooling: "kubectl-jina/v1.2.3"},
			{Flow: "encoder", Namespace: "staging", Ready: 0, Workloads: 1, NotHealthy: []string{"encoder"}, Created: statusNow.Add(-time.Minute), Tooling: "kubectl-jina/v1.2.2",
				Unknown: "ConfigMap/jina-encoder: the Flow's graph is not a JSON object"},
			{Flow: "night", Namespace: "staging", Healthy: true, Paused: true, Ready: 2, Workloads: 2, Gateway: &listedGateway{0, 0}, Created: statusNow.Add(-time.Hour), Tooling: "kubectl-jina/v1.2.3"},
		},
		Unreadable: []string{"pods"},
	}
	for _, output := range append(listOutputs(), "") {
		for _, all := range []bool{false, true} {
			var out, errOut bytes.Buffer
			o := listOptions{output: output, allNamespaces: all, now: func() time.Time { return statusNow }, IOStreams: genericiooptions.IOStreams{ErrOut: &errOut}}
			if err := o.print(&out, list); err != nil {
				t.Fatal(err)
			}
			name := "list_table"
			if output != "" {
				name = "list_" + output
			}
			if all {
				name += "_all"
			}
			golden(t, name+".txt", out.String()+errOut.String())
		}
	}
}

func TestListFlagsThatDoNotFitTogether(t *testing.T) {
	for _, args := range [][]string{{"-o", "dot"}, {"-A", "-n", "x"}, {"extra"}} {
		must(t, codeUsage, append([]string{"list"}, args...)...)
	}
}
