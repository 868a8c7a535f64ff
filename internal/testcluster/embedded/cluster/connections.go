package cluster

import (
	"net"
	"sync"
)

// closableListener remembers the connections that it accepted. A watch lasts for as long as its client wants it, and the API
// server's orderly end waits for each: closing the connections is what ends them.
type closableListener struct {
	net.Listener

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newClosableListener(l net.Listener) *closableListener {
	return &closableListener{Listener: l, conns: map[net.Conn]bool{}}
}

// Accept a connection.
func (l *closableListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[conn] = true
	return &closableConn{Conn: conn, listener: l}, nil
}

// closeConnections that are open now.
func (l *closableListener) closeConnections() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.conns {
		// It may be closed already; there is nothing to be done about an error here.
		_ = conn.Close()
	}
	clear(l.conns)
}

type closableConn struct {
	net.Conn
	listener *closableListener
}

// Close the connection and forget it.
func (c *closableConn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c.Conn)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}
