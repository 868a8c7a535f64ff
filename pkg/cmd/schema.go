package cmd

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// newSchemaCommand is schema: what editors need to help with Flow files.
func newSchemaCommand(streams genericiooptions.IOStreams) *cobra.Command {
	var strict bool
	c := &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON Schema of Flow files, for editors",
		Long: templates.LongDesc(`
			Print a JSON Schema (2020-12) of Flow and Deployment files, made from the table of arguments that all commands
			read files by: names, types, defaults, what each is for.

			Editors that know YAML complete and check files by it. It refuses nothing that validate accepts; with --strict
			it also refuses unknown keys and most of what else validate warns about.`),
		Example: templates.Examples(`
			# For an editor: the file's first line is then
			# yaml-language-server: $schema=jina.schema.json
			kubectl jina schema > jina.schema.json

			# One that marks misspelt keys too
			kubectl jina schema --strict > jina.schema.json`),
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := flow.Schema(strict)
			if err != nil {
				return err
			}
			_, err = streams.Out.Write(text)
			return err
		},
	}
	c.Flags().BoolVar(&strict, "strict", false, "Refuse unknown keys and most of what else validate warns about")
	return c
}
