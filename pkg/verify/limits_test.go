package verify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

var errRefused = errors.New("dial tcp4 127.0.0.1:8080: connect: connection refused")

func executorNamed(name string) plan.Part {
	return plan.Part{Role: plan.RoleExecutor, Executor: name}
}

func TestOneGatewayPodProvesNothingOfTheOthers(t *testing.T) {
	t.Parallel()
	n, req := start(t, fakePod{part: gateway, handler: grpcGateway(answering(nil))}, fakePod{part: gateway, err: errRefused}, fakePod{part: encoder, handler: executor("3.34.0")})
	report, err := Run(t.Context(), n, req)
	if want := "a dry run through one of 2 gateway pods (gRPC) reached every executor"; err != nil || report.Proved != want {
		t.Errorf("got %q, %v\nwant %q", report.Proved, err, want)
	}

	req.EachPod = true
	report, err = Run(t.Context(), n, req)
	if err == nil || !strings.HasPrefix(err.Error(), "the Flow does not answer: gateway pod pod-1 has no good answer to a dry run: ") || report.Proved != "" {
		t.Errorf("got %+v, %v", report, err)
	}

	n, req = start(t, fakePod{part: gateway, handler: grpcGateway(answering(nil))}, fakePod{part: gateway, handler: grpcGateway(answering(nil))}, fakePod{part: encoder, handler: executor("3.34.0")})
	req.EachPod = true
	report, err = Run(t.Context(), n, req)
	if want := "a dry run through each of 2 gateway pods (gRPC) reached every executor"; err != nil || report.Proved != want {
		t.Errorf("got %q, %v\nwant %q", report.Proved, err, want)
	}
}

func TestEveryGatewayPodIsAskedWhenOneFails(t *testing.T) {
	t.Parallel()
	n, req := start(t, fakePod{part: gateway, err: errRefused}, fakePod{part: gateway, handler: grpcGateway(answering(nil))}, fakePod{part: encoder, handler: executor("3.34.0")})
	req.EachPod = true
	report, err := Run(t.Context(), n, req)
	if err == nil || len(report.Gateways) != 2 || report.Gateways[0].Err == nil || !report.Gateways[1].DryRun {
		t.Errorf("got %+v, %v", report, err)
	}
}

// floatingOnes makes the gateway's graph have floating executors.
func floatingOnes(req *Request, names ...string) {
	servers := *req
	req.Servers = func(ctx context.Context) ([]Server, error) {
		list, err := servers.Servers(ctx)
		list = slices.Clone(list)
		for i := range list {
			if isGateway(list[i].Part) {
				list[i].Floating = names
			}
		}
		return list, err
	}
}

func TestADryRunProvesNothingOfAFloatingExecutor(t *testing.T) {
	t.Parallel()
	const behind = "asked by themselves, these answer: logger; that the gateway reaches those is not proved beyond what it needed to start: they are floating"
	for _, tt := range []struct {
		gateway fakePod
		want    string
	}{
		{fakePod{part: gateway, handler: grpcGateway(answering(nil))}, "a dry run through the gateway (gRPC) reached every executor that it waits for; " + behind},
		{fakePod{part: gateway, protocol: plan.ProtocolHTTP, handler: pages(`{"code":0}`)}, "a dry run through the gateway (HTTP) reached encoder; " + behind},
	} {
		n, req := start(t, tt.gateway, fakePod{part: encoder, handler: withDefault("3.34.0")}, fakePod{part: executorNamed("logger"), handler: withDefault("3.34.0")})
		floatingOnes(&req, "logger")
		if report, err := Run(t.Context(), n, req); err != nil || report.Proved != tt.want {
			t.Errorf("got %q, %v\nwant %q", report.Proved, err, tt.want)
		}

		n, req = start(t, tt.gateway, fakePod{part: encoder, handler: withDefault("3.34.0")}, fakePod{part: executorNamed("logger"), err: errRefused})
		floatingOnes(&req, "logger")
		if _, err := Run(t.Context(), n, req); err == nil || !strings.Contains(err.Error(), "the Flow does not answer: logger: ") {
			t.Errorf("got %v, want that the floating executor does not answer", err)
		}
	}
}

func TestFloatingExecutorsAreInTheGatewaysGraph(t *testing.T) {
	t.Parallel()
	for graph, want := range map[string][]string{
		`{"start-gateway": ["a"], "a": ["b"], "b": ["end-gateway"]}`:                                      nil,
		`{"start-gateway": ["a"], "a": ["b", "log"], "log": [], "b": ["end-gateway"], "end-gateway": []}`: {"log"},
		`{"start-gateway": ["a", "x"], "x": ["y"], "y": [], "a": ["end-gateway"]}`:                        {"x", "y"},
		`{"start-gateway": ["a"], "a": ["b"]}`:                                                            nil, // nothing is said of b
		`{"start-gateway": ["log"], "log": []}`:                                                           {"log"},
		`no graph`:                                                                                        nil,
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "g", Labels: map[string]string{plan.LabelComponent: string(plan.RoleGateway)}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Args: []string{"gateway", "--graph-description", graph, "--port", "8080"}}}}}
		if got := serverOf(pod).Floating; !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", graph, got, want)
		}
	}
}

