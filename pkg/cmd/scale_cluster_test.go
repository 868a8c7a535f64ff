package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// terminal collects what a command prints while it runs.
type terminal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *terminal) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *terminal) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// begun is a command that runs beside the test.
type begun struct {
	printed *terminal
	stop    context.CancelFunc
	code    chan int
}

func begin(t *testing.T, args ...string) begun {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	b := begun{&terminal{}, stop, make(chan int, 1)}
	go func() {
		b.code <- Main(ctx, args, genericiooptions.IOStreams{In: strings.NewReader(""), Out: b.printed, ErrOut: b.printed})
	}()
	t.Cleanup(stop)
	return b
}

// says waits until the command has printed a text; it fails when the command ends before.
func (b begun) says(t *testing.T, text string) {
	t.Helper()
	testcluster.Eventually(t, func() error {
		select {
		case code := <-b.code:
			b.code <- code
			if !strings.Contains(b.printed.String(), text) {
				t.Fatalf("exit code %d without %q:\n%s", code, text, b.printed)
			}
		default:
		}
		if !strings.Contains(b.printed.String(), text) {
			return fmt.Errorf("%q is not said yet:\n%s", text, b.printed)
		}
		return nil
	})
}

// ends holds the exit code of the command.
func (b begun) ends(t *testing.T, want int) {
	t.Helper()
	if code := <-b.code; code != want {
		t.Fatalf("exit code %d, want %d\n%s", code, want, b.printed)
	}
}

// podsOf are the pods of a workload of a Flow, by its label app.
func podsOf(t *testing.T, typed kubernetes.Interface, ns, app string) []corev1.Pod {
	t.Helper()
	list, err := typed.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// readyPods counts the pods of a workload that are ready and to stay.
func readyPods(t *testing.T, typed kubernetes.Interface, ns, app string) int {
	t.Helper()
	n := 0
	for _, p := range podsOf(t, typed, ns, app) {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil {
				n++
			}
		}
	}
	return n
}

