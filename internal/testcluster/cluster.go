package testcluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// EnvKubeconfig is the environment variable with the path of the shared cluster's kubeconfig.
const EnvKubeconfig = "KUBECTL_JINA_TESTCLUSTER"

// labelNoInjector on a namespace keeps Linkerd's injector away from it.
const labelNoInjector = "config.linkerd.io/admission-webhooks"

// Cluster is a running cluster, as tests use it.
type Cluster struct {
	kubeconfig string
	config     *rest.Config
	clients    kubernetes.Interface
	process    *Process // nil when another process has started it
}

// shared is the cluster of this test binary. It is the one state of this package: tests of different files have
// nothing else in common that could hold it. Nobody stops it: the end of the process does.
var shared struct {
	once    sync.Once
	cluster *Cluster
	err     error
}

// namespaces counts those made by this process.
var namespaces atomic.Int64

// Start returns the cluster that all tests of the run share: the one that EnvKubeconfig names, else one that the first
// call in this test binary starts. With -short the test is skipped.
func Start(t testing.TB) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("with -short no cluster is started")
	}
	shared.once.Do(func() { shared.cluster, shared.err = connectOrRun(t.Context()) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

func connectOrRun(ctx context.Context) (*Cluster, error) {
	if kubeconfig := os.Getenv(EnvKubeconfig); kubeconfig != "" {
		c, err := connect(kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", EnvKubeconfig, err)
		}
		if _, err := c.clients.Discovery().ServerVersion(); err != nil {
			return nil, fmt.Errorf("%s=%s: no cluster answers there: %w", EnvKubeconfig, kubeconfig, err)
		}
		return c, nil
	}
	return run(ctx, SharedOptions())
}

// StartPrivate starts a cluster for this test alone: one that it may stop, and start again on Options.Dir. It is
// stopped when the test ends. Each takes 400 MB of memory and three seconds of CPU time.
func StartPrivate(t testing.TB, o Options) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("with -short no cluster is started")
	}
	c, err := run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.process.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func run(ctx context.Context, o Options) (*Cluster, error) {
	binary, err := Build(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	p, err := Run(ctx, binary, o)
	if err != nil {
		return nil, err
	}
	c, err := connect(p.Kubeconfig)
	if err != nil {
		return nil, err
	}
	c.process = p
	return c, nil
}

func connect(kubeconfig string) (*Cluster, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Cluster{kubeconfig: kubeconfig, config: config, clients: clients}, nil
}

// Stop stops a cluster of StartPrivate.
func (c *Cluster) Stop(t testing.TB) {
	t.Helper()
	if c.process == nil || c == shared.cluster {
		t.Fatal("the cluster is not this test's alone: it cannot be stopped")
	}
	if err := c.process.Stop(); err != nil {
		t.Fatal(err)
	}
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// Config is a copy of the administrator's configuration, without a limit of requests on the client's side.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// dir is the cluster's state directory.
func (c *Cluster) dir() string { return filepath.Dir(c.kubeconfig) }

// Namespace makes a namespace for this test. It can be used for pods at once. It is deleted when the test ends; nobody
// waits for that, since it takes five seconds.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	return c.newNamespace(t, nil)
}

// NamespaceWithoutMesh is a Namespace which the stand-in injector does not see, whatever its pods are annotated with.
func (c *Cluster) NamespaceWithoutMesh(t testing.TB) string {
	t.Helper()
	return c.newNamespace(t, map[string]string{labelNoInjector: "disabled"})
}

func (c *Cluster) newNamespace(t testing.TB, labels map[string]string) string {
	t.Helper()
	ctx := t.Context()
	name := namespaceName(t.Name(), os.Getpid(), namespaces.Add(1))
	_, err := c.clients.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("namespace %s: %v", name, err)
	}
	t.Cleanup(func() {
		// The test's own context has ended.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err := c.clients.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) && !c.stopped() {
			t.Errorf("namespace %s: %v", name, err)
		}
	})
	// Pods are refused before the controller has made their account.
	Eventually(t, func() error {
		_, err := c.clients.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	return name
}

func (c *Cluster) stopped() bool {
	if c.process == nil {
		return false
	}
	select {
	case <-c.process.Exited():
		return true
	default:
		return false
	}
}

// namespaceName is unique among the processes and the tests that share the cluster, and a DNS label.
func namespaceName(test string, pid int, count int64) string {
	const maxLabel = 63
	suffix := "-" + strconv.FormatInt(int64(pid), 36) + "-" + strconv.FormatInt(count, 36)
	base := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, strings.TrimPrefix(test, "Test"))
	base = base[:min(len(base), maxLabel-len(suffix)-len("t-"))]
	return "t-" + strings.Trim(base, "-") + suffix
}

// User makes a user with a client certificate and returns the path of its kubeconfig. It may do nothing but what is
// granted to its name or one of its groups. Names are the cluster's: make them the test's own, for instance with the
// namespace's name, when a role is bound to them.
func (c *Cluster) User(t testing.TB, name string, groups ...string) (kubeconfig string) {
	t.Helper()
	binary, err := Build(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := makeUser(t.Context(), binary, c.dir(), kubeconfig, name, groups); err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// makeUser writes a kubeconfig for a user of the cluster whose state is in dir.
func makeUser(ctx context.Context, binary, dir, kubeconfig, name string, groups []string) error {
	args := append([]string{"user", "--dir", dir, "--out", kubeconfig, name}, groups...)
	if out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("user %s: %w: %s", name, err, out)
	}
	return nil
}

// Eventually asks until check has no error any more, and fails the test when a minute was not enough. The time is for
// slow machines: it is never waited for in vain when a test passes.
func Eventually(t testing.TB, check func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still after a minute: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
