package cmd

import (
	"runtime"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Version of the plugin; set by the linker for a release.
var Version = "v0.0.0-dev"

// factory makes what commands need of a cluster from kubectl's common flags.
type factory struct {
	flags   *genericclioptions.ConfigFlags
	notices *notices
}

// namespace is -n, else that of the kubeconfig's context, else "default".
func (f *factory) namespace() (string, error) {
	ns, _, err := f.flags.ToRawKubeConfigLoader().Namespace()
	return ns, err
}

// restConfig has the plugin's user agent and no rate limit of client-go's: the transport has one, for servers without
// priority and fairness.
func (f *factory) restConfig() (*rest.Config, error) {
	c, err := f.flags.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	// Without any cluster cli-runtime answers http://localhost:8080, where nobody meant to go.
	raw, err := f.flags.ToRawKubeConfigLoader().RawConfig()
	if err == nil && len(raw.Clusters) == 0 && *f.flags.APIServer == "" && c.Host == "http://localhost:8080" {
		return nil, clientcmd.ErrEmptyConfig
	}
	c = rest.CopyConfig(c)
	c.UserAgent = plan.FieldManager + "/" + Version + " (" + runtime.GOOS + "/" + runtime.GOARCH + ")"
	c.QPS = -1
	return c, nil
}
