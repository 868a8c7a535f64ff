package cmd

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// sees waits until a command has printed a text.
func (b begun) sees(t *testing.T, want string) {
	t.Helper()
	testcluster.Eventually(t, func() error {
		if printed := b.printed.String(); !strings.Contains(printed, want) {
			return fmt.Errorf("%q is not printed:\n%s", want, printed)
		}
		return nil
	})
}

const httpFlow = "jtype: Flow\nwith: {name: shop, protocol: http}\nexecutors:\n  - name: encoder\n    uses: docker://registry.example/enc:1\n"

// askStatus asks a gateway behind a local address.
func askStatus(address string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	response, err := client.Get("http://" + address + "/status")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && !strings.Contains(string(body), `"jina":"3.34.0"`) {
		err = fmt.Errorf("status %s: %s", response.Status, body)
	}
	return err
}

func TestPortForwardGoesOnWhenThePodGoes(t *testing.T) {
	_, typed, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, httpFlow)}, at...)...)
	b := begin(t, append([]string{"port-forward", ":8080"}, at...)...)
	b.sees(t, "connected to pod gateway-")
	found := regexp.MustCompile(`(?m)^(127\.0\.0\.1:\d+) is forwarded to port 8080 of gateway$`).FindStringSubmatch(b.printed.String())
	if found == nil {
		t.Fatalf("the local port is not said:\n%s", b.printed)
	}
	for range 3 {
		if err := askStatus(found[1]); err != nil {
			t.Fatal(err)
		}
	}
	before := podNames(t, typed, ns, "gateway")
	if err := typed.CoreV1().Pods(ns).Delete(t.Context(), before[0], metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.sees(t, "pod "+before[0]+" is not ready any more")
	testcluster.Eventually(t, func() error { return askStatus(found[1]) })
	if strings.Count(b.printed.String(), "connected to pod gateway-") != 2 {
		t.Errorf("printed:\n%s", b.printed)
	}
	b.stop()
	if code := <-b.code; code != codeOK {
		t.Errorf("exit code %d\n%s", code, b.printed)
	}
	if err := askStatus(found[1]); err == nil {
		t.Error("the local port is still served")
	}
}

func TestPortForwardTakesAnotherLocalPortUnlessOneIsAskedFor(t *testing.T) {
	_, _, _, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, httpFlow)}, at...)...)
	// The port of every gateway. When it is taken already, so much the better.
	if taken, err := net.Listen("tcp", "127.0.0.1:8080"); err == nil {
		defer taken.Close()
	}
	b := begin(t, append([]string{"port-forward"}, at...)...)
	b.sees(t, " is forwarded to port 8080 of gateway")
	b.sees(t, "connected to pod gateway-")
	local, _, _ := strings.Cut(b.printed.String(), " ")
	if local == "127.0.0.1:8080" {
		t.Errorf("printed:\n%s", b.printed)
	}
	if err := askStatus(local); err != nil {
		t.Error(err)
	}
	b.stop()
	<-b.code
	must(t, codeError, append([]string{"port-forward", "8080"}, at...)...).says(t, "listen tcp 127.0.0.1:8080: ", "name another local port: LOCAL:8080, or :8080 for any")
}

func TestPortForwardRefusesWhatIsNotThere(t *testing.T) {
	_, _, _, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, httpFlow)}, at...)...)
	must(t, codeUsage, append([]string{"port-forward", "encodr"}, at...)...).says(t, "did you mean encoder?")
}

func TestPortForwardReadsItsArguments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "gateway []"},
		{[]string{"8080"}, "gateway [{8080 8080 false}]"},
		{[]string{"9000:8080", ":8081"}, "gateway [{9000 8080 false} {0 8081 false}]"},
		{[]string{"indexer/1", "1:2"}, "indexer/1 [{1 2 false}]"},
		{[]string{"encoder", "x"}, `"x" is no port to forward: "x" is not a number from 1 to 65535`},
		{[]string{"70000"}, `"70000" is no port to forward: "70000" is not a number from 1 to 65535`},
		{[]string{"0:8080"}, `"0:8080" is no port to forward: "0" is not a number from 1 to 65535`},
		{[]string{"8080:"}, `"8080:" is no port to forward: "" is not a number from 1 to 65535`},
	} {
		var o portForwardOptions
		got := ""
		if err := o.Complete(tt.args); err != nil {
			got = err.Error()
			if exitCode(err) != codeUsage {
				t.Errorf("%q: exit code %d", tt.args, exitCode(err))
			}
		} else {
			got = fmt.Sprint(o.target, " ", o.ports)
		}
		if got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.args, got, tt.want)
		}
	}
}
