package meshcheck

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func TestWhyTheServerCannotBeUsed(t *testing.T) {
	answer := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	html := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>hello</html>")) }
	tlsServer := httptest.NewUnstartedServer(http.HandlerFunc(html))
	tlsServer.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshakes are the test's purpose
	tlsServer.StartTLS()
	t.Cleanup(tlsServer.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "https://" + closed.Addr().String()
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	anonymous := answering()
	delete(anonymous.answers, "GET /api/v1/namespaces/shop")
	anonymous.answers["GET /api/v1/namespaces/shop"] = status(403, `namespaces "shop" is forbidden: User "system:anonymous" cannot get resource "namespaces" in API group "" in the namespace "shop"`)

	for _, tt := range []struct {
		name   string
		config rest.Config
		cause  Cause
		says   string
	}{
		{"nothing listens", rest.Config{Host: nobody}, CauseRefused, "nothing listens at " + nobody + ": start the cluster"},
		{"unknown host", rest.Config{Host: "https://cluster.invalid:6443"}, CauseName, "the host of https://cluster.invalid:6443 is not known"},
		{"silent", rest.Config{Host: "https://" + silent.Addr().String(), Timeout: 200 * time.Millisecond}, CauseTimeout, "does not answer: check network"},
		{"certificate of another authority", rest.Config{Host: tlsServer.URL}, CauseTLS, "no trusted connection to " + tlsServer.URL + " (x509: "},
		{"plain HTTP", rest.Config{Host: strings.Replace(answer(html), "http://", "https://", 1)}, CauseTLS, "HTTP response to HTTPS client"},
		{"credentials refused", rest.Config{Host: answer(status(401, "Unauthorized"))}, CauseUnauthorized, "does not accept the credentials (401 Unauthorized): they may have expired"},
		{"no credentials", rest.Config{Host: answer(anonymous.ServeHTTP)}, CauseAnonymous, "no credentials were sent: log in"},
		{"not Kubernetes", rest.Config{Host: answer(html)}, CauseOther, "not the answer of a Kubernetes API server"},
		{"JSON of something else", rest.Config{Host: answer(document(map[string]string{"hello": "world"}))}, CauseOther, "not the answer of a Kubernetes API server"},
		{"credential plugin missing", rest.Config{Host: "https://127.0.0.1:1", ExecProvider: &clientcmdapi.ExecConfig{
			APIVersion: "client.authentication.k8s.io/v1", Command: "no-such-plugin-of-jina", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		}}, CausePlugin, "credential plugin failed (getting credentials: exec: executable no-such-plugin-of-jina not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Collect(t.Context(), clientAt(t, &tt.config), Request{Namespace: "shop", Mesh: MeshLinkerd})
			err := f.Unreachable()
			var unreachable *UnreachableError
			if !errors.As(err, &unreachable) {
				t.Fatalf("got %v", err)
			}
			if unreachable.Cause != tt.cause || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %s: %v\nwant %s: …%s…", unreachable.Cause, err, tt.cause, tt.says)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
			if unreachable.Unwrap() == nil {
				t.Error("the client's error is lost")
			}
			if got := resultOf(t, Evaluate(f), apiReachable); got.Status != StatusFail || len(got.Remedy) != 1 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestAnInterruptedCollectionIsNotAnUnreachableServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Collect(ctx, client(t, answering()), Request{Namespace: "shop"}).Unreachable()
	var unreachable *UnreachableError
	if !errors.Is(err, context.Canceled) || errors.As(err, &unreachable) {
		t.Errorf("got %v", err)
	}
}

func TestAHealthyServerIsReachable(t *testing.T) {
	if err := healthy().Unreachable(); err != nil {
		t.Error(err)
	}
}
