// Package cluster runs a Kubernetes control plane in this process: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler from their Go modules, nodes and pods simulated, and on request a stand-in for Linkerd and
// metrics.k8s.io.
//
// Only one cluster can run in a process, and only once: the components register names that are global to it.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/linkerd"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/logs"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/metrics"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/pki"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/simulate"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/statedir"
)

// Files in the state directory. A unix socket's path is short on every system (108 bytes on Linux, 104 on macOS).
const (
	etcdSocket        = "etcd.sock"
	etcdPeerSocket    = "peer.sock"
	systemLog         = "cluster.log"
	podLog            = "pod.log"
	maxSocketPath     = 103
	adminGroup        = "system:masters"
	kwokUser          = "kwok-admin"
	controllerUser    = "system:kube-controller-manager"
	schedulerUser     = "system:kube-scheduler"
	controllerConfig  = "controller-manager.kubeconfig"
	schedulerConfig   = "scheduler.kubeconfig"
	simulationConfig  = "kwok.kubeconfig"
	administratorUser = "kubernetes-admin"
)

// Progress is told what has been reached, for a user who waits.
type Progress func(what string)

// Cluster is a running cluster.
type Cluster struct {
	dir      *statedir.Dir
	settings statedir.Settings
	store    *pki.Store
	server   string
	log      *os.File
	failures chan error
	running  sync.WaitGroup
	// stops end what was started, in the order of the start.
	stops []func() error
}

// Start runs a cluster on dir. It returns when the nodes, if there are any, are ready, all the settings ask for is
// installed, and the settings with the chosen ports are saved in dir. What was started is stopped again when it fails or ctx ends before.
func Start(ctx context.Context, dir *statedir.Dir, settings statedir.Settings, progress Progress) (*Cluster, error) {
	c := &Cluster{dir: dir, settings: settings, failures: make(chan error, 16)}
	// Garbage collection is a sixth of the CPU time of a start; afterwards memory counts more.
	percent := debug.SetGCPercent(400)
	err := c.start(ctx, progress)
	debug.SetGCPercent(percent)
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	debug.FreeOSMemory()
	return c, nil
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return statedir.Kubeconfig(c.dir.Path()) }

// Failed reports the first component that ended by itself. The cluster is of no use then.
func (c *Cluster) Failed() <-chan error { return c.failures }

// Stop ends the components in the reverse order of their start, and waits for them.
func (c *Cluster) Stop() error {
	var errs []error
	for i := len(c.stops) - 1; i >= 0; i-- {
		errs = append(errs, c.stops[i]())
	}
	c.stops = nil
	return errors.Join(errs...)
}

func (c *Cluster) start(ctx context.Context, progress Progress) error {
	if err := c.prepare(); err != nil {
		return err
	}
	listener, err := listen(c.settings.Port)
	if err != nil {
		return fmt.Errorf("port of the API server: %w", err)
	}
	c.settings.Port = portOf(listener)
	c.server = "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(c.settings.Port))
	admin, err := c.writeKubeconfigs()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	// Before the API server: on old state it calls them from its first request on.
	install, err := c.listenExtensions(admin)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := c.dir.Save(c.settings); err != nil {
		return errors.Join(err, listener.Close())
	}

	if err := c.startEtcd(); err != nil {
		return errors.Join(err, listener.Close())
	}
	progress("etcd is up")
	if err := c.startAPIServer(ctx, listener); err != nil {
		return fmt.Errorf("kube-apiserver: %w", err)
	}
	progress("the API server is up on " + c.server)
	if c.settings.NoControllers {
		return install(ctx)
	}
	if err := c.startControllers(ctx); err != nil {
		return err
	}
	if err := c.startSimulation(ctx, admin); err != nil {
		return err
	}
	progress(fmt.Sprintf("%d simulated nodes are ready", c.settings.Nodes))
	return install(ctx)
}

