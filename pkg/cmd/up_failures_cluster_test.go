package cmd

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

const failingFlow = `jtype: Flow
with: {name: shop}
executors:
  - name: encoder
    uses: docker://registry.example/enc:1
    replicas: 2
`

// brokenUpdate is an update of a Flow whose new pods behave in a way that the file does not say.
type brokenUpdate struct {
	name string
	// template is merged into the encoder's pod template.
	template string
	quota    bool
	flags    []string
	code     int
	says     []string
}

func simulated(pairs ...string) string {
	var annotations []string
	for i := 0; i+1 < len(pairs); i += 2 {
		annotations = append(annotations, fmt.Sprintf(`"sim.test/%s":%q`, pairs[i], pairs[i+1]))
	}
	return fmt.Sprintf(`{"metadata":{"annotations":{%s}}}`, strings.Join(annotations, ","))
}

func brokenUpdates() []brokenUpdate {
	logLine := "| this container is simulated: it says nothing"
	serving := "Still serving, of the revision before: executor `encoder` with "
	return []brokenUpdate{
		{name: "image not found", template: simulated("scenario", "imagepull"), code: codeRollout,
			says: []string{"executor `encoder`: image `registry.example/enc:2` not found (", "correct the image in the Flow", serving}},
		{name: "no access to the image", template: simulated("scenario", "imagepull", "message", "401 Unauthorized"), code: codeRollout,
			says: []string{"executor `encoder`: no access to image `registry.example/enc:2`", "imagePullSecrets"}},
		{name: "image name not valid", template: simulated("scenario", "waiting", "reason", "InvalidImageName"), code: codeRollout,
			says: []string{"executor `encoder`: `registry.example/enc:2` is no valid name of an image"}},
		{name: "Secret without the key", template: simulated("scenario", "waiting", "message", "couldn't find key token in Secret x/hub"), code: codeRollout,
			says: []string{"executor `encoder`: Secret `hub` has no key `token`", serving}},
		{name: "crash", template: simulated("scenario", "crashloop", "exit-code", "3", "backoff", "1s"), code: codeRollout,
			says: []string{"executor `encoder`: crashes: exit code 3, ", "the last lines of container executor of pod encoder-", logLine, serving}},
		{name: "out of memory", template: simulated("scenario", "oom", "backoff", "1s"), code: codeRollout,
			says: []string{"executor `encoder`: out of memory: killed with exit code 137", logLine}},
		{name: "killed while it loads", template: simulated("scenario", "startup-killed", "backoff", "1s"), code: codeRollout,
			says: []string{"executor `encoder`: killed by its own startup probe after ", "`timeout_ready`", logLine}},
		{name: "no command", template: simulated("scenario", "waiting", "reason", "RunContainerError", "message", "exec: jina: not found"), code: codeRollout,
			says: []string{"executor `encoder`: cannot be run: exec: jina: not found"}},
		{name: "missing volume", template: simulated("scenario", "mount"), code: codeRollout,
			says: []string{"executor `encoder`: there is no Secret `model-token`, which a volume is made from"}},
		{name: "quota", template: `{"metadata":{"annotations":{"x":"y"}}}`, quota: true, code: codeRollout,
			says: []string{"executor `encoder`: quota `small` exceeded: requested: pods=1", "kubectl describe quota small", serving}},
		{name: "no GPU", template: `{"spec":{"containers":[{"name":"executor","resources":{"limits":{"nvidia.com/gpu":"1"}}}]}}`, flags: []string{"--timeout", "8s"}, code: codeTimeout,
			says: []string{"encoder: 0/2 ready: 0/", " nodes have nvidia.com/gpu free", serving}},
		{name: "never gives up when told", template: simulated("scenario", "waiting", "reason", "InvalidImageName"), flags: []string{"--timeout", "5s", "--fail-fast", "never"}, code: codeTimeout,
			says: []string{"timed out after 5s", "`registry.example/enc:2` is no valid name of an image"}},
	}
}

