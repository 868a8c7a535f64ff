package meshcheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// apiServer answers requests from a table "VERB /path" → answer and writes down what it was asked.
type apiServer struct {
	answers map[string]func(http.ResponseWriter, *http.Request)
	mu      sync.Mutex
	asked   []string
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	question := r.Method + " " + r.URL.Path
	s.mu.Lock()
	s.asked = append(s.asked, question+queryOf(r))
	s.mu.Unlock()
	if answer, there := s.answers[question]; there {
		answer(w, r)
		return
	}
	status(http.StatusForbidden, `User "ann" cannot do this`)(w, r)
}

func queryOf(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	return "?" + r.URL.RawQuery
}

func (s *apiServer) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := slices.Clone(s.asked)
	slices.Sort(asked)
	return asked
}

func document(body any) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	}
}

func status(code int, message string) func(http.ResponseWriter, *http.Request) {
	reasons := map[int]metav1.StatusReason{403: metav1.StatusReasonForbidden, 404: metav1.StatusReasonNotFound, 401: metav1.StatusReasonUnauthorized}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
			Status:   metav1.StatusFailure, Code: int32(code), Reason: reasons[code], Message: message,
		})
	}
}

const podsPath = "POST /api/v1/namespaces/shop/pods"

// answering is a server with Linkerd in a namespace of another name.
func answering() *apiServer {
	pod := func(w http.ResponseWriter, r *http.Request) {
		injected := injectedPod(true)
		injected.TypeMeta = metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}
		injected.Labels[controlPlaneLabel] = "mesh-of-the-pod"
		document(injected)(w, r)
	}
	return &apiServer{answers: map[string]func(http.ResponseWriter, *http.Request){
		"GET /version":                document(map[string]string{"gitVersion": "v1.34.4"}),
		"GET /apis":                   document(metav1.APIGroupList{Groups: []metav1.APIGroup{{Name: "apps"}, {Name: "linkerd.io"}}}),
		"GET /api/v1/namespaces/shop": document(corev1.Namespace{TypeMeta: metav1.TypeMeta{Kind: "Namespace", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: "shop"}}),
		podsPath:                      pod,
		rulesPath:                     rulesAnswer(authorizationv1.SubjectRulesReviewStatus{ResourceRules: []authorizationv1.ResourceRule{rule("*", "*", "*")}}),
	}}
}

func client(t *testing.T, h http.Handler) Clients {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return clientAt(t, &rest.Config{Host: s.URL, QPS: -1})
}

func clientAt(t *testing.T, c *rest.Config) Clients {
	t.Helper()
	// JSON, so that the little server above need not read protobuf.
	c.ContentType = "application/json"
	k, err := kubernetes.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return ClientsFor(k)
}

func TestCollectAsksEachQuestionOnceAndWritesNothing(t *testing.T) {
	s := answering()
	f := Collect(t.Context(), client(t, s), Request{Namespace: "shop", Mesh: MeshLinkerd, Permissions: []Permission{
		{Verb: "get", Resource: "services"}, {Verb: "patch", Group: "apps", Resource: "deployments", Subresource: "scale"},
	}})
	want := []string{
		"GET /api/v1/namespaces/mesh-of-the-pod/pods?labelSelector=linkerd.io%2Fcontrol-plane-component",
		"GET /api/v1/namespaces/shop",
		"GET /apis",
		"GET /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/" + injectorWebhook,
		"GET /version",
		podsPath + "?dryRun=All",
		rulesPath,
	}
	if got := s.questions(); !slices.Equal(got, want) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if f.Unreachable() != nil || f.Version.Value.GitVersion != "v1.34.4" || !f.Access[1].Allowed || f.Access[1].Permission.Subresource != "scale" {
		t.Errorf("got %+v", f)
	}
	if classify(f.DryRun) != injected {
		t.Errorf("the dry run is not seen as injected: %+v", f.DryRun)
	}
	// The tenant of this server may read neither the webhook nor Linkerd's pods.
	if got := resultOf(t, Evaluate(f), linkerdControlPlane); got.Status != StatusUnknown || !strings.Contains(got.Detail, "mesh-of-the-pod") {
		t.Errorf("got %+v", got)
	}
}

