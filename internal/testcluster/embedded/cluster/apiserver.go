package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/cache"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/pki"
)

const (
	apiServerStartTimeout = 90 * time.Second
	apiServerStopTimeout  = 20 * time.Second
	apiServerDrainTime    = time.Second
)

//go:embed audit-policy.yaml
var auditPolicy []byte

// apiServerFlags are those that differ from the defaults; admission plugins and priority and fairness are the defaults.
func (c *Cluster) apiServerFlags() ([]string, error) {
	s := c.store
	flags := []string{
		"--etcd-servers=unix://" + c.dir.Join(etcdSocket),
		"--etcd-compaction-interval=0", // etcd compacts itself
		"--etcd-count-metric-poll-period=0",
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.settings.Port),
		"--endpoint-reconciler-type=none", // a loopback endpoint would be refused
		"--service-cluster-ip-range=10.96.0.0/16",
		"--client-ca-file=" + s.Cert(pki.ClusterCA),
		"--tls-cert-file=" + s.Cert(pki.APIServer),
		"--tls-private-key-file=" + s.Key(pki.APIServer),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file=" + s.Key(pki.ServiceAccount),
		"--service-account-key-file=" + s.Key(pki.ServiceAccount),
		"--requestheader-client-ca-file=" + s.Cert(pki.FrontProxyCA),
		"--requestheader-allowed-names=" + pki.FrontProxy,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + s.Cert(pki.FrontProxy),
		"--proxy-client-key-file=" + s.Key(pki.FrontProxy),
		"--kubelet-client-certificate=" + s.Cert(pki.KubeletClient),
		"--kubelet-client-key=" + s.Key(pki.KubeletClient),
		"--kubelet-certificate-authority=" + s.Cert(pki.ClusterCA),
		"--kubelet-preferred-address-types=InternalIP",
		"--authorization-mode=Node,RBAC",
		"--allow-privileged=true",
		// The sum is what priority and fairness shares out: enough that no test is queued by accident.
		"--max-requests-inflight=3000", "--max-mutating-requests-inflight=1000",
		"--profiling=false",
		"--shutdown-delay-duration=0s",
	}
	if c.settings.AuditLog == "" {
		return flags, nil
	}
	policy := c.dir.Join("audit-policy.yaml")
	if err := os.WriteFile(policy, auditPolicy, 0o600); err != nil {
		return nil, err
	}
	return append(flags,
		"--audit-policy-file="+policy,
		"--audit-log-path="+c.dir.Join(c.settings.AuditLog),
		"--audit-log-mode=blocking",   // who has an answer finds its event in the file
		"--audit-log-maxsize=1048576", // MB; 0 would mean 100 and then another file
	), nil
}

func (c *Cluster) startAPIServer(ctx context.Context, listener net.Listener) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	connections := newClosableListener(listener)
	end := func() {
		cancel()
		// What is under way may end by itself first.
		time.AfterFunc(apiServerDrainTime, connections.closeConnections)
	}
	stop := stopWithin("kube-apiserver", end, apiServerStopTimeout, done)
	completed, err := c.apiServerOptions(running, connections)
	if err != nil {
		cancel()
		return errors.Join(err, listener.Close())
	}
	c.run("kube-apiserver", func() error {
		defer close(done)
		return app.Run(running, completed)
	})
	c.stops = append(c.stops, stop)
	// An API server that is cancelled while it starts ends the whole process from one of its hooks
	// (k8s.io/apiserver/pkg/server/hooks.go), so a stop has to wait until it is up.
	if err := c.waitForAPIServer(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func (c *Cluster) apiServerOptions(ctx context.Context, listener net.Listener) (options.CompletedOptions, error) {
	none := options.CompletedOptions{}
	flags, err := c.apiServerFlags()
	if err != nil {
		return none, err
	}
	o := options.NewServerRunOptions()
	if err := parse("kube-apiserver", o.Flags(), flags); err != nil {
		return none, err
	}
	// Handed over open: nobody can take the port between the choice and the start.
	o.SecureServing.Listener = listener
	if o.InformerName, err = cache.NewInformerName("kube-apiserver"); err != nil {
		return none, err
	}
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return none, err
	}
	completed, err := o.Complete(ctx)
	if err != nil {
		return none, err
	}
	return completed, errors.Join(completed.Validate()...)
}

func parse(name string, sets cliflag.NamedFlagSets, args []string) error {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	for _, section := range sets.Order {
		flags.AddFlagSet(sets.FlagSets[section])
	}
	return flags.Parse(args)
}

// waitForAPIServer polls /readyz, which anybody may read.
func (c *Cluster) waitForAPIServer(ctx context.Context) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.store.CA())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	ctx, cancel := context.WithTimeout(ctx, apiServerStartTimeout)
	defer cancel()
	for {
		err := ready(ctx, client, c.server+"/readyz")
		if err == nil {
			return nil
		}
		select {
		case failure := <-c.failures:
			return failure
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w: %w", context.Cause(ctx), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func ready(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return nil
}
