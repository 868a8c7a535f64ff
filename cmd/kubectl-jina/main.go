// Command kubectl-jina is a kubectl plugin that takes a Jina Flow to a Kubernetes cluster and keeps it running there.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the kubeconfig's auth providers

	"github.com/kubectl-jina/kubectl-jina/pkg/cmd"
)

func main() {
	// Objects of a large Flow come and go: half the garbage that Go would let lie keeps 1,000 executors below 200 MB, for a
	// few percent of the time.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(cmd.Main(context.Background(), cmd.Arguments(os.Args), streams))
}
