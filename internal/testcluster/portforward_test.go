package testcluster

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

func TestPortForwardReachesTheTestsServer(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	createPod(t, c, ns, pod("p", nil))
	waitForPod(t, c, ns, "p")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "answered by the test") }))
	defer server.Close()
	c.Serve(t, ns, "p", 8080, server.Listener.Addr().(*net.TCPAddr).Port)

	url := c.clients.CoreV1().RESTClient().Post().Resource("pods").Namespace(ns).Name("p").SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	dialer := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	// The pod's kubelet learns of Serve a moment later; until then the connection is refused.
	Eventually(t, func() error { return getThrough(dialer) })
}

func getThrough(dialer httpstream.Dialer) error {
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewForStreaming(dialer, []string{"0:8080"}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	defer func() { close(stop); <-ended }()
	select {
	case err := <-ended:
		ended <- nil
		return err
	case <-ready:
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", ports[0].Local))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && string(body) != "answered by the test" {
		err = fmt.Errorf("got %q", body)
	}
	return err
}
