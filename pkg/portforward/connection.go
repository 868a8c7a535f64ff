package portforward

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"
)

// explanationLimit is how long the reason is waited for why a stream has ended; it comes on a stream of its own.
const explanationLimit = time.Second

// maxExplanation is the longest reason that is read, in bytes.
const maxExplanation = 16 << 10

// Connection is a connection to a pod.
type Connection struct {
	pod      string
	stream   httpstream.Connection
	requests atomic.Int64
}

// Pod is the pod's name.
func (c *Connection) Pod() string { return c.pod }

// Open opens a connection to a port of the pod.
func (c *Connection) Open(port int) (net.Conn, error) {
	return c.open(port, func() error { return nil })
}

// Done is closed when the connection has ended, as it does when the pod or its node goes.
func (c *Connection) Done() <-chan bool { return c.stream.CloseChan() }

// Close ends the connection, and all that was opened over it.
func (c *Connection) Close() error { return c.stream.Close() }

// open makes the two streams that the protocol has for a connection: one that the node reports an error on, and the data.
func (c *Connection) open(port int, closed func() error) (net.Conn, error) {
	header := http.Header{}
	header.Set(corev1.PortHeader, strconv.Itoa(port))
	header.Set(corev1.PortForwardRequestIDHeader, strconv.FormatInt(c.requests.Add(1), 10))
	header.Set(corev1.StreamType, corev1.StreamTypeError)
	reason, err := c.stream.CreateStream(header)
	if err != nil {
		return nil, &ConnectError{Pod: c.pod, Err: err}
	}
	_ = reason.Close() // only the other side writes to it
	header = header.Clone()
	header.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := c.stream.CreateStream(header)
	if err != nil {
		c.stream.RemoveStreams(reason)
		return nil, &ConnectError{Pod: c.pod, Err: errors.Join(err, reason.Reset())}
	}
	p := &conn{Stream: data, reason: reason, connection: c, port: port, closed: closed, explained: make(chan struct{})}
	go p.readReason()
	return p, nil
}

// conn is a connection to a port of a pod.
type conn struct {
	httpstream.Stream
	reason     httpstream.Stream
	connection *Connection
	port       int
	closed     func() error

	explained   chan struct{}
	explanation string
	closing     sync.Once
	closeErr    error
}

func (p *conn) readReason() {
	defer close(p.explained)
	text, _ := io.ReadAll(io.LimitReader(p.reason, maxExplanation)) // an error ends the data stream, too
	p.explanation = strings.TrimSpace(string(text))
}

// Read reads from the pod. Where the node says why there is nothing to read, that is the error.
func (p *conn) Read(b []byte) (int, error) {
	n, err := p.Stream.Read(b)
	if n > 0 || err == nil {
		return n, err
	}
	select {
	case <-p.explained:
	case <-p.connection.Done():
		return n, fmt.Errorf("the connection to pod %s is lost: %w", p.connection.pod, err)
	case <-time.After(explanationLimit):
	}
	select {
	case <-p.explained:
		if p.explanation != "" {
			return n, fmt.Errorf("port %d of pod %s: %s", p.port, p.connection.pod, p.explanation)
		}
	default:
	}
	return n, err
}

// CloseWrite tells the other side that no more will be written.
func (p *conn) CloseWrite() error { return p.Stream.Close() }

// Close ends both directions.
func (p *conn) Close() error {
	p.closing.Do(func() {
		// A reset discards what the other side has not read: else it could hold up the other streams.
		p.closeErr = errors.Join(p.Stream.Reset(), p.reason.Reset())
		p.connection.stream.RemoveStreams(p.Stream, p.reason)
		p.closeErr = errors.Join(p.closeErr, p.closed())
	})
	return p.closeErr
}

// LocalAddr has no meaning: there is no local port.
func (p *conn) LocalAddr() net.Addr { return address{} }

// RemoteAddr names the pod and the port.
func (p *conn) RemoteAddr() net.Addr { return address{p.connection.pod, p.port} }

// Streams have no deadlines. Who needs one closes the connection.
func (p *conn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (p *conn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (p *conn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// address is a port of a pod.
type address struct {
	pod  string
	port int
}

func (address) Network() string  { return "portforward" }
func (a address) String() string { return net.JoinHostPort(a.pod, strconv.Itoa(a.port)) }
