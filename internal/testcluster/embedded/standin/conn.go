package standin

import (
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// address is a port of a pod. It is what a forwarded connection has for an address, so that the servers know for whom they answer.
type address struct {
	namespace, pod string
	port           int
}

func (address) Network() string { return "pod" }
func (a address) String() string {
	return net.JoinHostPort(a.pod+"."+a.namespace, strconv.Itoa(a.port))
}

// conn is a forwarded connection, as its pod sees it.
type conn struct {
	io.ReadWriteCloser
	at     address
	once   sync.Once
	closed chan struct{}
	err    error
}

func (c *conn) Close() error {
	c.once.Do(func() {
		c.err = c.ReadWriteCloser.Close()
		close(c.closed)
	})
	return c.err
}

func (c *conn) LocalAddr() net.Addr  { return c.at }
func (c *conn) RemoteAddr() net.Addr { return c.at }

// Streams have no deadlines.
func (c *conn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (c *conn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (c *conn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// listener accepts connections that it is handed.
type listener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *listener) hand(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.done:
		_ = c.Close() // nobody is left to be told
	}
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr has no meaning: there is no port.
func (l *listener) Addr() net.Addr { return address{} }
