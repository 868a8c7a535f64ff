package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// session is a cluster and a namespace in it.
type session struct {
	typed     kubernetes.Interface
	client    *apply.Client
	namespace string
	// server is the API server's address, for messages.
	server string
}

// connect makes the clients; it sends no request.
func (f *factory) connect() (*session, error) {
	config, err := f.restConfig()
	if err != nil {
		return nil, explain(err)
	}
	ns, err := f.namespace()
	if err != nil {
		return nil, explain(err)
	}
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &session{typed: typed, client: &apply.Client{Dynamic: dyn, Metadata: meta}, namespace: ns, server: config.Host}, nil
}

// open reads the Flow file and connects to the cluster; no request is sent.
func (f *factory) open(flags *flowFlags, streams genericiooptions.IOStreams) (*session, *flowFile, error) {
	// The file first: what is wrong with it is wrong whatever the kubeconfig says.
	ns, nsErr := f.namespace()
	if nsErr != nil {
		ns = metav1.NamespaceDefault
	}
	flags.namespaceGiven = *f.flags.Namespace != ""
	file, err := flags.load(streams, ns)
	if err != nil {
		return nil, nil, err
	}
	s, err := f.connect()
	if err != nil {
		return nil, nil, err
	}
	s.namespace = file.Namespace // a folder's objects have their own
	return s, file, nil
}

func (s *session) set(flowName string) apply.Set {
	return apply.Set{Flow: flowName, Namespace: s.namespace, Version: Version}
}

// comparison is a Flow beside the cluster's state, and the plan that follows.
type comparison struct {
	set   apply.Set
	state apply.State
	plan  plan.Plan
	// leaving are wanted objects that are still being deleted.
	leaving []plan.Ref
}

// compare reads the live state, asks the API server about what cannot be decided without it, and makes the plan.
// With force the plan is that of an up that takes fields over. Nothing is written.
func (s *session) compare(ctx context.Context, flowName string, objects []plan.Object, force bool) (*comparison, error) {
	c := &comparison{set: s.set(flowName)}
	var err error
	if c.state, err = s.client.Read(ctx, c.set, objects); err != nil {
		return nil, explain(err)
	}
	beside := plan.Compare(c.set.Label(objects), c.state.Live)
	answers, err := s.client.DryRun(ctx, beside.Undecided(), force)
	if err != nil {
		return nil, explain(err)
	}
	c.plan, c.leaving = beside.Plan(answers), beside.Leaving()
	return c, nil
}

// graphOf is the record of the Flow's graph on the apply set's parent, in the Flow's order: executor → needs, and for an
// external executor, which has no workload, executor → {"needs": needs, "external": true}.
func graphOf(f *flow.Flow) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, e := range f.Executors {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(e.Name)
		needs, _ := json.Marshal(f.NamesOf(e.Needs))
		if e.External {
			fmt.Fprintf(&b, `%s:{"needs":%s,"external":true}`, name, needs)
		} else {
			fmt.Fprintf(&b, "%s:%s", name, needs)
		}
	}
	b.WriteByte('}')
	return b.String()
}
