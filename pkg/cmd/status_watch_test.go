package cmd

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// kubeconfigOf a server; user is what the kubeconfig says of the user.
func kubeconfigOf(t *testing.T, server, user string) string {
	t.Helper()
	return flowFileIn(t, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users: [{name: u, user: %s}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: search}}]
current-context: x
`, server, user))
}

// silentServer takes connections and never says a word.
func silentServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return "https://" + l.Addr().String()
}

func TestTheTimeoutCountsFromTheBeginning(t *testing.T) {
	kubeconfig := kubeconfigOf(t, silentServer(t), "{}")
	for _, args := range [][]string{nil, {"--flow", "search"}} {
		r := must(t, codeTimeout, append([]string{"status", "--watch", "--for", "healthy", "--timeout", "300ms", "--kubeconfig", kubeconfig}, args...)...)
		if !strings.Contains(r.errOut, "timed out after 300ms: the cluster did not answer") {
			t.Errorf("%v: %s", args, r.errOut)
		}
	}
}

func TestAWatchedStatusOutlivesAServerThatFails(t *testing.T) {
	var answer atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		code := int(answer.Load())
		w.WriteHeader(code)
		if code == http.StatusOK {
			fmt.Fprint(w, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"jina-search","annotations":{}}}`)
			return
		}
		fmt.Fprintf(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","code":%d}`, code)
	}))
	defer server.Close()
	flags := genericclioptions.NewConfigFlags(true)
	kubeconfig := kubeconfigOf(t, server.URL, "{}")
	flags.KubeConfig = &kubeconfig
	s, err := (&factory{flags: flags, notices: newNotices(func(string) {})}).connect()
	if err != nil {
		t.Fatal(err)
	}
	before := rollout.Record{Flow: "search", Namespace: "search", Tooling: "kubectl-jina/v1"}
	for _, c := range []struct {
		code int
		ends bool
	}{{http.StatusInternalServerError, false}, {http.StatusForbidden, false}, {http.StatusOK, true}} { // 200: no record of ours
		answer.Store(int32(c.code))
		w := &statusWatch{session: s, record: before}
		if err := w.readRecord(t.Context(), statusNow.Add(time.Minute)); (err != nil) != c.ends || w.record.Tooling != before.Tooling {
			t.Errorf("%d: %v, record %+v", c.code, err, w.record)
		}
	}
}

func TestThatTimeGoesByIsNoNews(t *testing.T) {
	for _, same := range [][]string{
		{"crashed 3 times, last 42 s ago", "crashed 3 times, last 1 h 2 min ago"},
		{"loading", "loading for 59 s of at most 10 min", "loading for 2 min 5 s of at most 10 min", "loading for 1 h"},
	} {
		for _, text := range same[1:] {
			if news(text) != news(same[0]) {
				t.Errorf("%q is news after %q", text, same[0])
			}
		}
	}
	if news("2 restarts, last 42 s ago") == news("3 restarts, last 42 s ago") {
		t.Error("a restart is no news")
	}
}

func TestATimeoutSaysWhatIsNotReady(t *testing.T) {
	stopped := &rollout.WorkloadStatus{Kind: "Deployment", Name: "encoder", Phase: rollout.PhaseStopped, Healthy: true}
	status := rollout.FlowStatus{Flow: "search", Healthy: true, Ready: 1, Workloads: 1, Executors: []rollout.ExecutorStatus{{Name: "encoder", Single: stopped}}}
	for _, c := range []struct {
		paused bool
		want   string
	}{{false, "\n  encoder: stopped, no replicas are wanted"}, {true, "\n  the Flow is paused; `kubectl jina resume` starts it"}} {
		status.Paused = c.paused
		w := &statusWatch{statusOptions: &statusOptions{until: forReady, timeout: time.Second}, last: status}
		if err := w.timedOut(); exitCode(err) != codeTimeout || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("got %v", err)
		}
	}
}
