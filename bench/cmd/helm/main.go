// helm, as its own release is: the benchmark builds it from its Go module, so that nobody has to install it.
package main

import (
	"errors"
	"fmt"
	"os"

	"helm.sh/helm/v4/pkg/cmd"
	"helm.sh/helm/v4/pkg/kube"
)

func main() {
	// Otherwise the fields that it applies would be owned by whatever this program's file is called.
	kube.ManagedFieldsManager = "helm"
	root, err := cmd.NewRootCmd(os.Stdout, os.Args[1:], cmd.SetupLogging)
	if err != nil {
		fmt.Fprintln(os.Stderr, "helm:", err)
		os.Exit(1)
	}
	if err := root.Execute(); err != nil {
		code := 1
		if e := (cmd.CommandError{}); errors.As(err, &e) {
			code = e.ExitCode
		}
		os.Exit(code)
	}
}
