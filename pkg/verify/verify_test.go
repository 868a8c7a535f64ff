package verify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

var (
	gateway = plan.Part{Role: plan.RoleGateway}
	encoder = plan.Part{Role: plan.RoleExecutor, Executor: "encoder"}
	head    = plan.Part{Role: plan.RoleHead, Executor: "indexer"}
	shard0  = plan.Part{Role: plan.RoleShard, Executor: "indexer", Shard: 0}
	shard1  = plan.Part{Role: plan.RoleShard, Executor: "indexer", Shard: 1}
)

// network is a Dialer to servers of the test.
type network struct {
	mu      sync.Mutex
	dials   map[string]int
	servers map[string]string // pod → address
	errs    map[string]error
}

func (n *network) Dial(ctx context.Context, pod string, _ int) (net.Conn, error) {
	n.mu.Lock()
	n.dials[pod]++
	err, to := n.errs[pod], n.servers[pod]
	n.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", to)
}

// fakePod is one pod's server.
type fakePod struct {
	part     plan.Part
	protocol string
	tls      bool
	image    string
	handler  http.Handler
	err      error
}

// rpcs answers gRPC calls by method: a message, or an *rpcError.
type rpcs map[string]func() ([]byte, error)

func (r rpcs) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	if request.ProtoMajor != 2 || request.Header.Get("Content-Type") != "application/grpc" || request.Header.Get("Te") != "trailers" || string(body) != "\x00\x00\x00\x00\x00" {
		http.Error(w, fmt.Sprintf("no gRPC call: %s %v %q", request.Proto, request.Header, body), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/grpc")
	answer, known := r[request.URL.Path]
	if !known {
		w.Header().Set("Grpc-Status", fmt.Sprint(grpcUnimplemented))
		return
	}
	message, err := answer()
	var rpc *rpcError
	if errors.As(err, &rpc) {
		w.Header().Set("Grpc-Status", fmt.Sprint(rpc.code))
		w.Header().Set("Grpc-Message", strings.ReplaceAll(rpc.message, " ", "%20"))
		return
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	_, _ = w.Write(append(frame, message...))
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
}

func answering(message []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return message, nil }
}

func text(number protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), s)
}

func message(number protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), slices.Concat(parts...))
}

func infoOf(jina, docarray string) []byte {
	return slices.Concat(message(1, text(1, "jina"), text(2, jina)), message(1, text(1, "docarray"), text(2, docarray)),
		message(2, text(1, "TOKEN"), text(2, "secret")))
}

func failedStatus(description string) []byte {
	return slices.Concat(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1), text(2, description),
		message(3, text(1, "InternalNetworkError"), text(2, description), text(3, "a stack")))
}

// executor answers by itself.
func executor(jina string) rpcs {
	return rpcs{methodStatus: answering(infoOf(jina, "0.41.0")), methodEndpoints: answering(nil)}
}

// withDefault is an executor with a default endpoint.
func withDefault(jina string) rpcs {
	return rpcs{methodStatus: answering(infoOf(jina, "0.41.0")), methodEndpoints: answering(slices.Concat(text(1, "/search"), text(1, defaultEndpoint), text(2, "/search")))}
}

// grpcGateway answers a dry run.
func grpcGateway(dryRun func() ([]byte, error)) rpcs {
	return rpcs{methodStatus: answering(infoOf("3.34.0", "0.41.0")), methodDryRun: dryRun}
}

const unreachedEncoder = "failed to connect to all addresses |Gateway: Communication error with deployment encoder at address(es) {'encoder:8080'}. Head or worker(s) may be down."

// start serves pods and makes a request about them, with a patience that tests have.
func start(t *testing.T, pods ...fakePod) (*network, Request) {
	t.Helper()
	n := &network{dials: map[string]int{}, servers: map[string]string{}, errs: map[string]error{}}
	req := Request{Refused: time.Nanosecond, Silent: time.Minute}
	var servers []Server
	for i, p := range pods {
		name := fmt.Sprintf("pod-%d", i)
		s := Server{Part: p.part, Pod: name, Image: p.image, Endpoints: []plan.Endpoint{{Port: 8080, Protocol: p.protocol, TLS: p.tls}}}
		if p.protocol == "" {
			s.Endpoints[0].Protocol = plan.ProtocolGRPC
		}
		servers = append(servers, s)
		if !slices.Contains(req.Parts, p.part) {
			req.Parts = append(req.Parts, p.part)
		}
		if p.err != nil {
			n.errs[name] = p.err
			continue
		}
		server := httptest.NewUnstartedServer(p.handler)
		server.Config.Protocols = &http.Protocols{}
		server.Config.Protocols.SetHTTP1(true)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Config.Protocols.SetHTTP2(true)
		if p.tls {
			server.EnableHTTP2 = true
			server.StartTLS()
		} else {
			server.Start()
		}
		t.Cleanup(server.Close)
		n.servers[name] = server.Listener.Addr().String()
	}
	req.Servers = func(context.Context) ([]Server, error) { return servers, nil }
	req.Stopped = func(context.Context) ([]plan.Part, error) { return nil, nil }
	return n, req
}

