//go:build e2e

package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// The Flow of testdata/flow.yml.
const (
	flowFile = "testdata/flow.yml"
	flowName = "e2e"
	executor = "echo"
	gateway  = "gateway"
)

// plugin is the program under test, run as kubectl would run it.
type plugin struct {
	path      string
	env       []string
	namespace string
}

// run fails the test unless the plugin exits with 0, and returns what it wrote to standard output.
func (p plugin) run(t *testing.T, args ...string) string {
	t.Helper()
	args = append(args, "-n", p.namespace)
	c := exec.CommandContext(t.Context(), p.path, args...)
	c.Env = p.env
	var progress strings.Builder
	c.Stderr = &progress
	out, err := c.Output()
	t.Logf("kubectl jina %s\n%s%s", strings.Join(args, " "), progress.String(), out)
	if err != nil {
		t.Fatalf("kubectl jina %s: %v", args[0], err)
	}
	return string(out)
}

func jinaImage() string {
	if image := os.Getenv("JINA_IMAGE"); image != "" {
		return image
	}
	return defaultJinaImage
}

// pluginUnderTest is the program that make has built.
func pluginUnderTest(t *testing.T) string {
	t.Helper()
	path := os.Getenv("KUBECTL_JINA")
	if path == "" {
		t.Fatal("KUBECTL_JINA does not name the plugin to test: `make e2e` builds it and sets it")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the plugin to test: %v: `make e2e` builds it", err)
	}
	return path
}

func TestFlowRunsIsScaledAndTakenDownOnRealPods(t *testing.T) {
	path := pluginUnderTest(t)
	c := startCluster(t)
	c.load(t, jinaImage())
	namespace := c.newNamespace(t)
	p := plugin{
		path:      path,
		env:       append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "JINA_GATEWAY_IMAGE="+jinaImage()),
		namespace: namespace,
	}
	c.createBystander(t, namespace)

	p.run(t, "up", "-f", flowFile, "--mesh", "none", "--timeout", "10m")
	c.assertAvailable(t, namespace, gateway, 1)
	c.assertAvailable(t, namespace, executor, 1)
	c.assertPodsRun(t, namespace, 2)

	p.run(t, "scale", executor, "--replicas", "2", "--timeout", "5m")
	c.assertAvailable(t, namespace, executor, 2)

	p.run(t, "up", "-f", flowFile, "--mesh", "none", "--timeout", "10m")
	c.assertAvailable(t, namespace, executor, 2)
	c.assertPodsRun(t, namespace, 3)

	status := p.run(t, "status", "--exit-code")
	for _, part := range []string{flowName, gateway, executor} {
		if !strings.Contains(status, part) {
			t.Errorf("status does not name %s", part)
		}
	}

	if answer := p.run(t, "ping"); !strings.Contains(answer, "a dry run through the gateway (gRPC) reached every executor") {
		t.Errorf("ping says:\n%s", answer)
	}

	p.run(t, "down", "--yes")
	c.assertGone(t, namespace)
	if _, err := c.client.CoreV1().ConfigMaps(namespace).Get(t.Context(), "bystander", metav1.GetOptions{}); err != nil {
		t.Errorf("down took more than the Flow: %v", err)
	}
}

// newNamespace is a namespace of this test's own, deleted with it.
func (c *cluster) newNamespace(t *testing.T) string {
	t.Helper()
	namespaces := c.client.CoreV1().Namespaces()
	ns, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "jina-e2e-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if os.Getenv("KEEP") != "" && t.Failed() {
			t.Logf("the namespace %s stays too, to see what failed", ns.Name)
			return
		}
		if err := namespaces.Delete(context.WithoutCancel(t.Context()), ns.Name, metav1.DeleteOptions{}); err != nil {
			t.Errorf("delete the namespace %s: %v", ns.Name, err)
		}
	})
	return ns.Name
}

// createBystander makes an object that is nobody's part.
func (c *cluster) createBystander(t *testing.T, namespace string) {
	t.Helper()
	bystander := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "bystander"}, Data: map[string]string{"a": "b"}}
	if _, err := c.client.CoreV1().ConfigMaps(namespace).Create(t.Context(), bystander, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// assertAvailable holds that the plugin has waited long enough: it asks once, and does not wait itself.
func (c *cluster) assertAvailable(t *testing.T, namespace, name string, replicas int32) {
	t.Helper()
	d, err := c.client.AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !isRolledOut(d, replicas) {
		t.Errorf("Deployment %s: want %d available replicas of the newest revision, status is %+v", name, replicas, d.Status)
	}
}

func isRolledOut(d *appsv1.Deployment, replicas int32) bool {
	s := d.Status
	return d.Spec.Replicas != nil && *d.Spec.Replicas == replicas &&
		s.ObservedGeneration == d.Generation && s.Replicas == replicas && s.UpdatedReplicas == replicas && s.AvailableReplicas == replicas
}

// assertPodsRun holds that the Flow's pods, and no more of them, are ready and run Jina's image.
func (c *cluster) assertPodsRun(t *testing.T, namespace string, want int) {
	t.Helper()
	pods, err := c.client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: plan.LabelFlow + "=" + flowName})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != want {
		t.Errorf("%d pods, want %d", len(pods.Items), want)
	}
	for _, pod := range pods.Items {
		for _, s := range pod.Status.ContainerStatuses {
			if !s.Ready {
				t.Errorf("pod %s: container %s is not ready", pod.Name, s.Name)
			}
		}
		if image := pod.Spec.Containers[0].Image; image != jinaImage() {
			t.Errorf("pod %s runs %s, want %s", pod.Name, image, jinaImage())
		}
	}
}

// assertGone waits until nothing of the Flow is left: pods may take their grace period to end.
func (c *cluster) assertGone(t *testing.T, namespace string) {
	t.Helper()
	var left []string
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, 3*time.Minute, true, func(ctx context.Context) (bool, error) {
		var err error
		left, err = c.objectsOfTheFlow(ctx, namespace)
		return len(left) == 0, err
	})
	if err != nil {
		t.Errorf("after down: %v; left: %s", err, strings.Join(left, ", "))
	}
	ns, err := c.client.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
	if err != nil || ns.Status.Phase != corev1.NamespaceActive {
		t.Errorf("down touched the namespace: %v, %v", ns.Status.Phase, err)
	}
}

// objectsOfTheFlow are Kind/name of what carries the Flow's label, or has one of its names.
func (c *cluster) objectsOfTheFlow(ctx context.Context, namespace string) ([]string, error) {
	var left []string
	labelled := metav1.ListOptions{LabelSelector: plan.LabelFlow + "=" + flowName}
	deployments, err1 := c.client.AppsV1().Deployments(namespace).List(ctx, labelled)
	services, err2 := c.client.CoreV1().Services(namespace).List(ctx, labelled)
	configMaps, err3 := c.client.CoreV1().ConfigMaps(namespace).List(ctx, labelled)
	pods, err4 := c.client.CoreV1().Pods(namespace).List(ctx, labelled)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	for _, o := range deployments.Items {
		left = append(left, "Deployment/"+o.Name)
	}
	for _, o := range services.Items {
		left = append(left, "Service/"+o.Name)
	}
	for _, o := range configMaps.Items {
		left = append(left, "ConfigMap/"+o.Name)
	}
	for _, o := range pods.Items {
		left = append(left, "Pod/"+o.Name)
	}
	for _, name := range []string{gateway, executor} {
		_, err := c.client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			left = append(left, "Deployment/"+name)
		} else if !apierrors.IsNotFound(err) {
			return nil, err
		}
	}
	return left, nil
}
