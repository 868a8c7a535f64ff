package cmd

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// versionInfo is what `version -o json` prints.
type versionInfo struct {
	Version string `json:"version"`
	// Jina is the version of Jina whose export the plugin conforms to.
	Jina     string `json:"jina"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersionCommand(streams genericiooptions.IOStreams) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version of the plugin and the Jina version it conforms to; needs no cluster",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := versionInfo{Version, plan.JinaVersion, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			switch output {
			case "":
				_, err := fmt.Fprintf(streams.Out, "kubectl-jina %s (conforms to Jina %s; %s, %s)\n", v.Version, v.Jina, v.Go, v.Platform)
				return err
			case "json":
				enc := json.NewEncoder(streams.Out)
				enc.SetIndent("", "  ")
				return enc.Encode(v)
			default:
				return usageErrorf("--output: %q is not known; it can be json", output)
			}
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "Output format: json")
	return c
}

// noArgs refuses positional arguments as wrong usage.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.Flags().Lookup("filename") != nil {
		return usageErrorf("%s takes the Flow's file as a flag: -f %s", c.CommandPath(), args[0])
	}
	return usageErrorf("%s takes no arguments, but got %q; see `%s --help`", c.CommandPath(), args[0], c.CommandPath())
}
