// Command kubectl-jina is a kubectl plugin that takes a Jina Flow to a Kubernetes cluster and keeps it running there.
package main

import (
	"context"
	"os"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the kubeconfig's auth providers

	"github.com/kubectl-jina/kubectl-jina/pkg/cmd"
)

func main() {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(cmd.Main(context.Background(), os.Args[1:], streams))
}
