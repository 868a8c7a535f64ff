package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

const statusFlow = `jtype: Flow
with:
  name: shop
executors:
  - name: encoder
    uses: docker://registry.example.com/encoder:1
  - name: in_dexer
    uses: docker://registry.example.com/indexer:1
    shards: 2
    needs: [encoder]
`

// commandLine runs kubectl jina in a namespace of the cluster as a user.
type commandLine struct {
	t          *testing.T
	kubeconfig string
	namespace  string
}

// run returns the exit code, standard output and standard error.
func (c commandLine) run(args ...string) (code int, out, errOut string) {
	c.t.Helper()
	var stdout, stderr bytes.Buffer
	args = append(args, "--kubeconfig", c.kubeconfig, "-n", c.namespace)
	code = Main(c.t.Context(), args, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &stdout, ErrOut: &stderr})
	return code, stdout.String(), stderr.String()
}

// want holds the exit code of a command, and that its output matches a text. It returns standard output.
func (c commandLine) want(code int, text string, args ...string) string {
	c.t.Helper()
	got, out, errOut := c.run(args...)
	if got != code || !regexp.MustCompile(text).MatchString(out+errOut) {
		c.t.Errorf("%s: exit code %d, want %d and %q\n%s\n%s", strings.Join(args, " "), got, code, text, out, errOut)
	}
	return out
}

func TestStatusOfALiveFlow(t *testing.T) {
	cluster := testcluster.Start(t)
	client, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	c := commandLine{t, cluster.Kubeconfig(), cluster.NamespaceWithoutMesh(t)}
	file := filepath.Join(t.TempDir(), "flow.yml")
	if err := os.WriteFile(file, []byte(statusFlow), 0o600); err != nil {
		t.Fatal(err)
	}
	c.want(1, "no Flow in namespace", "status")
	c.want(1, `no Flow "shop" in namespace`, "status", "--flow", "shop")
	c.want(0, "Flow shop is running", "up", "-f", file, "--mesh", "none")

	c.want(0, `(?s)^Flow shop in namespace .*: healthy, 5 of 5 workloads ready\n.*`+
		`\ngateway +1/1 +ready +file +0 .*`+
		`\n├─ encoder +1/1 +ready +file +0 +none +\S+ +3\.\d+\.\d+ +gateway +registry.example.com/encoder:1\n`+
		`└─ in_dexer +3/3 +ready +encoder\n`+
		`   ├─ head .*\n   ├─ shard 0 .*\n   └─ shard 1 `, "status", "--exit-code")
	c.want(0, "Flow shop in namespace", "status", "-f", file)
	c.want(1, `no Flow "nope" in namespace .*; it has: shop`, "status", "--flow", "nope")
	var status rollout.FlowStatus
	if err := json.Unmarshal([]byte(c.want(0, "", "status", "-o", "json")), &status); err != nil || !status.Healthy || len(status.Executors) != 2 {
		t.Errorf("json: %+v, %v", status, err)
	}

	if err := client.AppsV1().Deployments(c.namespace).Delete(t.Context(), "encoder", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.want(5, "not healthy, 4 of 5(?s:.*)encoder: missing", "status", "--exit-code")
	c.want(0, "not healthy", "status")
	if err := client.AppsV1().Deployments(c.namespace).Delete(t.Context(), "in-dexer-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.want(5, "not healthy, 3 of 5(?s:.*)in_dexer/1: missing", "status", "--exit-code")

	stranger := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "jina-other"}}
	if _, err := client.CoreV1().ConfigMaps(c.namespace).Create(t.Context(), stranger, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.want(1, "ConfigMap/jina-other is not the record of a Flow", "status", "--flow", "other")
}

func TestStatusWithoutTheRightToReadPodsSaysSo(t *testing.T) {
	cluster := testcluster.Start(t)
	client, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	admin := commandLine{t, cluster.Kubeconfig(), cluster.NamespaceWithoutMesh(t)}
	file := filepath.Join(t.TempDir(), "flow.yml")
	if err := os.WriteFile(file, []byte(statusFlow), 0o600); err != nil {
		t.Fatal(err)
	}
	admin.want(0, "is running", "up", "-f", file, "--mesh", "none")
	user := admin.namespace + "-reader"
	_, err = client.RbacV1().Roles(admin.namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments", "statefulsets"}, Verbs: []string{"list"}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reader := commandLine{t, cluster.User(t, user), admin.namespace}
	reader.want(1, "not allowed", "status")
	_, err = client.RbacV1().RoleBindings(admin.namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, func() error {
		code, _, errOut := reader.run("status")
		if code != 0 {
			return errorText(errOut)
		}
		return nil
	})
	reader.want(0, `(?s)gateway +1/1 +ready +file +\? .*Not allowed to list pods and replicasets`, "status", "--exit-code")
}

// errorText is what a command printed, as an error.
type errorText string

func (e errorText) Error() string { return string(e) }

// watchFlow crashes when it is told to, on the embedded cluster.
const watchFlow = `jtype: Flow
with: {name: shop}
executors:
  - name: encoder
    uses: docker://registry.example/enc:1
`

func TestAWatchedStatusEndsWhenTheFlowIsHealthy(t *testing.T) {
	_, client, ns, at := clusterForTest(t)
	file := flowFileIn(t, watchFlow)
	must(t, codeOK, append([]string{"up", "-f", file}, at...)...)
	for _, until := range []string{forHealthy, forReady} {
		r := must(t, codeOK, append([]string{"status", "--watch", "--for", until, "--timeout", "1m"}, at...)...)
		if !strings.HasSuffix(r.out, "healthy, 2 of 2 workloads ready\n") || !strings.Contains(r.out, "encoder: 1/1 ready\n") {
			t.Errorf("got:\n%s", r.out)
		}
	}
	// A pod that never becomes ready takes the place of the one there is.
	d := deployment(t, client, ns, "encoder")
	d.Spec.Template.Annotations = map[string]string{"sim.test/ready-after": "1h"}
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	if _, err := client.AppsV1().Deployments(ns).Update(t.Context(), d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, func() error {
		if r := run(t.Context(), append([]string{"status", "--exit-code"}, at...)...); r.code != codeRollout {
			return fmt.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
		}
		return nil
	})
	r := must(t, codeTimeout, append([]string{"status", "--watch", "--for", "healthy", "--timeout", "2s"}, at...)...)
	if !strings.Contains(r.errOut, "timed out after 2s: Flow shop is not healthy, 1 of 2 workloads ready") || !strings.Contains(r.errOut, "encoder: ") {
		t.Errorf("got:\n%s", r.errOut)
	}

	// It goes on while nothing is healthy, and sees what happens.
	out, errOut, stop := background(t, append([]string{"status", "--watch", "--for", "ready"}, at...)...)
	eventuallyPrinted(t, out, "not healthy, 1 of 2 workloads ready\n")
	d = deployment(t, client, ns, "encoder")
	d.Spec.Template.Annotations = nil
	if _, err := client.AppsV1().Deployments(ns).Update(t.Context(), d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventuallyPrinted(t, out, ": healthy, 2 of 2 workloads ready\n")
	if code := stop(); code != codeOK {
		t.Errorf("exit code %d\n%s", code, errOut)
	}
}

func TestAWatchedStatusEndsByASignalAndWithItsFlow(t *testing.T) {
	_, _, _, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, watchFlow)}, at...)...)
	out, _, stop := background(t, append([]string{"status", "-w", "-o", "json"}, at...)...)
	eventuallyPrinted(t, out, `"healthy":true`)
	if code := stop(); code != codeInterrupted {
		t.Errorf("exit code %d", code)
	}
	out, errOut, _ := background(t, append([]string{"status", "-w"}, at...)...)
	eventuallyPrinted(t, out, "healthy")
	must(t, codeOK, append([]string{"down", "--yes"}, at...)...)
	eventuallyPrinted(t, errOut, `no Flow "shop" in namespace`)
}