// One Flow a row, all at once: it runs, its encoder's template is changed by somebody so that new pods fail, and the next up has
// to say why they do.
func TestUpNamesWhyAFlowCannotComeUp(t *testing.T) {
	rows := brokenUpdates()
	commands := make([][]string, len(rows))
	for i, u := range rows {
		commands[i] = u.prepare(t)
	}
	table := make([]string, len(rows))
	results := make([]result, len(rows))
	var running sync.WaitGroup
	for i, command := range commands {
		running.Go(func() {
			began := time.Now()
			results[i] = run(t.Context(), command...)
			table[i] = fmt.Sprintf("%-26s named after %4.1f s, exit code %d", rows[i].name, time.Since(began).Seconds(), results[i].code)
		})
	}
	running.Wait()
	for i, u := range rows {
		if results[i].code != u.code {
			t.Errorf("%s: exit code %d\n%s", u.name, results[i].code, results[i].errOut)
		}
		for _, text := range u.says {
			if !strings.Contains(results[i].errOut, text) {
				t.Errorf("%s: it does not say %q:\n%s", u.name, text, results[i].errOut)
			}
		}
	}
	t.Logf("a failure, how long until up named it, and its exit code:\n%s", strings.Join(table, "\n"))
}

// prepare brings a Flow up, breaks what comes next, and returns the command that is to say so.
func (u brokenUpdate) prepare(t *testing.T) []string {
	t.Helper()
	_, typed, ns, at := clusterForTest(t)
	up := append([]string{"--mesh", "none", "--verify=false"}, at...)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, failingFlow)}, up...)...)
	if u.quota {
		fillQuota(t, typed, ns)
	}
	patch := []byte(fmt.Sprintf(`{"spec":{"template":%s}}`, u.template))
	if _, err := typed.AppsV1().Deployments(ns).Patch(t.Context(), "encoder", types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	second := flowFileIn(t, strings.ReplaceAll(failingFlow, "enc:1", "enc:2"))
	return append(append([]string{"up", "-f", second}, u.flags...), up...)
}

// fillQuota makes the namespace's quota allow no pod more than there are.
func fillQuota(t *testing.T, typed kubernetes.Interface, ns string) {
	t.Helper()
	pods, err := typed.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	quotas := typed.CoreV1().ResourceQuotas(ns)
	_, err = quotas.Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": *resource.NewQuantity(int64(len(pods.Items)), resource.DecimalSI)}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, func() error {
		q, err := quotas.Get(t.Context(), "small", metav1.GetOptions{})
		if err == nil && len(q.Status.Hard) == 0 {
			err = errors.New("the quota is not in force yet")
		}
		return err
	})
}

const storedFlow = `jtype: Flow
with: {name: shop}
executors:
  - name: store
    uses: docker://registry.example/store:1
    volumes: [/data]
`

// A StatefulSet of ours makes its pods in parallel, so that its controller replaces the broken one by itself. One that does not, of
// an adopted Flow, has to be repaired: see the tests of the plan and of pkg/rollout.
func TestUpMendsAStatefulSetWhoseRevisionBeforeIsBroken(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	t.Setenv("JINA_K8S_STORAGE_CLASS_NAME", "simulated")
	t.Setenv("JINA_K8S_STORAGE_CAPACITY", "1Gi")
	up := append([]string{"--mesh", "none", "--verify=false", "--yes", "--timeout", "1m"}, at...)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, storedFlow)}, up...)...)
	scenario := func(value string) {
		t.Helper()
		patch := []byte(fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"sim.test/scenario":%s,"sim.test/reason":"InvalidImageName"}}}}}`, value))
		if _, err := typed.AppsV1().StatefulSets(ns).Patch(t.Context(), "store", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	scenario(`"waiting"`)
	second := flowFileIn(t, strings.ReplaceAll(storedFlow, "store:1", "store:2"))
	broken := must(t, codeRollout, append([]string{"up", "-f", second}, up...)...)
	if want := "executor `store`: "; !strings.Contains(broken.errOut, want) || !strings.Contains(broken.errOut, "is no valid name of an image") {
		t.Errorf("it does not name what is broken:\n%s", broken.errOut)
	}

	scenario("null")
	must(t, codeOK, append([]string{"up", "-f", second}, up...)...)
	pod, err := typed.CoreV1().Pods(ns).Get(t.Context(), "store-0", metav1.GetOptions{})
	if err != nil || pod.Spec.Containers[0].Image != "registry.example/store:2" {
		t.Errorf("store-0 runs %v, %v", pod.Spec.Containers, err)
	}
}