func TestWhatCannotBeReachedHidesNoFailure(t *testing.T) {
	t.Parallel()
	away := &UnreachableError{errors.New("error dialing backend")}
	usual := fakePod{part: gateway, protocol: plan.ProtocolHTTP, handler: pages(`{"code":0}`)}
	n, req := start(t, usual, fakePod{part: encoder, err: away}, fakePod{part: executorNamed("ranker"), err: errRefused})
	var failed *FailedError
	if _, err := Run(t.Context(), n, req); !errors.As(err, &failed) || !slices.Equal(failed.Parts, []plan.Part{executorNamed("ranker")}) || failed.Unknown != 1 {
		t.Errorf("got %v, want that ranker alone does not answer", err)
	}
	n, req = start(t, usual, fakePod{part: encoder, err: away}, fakePod{part: executorNamed("ranker"), handler: executor("3.34.0")})
	if report, err := Run(t.Context(), n, req); err != nil || report.Skipped != "no port-forward to its pods: error dialing backend" || report.Proved != "" {
		t.Errorf("got %+v, %v, want it skipped", report, err)
	}
	broken := grpcGateway(answering(failedStatus(unreachedEncoder)))
	n, req = start(t, fakePod{part: gateway, handler: broken}, fakePod{part: encoder, err: away})
	if _, err := Run(t.Context(), n, req); !errors.As(err, &failed) || len(failed.Parts) != 0 || failed.Unknown != 1 || strings.Contains(err.Error(), "all executors answer") {
		t.Errorf("got %v: nothing is known of encoder but what the gateway says", err)
	}
}

func TestManySilentExecutorsEndTheAsking(t *testing.T) {
	t.Parallel()
	for _, first := range []fakePod{
		{part: gateway, protocol: plan.ProtocolHTTP, handler: pages(`{"code":0}`)},
		{part: gateway, handler: grpcGateway(answering(failedStatus(strings.ReplaceAll(unreachedEncoder, "deployment encoder", "deployment e99"))))},
	} {
		pods := []fakePod{first}
		for i := range 100 {
			pods = append(pods, fakePod{part: executorNamed(fmt.Sprintf("e%d", i)), err: errRefused})
		}
		n, req := start(t, pods...)
		_, err := Run(t.Context(), n, req)
		var failed *FailedError
		if !errors.As(err, &failed) {
			t.Fatalf("got %v", err)
		}
		if got := len(failed.Parts); got < enoughSilent || got > enoughSilent+atOnce || len(n.dials) > got+1 {
			t.Errorf("%d pods were asked, %d do not answer; want that the asking ends after %d", len(n.dials), got, enoughSilent)
		}
		if !strings.Contains(err.Error(), "more") || len(err.Error()) > 500 {
			t.Errorf("%d bytes: %v", len(err.Error()), err)
		}
		if want := fmt.Sprintf("whether %d others answer by themselves is not known", 100-len(failed.Parts)); !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said: %v", want, err)
		}
		if failed.Named != "" && failed.Parts[0] != executorNamed("e99") {
			t.Errorf("the executor that the gateway names is to be asked first: %v", err)
		}
	}
}

func TestAnExecutorThatAnswersUnimplementedAnswers(t *testing.T) {
	t.Parallel()
	n, req := start(t, fakePod{part: gateway, protocol: plan.ProtocolHTTP, handler: pages(`{"code":0}`)}, fakePod{part: encoder, handler: rpcs{}})
	report, err := Run(t.Context(), n, req)
	if err != nil || report.Proved == "" || !slices.Equal(report.Warnings, []string{"pod pod-1 of encoder does not say what it runs"}) {
		t.Errorf("got %+v, %v", report, err)
	}
}

func TestAnAnswerWithoutAnEndIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		for piece := make([]byte, 1<<16); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	for _, protocol := range []string{plan.ProtocolGRPC, plan.ProtocolHTTP} {
		n, req := start(t, fakePod{part: gateway, protocol: protocol, handler: endless}, fakePod{part: encoder, handler: executor("3.34.0")})
		if _, err := Run(t.Context(), n, req); err == nil || !strings.Contains(err.Error(), "longer than") {
			t.Errorf("%s: got %v", protocol, err)
		}
	}
}

func TestAPodThatAcceptsAndSaysNothingIsNotWaitedForLongerThanAsked(t *testing.T) {
	t.Parallel()
	n, req := start(t, fakePod{part: gateway, tls: true, handler: grpcGateway(answering(nil))}, fakePod{part: encoder, handler: executor("3.34.0")})
	n.servers["pod-0"] = mute(t)
	req.Silent = 100 * time.Millisecond
	if _, err := Run(t.Context(), n, req); err == nil || !strings.Contains(err.Error(), "dry run: no answer") {
		t.Errorf("got %v", err)
	}
}

// mute accepts connections and says nothing.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}