func TestStatusNeverSaysReadyWhilePodsCrash(t *testing.T) {
	_, client, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, watchFlow)}, at...)...)
	d := deployment(t, client, ns, "encoder")
	d.Spec.Template.Annotations = map[string]string{"sim.test/scenario": "crashloop"}
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	if _, err := client.AppsV1().Deployments(ns).Update(t.Context(), d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	var status rollout.FlowStatus
	testcluster.Eventually(t, func() error {
		r := run(t.Context(), append([]string{"status", "-o", "json", "--exit-code"}, at...)...)
		if err := json.Unmarshal([]byte(r.out), &status); err != nil {
			return err
		}
		w := status.Executors[0].Single
		if r.code != codeRollout || w.Cause == nil || w.Cause.Kind != rollout.CauseCrash || w.Restarts == nil || *w.Restarts < 2 {
			return fmt.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
		}
		return nil
	})
	w := status.Executors[0].Single
	if w.Healthy || w.Phase == rollout.PhaseReady || w.Cause.Container != "executor" || len(w.Cause.Logs) == 0 && w.Cause.LogNote == "" {
		t.Errorf("got %+v, cause %+v", w, w.Cause)
	}
	for range 20 {
		if r := run(t.Context(), append([]string{"status", "--exit-code"}, at...)...); r.code != codeRollout {
			t.Fatalf("exit code %d\n%s", r.code, r.out)
		}
	}
}

func TestStatusKnowsTheMeshAndTheAutoscaler(t *testing.T) {
	_, client, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, watchFlow)}, at...)...)
	two := int32(2)
	_, err := client.AutoscalingV2().HorizontalPodAutoscalers(ns).Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "enc"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "encoder"}, MinReplicas: &two, MaxReplicas: 5,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, func() error {
		r := run(t.Context(), append([]string{"status"}, at...)...)
		if !regexp.MustCompile(`encoder +2/2 +ready +HPA enc \(2-5\) +0 +linkerd 2/2 `).MatchString(r.out) {
			return errorText(r.out + r.errOut)
		}
		return nil
	})
}
