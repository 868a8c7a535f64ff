package cmd

import (
	"context"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

var (
	completionLong = templates.LongDesc(`
		Print what makes a shell complete the plugin's commands, flags, and the names of Flows, of their parts, of contexts and
		of namespaces.

		bash, zsh, fish and powershell are scripts for the command kubectl-jina. kubectl completes its plugins by itself, in
		whichever shell its own completion is set up: it asks a program called kubectl_complete-jina. "completion kubectl"
		prints that program, a script of a line; make install puts it beside the plugin.`)

	completionExample = templates.Examples(`
		# For kubectl jina: a program in a folder of PATH, besides kubectl's own completion
		kubectl jina completion kubectl > ~/.local/bin/kubectl_complete-jina
		chmod +x ~/.local/bin/kubectl_complete-jina

		# For kubectl-jina in this bash
		source <(kubectl-jina completion bash)`)
)

// completionProgram is the name under which kubectl looks for the completions of a plugin called jina.
const completionProgram = "kubectl_complete-jina"

// completionScript hands kubectl's question on to the plugin.
const completionScript = `#!/bin/sh
# kubectl asks this program what may come next after "kubectl jina".
exec kubectl-jina __complete "$@"
`

// completionTimeout bounds what a key press waits for: of a cluster that does not answer there is nothing to complete.
const completionTimeout = 2 * time.Second

// Arguments are those of the command line after the program's name. Under the name kubectl_complete-jina, by a link or a copy,
// the program answers kubectl's question what may come next.
func Arguments(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	program := strings.TrimSuffix(filepath.Base(strings.ReplaceAll(argv[0], `\`, "/")), ".exe")
	if program == completionProgram {
		return append([]string{cobra.ShellCompRequestCmd}, argv[1:]...)
	}
	return argv[1:]
}

func completionShells() []string { return []string{"bash", "zsh", "fish", "powershell", "kubectl"} }

func newCompletionCommand(streams genericiooptions.IOStreams) *cobra.Command {
	return &cobra.Command{
		Use:       "completion (bash | zsh | fish | powershell | kubectl)",
		Short:     "Print what makes a shell complete commands, flags and names",
		Long:      completionLong,
		Example:   completionExample,
		ValidArgs: completionShells(),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(completionShells(), args[0]) {
				return usageErrorf("completion for what? Name one of %s", joinOr(completionShells()))
			}
			return writeCompletion(c.Root(), args[0], streams.Out)
		},
	}
}

func writeCompletion(root *cobra.Command, shell string, w io.Writer) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "zsh":
		return root.GenZshCompletion(w)
	case "fish":
		return root.GenFishCompletion(w, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(w)
	default:
		_, err := io.WriteString(w, completionScript)
		return err
	}
}

// completer finds what may come next.
type completer struct{ factory *factory }

// addCompletions makes all commands below root complete their arguments and flags.
func (f *factory) addCompletions(root *cobra.Command) {
	c := completer{f}
	complete(root, "namespace", c.namespaces)
	complete(root, "context", c.kubeconfig(func(k *api.Config) []string { return slices.Collect(maps.Keys(k.Contexts)) }))
	complete(root, "cluster", c.kubeconfig(func(k *api.Config) []string { return slices.Collect(maps.Keys(k.Clusters)) }))
	complete(root, "user", c.kubeconfig(func(k *api.Config) []string { return slices.Collect(maps.Keys(k.AuthInfos)) }))
	for _, command := range root.Commands() {
		complete(command, "flow", c.flows)
		complete(command, "container", c.containers)
		complete(command, "for", oneOf(forHealthy, forReady))
		complete(command, "output", oneOf(outputsOf(command.Name())...))
		switch {
		case command.ValidArgsFunction != nil || len(command.ValidArgs) > 0:
		case strings.Contains(command.Use, "EXECUTOR"):
			command.ValidArgsFunction = c.targets
		default:
			command.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
}

// complete makes a flag complete where the command has it.
func complete(command *cobra.Command, flag string, how cobra.CompletionFunc) {
	if command.Flag(flag) != nil {
		_ = command.RegisterFlagCompletionFunc(flag, how) // which fails for a flag that is not there, or twice
	}
}

// oneOf completes with fixed words.
func oneOf(words ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return startingWith(words, toComplete), cobra.ShellCompDirectiveNoFileComp
	}
}

// outputsOf a command are the formats of its --output.
func outputsOf(command string) []string {
	switch command {
	case "status":
		return statusOutputs()
	case "list":
		return listOutputs()
	case "up":
		return append(progressForms(), outputJSON)
	case "scale":
		return []string{outputJSON, outputName}
	case "check":
		return []string{"text", outputJSON}
	case "validate":
		return []string{"text", "lines", outputJSON}
	default:
		return []string{outputJSON}
	}
}

// ask asks the cluster, for as long as a key press may take. What cannot be had is not completed; a line about it would be in the
// way of the command line.
func (c completer) ask(command *cobra.Command, question func(context.Context, *session) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	const noFiles = cobra.ShellCompDirectiveNoFileComp
	ctx, cancel := context.WithTimeout(command.Context(), completionTimeout)
	defer cancel()
	answer := make(chan []string, 1)
	go func() {
		var names []string
		s, err := c.factory.connect()
		if err == nil {
			names, err = question(ctx, s)
		}
		if err != nil {
			names = nil
		}
		answer <- names
	}()
	select {
	case names := <-answer:
		return names, noFiles
	case <-ctx.Done(): // nobody waits for a program that the kubeconfig asks for credentials: it does not end with a context
		return nil, noFiles
	}
}

// flows are those of the namespace.
func (c completer) flows(command *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	return c.ask(command, func(ctx context.Context, s *session) ([]string, error) {
		names, err := s.client.Flows(ctx, s.namespace)
		return startingWith(names, toComplete), err
	})
}

// flowParts are the parts of the Flow that the command line names.
func (c completer) flowParts(ctx context.Context, command *cobra.Command, s *session) ([]livePart, error) {
	given, err := command.Flags().GetString("flow")
	if err != nil {
		return nil, err
	}
	name, err := s.findFlow(ctx, given)
	if err != nil {
		return nil, err
	}
	live, err := s.parts(ctx, name)
	return live.parts, err
}

// targets are the parts that are not named yet.
func (c completer) targets(command *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	return c.ask(command, func(ctx context.Context, s *session) ([]string, error) {
		parts, err := c.flowParts(ctx, command, s)
		names := slices.DeleteFunc(targetNames(parts), func(name string) bool { return slices.Contains(args, name) })
		return startingWith(names, toComplete), err
	})
}

// containers are those of the Flow's pods, which have more than their workloads say: what a mesh has injected.
func (c completer) containers(command *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	return c.ask(command, func(ctx context.Context, s *session) ([]string, error) {
		parts, err := c.flowParts(ctx, command, s)
		if err != nil || len(parts) == 0 {
			return nil, err
		}
		pods, err := s.typed.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{LabelSelector: plan.LabelFlow + "=" + parts[0].object.GetLabels()[plan.LabelFlow]})
		if err != nil {
			return nil, err
		}
		all := newLogParts(parts, "", true)
		for i := range pods.Items {
			all.containers(&pods.Items[i])
		}
		return startingWith(all.sortedNames(), toComplete), nil
	})
}

// namespaces are the cluster's, or where they may not be listed, those of the kubeconfig.
func (c completer) namespaces(command *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	names, _ := c.ask(command, func(ctx context.Context, s *session) ([]string, error) {
		list, err := s.typed.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		names := make([]string, len(list.Items))
		for i := range list.Items {
			names[i] = list.Items[i].Name
		}
		return startingWith(names, toComplete), nil
	})
	if len(names) > 0 {
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	return c.kubeconfig(func(k *api.Config) []string {
		var names []string
		for _, x := range k.Contexts {
			if x.Namespace != "" {
				names = append(names, x.Namespace)
			}
		}
		return names
	})(command, args, toComplete)
}

// kubeconfig completes with names out of the kubeconfig; it asks no cluster.
func (c completer) kubeconfig(names func(*api.Config) []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		config, err := c.factory.flags.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found := names(&config)
		slices.Sort(found)
		return startingWith(slices.Compact(found), toComplete), cobra.ShellCompDirectiveNoFileComp
	}
}

// startingWith are the names that the word may become. Names of the cluster must not be more than a word on the command line.
func startingWith(names []string, word string) []string {
	var some []string
	for _, name := range names {
		if strings.HasPrefix(name, word) && rollout.PlainText(name) == name {
			some = append(some, name)
		}
	}
	return some
}