// prepare sets the directory up: log file, certificates, no sockets of a killed run.
func (c *Cluster) prepare() error {
	if n := len(c.dir.Join(etcdSocket)); n > maxSocketPath {
		return fmt.Errorf("the path of the state directory is too long for a socket in it: %s has %d bytes, %d are possible",
			c.dir.Join(etcdSocket), n, maxSocketPath)
	}
	for _, name := range []string{etcdSocket, etcdPeerSocket} {
		if err := os.Remove(c.dir.Join(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(c.dir.Join(systemLog), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	c.log = f
	// Closed last: the components log until they have ended.
	c.stops = append(c.stops, f.Close)
	if err := logs.Redirect(f, c.fail); err != nil {
		return err
	}
	c.store, err = pki.LoadOrCreate(statedir.PKI(c.dir.Path()))
	return err
}

// writeKubeconfigs makes those of the administrator and the components. The administrator's is kept when it is right:
// it has been handed out.
func (c *Cluster) writeKubeconfigs() (*rest.Config, error) {
	if old, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig()); err != nil || old.Host != c.server {
		if err := c.writeKubeconfig(c.Kubeconfig(), administratorUser, adminGroup); err != nil {
			return nil, err
		}
	}
	for _, k := range []struct {
		file, user string
		groups     []string
	}{
		// Members of system:masters are exempt from priority and fairness: many objects must not make the cluster slow.
		{controllerConfig, controllerUser, []string{adminGroup}},
		{simulationConfig, kwokUser, []string{adminGroup}},
		{schedulerConfig, schedulerUser, nil},
	} {
		if err := c.writeKubeconfig(c.dir.Join(k.file), k.user, k.groups...); err != nil {
			return nil, err
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.dir.Join(simulationConfig))
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return config, nil
}

func (c *Cluster) writeKubeconfig(path, user string, groups ...string) error {
	b, err := c.store.Kubeconfig(c.server, user, groups...)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

// extension is a server in this process that the API server calls.
type extension interface {
	Serve() error
	Close() error
	Install(context.Context, *rest.Config) error
}

// listenExtensions starts what the settings ask for, and returns what brings their objects to the API server.
func (c *Cluster) listenExtensions(config *rest.Config) (install func(context.Context) error, err error) {
	var all []extension
	for _, e := range []struct {
		name   string
		wanted bool
		port   *int
		make   func(net.Listener) (extension, error)
	}{
		{"stand-in injector", c.settings.Linkerd, &c.settings.InjectorPort,
			func(l net.Listener) (extension, error) { return linkerd.Listen(l, c.store, config) }},
		{"metrics", c.settings.Metrics, &c.settings.MetricsPort,
			func(l net.Listener) (extension, error) { return metrics.Listen(l, c.store, config) }},
	} {
		if !e.wanted {
			continue
		}
		l, err := listen(*e.port)
		if err != nil {
			// The port of the earlier run is taken: another does, once the objects are applied again.
			if l, err = listen(0); err != nil {
				return nil, fmt.Errorf("%s: %w", e.name, err)
			}
		}
		*e.port = portOf(l)
		s, err := e.make(l)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", e.name, err), l.Close())
		}
		c.run(e.name, s.Serve)
		c.stops = append(c.stops, s.Close)
		all = append(all, s)
	}
	return func(ctx context.Context) error {
		for _, e := range all {
			if err := e.Install(ctx, config); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func (c *Cluster) startSimulation(ctx context.Context, config *rest.Config) error {
	running, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	c.stops = append(c.stops, func() error { cancel(nil); return nil })
	// While it starts it must also end with ctx or with a component; what it leaves running must not.
	started := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer started()
	done := make(chan error, 1)
	go func() {
		done <- simulate.Start(running, simulate.Options{
			Kubeconfig: c.dir.Join(simulationConfig), Config: config,
			KubeletCert: c.store.Cert(pki.Kubelet), KubeletKey: c.store.Key(pki.Kubelet), CA: c.store.CA(),
			PodLog: c.dir.Join(podLog), Nodes: c.settings.Nodes, ReadyDelay: c.settings.ReadyDelay,
			SystemLog: c.log,
		}, c.fail)
	}()
	select {
	case err := <-done:
		return err
	case err := <-c.failures:
		return err
	}
}

// run lets f go on beside; its error is the cluster's failure.
func (c *Cluster) run(name string, f func() error) {
	c.running.Go(func() {
		if err := f(); err != nil && !errors.Is(err, context.Canceled) {
			c.fail(fmt.Errorf("%s ended: %w", name, err))
		}
	})
}

func (c *Cluster) fail(err error) {
	select {
	case c.failures <- err:
	default:
		// One failure ends the cluster; so many more are its consequences.
	}
}

// listen takes a port on the loopback interface; 0 is any.
func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// stopWithin cancels and waits for done.
func stopWithin(name string, cancel func(), timeout time.Duration, done ...<-chan struct{}) func() error {
	return func() error {
		cancel()
		deadline := time.After(timeout)
		for _, d := range done {
			select {
			case <-d:
			case <-deadline:
				return fmt.Errorf("%s did not stop within %s", name, timeout)
			}
		}
		return nil
	}
}