func TestCollectWithoutAMeshAsksNothingAboutLinkerd(t *testing.T) {
	s := answering()
	Collect(t.Context(), client(t, s), Request{Namespace: "shop", Mesh: MeshNone})
	want := []string{"GET /api/v1/namespaces/shop", "GET /apis", "GET /version"}
	if got := s.questions(); !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestWithoutLinkerdItsControlPlaneIsNotSought(t *testing.T) {
	s := answering()
	s.answers["GET /apis"] = document(metav1.APIGroupList{Groups: []metav1.APIGroup{{Name: "apps"}}})
	sent := bare()
	sent.TypeMeta = metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}
	s.answers[podsPath] = document(sent)
	f := Collect(t.Context(), client(t, s), Request{Namespace: "shop", Mesh: MeshLinkerd})
	for _, q := range s.questions() {
		if strings.HasPrefix(q, "GET ") && strings.Contains(q, "/pods") {
			t.Errorf("asked %s", q)
		}
	}
	if got := resultOf(t, Evaluate(f), linkerdInstalled); got.Status != StatusFail {
		t.Errorf("got %+v", got)
	}
}

func TestTheControlPlaneIsSoughtWhereTheWebhookPoints(t *testing.T) {
	s := answering()
	hook := injectorConfiguration("mesh-of-the-webhook")
	hook.TypeMeta = metav1.TypeMeta{Kind: "MutatingWebhookConfiguration", APIVersion: "admissionregistration.k8s.io/v1"}
	s.answers["GET /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/"+injectorWebhook] = document(hook)
	pods := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: controlPlanePods("destination", "identity", "proxy-injector")}
	s.answers["GET /api/v1/namespaces/mesh-of-the-webhook/pods"] = document(pods)
	f := Collect(t.Context(), client(t, s), Request{Namespace: "shop", Mesh: MeshLinkerd})
	if got := resultOf(t, Evaluate(f), linkerdControlPlane); got.Status != StatusPass || !strings.Contains(got.Detail, "mesh-of-the-webhook") {
		t.Errorf("got %+v", got)
	}
}

func TestANewNamespaceIsGivenTimeForItsServiceAccount(t *testing.T) {
	s := answering()
	made := s.answers[podsPath]
	tries := 0
	s.answers[podsPath] = func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries < 3 {
			status(403, `pods "x" is forbidden: error looking up service account shop/default: serviceaccount "default" not found`)(w, r)
			return
		}
		made(w, r)
	}
	f := Collect(t.Context(), client(t, s), Request{Namespace: "shop", Mesh: MeshLinkerd})
	if classify(f.DryRun) != injected || tries != 3 {
		t.Errorf("after %d tries: %+v", tries, f.DryRun)
	}
}

func TestCollectEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	s := answering()
	s.answers[podsPath] = func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}
	s.answers["GET /version"] = s.answers[podsPath]
	c := client(t, s)
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan Facts)
	go func() { done <- Collect(ctx, c, Request{Namespace: "shop", Mesh: MeshLinkerd}) }()
	cancel()
	select {
	case f := <-done:
		if err := f.Unreachable(); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Collect goes on after its context has ended")
	}
}

func TestTheProbePodIsTheGatewaysAndNothingSelectsIt(t *testing.T) {
	template := &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      map[string]string{"app": "gateway", "jina.ai/flow": "search", "app.kubernetes.io/name": "jina", "team": "search"},
			Annotations: map[string]string{injectAnnotation: "enabled", "kept": "yes"},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName: "robot",
			Containers:         []corev1.Container{{Name: "gateway", Image: "jinaai/jina:3.34.0"}},
		},
	}
	before := template.DeepCopy()
	pod := probePod("shop", template)
	if fmt.Sprint(pod.Spec) != fmt.Sprint(template.Spec) || pod.Annotations["kept"] != "yes" || pod.Annotations[injectAnnotation] != "enabled" {
		t.Errorf("the pod is not the template's: %+v", pod)
	}
	if pod.Name != "" || pod.GenerateName == "" || pod.Namespace != "shop" || len(pod.OwnerReferences) != 0 {
		t.Errorf("name %q, generated from %q, owners %v", pod.Name, pod.GenerateName, pod.OwnerReferences)
	}
	if pod.Labels["app"] == "gateway" || pod.Labels["jina.ai/flow"] == "search" {
		t.Errorf("the Flow would select it: %v", pod.Labels)
	}
	if pod.Labels["team"] != "search" || len(pod.Labels) != len(template.Labels) {
		t.Errorf("labels that nothing of ours selects by were changed: %v", pod.Labels)
	}
	if fmt.Sprint(template) != fmt.Sprint(before) {
		t.Error("the template was changed")
	}
}

func TestWithoutATemplateTheProbeAsksForTheProxy(t *testing.T) {
	pod := probePod("shop", nil)
	if pod.Annotations[injectAnnotation] != "enabled" || len(pod.Spec.Containers) != 1 {
		t.Errorf("got %+v", pod)
	}
}
