package linkerd

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// review asks the handler about an object in a namespace with these annotations, and returns the patch by path.
func review(t *testing.T, namespaceAnnotations map[string]string, kind string, object any) map[string]json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(admissionv1.AdmissionReview{Request: &admissionv1.AdmissionRequest{
		UID: "u", Namespace: "ns", Kind: metav1.GroupVersionKind{Version: "v1", Kind: kind}, Object: runtime.RawExtension{Raw: raw}}})
	if err != nil {
		t.Fatal(err)
	}
	namespace := func(_ context.Context, name string) (*corev1.Namespace, error) {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: namespaceAnnotations}}, nil
	}
	w := httptest.NewRecorder()
	handler(namespace, newProxy([]byte("PEM\n"))).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body))))
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	if !answer.Response.Allowed || answer.Response.UID != "u" {
		t.Fatalf("answer is %+v", answer.Response)
	}
	if answer.Response.Patch == nil {
		return nil
	}
	var ops []struct {
		Op, Path string
		Value    json.RawMessage
	}
	if err := json.Unmarshal(answer.Response.Patch, &ops); err != nil {
		t.Fatal(err)
	}
	out := map[string]json.RawMessage{}
	for _, o := range ops {
		if o.Op != "add" {
			t.Errorf("operation %s", o.Op)
		}
		out[o.Path] = o.Value
	}
	return out
}

func TestProxyIsConfiguredByPodThenNamespace(t *testing.T) {
	t.Parallel()
	patch := review(t,
		map[string]string{
			"linkerd.io/inject": "enabled", "config.linkerd.io/default-inbound-policy": "deny", "config.linkerd.io/opaque-ports": "9000",
			"config.linkerd.io/proxy-memory-limit": "64Mi", "unrelated": "x",
		}, "Pod",
		&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Annotations:     map[string]string{"config.linkerd.io/default-inbound-policy": "all-authenticated"},
				Labels:          map[string]string{"pod-template-hash": "abc"},
				OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "gateway-abc"}},
			},
			Spec: corev1.PodSpec{
				Containers:     []corev1.Container{{Name: "b", Ports: []corev1.ContainerPort{{ContainerPort: 8081}}}, {Name: "a", Ports: []corev1.ContainerPort{{ContainerPort: 8080}, {ContainerPort: 8081}}}},
				InitContainers: []corev1.Container{{Name: "own"}},
			},
		})
	var annotations, labels map[string]string
	var init []corev1.Container
	for path, into := range map[string]any{"/metadata/annotations": &annotations, "/metadata/labels": &labels, "/spec/initContainers": &init} {
		if err := json.Unmarshal(patch[path], into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	if annotations["config.linkerd.io/opaque-ports"] != "9000" || annotations["config.linkerd.io/default-inbound-policy"] != "all-authenticated" || annotations["unrelated"] != "" {
		t.Errorf("annotations are %v", annotations)
	}
	// SHA-256 of "PEM": the trailing newline is not part of it.
	if got := annotations["linkerd.io/trust-root-sha256"]; got != "384fb9a44fabe158be2757b9b8d8f67029f2280fcc1776ab2a53103e6f0c582d" {
		t.Errorf("trust root hash is %s", got)
	}
	if labels["linkerd.io/proxy-deployment"] != "gateway" || labels["linkerd.io/workload-ns"] != "ns" {
		t.Errorf("labels are %v", labels)
	}
	if len(init) != 3 || init[0].Name != "linkerd-init" || init[1].Name != "linkerd-proxy" || init[2].Name != "own" || init[0].Image != init[1].Image {
		t.Fatalf("init containers are %+v", init)
	}
	env := map[string]string{}
	for _, e := range init[1].Env {
		env[e.Name] = e.Value
	}
	for name, want := range map[string]string{
		"LINKERD2_PROXY_INBOUND_PORTS": "8080,8081", "LINKERD2_PROXY_INBOUND_DEFAULT_POLICY": "all-authenticated",
		"LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION": "9000", "_l5d_ns": "linkerd", "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS": "PEM",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	for _, c := range init[:2] {
		if got := c.Resources.Limits.Memory().String(); got != "64Mi" {
			t.Errorf("memory limit of %s is %s", c.Name, got)
		}
	}
}

func TestServiceInheritsOpaquePorts(t *testing.T) {
	t.Parallel()
	const key = "config.linkerd.io/opaque-ports"
	for _, test := range []struct {
		name       string
		of, has    map[string]string
		wantsPatch bool
	}{
		{"none anywhere", nil, nil, false},
		{"the namespace's", map[string]string{key: "9000"}, nil, true},
		{"its own", map[string]string{key: "9000"}, map[string]string{key: "1"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			patch := review(t, test.of, "Service", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: test.has}})
			if got := len(patch) > 0; got != test.wantsPatch {
				t.Errorf("patch is %s", patch)
			}
		})
	}
}

func TestSidecarOfAnotherMeshKeepsTheInjectorAway(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"linkerd.io/inject": "enabled"}}}
	if !injects(&corev1.Namespace{}, pod) {
		t.Error("an annotated pod is not injected")
	}
	pod.Spec.InitContainers = []corev1.Container{{Name: "istio-proxy"}}
	if injects(&corev1.Namespace{}, pod) {
		t.Error("a pod with istio-proxy is injected")
	}
}
