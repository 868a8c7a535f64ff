package cmd

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

const logsFlow = `jtype: Flow
with: {name: shop}
executors:
  - name: encoder
    uses: docker://registry.example/enc:1
    replicas: 2
  - name: in_dexer
    uses: docker://registry.example/index:1
    shards: 2
    needs: [encoder]
`

// podsOfExecutor are those of an executor, by name; of the gateway for "gateway".
func podsOfExecutor(t *testing.T, client kubernetes.Interface, namespace, executor string) []*corev1.Pod {
	t.Helper()
	list, err := client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: plan.LabelJinaDeployment + "=" + executor})
	if err != nil {
		t.Fatal(err)
	}
	var pods []*corev1.Pod
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			pods = append(pods, &list.Items[i])
		}
	}
	return pods
}

// output is what a command that goes on has printed until now.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// background runs the command line until stop is called, which returns its exit code.
func background(t *testing.T, args ...string) (out, errOut *output, stop func() int) {
	t.Helper()
	out, errOut = &output{}, &output{}
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- Main(ctx, args, genericiooptions.IOStreams{In: strings.NewReader(""), Out: out, ErrOut: errOut})
	}()
	stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { stop() })
	return out, errOut, stop
}

func eventuallyPrinted(t *testing.T, o *output, text string) {
	t.Helper()
	testcluster.Eventually(t, func() error {
		if got := o.String(); !strings.Contains(got, text) {
			return fmt.Errorf("%q is not printed:\n%s", text, got)
		}
		return nil
	})
}

func TestLogsOfReplicasAndShardsAreMerged(t *testing.T) {
	c, client, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, logsFlow)}, at...)...)
	encoders, shards := podsOfExecutor(t, client, ns, "encoder"), podsOfExecutor(t, client, ns, "in_dexer")
	c.Say(t, ns, encoders[0].Name, "executor", "first", "  \x1b[31mthird\x1b[0m", "fifth")
	for i, p := range shards {
		if p.Labels[plan.LabelShard] == "1" {
			c.Say(t, ns, shards[i].Name, "executor", "of shard 1")
		}
	}
	suffix := strings.TrimPrefix(encoders[0].Name, "encoder-")
	want := fmt.Sprintf("encoder %[1]s first\nencoder %[1]s   third\nencoder %[1]s fifth\n", suffix)
	out := must(t, codeOK, append([]string{"logs", "encoder"}, at...)...).out
	var own []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "encoder "+suffix) {
			own = append(own, line)
		}
	}
	if strings.Join(own, "") != want || len(own) == strings.Count(out, "\n") {
		t.Errorf("the executor's log is\n%s\nwant of its first pod\n%s", out, want)
	}
	if out := must(t, codeOK, append([]string{"logs", "in_dexer/1", "--prefix=false"}, at...)...).out; out != "of shard 1\n" {
		t.Errorf("the shard's log is %q", out)
	}
	whole := must(t, codeOK, append([]string{"logs", "--timestamps", "--tail", "1"}, at...)...).out
	for _, part := range []string{"gateway", "encoder", "in_dexer/head", "in_dexer/0", "in_dexer/1"} {
		if !regexp.MustCompile(`(?m)^` + part + ` \S+ \d{4}-\d\d-\d\dT\S+Z .`).MatchString(whole) {
			t.Errorf("%s has no line in\n%s", part, whole)
		}
	}
	if strings.Contains(whole, "first") || !strings.Contains(whole, "fifth") {
		t.Errorf("the last line of each is\n%s", whole)
	}

	if before := must(t, codeOK, append([]string{"logs", "in_dexer/1", "--previous"}, at...)...).out; !strings.HasSuffix(before, " of shard 1\n") {
		t.Errorf("the log of the run before is %q", before)
	}

	must(t, codeUsage, append([]string{"logs", "endoder"}, at...)...)
	r := must(t, codeUsage, append([]string{"logs", "-f", "-c", "sidecar"}, at...)...)
	if !strings.Contains(r.errOut, `no pod has a container "sidecar"; they have: executor, gateway`) {
		t.Errorf("got %s", r.errOut)
	}
	r = must(t, codeUsage, append([]string{"logs", "-c", "sidecar"}, at...)...)
	if !strings.Contains(r.errOut, `no pod has a container "sidecar"; they have: executor, gateway`) {
		t.Errorf("got %s", r.errOut)
	}
	r = must(t, codeUsage, append([]string{"logs", "--max-log-requests", "2"}, at...)...)
	if !strings.Contains(r.errOut, "there are 6 containers to read") {
		t.Errorf("got %s", r.errOut)
	}
}

func TestFollowedLogsHaveNewPodsAndNoLineTwice(t *testing.T) {
	c, client, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, logsFlow)}, at...)...)
	pods := podsOfExecutor(t, client, ns, "encoder")
	log := c.Log(t, ns, pods[0].Name, "executor")
	log.Write(t, "line 1", "line 2")
	out, errOut, stop := background(t, append([]string{"logs", "encoder", "-f", "--tail", "1"}, at...)...)
	eventuallyPrinted(t, out, "line 2\n")
	if strings.Contains(out.String(), "line 1") {
		t.Errorf("more than the last line was printed:\n%s", out)
	}
	var want []string
	for i := 3; i <= 40; i++ {
		want = append(want, fmt.Sprintf("line %d", i))
		log.Write(t, want[len(want)-1])
	}
	eventuallyPrinted(t, out, "line 40\n")

	must(t, codeOK, append([]string{"scale", "encoder", "--replicas", "3"}, at...)...)
	known := []string{pods[0].Name, pods[1].Name}
	var fresh *corev1.Pod
	for _, p := range podsOfExecutor(t, client, ns, "encoder") {
		if !slices.Contains(known, p.Name) {
			fresh = p
		}
	}
	if fresh == nil {
		t.Fatal("there is no new pod")
	}
	eventuallyPrinted(t, out, "encoder "+strings.TrimPrefix(fresh.Name, "encoder-")+" ")

	if code := stop(); code != codeInterrupted {
		t.Errorf("exit code %d\n%s", code, errOut)
	}
	var got []string
	prefix := "encoder " + strings.TrimPrefix(pods[0].Name, "encoder-") + " "
	for line := range strings.Lines(out.String()) {
		if text, of := strings.CutPrefix(line, prefix); of && text != "line 2\n" {
			got = append(got, strings.TrimSuffix(text, "\n"))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
