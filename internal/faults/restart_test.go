package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// TestRestartedServerIsWaitedFor stops the API server in the middle of an up, again and again, at another point each
// time; it comes back, and the same up goes on to its end.
func TestRestartedServerIsWaitedFor(t *testing.T) {
	t.Parallel()                         // most of its time goes by in waiting
	base, err := os.MkdirTemp("", "jf-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	options := testcluster.Options{Dir: filepath.Join(base, "state"), ReadyDelay: 2 * time.Second}
	c := testcluster.StartPrivate(t, options)
	restarts := 0
	for _, stop := range []struct {
		when string
		// objects that there have to be before it is stopped.
		services, deployments int
	}{
		{"the first Services are applied", 1, 0},
		{"the first workloads are applied", 0, 1},
		{"some workloads are applied", 0, 20},
		{"all is applied and the rollout goes on", 0, 41},
	} {
		l := newLab(t, c)
		path := file(t, flowOf(numbered(40)...))
		done := make(chan result, 1)
		go func() {
			done <- run(t.Context(), append([]string{"up", "--mesh", "none", "-f", path}, l.at(c.Kubeconfig())...)...)
		}()
		testcluster.Eventually(t, func() error {
			services, err := l.typed.CoreV1().Services(l.ns).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				return err
			}
			deployments, err := l.typed.AppsV1().Deployments(l.ns).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				return err
			}
			if len(services.Items) < stop.services || len(deployments.Items) < stop.deployments {
				return fmt.Errorf("%d Services, %d Deployments", len(services.Items), len(deployments.Items))
			}
			return nil
		})
		c.Stop(t)
		select {
		case r := <-done:
			t.Fatalf("up was over before the API server was stopped: %s", r)
		default:
		}
		c = testcluster.StartPrivate(t, options)
		restarts++
		r := <-done
		if r.code != exitDone {
			t.Fatalf("stopped when %s: %s", stop.when, r)
		}
		if !strings.Contains(r.errOut, "trying again") {
			t.Errorf("stopped when %s: up does not say that the API server is away:\n%s", stop.when, r.errOut)
		}
		after := newLab(t, c) // the old clients' connections are gone
		after.ns, after.set = l.ns, l.set
		after.converged(t, path)
		after.gone(t)
	}
	t.Logf("%d restarts of the API server in the middle of an up of 123 objects: each up went on to its end", restarts)
}
