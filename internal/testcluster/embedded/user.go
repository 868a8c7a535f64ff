package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/pki"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/statedir"
)

func userCommand() *cobra.Command {
	var dir, out string
	c := &cobra.Command{
		Use:   "user NAME [GROUP]...",
		Short: "Make a kubeconfig for a user of a cluster",
		Long: `Make a kubeconfig for a user of a cluster, with a client certificate that says its name and groups.

The user may do nothing until a role is bound to it or one of its groups.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := pki.Load(statedir.PKI(dir))
			if err != nil {
				return fmt.Errorf("%s: no cluster's state: %w", dir, err)
			}
			admin, err := clientcmd.BuildConfigFromFlags("", statedir.Kubeconfig(dir))
			if err != nil {
				return err
			}
			b, err := store.Kubeconfig(admin.Host, args[0], args[1:]...)
			if err != nil {
				return err
			}
			if out != "" {
				return os.WriteFile(out, b, 0o600)
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "state directory of the cluster")
	c.Flags().StringVar(&out, "out", "", "write it to this file (default: standard output)")
	// The flag has just been defined: this cannot fail.
	_ = c.MarkFlagRequired("dir")
	return c
}
