// Package standin answers for Jina in the simulated pods: whoever forwards a port of a pod that runs Jina's gateway or one of its
// executors finds a server there that says what Jina's says when it is asked whether it answers. No document is ever processed.
//
// A dry run through a gateway goes as Jina's does: along the addresses on the gateway's command line, through the Services of the
// cluster, to pods that have to be ready; of an executor with shards it reaches the head and shard 0, and for a floating
// executor it does not wait. What a pod says is said by
// annotations on it, which may change while it runs:
//
//	sim.test/answers: "false"     refuses every connection
//	sim.test/default: "false"     has no default endpoint, so that an HTTP gateway's dry run passes it by
//	sim.test/jina: 3.33.0         the version of jina that it says it runs
//	sim.test/docarray: 0.40.0     that of docarray
//
// A PortForward object of KWOK's, named as the pod, goes before: then the test has a server of its own.
package standin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"sigs.k8s.io/kwok/pkg/client/clientset/versioned"
)

// How long a forwarded connection may be idle, and how long its second stream may take to come; they are the kubelet's.
const (
	idleTimeout   = 4 * time.Hour
	streamTimeout = 30 * time.Second
)

// Options of a Kubelet.
type Options struct {
	Clients kubernetes.Interface
	Kwok    versioned.Interface
	// Next is the address of KWOK's kubelet, which answers for all that is not answered here.
	Next string
	// CA is what Next's certificate is signed by, as PEM.
	CA []byte
	// Certificate is served here, and by pods that serve TLS.
	Certificate tls.Certificate
}

// Kubelet is what the API server takes for the kubelet of every node.
type Kubelet struct {
	Options
	next *httputil.ReverseProxy
	jina *servers
}

// NewKubelet makes one.
func NewKubelet(o Options) *Kubelet {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(o.CA)
	next := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: o.Next})
	// HTTP/1 alone can be upgraded to what port-forwards speak.
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	next.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, Protocols: protocols}
	next.FlushInterval = -1 // logs that are followed
	return &Kubelet{Options: o, next: next, jina: newServers(o.Clients, o.Certificate)}
}

// Serve answers until ctx ends.
func (k *Kubelet) Serve(ctx context.Context, listener net.Listener) error {
	defer k.jina.start()()
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler:     k,
		Protocols:   protocols,
		TLSConfig:   &tls.Config{Certificates: []tls.Certificate{k.Certificate}, MinVersion: tls.VersionTLS12},
		BaseContext: func(net.Listener) context.Context { return ctx },
		// The API server opens connections that it then does not use.
		ReadHeaderTimeout: time.Minute,
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // the end of the process closes what it cannot
	defer stop()
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return ctx.Err()
}

func (k *Kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// /portForward/NAMESPACE/POD and perhaps /UID
	path, is := strings.CutPrefix(r.URL.Path, "/portForward/")
	parts := strings.Split(path, "/")
	if !is || len(parts) < 2 || k.hasOwn(r.Context(), parts[0], parts[1]) {
		k.next.ServeHTTP(w, r)
		return
	}
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, k, parts[0]+"/"+parts[1], "", options, idleTimeout, streamTimeout, portforward.SupportedProtocols)
}

// hasOwn tells whether a test has said what answers for the pod.
func (k *Kubelet) hasOwn(ctx context.Context, namespace, pod string) bool {
	_, err := k.Kwok.KwokV1alpha1().PortForwards(namespace).Get(ctx, pod, metav1.GetOptions{})
	return err == nil
}

// PortForward carries a connection to a port of a pod, until either side ends it.
func (k *Kubelet) PortForward(ctx context.Context, name, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	namespace, pod, _ := strings.Cut(name, "/")
	at := address{namespace: namespace, pod: pod, port: int(port)}
	found, err := k.Clients.CoreV1().Pods(namespace).Get(ctx, pod, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("pod %s is gone", pod)
	}
	if err != nil {
		return err
	}
	container, served := serving(found, at.port)
	if !served || !answers(found) {
		return fmt.Errorf("failed to connect to localhost:%d inside the pod: dial tcp4 127.0.0.1:%d: connect: connection refused", port, port)
	}
	c := &conn{ReadWriteCloser: stream, at: at, closed: make(chan struct{})}
	k.jina.handle(c, container, at.port)
	select {
	case <-c.closed:
	case <-ctx.Done():
	}
	_ = c.Close() // the other side has closed it as a rule
	return nil
}
