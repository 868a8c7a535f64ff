package cmd

import (
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// printRunning says what is running and how to reach it.
func printRunning(w io.Writer, file *flowFile, namespace string) error {
	if _, err := fmt.Fprintf(w, "Flow %s is running in namespace %s\n", file.Name, namespace); err != nil {
		return err
	}
	for _, o := range entryServices(file.Objects) {
		ports, _, _ := unstructured.NestedSlice(o.Object, "spec", "ports")
		for _, p := range ports {
			port, _ := p.(map[string]any)
			if port["name"] != "port" {
				continue
			}
			_, err := fmt.Fprintf(w, "  %s in the cluster at %s.%s.svc:%v, from here: kubectl jina port-forward -n %s --flow %s%s %v\n",
				o.Part, o.GetName(), namespace, port["port"], namespace, file.Name, targetArgument(o.Part), targetPort(port))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// entryServices are the Services that clients talk to: the gateway's, or without a gateway those of the one executor,
// its head's when it has shards.
func entryServices(objects []plan.Object) []plan.Object {
	for _, role := range []plan.Role{plan.RoleGateway, plan.RoleHead, plan.RoleExecutor} {
		var out []plan.Object
		for _, o := range objects {
			if o.GetKind() == "Service" && o.Part.Role == role {
				out = append(out, o)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// targetArgument is how port-forward is told a part; the gateway is what it takes by itself.
func targetArgument(p plan.Part) string {
	if p.Role == plan.RoleGateway {
		return ""
	}
	return " " + p.String()
}

// targetPort is the pods' port behind a Service's.
func targetPort(port map[string]any) any {
	if target, ok := port["targetPort"]; ok {
		return target
	}
	return port["port"]
}
