package portforward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clientforward "k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// Dialer reaches the pods of a namespace. It may be used by several goroutines at once.
type Dialer struct {
	config    *rest.Config
	pods      rest.Interface
	namespace string
}

// NewDialer makes a dialer; it sends no request. config says how to reach the API server, and clients are made of it.
func NewDialer(config *rest.Config, clients kubernetes.Interface, namespace string) *Dialer {
	return &Dialer{config: config, pods: clients.CoreV1().RESTClient(), namespace: namespace}
}

// ConnectError says that no connection to a pod could be made: the API server refused it, or could not be reached, or could
// not reach the pod's node. It says nothing about what runs in the pod. Errors of the API server are found in it by
// apierrors.IsForbidden and the like.
type ConnectError struct {
	Pod string
	Err error
}

func (e *ConnectError) Error() string { return fmt.Sprintf("port-forward to pod %s: %v", e.Pod, e.Err) }
func (e *ConnectError) Unwrap() error { return e.Err }

// Dial opens one connection to a port of a pod. Whether anything listens there shows when it is used.
func (d *Dialer) Dial(ctx context.Context, pod string, port int) (net.Conn, error) {
	c, err := d.Connect(ctx, pod)
	if err != nil {
		return nil, err
	}
	conn, err := c.open(port, c.Close)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return conn, nil
}

// connectLimit is how long connecting may take; the API server gives up on a node that does not answer before.
const connectLimit = 45 * time.Second

// Connect connects to a pod; ports are opened over that connection. The context bounds the connecting alone.
func (d *Dialer) Connect(ctx context.Context, pod string) (*Connection, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, connectLimit, fmt.Errorf("the API server has not answered for %s", connectLimit))
	defer cancel()
	stream, err := d.upgrade(ctx, d.pods.Get().Namespace(d.namespace).Resource("pods").Name(pod).SubResource("portforward").URL())
	if err != nil {
		return nil, &ConnectError{Pod: pod, Err: err}
	}
	return &Connection{pod: pod, stream: stream}, nil
}

// upgrade asks for SPDY first, which needs only the right to create, and for SPDY in a WebSocket only where something on the
// way does not let SPDY through: that one is a GET, which older API servers ask another right for.
func (d *Dialer) upgrade(ctx context.Context, address *url.URL) (httpstream.Connection, error) {
	connection, err := d.overSPDY(ctx, address)
	var status apierrors.APIStatus
	if err == nil || ctx.Err() != nil || errors.As(err, &status) {
		return connection, err
	}
	var upgrade *upgradeError
	if !errors.As(err, &upgrade) {
		return nil, err
	}
	connection, webSocketErr := d.overWebSocket(ctx, address)
	if webSocketErr != nil {
		return nil, errors.Join(err, webSocketErr)
	}
	return connection, nil
}

func (d *Dialer) overSPDY(ctx context.Context, address *url.URL) (httpstream.Connection, error) {
	transport, upgrader, err := spdy.RoundTripperFor(d.config)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	refusal := &refusalReader{next: transport}
	connection, protocol, err := until(ctx, func() (httpstream.Connection, string, error) {
		return spdy.NegotiateStreaming(upgrader, &http.Client{Transport: refusal}, request, clientforward.PortForwardProtocolV1Name)
	})
	switch {
	case ctx.Err() != nil && err != nil: // what dials may be at work still
		return nil, context.Cause(ctx)
	case refusal.err != nil:
		return nil, refusal.err
	case err != nil:
		return nil, err
	case protocol != clientforward.PortForwardProtocolV1Name:
		return nil, errors.Join(&upgradeError{fmt.Sprintf("the server speaks protocol %q", protocol)}, connection.Close())
	}
	return connection, nil
}

func (d *Dialer) overWebSocket(ctx context.Context, address *url.URL) (httpstream.Connection, error) {
	dialer, err := clientforward.NewSPDYOverWebsocketDialerForStreaming(address, d.config)
	if err != nil {
		return nil, err
	}
	connection, _, err := until(ctx, func() (httpstream.Connection, string, error) {
		return dialer.Dial(clientforward.PortForwardProtocolV1Name)
	})
	return connection, err
}

// until stops waiting for dial when the context ends. client-go's dialers wait for the API server's answer to the upgrade
// whatever becomes of the context; theirs is closed when it comes after all.
func until(ctx context.Context, dial func() (httpstream.Connection, string, error)) (httpstream.Connection, string, error) {
	type dialed struct {
		connection httpstream.Connection
		protocol   string
		err        error
	}
	done := make(chan dialed, 1)
	go func() {
		connection, protocol, err := dial()
		done <- dialed{connection, protocol, err}
	}()
	select {
	case r := <-done:
		return r.connection, r.protocol, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				_ = r.connection.Close() // nobody has it
			}
		}()
		return nil, "", context.Cause(ctx)
	}
}

// upgradeError is an answer that is neither the upgrade nor an error of the API server: something else has answered.
type upgradeError struct{ text string }

func (e *upgradeError) Error() string { return e.text }

// refusalReader reads an answer that is no upgrade, and the transport's error, which client-go keeps as text only.
type refusalReader struct {
	next http.RoundTripper
	err  error
}

func (r *refusalReader) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err != nil {
		r.err = err
		return nil, err
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return response, nil
	}
	defer response.Body.Close()
	const most = 64 << 10
	body, _ := io.ReadAll(io.LimitReader(response.Body, most)) // what there is of it explains the status
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" {
		r.err = &apierrors.StatusError{ErrStatus: status}
	} else {
		r.err = &upgradeError{"the connection was not upgraded: " + response.Status}
	}
	return nil, r.err
}
