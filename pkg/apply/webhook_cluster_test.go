package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// webhook is a mutating webhook for one resource of the fixture's namespace. It answers with a JSON patch.
func (f fixture) webhook(t *testing.T, group, resource, patch string) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		kind := admissionv1.PatchTypeJSONPatch
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, PatchType: &kind, Patch: []byte(patch)}
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(server.Close)
	typed, err := kubernetes.NewForConfig(testcluster.Start(t).Config())
	if err != nil {
		t.Fatal(err)
	}
	none, fail, scope := admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Fail, admissionregistrationv1.NamespacedScope
	config := &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: f.set.Namespace},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: f.set.Namespace + ".rewriter.example", SideEffects: &none, FailurePolicy: &fail, AdmissionReviewVersions: []string{"v1"},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": f.set.Namespace}},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL: &server.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: []string{resource}, Scope: &scope},
			}},
		}},
	}
	webhooks := typed.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if _, err := webhooks.Create(t.Context(), config, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := webhooks.Delete(context.WithoutCancel(t.Context()), config.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// awaitWebhook waits until the API server calls the webhook, as it shows in the answer to a dry run.
func (f fixture) awaitWebhook(t *testing.T, text string, called func(*unstructured.Unstructured) bool) {
	t.Helper()
	o := f.object(t, text)
	testcluster.Eventually(t, func() error {
		answers, err := f.DryRun(t.Context(), []plan.Question{{Object: o}})
		if err == nil && !called(answers[o.Ref()].Object) {
			err = errors.New("the webhook is not called yet")
		}
		return err
	})
}

func firstImage(o *unstructured.Unstructured) string {
	containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	container, _ := containers[0].(map[string]any)
	image, _ := container["image"].(string)
	return image
}

// TestFieldThatAWebhookChangesIsNoChange shows C11: what counts is what the API server makes of it, not what the file says.
func TestFieldThatAWebhookChangesIsNoChange(t *testing.T) {
	f := newFixture(t)
	const mirror = "mirror.example/x:1"
	f.webhook(t, "apps", "deployments", `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"`+mirror+`"}]`)
	f.awaitWebhook(t, deploymentYAML, func(o *unstructured.Unstructured) bool { return firstImage(o) == mirror })
	f.up(t, f.file(t, 2, "x:1"), plan.CompareOptions{})
	if image := f.imageOf(t, "d"); image != mirror {
		t.Fatalf("image %s", image)
	}
	f.unchanged(t, f.file(t, 2, "x:1"))
	generation := f.live(t, "Deployment", "d").GetGeneration()
	f.up(t, f.file(t, 2, "x:1"), plan.CompareOptions{})
	if now := f.live(t, "Deployment", "d").GetGeneration(); now != generation {
		t.Errorf("generation %d, was %d: written without need", now, generation)
	}
	p := f.up(t, f.file(t, 3, "x:1"), plan.CompareOptions{})
	var changed []string
	for _, field := range changeOf(t, p, "Deployment", "d").Fields {
		changed = append(changed, field.Path)
	}
	if d := cmp.Diff([]string{"spec.replicas"}, changed); d != "" {
		t.Error(d)
	}
	f.unchanged(t, f.file(t, 3, "x:1"))
}

// TestFieldThatAWebhookAddsSurvives shows C11: nobody owns it, as Linkerd's annotation of Services.
func TestFieldThatAWebhookAddsSurvives(t *testing.T) {
	f := newFixture(t)
	f.webhook(t, "", "services", `[{"op":"add","path":"/metadata/annotations","value":{"config.example/opaque-ports":"8080"}}]`)
	added := func(o *unstructured.Unstructured) bool {
		return o.GetAnnotations()["config.example/opaque-ports"] == "8080"
	}
	f.awaitWebhook(t, serviceYAML, added)
	f.up(t, []plan.Object{f.object(t, serviceYAML)}, plan.CompareOptions{})
	f.unchanged(t, []plan.Object{f.object(t, serviceYAML)})
	f.up(t, []plan.Object{f.object(t, replaceIn(t, serviceYAML, "port: 8080", "port: 8081"))}, plan.CompareOptions{})
	service := f.live(t, "Service", "s")
	if !added(service) || len(ownersOf(t, service, "metadata", "annotations", "config.example/opaque-ports")) > 0 {
		t.Errorf("annotations %v", service.GetAnnotations())
	}
}

// TestWebhookWithoutDryRunMakesThePlanUnknown shows C12 a. An API server since Kubernetes 1.22 takes no new webhook of that kind, so its
// answer is put in its mouth, in the words of k8s.io/apiserver's pkg/admission/plugin/webhook/errors/statuserror.go.
func TestWebhookWithoutDryRunMakesThePlanUnknown(t *testing.T) {
	f := newFixture(t)
	config := testcluster.Start(t).Config()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("dryRun") == "" {
				return next.RoundTrip(r)
			}
			body := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"BadRequest","code":400,"message":"admission webhook \"old.example\" does not support dry run"}`
			return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewBufferString(body)), Request: r}, nil
		})
	})
	old := fixture{clientFor(t, config), f.set}
	p := old.up(t, old.file(t, 2, "x:1"), plan.CompareOptions{})
	if c := changeOf(t, p, "Deployment", "d"); c.Action != plan.Unknown || c.Reason != "the admission webhook old.example does not support dry runs" {
		t.Errorf("%s: %s", c.Action, c.Reason)
	}
	f.hold(t, 2, "2", ownedByUs)
	p = old.up(t, old.file(t, 3, "x:1"), plan.CompareOptions{})
	if c := changeOf(t, p, "Deployment", "d"); c.Action != plan.Unknown {
		t.Errorf("%s: %s", c.Action, c.Reason)
	}
	f.hold(t, 3, "3", ownedByUs)
}

// TestMergeKeysAreWrittenInFull shows C7: a port that changes is one port, in a container, an init container and a Service.
func TestMergeKeysAreWrittenInFull(t *testing.T) {
	f := newFixture(t)
	pod := replaceIn(t, deploymentYAML, "      containers:", "      initContainers:\n      - {name: i, image: x, ports: [{containerPort: 7000, protocol: TCP}]}\n      containers:")
	objects := []plan.Object{f.object(t, pod), f.object(t, serviceYAML)}
	f.up(t, objects, plan.CompareOptions{})
	change := func(text string) plan.Object {
		return f.object(t, replaceIn(t, replaceIn(t, text, "8080", "9090"), "name: port, ", ""))
	}
	pod = replaceIn(t, replaceIn(t, pod, "8080", "9090"), "7000", "7070")
	objects = []plan.Object{f.object(t, pod), change(serviceYAML)}
	f.up(t, objects, plan.CompareOptions{})
	for _, path := range [][]string{{"spec", "template", "spec", "containers"}, {"spec", "template", "spec", "initContainers"}} {
		containers, _, _ := unstructured.NestedSlice(f.live(t, "Deployment", "d").Object, path...)
		container, _ := containers[0].(map[string]any)
		if ports, _ := container["ports"].([]any); len(ports) != 1 {
			t.Errorf("%v: ports %v", path, ports)
		}
	}
	if ports, _, _ := unstructured.NestedSlice(f.live(t, "Service", "s").Object, "spec", "ports"); len(ports) != 1 {
		t.Errorf("ports of the Service: %v", ports)
	}
	f.unchanged(t, objects)
}
