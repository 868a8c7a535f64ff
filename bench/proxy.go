package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// proxy hands connections on to the API server and counts their bytes, as they are on the wire: encrypted, and answers
// compressed where the client takes that.
type proxy struct {
	listener       net.Listener
	target         string
	sent, received atomic.Int64

	mu          sync.Mutex
	closed      bool
	connections map[net.Conn]bool
	running     sync.WaitGroup
}

// newProxy listens on a port of its own.
func newProxy(target string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, target: target, connections: map[net.Conn]bool{}}
	p.running.Go(p.accept)
	return p, nil
}

// address is where clients connect to.
func (p *proxy) address() string { return p.listener.Addr().String() }

// reset begins to count anew.
func (p *proxy) reset() {
	p.sent.Store(0)
	p.received.Store(0)
}

// close ends all connections and waits for that.
func (p *proxy) close() error {
	p.mu.Lock()
	p.closed = true
	for c := range p.connections {
		_ = c.Close()
	}
	p.mu.Unlock()
	err := p.listener.Close()
	p.running.Wait()
	return err
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			// It was closed.
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	if !p.add(client, server) {
		return
	}
	defer p.remove(client, server)
	var both sync.WaitGroup
	for _, way := range []struct {
		from, to net.Conn
		count    *atomic.Int64
	}{{client, server, &p.sent}, {server, client, &p.received}} {
		both.Go(func() {
			_, _ = io.Copy(counter{way.to, way.count}, way.from)
			// The other way ends by this: a client of the API server never goes on after one side has closed.
			_ = client.Close()
			_ = server.Close()
		})
	}
	both.Wait()
}

// add says whether the connections may go on; they are closed when the proxy is.
func (p *proxy) add(connections ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range connections {
		if p.closed {
			_ = c.Close()
			continue
		}
		p.connections[c] = true
	}
	return !p.closed
}

func (p *proxy) remove(connections ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range connections {
		delete(p.connections, c)
	}
}

// counter counts what is written.
type counter struct {
	io.Writer
	count *atomic.Int64
}

// Write passes b on.
func (c counter) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.count.Add(int64(n))
	return n, err
}
