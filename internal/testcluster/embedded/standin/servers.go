package standin

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"k8s.io/client-go/kubernetes"
)

// servers speak for all pods: who is meant shows by the connection's address.
type servers struct {
	cluster     *cluster
	certificate tls.Certificate
	rpcs, pages *listener
}

func newServers(clients kubernetes.Interface, certificate tls.Certificate) *servers {
	return &servers{cluster: &cluster{clients}, certificate: certificate, rpcs: newListener(), pages: newListener()}
}

// start serves until the function that it returns is called.
func (s *servers) start() (stop func()) {
	rpcs := grpc.NewServer(grpc.ForceServerCodecV2(bytesCodec{}), grpc.UnknownServiceHandler(s.answerRPC))
	pages := &http.Server{
		Handler: http.HandlerFunc(s.answerPage),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connAddress{}, c.RemoteAddr())
		},
	}
	go func() { _ = rpcs.Serve(s.rpcs) }()   // ends with stop
	go func() { _ = pages.Serve(s.pages) }() // ends with stop
	return func() {
		rpcs.Stop()
		_ = pages.Close() // there is nothing left to do about it
	}
}

// handle lets the server of the container's protocol have the connection.
func (s *servers) handle(c *conn, container jinaContainer, port int) {
	protocol := container.protocol(port)
	to := s.pages
	next := "http/1.1"
	if protocol == protocolGRPC {
		to, next = s.rpcs, "h2"
	}
	if !container.tls() {
		to.hand(c)
		return
	}
	// The TLS is taken off here: what is below need not know of it.
	to.hand(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{s.certificate}, NextProtos: []string{next}, MinVersion: tls.VersionTLS12}))
}

// bytesCodec leaves messages as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// answerRPC answers the calls by which one finds out whether a Flow answers.
func (s *servers) answerRPC(_ any, stream grpc.ServerStream) error {
	ctx := stream.Context()
	from, _ := peer.FromContext(ctx)
	at, ok := from.Addr.(address)
	if !ok {
		return status.Error(codes.Internal, "no connection of a pod")
	}
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	pod, container, err := s.cluster.serving(ctx, at)
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	method, _ := grpc.Method(ctx)
	var answer []byte
	switch {
	case method == "/jina.JinaInfoRPC/_status":
		answer = encodeInfo(versionsOf(pod))
	case method == "/jina.JinaGatewayDryRunRPC/dry_run" && container.isGateway():
		answer = encodeStatus(s.cluster.dryRun(ctx, at.namespace, container, false))
	case method == "/jina.JinaDiscoverEndpointsRPC/endpoint_discovery":
		if err := s.cluster.through(ctx, at.namespace, container); err != nil {
			return status.Error(codes.Unavailable, err.Error())
		}
		answer = encodeEndpoints(hasDefault(pod))
	default:
		return status.Error(codes.Unimplemented, "Method not found!")
	}
	return stream.SendMsg(&answer)
}

// connAddress is the key of a connection's address in its context.
type connAddress struct{}

// answerPage answers as the HTTP and WebSocket gateways do, and executors that serve HTTP.
func (s *servers) answerPage(w http.ResponseWriter, r *http.Request) {
	at, ok := r.Context().Value(connAddress{}).(address)
	if !ok {
		http.Error(w, "no connection of a pod", http.StatusInternalServerError)
		return
	}
	pod, container, err := s.cluster.serving(r.Context(), at)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	gateway := container.isGateway()
	switch {
	case r.URL.Path == "/":
		writeJSON(w, map[string]any{})
	case r.URL.Path == "/status" && gateway:
		writeJSON(w, map[string]any{"jina": versionsOf(pod).all(), "envs": map[string]string{"JINA_LOG_LEVEL": "(unset)"}})
	case r.URL.Path == "/dry_run" && gateway:
		// Over HTTP its request has no endpoint: it passes by whoever has no default one.
		if failed := s.cluster.dryRun(r.Context(), at.namespace, container, container.protocol(at.port) == protocolHTTP); failed != nil {
			writeJSON(w, map[string]any{"code": 1, "description": failed.Error(), "exception": map[string]any{"name": failed.name}})
			return
		}
		writeJSON(w, map[string]any{"code": 0})
	default:
		http.Error(w, `{"detail":"Not Found"}`, http.StatusNotFound)
	}
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // who asked may have gone
}
