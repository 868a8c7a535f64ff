package cmd

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// What the help says of the flags.
const (
	filenameUsage = "Flow or Deployment file, or folder that Jina exported, whose name the Flow has, - for standard input"
	flowUsage     = "Name of the Flow; needed when the namespace has several"
)

// flowRef is how a command on a running Flow is told which one: by its file, by its name, or not at all when the namespace
// has only one.
type flowRef struct {
	filename string
	flow     string
}

// bind adds the flags.
func (o *flowRef) bind(flags *pflag.FlagSet) {
	flags.StringVarP(&o.filename, "filename", "f", "", filenameUsage)
	flags.StringVar(&o.flow, "flow", "", flowUsage)
}

// validate the flags.
func (o *flowRef) validate() error {
	if o.flow != "" && o.filename != "" {
		return usageErrorf("-f and --flow both name a Flow: give one of them")
	}
	return nil
}

// find connects, and names the Flow.
func (o *flowRef) find(ctx context.Context, f *factory, streams genericiooptions.IOStreams) (*session, string, error) {
	if o.filename != "" {
		s, file, err := f.open(&flowFlags{Filename: o.filename, JinaVersion: plan.JinaVersion, getenv: os.LookupEnv, quiet: true}, streams)
		if err != nil {
			return nil, "", err
		}
		return s, file.Name, nil
	}
	s, err := f.connect()
	if err != nil {
		return nil, "", err
	}
	name, err := s.findFlow(ctx, o.flow)
	return s, name, err
}

// findFlow names the Flow that a command on a running Flow is about: the name given, else the only one of the namespace.
func (s *session) findFlow(ctx context.Context, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	names, err := s.client.Flows(ctx, s.namespace)
	if err != nil {
		return "", explain(err)
	}
	switch len(names) {
	case 0:
		return "", &exitError{code: codeError, err: fmt.Errorf("no Flow in namespace %s; `kubectl jina up -f FILE` brings one up, -n picks another namespace", s.namespace)}
	case 1:
		return names[0], nil
	default:
		return "", usageErrorf("namespace %s has several Flows: %s; pick one with --flow", s.namespace, strings.Join(names, ", "))
	}
}
