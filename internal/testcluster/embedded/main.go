// jina-testcluster runs a whole Kubernetes cluster in one process, for the tests, the demo and the benchmarks of
// kubectl-jina: the real etcd, kube-apiserver, kube-controller-manager and kube-scheduler, with simulated nodes and
// pods. It needs no container runtime, no privileges and no network.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// A client of the cluster in here must not be sent through a proxy, nor may the API server look for pods behind one.
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		os.Unsetenv(name)
	}
	// Who reads standard output or error may be gone before the cluster has stopped; that must not kill it half-way.
	signal.Ignore(syscall.SIGPIPE)
	if err := root().ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "jina-testcluster",
		Short: "Run a Kubernetes cluster with simulated nodes and pods in one process",
		Long: `Run a Kubernetes cluster with simulated nodes and pods in one process.

etcd, kube-apiserver, kube-controller-manager and kube-scheduler are the real ones; no container runs. What a pod does
is said by annotations on it:

  sim.test/ready-after: 3s       becomes Ready after this time
  sim.test/terminate-after: 3s   stays Terminating this long
  sim.test/answers: "false"      what stands for Jina in it refuses connections
  sim.test/cpu: 200m             what metrics.k8s.io says a container of it uses; sim.test/memory likewise`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	c.AddCommand(startCommand(), stopCommand(), userCommand(), versionCommand())
	return c
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of what it runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return fmt.Errorf("built without module information")
			}
			var parts []string
			for _, m := range info.Deps {
				switch m.Path {
				case "k8s.io/kubernetes", "go.etcd.io/etcd/server/v3", "sigs.k8s.io/kwok":
					parts = append(parts, m.Path+" "+m.Version)
				}
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.Join(parts, ", "))
			return err
		},
	}
}
