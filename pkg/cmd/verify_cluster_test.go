package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	rbacv1 "k8s.io/api/rbac/v1"
)

// annotate sets an annotation of all pods of a workload: the stand-in for Jina in them goes by it.
func annotate(t *testing.T, typed kubernetes.Interface, ns, app, annotation, value string) {
	t.Helper()
	pods, err := typed.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("pods of %s: %d, %v", app, len(pods.Items), err)
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, annotation, value)
	for _, p := range pods.Items {
		if _, err := typed.CoreV1().Pods(ns).Patch(t.Context(), p.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// silence makes the pods of a workload refuse connections, and hear stops that.
func silence(t *testing.T, typed kubernetes.Interface, ns, app string) {
	t.Helper()
	annotate(t, typed, ns, app, "sim.test/answers", "false")
}

func hear(t *testing.T, typed kubernetes.Interface, ns, app string) {
	t.Helper()
	annotate(t, typed, ns, app, "sim.test/answers", "true")
}

// says holds what a command has printed on standard error.
func (r result) says(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(r.errOut, w) {
			t.Errorf("%q is not said:\n%s%s", w, r.out, r.errOut)
		}
	}
}

func TestUpSaysWhatItProvedOfTheFlow(t *testing.T) {
	const executors = "executors:\n  - name: text_encoder\n    uses: docker://registry.example/enc:1\n"
	for _, tt := range []struct{ name, flow, want string }{
		{"gRPC", "jtype: Flow\nwith: {name: f}\n" + executors, "verified: a dry run through the gateway (gRPC) reached every executor\n"},
		{"shards and replicas", shopFlow, "verified: a dry run through the gateway (gRPC) reached every executor (one replica of each); each shard of indexer answers by itself\n"},
		{"HTTP", "jtype: Flow\nwith: {name: f, protocol: http}\n" + executors, "verified: a dry run through the gateway (HTTP) reached text_encoder\n"},
		{"WebSocket", "jtype: Flow\nwith: {name: f, protocol: websocket}\n" + executors, "verified: a dry run through the gateway (WebSocket) reached every executor\n"},
		{"several protocols", "jtype: Flow\nwith: {name: f, protocol: [http, grpc], port: [8081, 8082]}\n" + executors, "verified: a dry run through the gateway (gRPC) reached every executor\n"},
		{"TLS", "jtype: Flow\nwith: {name: f, ssl_certfile: /tls/c.pem, ssl_keyfile: /tls/k.pem}\n" + executors,
			"verified: a dry run through the gateway (gRPC) reached every executor; the TLS certificate was not verified\n"},
		{"TLS over HTTP", "jtype: Flow\nwith: {name: f, protocol: http, ssl_certfile: /tls/c.pem, ssl_keyfile: /tls/k.pem}\n" + executors,
			"verified: a dry run through the gateway (HTTP) reached text_encoder; the TLS certificate was not verified\n"},
		{"a Deployment", "jtype: Deployment\nwith: {name: encoder, uses: docker://registry.example/enc:1}\n", "verified: encoder answers by itself\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, _, at := clusterForTest(t)
			r := must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, tt.flow)}, at...)...)
			r.says(t, tt.want)
			if strings.Contains(r.errOut, "\nwarning: ") {
				t.Errorf("a warning:\n%s", r.errOut)
			}
		})
	}
}

func TestUpFailsAndDeletesNothingWhenAnExecutorDoesNotAnswer(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, shopFlow)
	up := append([]string{"up", "--yes", "--timeout", "2s", "-f", file}, at...)
	must(t, codeOK, append([]string{"up", "-f", file}, at...)...)
	silence(t, typed, ns, "encoder")
	if err := os.WriteFile(file, []byte(shopFlow[:strings.Index(shopFlow, "  - name: indexer")]), 0o600); err != nil {
		t.Fatal(err)
	}
	r := must(t, codeRollout, up...)
	r.says(t, "error: the Flow does not answer: the gateway does not reach executor encoder: failed to connect to all addresses",
		"asked by themselves, these do not answer: encoder", "nothing was deleted", "kubectl jina ping -n "+ns+" --flow shop")
	deployment(t, typed, ns, "indexer-head")

	must(t, codeOK, append(up, "--verify=false")...)
	if _, err := typed.AppsV1().Deployments(ns).Get(t.Context(), "indexer-head", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("without --verify the head of the executor that is no longer in the file stays: %v", err)
	}
}

func TestUpFindsTheSilentExecutorBehindAnHTTPGateway(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, strings.Replace(shopFlow, "name: shop", "name: shop, protocol: http", 1))
	up := append([]string{"up", "-f", file}, at...)
	must(t, codeOK, up...)
	// The gateway's dry run over HTTP says that all is well: it passes the executor by.
	annotate(t, typed, ns, "encoder", "sim.test/default", "false")
	must(t, codeOK, up...).says(t, "verified: a dry run through the gateway (HTTP) reached indexer (one replica of each); asked by themselves, these answer: encoder (one replica of each); "+
		"that the gateway reaches those is not proved beyond what it needed to start: over HTTP a dry run passes by executors without a default endpoint; each shard of indexer answers by itself")
	silence(t, typed, ns, "encoder")
	r := must(t, codeRollout, append(up, "--timeout", "2s")...)
	r.says(t, "the Flow does not answer: encoder: ", "connection refused")
}

func TestUpFindsTheShardThatADryRunPassesBy(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	up := append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)
	must(t, codeOK, up...)
	silence(t, typed, ns, "indexer-1")
	r := must(t, codeRollout, append(up, "--timeout", "2s")...)
	r.says(t, "the Flow does not answer: indexer/1: ", "connection refused")
}

