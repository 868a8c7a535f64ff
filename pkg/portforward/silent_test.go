package portforward

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// silentServer accepts every request, tells of it, and answers none.
func silentServer(t *testing.T) (d *Dialer, asked <-chan struct{}) {
	t.Helper()
	requests, ended := make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		requests <- struct{}{}
		<-ended
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(ended) })
	config := &rest.Config{Host: server.URL}
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return NewDialer(config, typed, "ns"), requests
}

func TestConnectingEndsWithItsContext(t *testing.T) {
	d, asked := silentServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := d.Connect(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

func TestForwardEndsWhileTheAPIServerIsSilent(t *testing.T) {
	d, asked := silentServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- d.Forward(ctx, []Port{{Listener: l, Remote: 8080}}, func(context.Context, string) (string, error) { return "a", nil }, func(string) {})
	}()
	waiting, err := net.Dial("tcp", l.Addr().String()) // it is held until there is a pod
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	<-asked
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
