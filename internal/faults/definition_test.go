package faults

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-jina/kubectl-jina/internal/faultproxy"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// serviceMonitorDefinition is what the Prometheus operator brings, without its schema.
const serviceMonitorDefinition = `{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
	"metadata": {"name": "servicemonitors.monitoring.coreos.com"},
	"spec": {"group": "monitoring.coreos.com", "scope": "Namespaced",
		"names": {"kind": "ServiceMonitor", "listKind": "ServiceMonitorList", "plural": "servicemonitors", "singular": "servicemonitor"},
		"versions": [{"name": "v1", "served": true, "storage": true,
			"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}`

// TestDefinitionThatGoesInTheMiddleIsNamed has a cluster of its own: a definition is the whole cluster's.
func TestDefinitionThatGoesInTheMiddleIsNamed(t *testing.T) {
	c := testcluster.StartPrivate(t, testcluster.Options{})
	l := newLab(t, c)
	path := file(t, strings.Replace(flowOf(three...), "with: {", "with: {monitoring: true, ", 1))
	definitions := l.typed.Discovery().RESTClient()
	const definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/servicemonitors.monitoring.coreos.com"
	monitors := l.meta.Resource(schema.GroupVersionResource{Group: "monitoring.coreos.com", Version: "v1", Resource: "servicemonitors"}).Namespace(l.ns)
	served := func(want bool) {
		t.Helper()
		testcluster.Eventually(t, func() error {
			_, err := monitors.List(t.Context(), metav1.ListOptions{})
			if err != nil && !apierrors.IsNotFound(err) || (err == nil) != want {
				return fmt.Errorf("ServiceMonitors are served: %v", err)
			}
			return nil
		})
	}
	define := func() {
		t.Helper()
		err := definitions.Post().AbsPath("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").
			Body(io.NopCloser(bytes.NewBufferString(serviceMonitorDefinition))).SetHeader("Content-Type", "application/json").Do(t.Context()).Error()
		if err != nil {
			t.Fatal(err)
		}
		served(true)
	}
	define()
	l.jina(t, exitDone, "up", "--mesh", "none", "-f", path)
	l.gone(t)

	proxy := faultproxy.Start(t, c, 1, faultproxy.Rule{
		Match: func(r *http.Request) bool {
			return faultproxy.Write(r) && strings.Contains(r.URL.Path, "/servicemonitors/")
		},
		Before: sync.OnceFunc(func() { // every write of the kind waits for it
			if err := definitions.Delete().AbsPath(definition).Do(t.Context()).Error(); err != nil {
				t.Error(err)
			}
			served(false)
		}),
	})
	r := run(t.Context(), append([]string{"up", "--mesh", "none", "-f", path}, l.at(proxy.Kubeconfig())...)...)
	r.wants(t, "ServiceMonitor", "Prometheus operator", "objects were applied")
	l.tracked(t)
	// The objects of a kind that is gone are gone too: down does not stumble over it.
	l.gone(t)

	define()
	l.jina(t, exitDone, "up", "--mesh", "none", "-f", path)
	again := newLab(t, c) // which knows the kind
	again.ns, again.set = l.ns, l.set
	again.gone(t)
}
