package cmd

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

// cable is a way to the API server that can be cut.
type cable struct {
	server string

	mu    sync.Mutex
	ends  []net.Conn
	count int
}

// newCable returns a kubeconfig that leads through the cable.
func newCable(t *testing.T, kubeconfig string) (*cable, string) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{}
	for _, cluster := range config.Clusters {
		u, err := url.Parse(cluster.Server)
		if err != nil {
			t.Fatal(err)
		}
		c.server, cluster.Server = u.Host, "https://"+l.Addr().String()
	}
	path := filepath.Join(t.TempDir(), "config")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { c.join(near) })
		}
	})
	t.Cleanup(func() { l.Close(); c.cut(); running.Wait() })
	return c, path
}

func (c *cable) join(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer far.Close()
	c.mu.Lock()
	c.ends = append(c.ends, near, far)
	c.count++
	c.mu.Unlock()
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			pair[0].Close()
			pair[1].Close()
		})
	}
	both.Wait()
}

// cut ends all connections there are.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range c.ends {
		end.Close()
	}
	c.ends = nil
}

func TestFollowedLogsGoOnOverLostConnections(t *testing.T) {
	c, client, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, logsFlow)}, at...)...)
	pods := podsOfExecutor(t, client, ns, "encoder")
	log := c.Log(t, ns, pods[0].Name, "executor")
	log.Write(t, "line 0")
	cable, kubeconfig := newCable(t, c.Kubeconfig())
	out, errOut, stop := background(t, "logs", "encoder", "-f", "--kubeconfig", kubeconfig, "-n", ns)
	eventuallyPrinted(t, out, "line 0\n")
	want := []string{"line 0"}
	write := func(text string) {
		want = append(want, text)
		log.Write(t, text)
	}
	for i := range 6 {
		for j := range 10 {
			write(fmt.Sprintf("line %d of round %d", j, i))
		}
		cable.cut()
		write(fmt.Sprintf("written while cut %d", i))
		eventuallyPrinted(t, out, want[len(want)-1]+"\n")
	}
	if code := stop(); code != codeInterrupted {
		t.Errorf("exit code %d\n%s", code, errOut)
	}
	var got []string
	prefix := "encoder " + strings.TrimPrefix(pods[0].Name, "encoder-") + " "
	for line := range strings.Lines(out.String()) {
		if text, of := strings.CutPrefix(line, prefix); of {
			got = append(got, strings.TrimSuffix(text, "\n"))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\n%s", got, errOut)
	}
	cable.mu.Lock()
	defer cable.mu.Unlock()
	if cable.count < 3 {
		t.Errorf("there were %d connections", cable.count)
	}
}
