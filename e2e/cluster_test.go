//go:build e2e

// Package e2e runs the plugin against real pods, on a cluster that kind makes. `make e2e` builds the plugin, runs these
// tests, and deletes the cluster. It needs Docker, Podman or nerdctl; what else it heeds is in the environment:
//
//	KUBECTL_JINA                the plugin under test; set by make
//	JINA_IMAGE                  the image of gateways and executors, jinaai/jina:3.34.0 when empty; one that this machine
//	                            has is loaded into the cluster, another one is pulled there
//	KIND_NODE_IMAGE             the image of the cluster's nodes, kind's own choice when empty
//	KIND_CONFIG                 a file with kind's configuration of the cluster
//	KIND_EXPERIMENTAL_PROVIDER  docker, podman or nerdctl, as for kind itself; whichever answers when empty
//	KEEP=1                      leaves the cluster; the next run uses it again
//	E2E_KUBECONFIG              a cluster that is there already: none is made, loaded or deleted, and only KUBECTL_JINA and
//	                            JINA_IMAGE have a meaning
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	kind "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"
	kindcmd "sigs.k8s.io/kind/pkg/cmd"
)

const (
	clusterName      = "kubectl-jina-e2e"
	defaultJinaImage = "jinaai/jina:3.34.0"

	nodeReady     = 5 * time.Minute
	daemonAnswers = 20 * time.Second
)

// cluster is where the tests run.
type cluster struct {
	provider   *kind.Provider
	runtime    string // the container runtime's command; empty on a cluster that is not ours
	kubeconfig string // a file of its own: the user's is left alone
	client     kubernetes.Interface
}

// startCluster makes the cluster, or takes the one that an earlier run has kept, and deletes it when the test ends,
// unless KEEP is set. Without a container runtime that answers the test fails: whoever runs it asked for real pods.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{kubeconfig: os.Getenv("E2E_KUBECONFIG")}
	if c.kubeconfig == "" {
		c.makeOrTake(t)
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	c.client, err = kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) makeOrTake(t *testing.T) {
	t.Helper()
	runtime, option, err := containerRuntime(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.kubeconfig, err = filepath.Abs(filepath.Join("..", ".cache", "e2e", "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	c.runtime = runtime
	c.provider = kind.NewProvider(kind.ProviderWithLogger(kindcmd.NewLogger()), option)
	c.deleteAtEnd(t)
	if err := c.create(); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) create() error {
	running, err := c.provider.List()
	if err != nil {
		return fmt.Errorf("list kind's clusters: %w", err)
	}
	if slices.Contains(running, clusterName) {
		return c.provider.ExportKubeConfig(clusterName, c.kubeconfig, false)
	}
	options := []kind.CreateOption{
		kind.CreateWithKubeconfigPath(c.kubeconfig),
		kind.CreateWithWaitForReady(nodeReady),
		kind.CreateWithDisplayUsage(false),
		kind.CreateWithDisplaySalutation(false),
	}
	if image := os.Getenv("KIND_NODE_IMAGE"); image != "" {
		options = append(options, kind.CreateWithNodeImage(image))
	}
	if config := os.Getenv("KIND_CONFIG"); config != "" {
		options = append(options, kind.CreateWithConfigFile(config))
	}
	if err := c.provider.Create(clusterName, options...); err != nil {
		return fmt.Errorf("create the cluster %s: %w", clusterName, err)
	}
	return nil
}

// deleteAtEnd deletes the cluster after the test, and also on Ctrl-C, when a test's own cleanup does not run.
func (c *cluster) deleteAtEnd(t *testing.T) {
	t.Helper()
	if os.Getenv("KEEP") != "" {
		t.Cleanup(func() {
			t.Logf("the cluster %s stays: export KUBECONFIG=%s", clusterName, c.kubeconfig)
		})
		return
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-interrupted:
			fmt.Fprintf(os.Stderr, "interrupted: deleting the cluster %s\n", clusterName)
			if err := c.provider.Delete(clusterName, c.kubeconfig); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			os.Exit(130)
		case <-done:
		}
	}()
	t.Cleanup(func() {
		signal.Stop(interrupted)
		close(done)
		if err := c.provider.Delete(clusterName, c.kubeconfig); err != nil {
			t.Errorf("delete the cluster %s: %v", clusterName, err)
		}
	})
}

// load puts an image of this machine into every node. One that this machine does not have is left for the nodes to pull.
func (c *cluster) load(t *testing.T, image string) {
	t.Helper()
	if c.provider == nil {
		return
	}
	if err := exec.CommandContext(t.Context(), c.runtime, "image", "inspect", image).Run(); err != nil {
		t.Logf("%s has no image %s: the nodes will pull it", c.runtime, image)
		return
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	if out, err := exec.CommandContext(t.Context(), c.runtime, "save", "-o", archive, image).CombinedOutput(); err != nil {
		t.Fatalf("save %s: %v\n%s", image, err, out)
	}
	nodes, err := c.provider.ListInternalNodes(clusterName)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes {
		f, err := os.Open(archive)
		if err != nil {
			t.Fatal(err)
		}
		err = nodeutils.LoadImageArchive(node, f)
		f.Close()
		if err != nil {
			t.Fatalf("load %s into %s: %v", image, node, err)
		}
	}
}

// containerRuntime is the first runtime whose daemon answers, or the error that says what each of them answered.
func containerRuntime(ctx context.Context) (string, kind.ProviderOption, error) {
	runtimes := []struct {
		command string
		option  kind.ProviderOption
	}{
		{"docker", kind.ProviderWithDocker()},
		{"podman", kind.ProviderWithPodman()},
		{"nerdctl", kind.ProviderWithNerdctl("nerdctl")},
	}
	only := os.Getenv("KIND_EXPERIMENTAL_PROVIDER")
	var answers []string
	for _, r := range runtimes {
		if only != "" && only != r.command {
			continue
		}
		answer := askDaemon(ctx, r.command)
		if answer == "" {
			return r.command, r.option, nil
		}
		answers = append(answers, r.command+": "+answer)
	}
	if len(answers) == 0 {
		return "", nil, fmt.Errorf("KIND_EXPERIMENTAL_PROVIDER=%s is none of docker, podman, nerdctl", only)
	}
	return "", nil, fmt.Errorf("no container daemon answers, and real pods need one (%s): start one and run `make e2e` again",
		strings.Join(answers, "; "))
}

// askDaemon is empty when the runtime can list its containers, else the reason in one line. That the command is
// installed, which is what kind looks for, does not say that a daemon runs.
func askDaemon(ctx context.Context, command string) string {
	if _, err := exec.LookPath(command); err != nil {
		return "not installed"
	}
	ctx, cancel := context.WithTimeout(ctx, daemonAnswers)
	defer cancel()
	out, err := exec.CommandContext(ctx, command, "ps").CombinedOutput()
	if err == nil {
		return ""
	}
	if ctx.Err() != nil {
		return fmt.Sprintf("no answer for %s", daemonAnswers)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return err.Error()
}