// endAfter makes the pods of a workload take so long to end, those included that are ending already.
func endAfter(t *testing.T, typed kubernetes.Interface, ns, app, delay string) {
	t.Helper()
	patch := []byte(fmt.Sprintf(`{"metadata":{"annotations":{"sim.test/terminate-after":%q}}}`, delay))
	for _, p := range podsOf(t, typed, ns, app) {
		if _, err := typed.CoreV1().Pods(ns).Patch(t.Context(), p.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// wrote are the writes of kubectl jina in a namespace, the Lease aside.
func wrote(t *testing.T, c *testcluster.Cluster, ns string) []testcluster.Event {
	t.Helper()
	return c.AuditEvents(t, func(e testcluster.Event) bool {
		return e.Namespace == ns && e.Persisted() && strings.HasPrefix(e.UserAgent, "kubectl-jina/") && e.Resource != "leases"
	})
}

// mustWriteNothing runs a command that is to fail, hold its exit code and what it says, and change nothing.
func mustWriteNothing(t *testing.T, c *testcluster.Cluster, ns string, code int, says []string, args ...string) {
	t.Helper()
	before := len(wrote(t, c, ns))
	r := must(t, code, args...)
	for _, text := range says {
		if !strings.Contains(r.errOut, text) {
			t.Errorf("%s does not say %q:\n%s", args[0], text, r.errOut)
		}
	}
	if events := wrote(t, c, ns)[before:]; len(events) > 0 {
		t.Errorf("%s wrote: %v", strings.Join(args, " "), events)
	}
}

// autoscale makes a HorizontalPodAutoscaler of a Deployment, which has nothing to measure.
func autoscale(t *testing.T, typed kubernetes.Interface, ns, name string, minimum, maximum int32) {
	t.Helper()
	half := int32(50)
	_, err := typed.AutoscalingV2().HorizontalPodAutoscalers(ns).Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-hpa"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			MinReplicas:    &minimum, MaxReplicas: maximum,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &half}}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func TestScaleDownWaitsUntilTheOldPodsAreGone(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	endAfter(t, typed, ns, "encoder", "1h")

	scale := begin(t, append([]string{"scale", "encoder", "--replicas", "1"}, at...)...)
	scale.says(t, "waiting for 1 pod to end: encoder (1)")
	if n := len(podsOf(t, typed, ns, "encoder")); n != 2 {
		t.Errorf("%d pods, and one of them is said to be ending", n)
	}
	testcluster.Eventually(t, func() error {
		if d := deployment(t, typed, ns, "encoder"); d.Status.Replicas != 1 {
			return fmt.Errorf("the Deployment counts %d pods", d.Status.Replicas)
		}
		return nil
	})
	select {
	case <-scale.code:
		t.Fatalf("scale has ended while a pod is ending:\n%s", scale.printed)
	default:
	}
	endAfter(t, typed, ns, "encoder", "1ms")
	scale.ends(t, codeOK)
	if n := len(podsOf(t, typed, ns, "encoder")); n != 1 {
		t.Errorf("scale returned with %d pods", n)
	}

	endAfter(t, typed, ns, "encoder", "1h")
	timedOut := begin(t, append([]string{"scale", "encoder", "--replicas", "0", "--timeout", "2s"}, at...)...)
	timedOut.ends(t, codeTimeout)
	for _, text := range []string{"timed out after 2s", "encoder: 0/0 ready: 1 pod is still ending"} {
		if !strings.Contains(timedOut.printed.String(), text) {
			t.Errorf("%q is not said:\n%s", text, timedOut.printed)
		}
	}
	must(t, codeOK, append([]string{"scale", "encoder", "--replicas", "0", "--wait=false"}, at...)...)
	endAfter(t, typed, ns, "encoder", "1ms")
	must(t, codeOK, append([]string{"scale", "encoder", "--replicas", "2", "--current-replicas", "0"}, at...)...)
	if n := readyPods(t, typed, ns, "encoder"); n != 2 {
		t.Errorf("%d replicas are ready after a scale from 0", n)
	}
	wantWriters(t, deployment(t, typed, ns, "encoder"), "f:replicas", "kubectl-jina-scale/Apply/scale")
}

func TestScaleRefusesAllBeforeItWritesAnything(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	autoscale(t, typed, ns, "indexer-1", 1, 7)
	// A consensus as an older tool may have left it: up itself makes none.
	patch := []byte(`[{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"--stateful"},
		{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"--replicas"},
		{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"3"}]`)
	if _, err := typed.AppsV1().Deployments(ns).Patch(t.Context(), "encoder", types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"an unknown name": {[]string{"gateway", "encodr", "--replicas", "2"}, codeUsage,
			[]string{`the Flow has no "encodr"; did you mean encoder?; it has: gateway, encoder, indexer, indexer/head, indexer/0, indexer/1`}},
		"an unknown shard": {[]string{"gateway", "indexer/7", "--replicas", "2"}, codeUsage, []string{`no "indexer/7"; did you mean indexer/0?`}},
		"an autoscaler's target": {[]string{"gateway", "indexer", "--replicas", "2"}, codeConflict,
			[]string{"indexer/1 is scaled by HorizontalPodAutoscaler/indexer-1-hpa between 1 and 7 replicas", "kubectl edit hpa indexer-1-hpa -n " + ns}},
		"a lost quorum": {[]string{"gateway", "encoder", "--replicas", "1"}, codeUsage,
			[]string{"encoder is stateful: with 1 replica it would have no quorum, which is 2"}},
		"other replicas than expected": {[]string{"gateway", "encoder", "--replicas", "3", "--current-replicas", "1"}, codeError,
			[]string{"Deployment/encoder has 2 replicas, not 1"}},
		"an autoscaler's target, in a dry run": {[]string{"indexer/1", "--replicas", "2", "--dry-run", "client"}, codeConflict, []string{"HorizontalPodAutoscaler/indexer-1-hpa"}},
	} {
		t.Run(name, func(t *testing.T) {
			mustWriteNothing(t, c, ns, tt.code, tt.says, slices.Concat([]string{"scale"}, tt.args, at)...)
		})
	}
	if d := deployment(t, typed, ns, "gateway"); *d.Spec.Replicas != 1 {
		t.Errorf("the gateway has %d replicas", *d.Spec.Replicas)
	}
}

func TestScaleNamesWhoChangesTheReplicasMeanwhile(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	patch := []byte(`{"spec":{"template":{"metadata":{"annotations":{"sim.test/ready-after":"1h"}}}}}`)
	deployments := typed.AppsV1().Deployments(ns)
	if _, err := deployments.Patch(t.Context(), "encoder", types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	scale := begin(t, append([]string{"scale", "encoder", "--replicas", "4"}, at...)...)
	scale.says(t, "encoder scaled from 2 to 4 replicas")
	_, err := deployments.UpdateScale(t.Context(), "encoder", &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: "encoder", Namespace: ns}, Spec: autoscalingv1.ScaleSpec{Replicas: 5},
	}, metav1.UpdateOptions{FieldManager: "night-shift"})
	if err != nil {
		t.Fatal(err)
	}
	scale.ends(t, codeRollout)
	if !strings.Contains(scale.printed.String(), "replicas are 5, not 4: changed by night-shift meanwhile") {
		t.Errorf("who has changed the replicas is not said:\n%s", scale.printed)
	}
}

func TestScaleDryRunChangesNothing(t *testing.T) {
	c, typed, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	for _, dryRun := range []string{"client", "server"} {
		before := len(wrote(t, c, ns))
		r := must(t, codeOK, append([]string{"scale", "encoder", "indexer", "--replicas", "2", "--dry-run", dryRun}, at...)...)
		want := strings.ReplaceAll("encoder has 2 replicas already (X dry run)\nindexer/0 scaled from 1 to 2 replicas (X dry run)\nindexer/1 scaled from 1 to 2 replicas (X dry run)\n", "X", dryRun)
		if r.out != want {
			t.Errorf("%s dry run prints\n%s", dryRun, r.out)
		}
		if events := wrote(t, c, ns)[before:]; len(events) > 0 {
			t.Errorf("a %s dry run wrote: %v", dryRun, events)
		}
	}
	if d := deployment(t, typed, ns, "indexer-0"); *d.Spec.Replicas != 1 {
		t.Errorf("%d replicas", *d.Spec.Replicas)
	}

	r := must(t, codeOK, append([]string{"scale", "encoder", "indexer/1", "--replicas", "2", "-o", "json"}, at...)...)
	var got scaledFlow
	decoder := json.NewDecoder(strings.NewReader(r.out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil || decoder.Decode(&struct{}{}) != io.EOF {
		t.Fatalf("not one JSON document (%v):\n%s", err, r.out)
	}
	want := []scaledPart{
		{Target: "encoder", Kind: "Deployment", Name: "encoder", Before: 2, Replicas: 2},
		{Target: "indexer/1", Kind: "Deployment", Name: "indexer-1", Before: 1, Replicas: 2, Changes: true},
	}
	if got.Flow != "shop" || got.Namespace != ns || got.DryRun != "none" || !slices.Equal(got.Targets, want) {
		t.Errorf("%+v", got)
	}
	r = must(t, codeOK, append([]string{"scale", "indexer", "--replicas", "1", "-o", "name"}, at...)...)
	if r.out != "deployment.apps/indexer-0\ndeployment.apps/indexer-1\n" {
		t.Errorf("-o name prints\n%s", r.out)
	}
}

func TestScaleWithoutAMeshSaysWhatItMeans(t *testing.T) {
	c := testcluster.Start(t)
	ns := c.NamespaceWithoutMesh(t)
	at := []string{"--kubeconfig", c.Kubeconfig(), "-n", ns}
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow), "--mesh", "none"}, at...)...)
	const (
		one    = "note: no mesh in the pods of "
		shards = one + "indexer/head: each of them keeps its one connection to one replica of indexer/0"
	)
	for _, tt := range []struct {
		args []string
		says []string
	}{
		{[]string{"encoder", "--replicas", "3"}, []string{one + "gateway: each of them keeps its one connection to one replica of encoder"}},
		{[]string{"indexer", "--replicas", "2"}, []string{shards, "replica of indexer/1"}},
		{[]string{"gateway", "--replicas", "2"}, []string{one + "gateway: all requests of a client's connection go to one replica"}},
		{[]string{"encoder", "--replicas", "1"}, nil},
	} {
		r := must(t, codeOK, slices.Concat([]string{"scale"}, tt.args, at)...)
		for _, text := range tt.says {
			if !strings.Contains(r.errOut, text) {
				t.Errorf("scale %s does not say %q:\n%s", strings.Join(tt.args, " "), text, r.errOut)
			}
		}
		if len(tt.says) == 0 && strings.Contains(r.errOut, one) {
			t.Errorf("scale %s says\n%s", strings.Join(tt.args, " "), r.errOut)
		}
	}

	// The gateway balances between the executors; nobody does between the gateways.
	patch := []byte(`[{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"--grpc-channel-options"},
		{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"{\"grpc.lb_policy_name\": \"round_robin\"}"}]`)
	typed, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := typed.AppsV1().Deployments(ns).Patch(t.Context(), "gateway", types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	r := must(t, codeOK, append([]string{"scale", "encoder", "gateway", "--replicas", "3"}, at...)...)
	if n := strings.Count(r.errOut, one); n != 1 || !strings.Contains(r.errOut, one+"gateway: all requests of a client's connection") {
		t.Errorf("with a gateway that balances scale says\n%s", r.errOut)
	}

	_, _, _, at = clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	if r := must(t, codeOK, append([]string{"scale", "gateway", "encoder", "indexer", "--replicas", "2"}, at...)...); strings.Contains(r.errOut, "no mesh") {
		t.Errorf("with Linkerd in all pods:\n%s", r.errOut)
	}
}