func pages(dryRun string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/dry_run":
			_, _ = io.WriteString(w, dryRun)
		case "/status":
			_, _ = io.WriteString(w, `{"jina":{"jina":"3.34.0","docarray":"0.41.0"},"envs":{"TOKEN":"secret"}}`)
		default:
			http.NotFound(w, r)
		}
	})
}

func TestProvesNoMoreThanWasAsked(t *testing.T) {
	t.Parallel()
	ok := grpcGateway(answering(nil))
	for _, tt := range []struct {
		name  string
		pods  []fakePod
		want  string
		asked []string // executors that were asked by themselves
	}{
		{"gRPC", []fakePod{{part: gateway, handler: ok, image: "j"}, {part: encoder, handler: executor("3.34.0"), image: "e"}},
			"a dry run through the gateway (gRPC) reached every executor", []string{"pod-1"}},
		{"one image is asked once for what it runs", []fakePod{{part: gateway, handler: ok}, {part: encoder, handler: executor("3.34.0"), image: "e"},
			{part: plan.Part{Role: plan.RoleExecutor, Executor: "ranker"}, handler: executor("3.34.0"), image: "e"}},
			"a dry run through the gateway (gRPC) reached every executor", []string{"pod-1"}},
		{"replicas", []fakePod{{part: gateway, handler: ok}, {part: encoder, handler: executor("3.34.0")}, {part: encoder, handler: executor("3.34.0")}},
			"a dry run through the gateway (gRPC) reached every executor (one replica of each)", []string{"pod-1"}},
		{"shards are asked one by one", []fakePod{{part: gateway, handler: ok}, {part: head, handler: executor("3.34.0")}, {part: shard0, handler: executor("3.34.0")}, {part: shard1, handler: executor("3.34.0")}},
			"a dry run through the gateway (gRPC) reached every executor; each shard of indexer answers by itself", []string{"pod-1", "pod-2", "pod-3"}},
		{"WebSocket", []fakePod{{part: gateway, protocol: plan.ProtocolWebSocket, handler: pages(`{"code":0}`)}, {part: encoder, handler: executor("3.34.0")}},
			"a dry run through the gateway (WebSocket) reached every executor", []string{"pod-1"}},
		{"HTTP", []fakePod{{part: gateway, protocol: plan.ProtocolHTTP, handler: pages(`{"code":0}`)}, {part: encoder, handler: executor("3.34.0")}},
			"the gateway (HTTP) answers; asked by themselves, these answer: encoder; that the gateway reaches those is not proved beyond what it needed to start: over HTTP a dry run passes by executors without a default endpoint", []string{"pod-1"}},
		{"HTTP with default endpoints", []fakePod{{part: gateway, protocol: plan.ProtocolHTTP, handler: pages(`{"code":0}`)}, {part: encoder, handler: withDefault("3.34.0")}, {part: encoder, handler: withDefault("3.34.0")},
			{part: head, handler: withDefault("3.34.0")}, {part: shard0, handler: executor("3.34.0")}},
			"a dry run through the gateway (HTTP) reached encoder, indexer (one replica of each); each shard of indexer answers by itself", []string{"pod-1", "pod-3", "pod-4"}},
		{"HTTP with and without default endpoints", []fakePod{{part: gateway, protocol: plan.ProtocolHTTP, handler: pages(`{"code":0}`)}, {part: encoder, handler: withDefault("3.34.0")}, {part: head, handler: executor("3.34.0")}, {part: shard0, handler: withDefault("3.34.0")}},
			"a dry run through the gateway (HTTP) reached encoder; asked by themselves, these answer: indexer; that the gateway reaches those is not proved beyond what it needed to start: over HTTP a dry run passes by executors without a default endpoint; each shard of indexer answers by itself",
			[]string{"pod-1", "pod-2", "pod-3"}},
		{"an HTTP gateway of an executor that knows no endpoints", []fakePod{{part: gateway, protocol: plan.ProtocolHTTP, handler: pages(`{"code":0}`)}, {part: encoder, handler: rpcs{methodStatus: answering(infoOf("3.34.0", "0.41.0"))}}},
			"the gateway (HTTP) answers; asked by themselves, these answer: encoder; that the gateway reaches those is not proved beyond what it needed to start: over HTTP a dry run passes by executors without a default endpoint", []string{"pod-1"}},
		{"an HTTP gateway's dry run may be null", []fakePod{{part: gateway, protocol: plan.ProtocolHTTP, handler: pages(`null`)}, {part: encoder, handler: executor("3.34.0")}},
			"the gateway (HTTP) answers; asked by themselves, these answer: encoder; that the gateway reaches those is not proved beyond what it needed to start: over HTTP a dry run passes by executors without a default endpoint", []string{"pod-1"}},
		{"a gateway without a dry run", []fakePod{{part: gateway, handler: rpcs{methodStatus: answering(infoOf("3.34.0", "0.41.0"))}}, {part: encoder, handler: executor("3.34.0")}},
			"the gateway (gRPC) answers; each executor answers by itself; that the gateway reaches them is not proved beyond what it needed to start: it has no dry run", []string{"pod-1"}},
		{"no gateway", []fakePod{{part: encoder, handler: executor("3.34.0")}}, "encoder answers by itself", []string{"pod-0"}},
		{"an executor that serves HTTP", []fakePod{{part: encoder, protocol: plan.ProtocolHTTP, handler: pages("")}}, "encoder answers by itself", []string{"pod-0"}},
		{"TLS", []fakePod{{part: gateway, tls: true, handler: ok}, {part: encoder, handler: executor("3.34.0")}},
			"a dry run through the gateway (gRPC) reached every executor; the TLS certificate was not verified", []string{"pod-1"}},
		{"TLS over HTTP", []fakePod{{part: gateway, tls: true, protocol: plan.ProtocolWebSocket, handler: pages(`{"code":"SUCCESS"}`)}, {part: encoder, handler: executor("3.34.0")}},
			"a dry run through the gateway (WebSocket) reached every executor; the TLS certificate was not verified", []string{"pod-1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, req := start(t, tt.pods...)
			report, err := Run(t.Context(), n, req)
			if err != nil || report.Proved != tt.want || report.Skipped != "" || len(report.Warnings) > 0 {
				t.Errorf("got %+v, %v\nwant %s", report, err, tt.want)
			}
			var asked []string
			for _, a := range report.Executors {
				asked = append(asked, a.Pod)
			}
			if !slices.Equal(asked, tt.asked) {
				t.Errorf("asked by themselves: %v, want %v", asked, tt.asked)
			}
		})
	}
}

