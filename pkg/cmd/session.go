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
	"k8s.io/client-go/rest"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// session is a cluster and a namespace in it.
type session struct {
	config    *rest.Config
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
	client, err := f.httpClient(config)
	if err != nil {
		return nil, err
	}
	typed, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	return &session{config: config, typed: typed, client: &apply.Client{Dynamic: dyn, REST: typed.Discovery().RESTClient(), Leases: typed.CoordinationV1()}, namespace: ns, server: config.Host}, nil
}

// read reads the Flow file. What the kubeconfig says of the namespace is taken if it can be had.
func (f *factory) read(flags *flowFlags, streams genericiooptions.IOStreams) (*flowFile, error) {
	ns, nsErr := f.namespace()
	if nsErr != nil {
		ns = metav1.NamespaceDefault
	}
	flags.namespaceGiven = *f.flags.Namespace != ""
	return flags.load(streams, ns)
}

// open reads the Flow file and connects to the cluster, whose apply set the objects become members of; no request is sent. The file comes first: what is wrong with it is
// wrong whatever the kubeconfig says.
func (f *factory) open(flags *flowFlags, streams genericiooptions.IOStreams) (*session, *flowFile, error) {
	file, err := f.read(flags, streams)
	if err != nil {
		return nil, nil, err
	}
	s, err := f.connect()
	if err != nil {
		return nil, nil, err
	}
	s.namespace = file.Namespace // a folder's objects have their own
	file.Objects = s.set(file.Name).Label(file.Objects)
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

// compare reads the live state, asks the API server about what cannot be decided without it, and makes the plan. Nothing is
// written.
func (s *session) compare(ctx context.Context, file *flowFile, opts plan.CompareOptions) (*comparison, error) {
	c := &comparison{set: s.set(file.Name)}
	var err error
	if c.state, err = s.client.Read(ctx, c.set, file.Objects, opts); err != nil {
		return nil, explain(err)
	}
	if err := refuseNamesake(file, c.state.Parent); err != nil {
		return nil, err
	}
	opts.Paused = c.state.Parent.IsPaused()
	beside := plan.Compare(file.Objects, c.state.Live, opts)
	answers, err := s.client.DryRun(ctx, beside.Undecided())
	if err != nil {
		return nil, explain(err)
	}
	c.plan, c.leaving = beside.Plan(answers), beside.Leaving()
	c.state.Planned()
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
