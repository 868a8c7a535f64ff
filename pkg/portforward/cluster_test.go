package portforward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// place is a namespace of the embedded cluster.
type place struct {
	cluster   *testcluster.Cluster
	typed     kubernetes.Interface
	namespace string
}

func newPlace(t *testing.T) place {
	t.Helper()
	c := testcluster.Start(t)
	typed, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	return place{c, typed, c.Namespace(t)}
}

func (p place) dialer() *Dialer { return NewDialer(p.cluster.Config(), p.typed, p.namespace) }

// pod makes a pod whose port 8080 leads to a server of the test, and waits until it does.
func (p place) pod(t *testing.T, name string, server net.Listener) {
	t.Helper()
	_, err := p.typed.CoreV1().Pods(p.namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "example.test/c:1"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.cluster.Serve(t, p.namespace, name, 8080, server.Addr().(*net.TCPAddr).Port)
	testcluster.Eventually(t, func() error {
		conn, err := p.dialer().Dial(t.Context(), name, 8080)
		if err != nil {
			return err
		}
		defer conn.Close()
		return echoes(conn, "there")
	})
}

// echo answers each connection with the server's name and the line that it was sent, and ends it. Neither side waits for
// the other's end: the simulated node carries on until both have ended.
func echo(t *testing.T, name string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				text, _ := bufio.NewReader(conn).ReadString('\n')
				_, _ = fmt.Fprintf(conn, "%s got %s", name, text)
			}()
		}
	}()
	return l
}

// echoes sends a line and wants an answer to it.
func echoes(conn net.Conn, text string) error {
	if _, err := io.WriteString(conn, text+"\n"); err != nil {
		return err
	}
	got, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasSuffix(got, " got "+text+"\n") {
		err = fmt.Errorf("got %d bytes for %d: %.40q", len(got), len(text), got)
	}
	return err
}

func TestManyConnectionsGoOverOne(t *testing.T) {
	p := newPlace(t)
	p.pod(t, "a", echo(t, "a"))
	c, err := p.dialer().Connect(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			conn, err := c.Open(8080)
			if err == nil {
				defer conn.Close()
				err = echoes(conn, strings.Repeat(fmt.Sprint(i), 100_000))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestWhyNothingAnswersIsTheErrorOfReading(t *testing.T) {
	p := newPlace(t)
	p.pod(t, "a", echo(t, "a"))
	conn, err := p.dialer().Dial(t.Context(), "a", 9999)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1))
	if err == nil || !strings.Contains(err.Error(), "port 9999 of pod a: ") {
		t.Errorf("got %v, want the node's reason", err)
	}
	if connect := (*ConnectError)(nil); errors.As(err, &connect) {
		t.Errorf("what is the pod's is taken for the connection's: %v", err)
	}
}

func TestAnswersOfTheAPIServerAreFoundInTheError(t *testing.T) {
	p := newPlace(t)
	_, err := p.dialer().Dial(t.Context(), "nobody", 8080)
	if connect := (*ConnectError)(nil); !errors.As(err, &connect) || !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want that the pod is not found", err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", p.cluster.User(t, "stranger-in-"+p.namespace))
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewDialer(config, p.typed, p.namespace).Dial(t.Context(), "nobody", 8080)
	if !apierrors.IsForbidden(err) {
		t.Errorf("got %v, want that it is forbidden", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = p.dialer().Dial(ctx, "nobody", 8080); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

// behind is a proxy in front of the API server.
func behind(t *testing.T, c *testcluster.Cluster, handle func(next http.Handler) http.Handler) *rest.Config {
	t.Helper()
	u, err := url.Parse(c.Config().Host)
	if err != nil {
		t.Fatal(err)
	}
	config := c.Config()
	// An upgrade needs HTTP/1.
	config.NextProtos = []string{"http/1.1"}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	next := httputil.NewSingleHostReverseProxy(u)
	next.Transport = transport
	server := httptest.NewServer(handle(next))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

func TestAWebSocketIsTakenWhereSPDYDoesNotPass(t *testing.T) {
	p := newPlace(t)
	p.pod(t, "a", echo(t, "a"))
	var refused atomic.Int64
	config := behind(t, p.cluster, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(strings.ToLower(r.Header.Get("Upgrade")), "spdy") {
				refused.Add(1)
				http.Error(w, "upgrades to what I do not know are not for me", http.StatusBadRequest)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := NewDialer(config, typed, p.namespace).Dial(t.Context(), "a", 8080)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := echoes(conn, "through a WebSocket"); err != nil || refused.Load() != 1 {
		t.Errorf("got %v after %d refusals", err, refused.Load())
	}
}

func TestForwardFollowsTheChosenPodAndOutlivesConnections(t *testing.T) {
	p := newPlace(t)
	p.pod(t, "a", echo(t, "a"))
	p.pod(t, "b", echo(t, "b"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var chosen atomic.Value
	chosen.Store("a")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var said sync.Map
	ended := make(chan error, 1)
	go func() {
		ended <- p.dialer().Forward(ctx, []Port{{Listener: l, Remote: 8080}}, func(context.Context, string) (string, error) {
			return chosen.Load().(string), nil
		}, func(line string) { said.Store(line, true) })
	}()
	ask := func(want string) func() error {
		return func() error {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "x\n"); err != nil {
				return err
			}
			got, err := bufio.NewReader(conn).ReadString('\n')
			if err == nil && got != want {
				err = fmt.Errorf("got %q, want %q", got, want)
			}
			return err
		}
	}
	testcluster.Eventually(t, ask("a got x\n"))

	// A connection that is under way stays with its pod when new ones go to another.
	old, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(old, "of before"); err != nil {
		t.Fatal(err)
	}
	chosen.Store("b")
	testcluster.Eventually(t, ask("b got x\n"))
	if _, err := io.WriteString(old, "\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := bufio.NewReader(old).ReadString('\n'); err != nil || got != "a got of before\n" {
		t.Errorf("got %q, %v", got, err)
	}

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the local port is still served")
	}
	for _, want := range []string{"connected to pod a", "pod a is not ready any more", "connected to pod b"} {
		if _, ok := said.Load(want); !ok {
			t.Errorf("%q was not said", want)
		}
	}
}

func TestForwardEndsWhenItIsForbidden(t *testing.T) {
	p := newPlace(t)
	config, err := clientcmd.BuildConfigFromFlags("", p.cluster.User(t, "stranger-in-"+p.namespace))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	err = NewDialer(config, p.typed, p.namespace).Forward(t.Context(), []Port{{Listener: l, Remote: 8080}},
		func(context.Context, string) (string, error) { return "a", nil }, func(string) {})
	if !apierrors.IsForbidden(err) {
		t.Errorf("got %v, want that it is forbidden", err)
	}
}

func TestForwardGoesOnWhenTheConnectionIsLost(t *testing.T) {
	p := newPlace(t)
	p.pod(t, "a", echo(t, "a"))
	var mu sync.Mutex
	var lost context.CancelFunc
	config := behind(t, p.cluster, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			mu.Lock()
			lost = cancel
			mu.Unlock()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	})
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- NewDialer(config, typed, p.namespace).Forward(ctx, []Port{{Listener: l, Remote: 8080}},
			func(context.Context, string) (string, error) { return "a", nil }, func(line string) { lines <- line })
	}()
	want := func(text string) {
		t.Helper()
		if got := <-lines; got != text {
			t.Errorf("said %q, want %q", got, text)
		}
	}
	want("connected to pod a")
	mu.Lock()
	lost()
	mu.Unlock()
	want("the connection to pod a is lost")
	want("connected to pod a")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
