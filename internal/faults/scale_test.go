package faults

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/internal/faultproxy"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// TestScaleWhoseAnswerIsLostIsDone loses the answer of the write that --current-replicas guards: the repeated one finds the
// replicas that it was to set.
func TestScaleWhoseAnswerIsLostIsDone(t *testing.T) {
	c := testcluster.Start(t)
	l := newLab(t, c)
	l.jina(t, exitDone, "up", "-f", file(t, flowOf("encoder")))
	proxy := faultproxy.Start(t, c, 1, faultproxy.Rule{
		Match: func(r *http.Request) bool { return faultproxy.Write(r) && strings.HasSuffix(r.URL.Path, "/scale") },
		Nth:   1, Fault: faultproxy.Fault{Kind: faultproxy.ResetAfter},
	})
	scale := []string{"scale", "encoder", "--current-replicas", "1", "--replicas", "2"}
	r := run(t.Context(), slices.Concat(scale, l.at(proxy.Kubeconfig()))...)
	if r.code != exitDone || proxy.Counts()[faultproxy.ResetAfter] != 1 {
		t.Errorf("%d answers lost: %s", proxy.Counts()[faultproxy.ResetAfter], r)
	}
	d, err := l.typed.AppsV1().Deployments(l.ns).Get(t.Context(), "encoder", metav1.GetOptions{})
	if err != nil || *d.Spec.Replicas != 2 || d.Generation != 2 {
		t.Errorf("%d replicas, generation %d, %v", *d.Spec.Replicas, d.Generation, err)
	}
	// Without a lost answer the guard holds.
	l.jina(t, 1, "scale", "encoder", "--current-replicas", "1", "--replicas", "3")
}