func TestSaysWhichExecutorDoesNotAnswer(t *testing.T) {
	t.Parallel()
	broken := grpcGateway(answering(failedStatus(unreachedEncoder)))
	refused := errors.New("dial tcp4 127.0.0.1:8080: connect: connection refused")
	for _, tt := range []struct {
		name string
		pods []fakePod
		want []string
	}{
		{"the gateway names it, and it answers by itself", []fakePod{{part: gateway, handler: broken}, {part: encoder, handler: executor("3.34.0")}},
			[]string{"the gateway does not reach executor encoder: failed to connect to all addresses", "asked by themselves, all executors answer: look at the network"}},
		{"the gateway names it, and it does not answer either", []fakePod{{part: gateway, handler: broken}, {part: encoder, err: refused}},
			[]string{"does not reach executor encoder", "asked by themselves, these do not answer: encoder"}},
		{"over WebSocket", []fakePod{{part: gateway, protocol: plan.ProtocolWebSocket, handler: pages(`{"code":1,"description":"` + unreachedEncoder + `"}`)}, {part: encoder, err: refused}},
			[]string{"does not reach executor encoder", "these do not answer: encoder"}},
		{"the gateway names none", []fakePod{{part: gateway, handler: grpcGateway(answering(failedStatus("ValueError('no')")))}, {part: encoder, err: refused}},
			[]string{"the gateway has no good answer to a dry run: ValueError('no')", "these do not answer: encoder"}},
		{"the gateway names it in the exception", []fakePod{{part: gateway, handler: grpcGateway(answering(slices.Concat(
			protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1), message(3, text(1, "ExecutorError"), text(4, "encoder")))))}, {part: encoder, handler: executor("3.34.0")}},
			[]string{"does not reach executor encoder: ExecutorError"}},
		{"behind an HTTP gateway, which says that all is well", []fakePod{{part: gateway, protocol: plan.ProtocolHTTP, handler: pages(`{"code":0}`)}, {part: encoder, err: refused}},
			[]string{"the Flow does not answer: encoder: ", "connection refused"}},
		{"a shard that the dry run has passed by", []fakePod{{part: gateway, handler: grpcGateway(answering(nil))}, {part: head, handler: executor("3.34.0")}, {part: shard0, handler: executor("3.34.0")}, {part: shard1, err: refused}},
			[]string{"the Flow does not answer: indexer/1: ", "connection refused"}},
		{"a head that does not reach its shard", []fakePod{{part: gateway, protocol: plan.ProtocolHTTP, handler: pages(`{"code":0}`)},
			{part: head, handler: rpcs{methodStatus: answering(infoOf("3.34.0", "0.41.0")), methodEndpoints: func() ([]byte, error) {
				return nil, &rpcError{grpcUnavailable, "|Head: Failed to connect"}
			}}}, {part: shard0, handler: executor("3.34.0")}},
			[]string{"the Flow does not answer: indexer/head: |Head: Failed to connect (gRPC status 14)"}},
		{"the gateway itself", []fakePod{{part: gateway, err: refused}, {part: encoder, handler: executor("3.34.0")}},
			[]string{"the gateway has no good answer to a dry run", "connection refused"}},
		{"something else listens", []fakePod{{part: gateway, handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "\x1b[2Jhello") })}, {part: encoder, handler: executor("3.34.0")}},
			[]string{"it speaks no gRPC"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, req := start(t, tt.pods...)
			report, err := Run(t.Context(), n, req)
			var failed *FailedError
			if !errors.As(err, &failed) || report.Proved != "" || report.Skipped != "" {
				t.Fatalf("got %+v, %v; want a failure", report, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if strings.ContainsRune(err.Error(), '\x1b') {
				t.Errorf("control characters in %q", err)
			}
		})
	}
}

func TestAsksAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	n, req := start(t, fakePod{part: gateway, handler: grpcGateway(func() ([]byte, error) {
		if asked.Add(1) < 3 {
			return failedStatus(unreachedEncoder), nil
		}
		return nil, nil
	})}, fakePod{part: encoder, handler: executor("3.34.0")})
	req.Refused = time.Minute
	report, err := Run(t.Context(), n, req)
	if err != nil || !strings.HasPrefix(report.Proved, "a dry run") || asked.Load() != 3 {
		t.Errorf("got %+v, %v after %d dry runs, want success after 3", report, err, asked.Load())
	}
}

func TestAReplacementIsAskedWhenThePodHasGone(t *testing.T) {
	t.Parallel()
	gone := &UnreachableError{apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "pod-0")}
	n, req := start(t, fakePod{part: gateway, err: gone}, fakePod{part: gateway, handler: grpcGateway(answering(nil))}, fakePod{part: encoder, handler: executor("3.34.0")})
	req.Refused = time.Minute
	all, _ := req.Servers(t.Context())
	var reads atomic.Int64
	req.Servers = func(context.Context) ([]Server, error) {
		if reads.Add(1) == 1 {
			return all, nil
		}
		return all[1:], nil
	}
	report, err := Run(t.Context(), n, req)
	if err != nil || report.Gateways[0].Pod != "pod-1" || report.Proved == "" {
		t.Errorf("got %+v, %v", report, err)
	}
}

func TestWhatCannotBeToldIsSkippedWithAReason(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "pod-0", errors.New("no"))
	usual := []fakePod{{part: gateway, handler: grpcGateway(answering(nil))}, {part: encoder, handler: executor("3.34.0")}}
	t.Run("port-forward is forbidden", func(t *testing.T) {
		n, req := start(t, fakePod{part: gateway, err: &UnreachableError{forbidden}}, usual[1])
		req.Refused = time.Minute
		report, err := Run(t.Context(), n, req)
		if err != nil || report.Skipped != "that needs the right to create pods/portforward" || n.dials["pod-0"] != 1 {
			t.Errorf("got %+v, %v after %d tries", report, err, n.dials["pod-0"])
		}
	})
	t.Run("port-forward does not work", func(t *testing.T) {
		n, req := start(t, fakePod{part: gateway, err: &UnreachableError{errors.New("error dialing backend: i/o timeout")}}, usual[1])
		report, err := Run(t.Context(), n, req)
		if err != nil || report.Skipped != "no port-forward to its pods: error dialing backend: i/o timeout" {
			t.Errorf("got %+v, %v", report, err)
		}
	})
	t.Run("the gateway is stopped", func(t *testing.T) {
		n, req := start(t, usual[1])
		req.Parts = append(req.Parts, gateway)
		req.Stopped = func(context.Context) ([]plan.Part, error) { return []plan.Part{gateway}, nil }
		report, err := Run(t.Context(), n, req)
		if err != nil || report.Skipped != "gateway has no replicas" {
			t.Errorf("got %+v, %v", report, err)
		}
	})
	t.Run("pods may not be listed", func(t *testing.T) {
		n, req := start(t, usual...)
		req.Servers = func(context.Context) ([]Server, error) { return nil, forbidden }
		report, err := Run(t.Context(), n, req)
		if err != nil || report.Skipped != "that needs the right to list pods" {
			t.Errorf("got %+v, %v", report, err)
		}
	})
}