func TestUpAsksAFloatingExecutorByItself(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	const flow = "jtype: Flow\nwith: {name: f}\nexecutors:\n  - name: encoder\n    uses: docker://registry.example/enc:1\n" +
		"  - name: logger\n    uses: docker://registry.example/log:1\n    needs: encoder\n    floating: true\n"
	up := append([]string{"up", "-f", flowFileIn(t, flow)}, at...)
	must(t, codeOK, up...).says(t, "verified: a dry run through the gateway (gRPC) reached every executor that it waits for; asked by themselves, these answer: logger; ")
	silence(t, typed, ns, "logger")
	must(t, codeRollout, append(up, "--timeout", "2s")...).says(t, "the Flow does not answer: logger: ", "connection refused")
}

func TestUpAsksAgainUntilTheExecutorAnswers(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	file := flowFileIn(t, shopFlow)
	must(t, codeOK, append([]string{"up", "-f", file}, at...)...)
	silence(t, typed, ns, "encoder")
	b := begin(t, append([]string{"up", "-f", file}, at...)...)
	b.sees(t, "asking the Flow whether it answers")
	hear(t, typed, ns, "encoder")
	if code := <-b.code; code != codeOK || !strings.Contains(b.printed.String(), "verified: a dry run") {
		t.Errorf("exit code %d\n%s", code, b.printed)
	}
}

func TestWhatHasNoReplicasIsNotVerified(t *testing.T) {
	_, _, _, at := clusterForTest(t)
	up := append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)
	must(t, codeOK, up...)
	must(t, codeOK, append([]string{"scale", "gateway", "--replicas", "0"}, at...)...)
	must(t, codeOK, up...).says(t, "not verified: gateway has no replicas")
	must(t, codeRollout, append([]string{"ping"}, at...)...).says(t, "error: the Flow cannot be asked: gateway has no replicas")

	must(t, codeOK, append([]string{"pause"}, at...)...)
	if r := must(t, codeOK, up...); strings.Contains(r.errOut, "asking the Flow") {
		t.Errorf("a paused Flow is asked:\n%s", r.errOut)
	}
	must(t, codeRollout, append([]string{"ping"}, at...)...).says(t, "the Flow shop is paused")
	must(t, codeError, append([]string{"port-forward", ":8080"}, at...)...).says(t, "the Flow shop is paused")
}

func TestUpWarnsOfDifferentVersions(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	up := append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)
	must(t, codeOK, up...)
	annotate(t, typed, ns, "encoder", "sim.test/jina", "3.27.2")
	annotate(t, typed, ns, "encoder", "sim.test/docarray", "0.21.0")
	must(t, codeOK, up...).says(t, "warning: encoder runs jina 3.27.2 and docarray 0.21.0, and gateway runs jina 3.34.0 and docarray 0.41.0: they may not understand each other")
}

func TestUpGoesOnWhereItMayNotForwardPorts(t *testing.T) {
	u, file, _ := rightsCase(t)
	required, optional := printedRules(t, "up")
	forward := func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, "pods/portforward") }
	if !slices.ContainsFunc(optional, forward) {
		t.Fatalf("pods/portforward is not among the optional rights: %v", optional)
	}
	u.grant(t, slices.Concat(required, slices.DeleteFunc(optional, forward)))
	r := u.run(t, "up", "-f", file)
	if r.code != codeOK {
		t.Errorf("exit code %d", r.code)
	}
	r.says(t, "not verified: that needs the right to create pods/portforward")
}

func TestPingAsksEveryPod(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, shopFlow)}, at...)...)
	ping := append([]string{"ping"}, at...)

	r := must(t, codeOK, ping...)
	var parts []string
	for _, line := range strings.Split(r.out, "\n") {
		if f := strings.Fields(line); len(f) > 3 && f[0] != "Flow" {
			parts = append(parts, f[0])
			if f[0] != "PART" && (!strings.Contains(line, " ms ") || !strings.HasSuffix(line, "  3.34.0  0.41.0")) {
				t.Errorf("no latency or version in: %s", line)
			}
		}
	}
	if want := []string{"PART", "gateway", "encoder", "encoder", "indexer/head", "indexer/0", "indexer/1"}; !slices.Equal(parts, want) {
		t.Errorf("asked %v, want %v:\n%s", parts, want, r.out)
	}
	if !strings.Contains(r.out, "Flow shop answers: a dry run through the gateway (gRPC) reached every executor") {
		t.Errorf("not said what is proved:\n%s", r.out)
	}

	silence(t, typed, ns, "encoder")
	must(t, codeRollout, append(ping, "--timeout", "1s")...).says(t, "does not reach executor encoder", "these do not answer: encoder")

	r = must(t, codeRollout, append(ping, "--timeout", "1s", "-o", "json")...)
	var answer pingJSON
	if err := json.Unmarshal([]byte(r.out), &answer); err != nil || r.errOut != "" {
		t.Fatalf("%v\n%s%s", err, r.out, r.errOut)
	}
	if answer.Answers || answer.Flow != "shop" || answer.Namespace != ns || !strings.Contains(answer.Error, "executor encoder") || len(answer.Pods) != 6 {
		t.Errorf("got %+v", answer)
	}
	for _, p := range answer.Pods {
		if silent := p.Part == "gateway" || p.Part == "encoder"; p.Answers == silent || (p.Error == "") == silent {
			t.Errorf("got %+v", p)
		}
	}
}
