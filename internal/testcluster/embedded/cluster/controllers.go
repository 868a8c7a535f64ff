package cluster

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/component-base/version"
	kcmapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/cmd/kube-scheduler/app"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/pki"
)

const controllersStopTimeout = 15 * time.Second

// neededControllers are all that a cluster without clouds, real volumes and bootstrap tokens needs.
func neededControllers() []string {
	return []string{
		"serviceaccount-token-controller", "serviceaccount-controller", "root-ca-certificate-publisher-controller",
		"namespace-controller", "garbage-collector-controller", "clusterrole-aggregation-controller",
		"deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller",
		"job-controller", "cronjob-controller", "horizontal-pod-autoscaler-controller", "disruption-controller",
		"endpoints-controller", "endpointslice-controller", "endpointslice-mirroring-controller",
		"pod-garbage-collector-controller", "node-lifecycle-controller", "taint-eviction-controller",
		"persistentvolume-binder-controller", "persistentvolumeclaim-protection-controller", "persistentvolume-protection-controller",
		"resourcequota-controller", "ttl-after-finished-controller",
		"certificatesigningrequest-signing-controller", "certificatesigningrequest-approving-controller",
		"validatingadmissionpolicy-status-controller", "service-cidr-controller",
	}
}

func (c *Cluster) controllerManagerFlags() []string {
	s := c.store
	return []string{
		"--kubeconfig=" + c.dir.Join(controllerConfig),
		"--leader-elect=false",
		"--secure-port=0",
		"--use-service-account-credentials=false",
		"--root-ca-file=" + s.Cert(pki.ClusterCA),
		"--service-account-private-key-file=" + s.Key(pki.ServiceAccount),
		"--cluster-signing-cert-file=" + s.Cert(pki.ClusterCA),
		"--cluster-signing-key-file=" + s.Key(pki.ClusterCA),
		"--controllers=" + strings.Join(neededControllers(), ","),
		// With the defaults, 20 and 30, four hundred Deployments need 82 s instead of 7.
		"--kube-api-qps=10000", "--kube-api-burst=10000",
		"--concurrent-deployment-syncs=32", "--concurrent-replicaset-syncs=32", "--concurrent-statefulset-syncs=16",
		"--concurrent-endpoint-syncs=8", "--concurrent-service-endpoint-syncs=8", "--concurrent-gc-syncs=16",
		"--concurrent-namespace-syncs=16", "--concurrent-serviceaccount-token-syncs=8",
		"--concurrent-horizontal-pod-autoscaler-syncs=8",
		// A test should not wait for minutes until an autoscaler acts.
		"--horizontal-pod-autoscaler-sync-period=1s",
		"--horizontal-pod-autoscaler-downscale-stabilization=5s",
		"--horizontal-pod-autoscaler-initial-readiness-delay=1s",
		"--horizontal-pod-autoscaler-cpu-initialization-period=1s",
		"--node-monitor-period=2s", "--node-monitor-grace-period=60s",
	}
}

// startControllers runs the controller manager and the scheduler. Their own context ends with Stop only.
func (c *Cluster) startControllers(ctx context.Context) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	managerDone, schedulerDone := make(chan struct{}), make(chan struct{})
	manager, err := c.controllerManager(running, managerDone)
	if err != nil {
		cancel()
		return fmt.Errorf("kube-controller-manager: %w", err)
	}
	scheduler, err := c.scheduler(running, schedulerDone)
	if err != nil {
		cancel()
		return fmt.Errorf("kube-scheduler: %w", err)
	}
	c.run("kube-controller-manager", manager)
	c.run("kube-scheduler", scheduler)
	c.stops = append(c.stops, stopWithin("controllers", cancel, controllersStopTimeout, managerDone, schedulerDone))
	return nil
}

func (c *Cluster) controllerManager(ctx context.Context, done chan<- struct{}) (func() error, error) {
	o, err := kcmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, err
	}
	all, off, aliases := kcmapp.KnownControllers(), kcmapp.ControllersDisabledByDefault(), kcmapp.ControllerAliases()
	flags := o.Flags(all, off, aliases)
	if err := parse("kube-controller-manager", flags, c.controllerManagerFlags()); err != nil {
		return nil, err
	}
	o.ParsedFlags = &flags
	config, err := o.Config(ctx, all, off, aliases)
	if err != nil {
		return nil, err
	}
	config.Kubeconfig.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return namedTransport{next, "kube-controller-manager/" + version.Get().GitVersion}
	})
	completed := config.Complete()
	return func() error {
		defer close(done)
		return kcmapp.Run(ctx, completed)
	}, nil
}

// namedTransport says who asks. client-go takes that from the program's name, which here is no component's; and the API server
// names field managers after it, by which tools know the controllers.
type namedTransport struct {
	next      http.RoundTripper
	userAgent string
}

// RoundTrip sends the request.
func (t namedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", t.userAgent)
	return t.next.RoundTrip(r)
}

func (c *Cluster) scheduler(ctx context.Context, done chan<- struct{}) (func() error, error) {
	o := options.NewOptions()
	err := parse("kube-scheduler", *o.Flags, []string{
		"--kubeconfig=" + c.dir.Join(schedulerConfig), "--leader-elect=false", "--secure-port=0",
		"--kube-api-qps=10000", "--kube-api-burst=10000",
	})
	if err != nil {
		return nil, err
	}
	config, scheduler, err := app.Setup(ctx, o)
	if err != nil {
		return nil, err
	}
	return func() error {
		defer close(done)
		return app.Run(ctx, config, scheduler)
	}, nil
}