func TestAPartWithoutAReadyPodDoesNotAnswer(t *testing.T) {
	t.Parallel()
	n, req := start(t, fakePod{part: gateway, handler: grpcGateway(answering(nil))})
	req.Parts = append(req.Parts, encoder)
	_, err := Run(t.Context(), n, req)
	var failed *FailedError
	if !errors.As(err, &failed) || err.Error() != "the Flow does not answer: encoder: it has no ready pod" {
		t.Errorf("got %v", err)
	}
}

func TestSilenceIsAFailureToo(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	n, req := start(t, fakePod{part: gateway, handler: grpcGateway(func() ([]byte, error) { <-ended; return nil, nil })}, fakePod{part: encoder, handler: executor("3.34.0")})
	req.Silent = 100 * time.Millisecond
	_, err := Run(t.Context(), n, req)
	var failed *FailedError
	if !errors.As(err, &failed) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a failure for the want of an answer", err)
	}
}

func TestAnInterruptEndsTheAsking(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	n, req := start(t, fakePod{part: gateway, handler: grpcGateway(func() ([]byte, error) { cancel(); return failedStatus("no"), nil })}, fakePod{part: encoder, handler: executor("3.34.0")})
	req.Refused = time.Hour
	if _, err := Run(ctx, n, req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the interrupt", err)
	}
}

func TestDifferentVersionsAreWarnedAbout(t *testing.T) {
	t.Parallel()
	ranker := plan.Part{Role: plan.RoleExecutor, Executor: "ranker"}
	n, req := start(t, fakePod{part: gateway, handler: grpcGateway(answering(nil)), image: "j"},
		fakePod{part: encoder, handler: executor("3.33.0"), image: "a"}, fakePod{part: ranker, handler: executor("3.33.0"), image: "b"},
		fakePod{part: plan.Part{Role: plan.RoleExecutor, Executor: "old"}, handler: rpcs{}, image: "c"})
	report, err := Run(t.Context(), n, req)
	want := []string{
		"pod pod-3 of old does not say what it runs",
		"encoder, ranker run jina 3.33.0 and docarray 0.41.0, and gateway runs jina 3.34.0 and docarray 0.41.0: they may not understand each other",
	}
	if err != nil || !slices.Equal(report.Warnings, want) {
		t.Errorf("got %v, %q", err, report.Warnings)
	}
}

func TestEachPodIsAskedAndMeasured(t *testing.T) {
	t.Parallel()
	n, req := start(t, fakePod{part: gateway, handler: grpcGateway(answering(nil))}, fakePod{part: gateway, handler: grpcGateway(answering(nil))},
		fakePod{part: encoder, handler: executor("3.34.0")}, fakePod{part: encoder, handler: executor("3.34.0")})
	req.EachPod = true
	report, err := Run(t.Context(), n, req)
	if err != nil || len(report.Gateways) != 2 || len(report.Executors) != 2 {
		t.Fatalf("got %+v, %v", report, err)
	}
	for _, a := range slices.Concat(report.Gateways, report.Executors) {
		if a.Latency <= 0 || a.Versions.Jina != "3.34.0" || n.dials[a.Pod] != 1 {
			t.Errorf("%s: %+v over %d connections", a.Pod, a, n.dials[a.Pod])
		}
	}
}

func TestOddAnswersAreErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		body []byte
		want string
	}{
		{"nothing", nil, "the answer of 0 bytes is no message"},
		{"compressed", []byte{1, 0, 0, 0, 0}, "compressed"},
		{"too short", []byte{0, 0, 0, 0, 9, 1}, "the answer has 1 bytes and says that it has 9"},
	} {
		if _, err := unframe(tt.body); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
	if _, err := decodeStatus([]byte{0xff}); err == nil {
		t.Error("half a tag is read as a status")
	}
	if _, err := decodeVersions([]byte{0x0a, 0x05, 0x01}); err == nil {
		t.Error("half a map is read as versions")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(infoOf("3.34.0", "0.41.0"))
	f.Add(failedStatus(unreachedEncoder))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = decodeStatus(b)
		_, _ = decodeVersions(b)
		_, _ = unframe(b)
	})
}
