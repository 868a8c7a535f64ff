package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-jina/kubectl-jina/internal/faultproxy"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/cmd"
)

// three executors and a gateway: twelve objects.
var three = []string{"encoder", "ranker", "indexer"}

// wants holds that a run failed and said certain things.
func (r result) wants(t *testing.T, texts ...string) {
	t.Helper()
	if r.code == exitDone {
		t.Fatalf("it did not fail: %s", r)
	}
	for _, text := range texts {
		if !strings.Contains(r.errOut, text) {
			t.Errorf("%q is not said:\n%s", text, r.errOut)
		}
	}
}

// up of a Flow straight at the cluster, whatever becomes of it.
func (l lab) up(t *testing.T, path string, more ...string) result {
	t.Helper()
	return run(t.Context(), slices.Concat([]string{"up", "--yes", "-f", path}, more, l.at(l.cluster.Kubeconfig()))...)
}

// listening calls a function once, when a text is written.
type listening struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	text string
	once sync.Once
	call func()
}

func (w *listening) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(b)
	if strings.Contains(w.buf.String(), w.text) {
		w.once.Do(w.call)
	}
	return len(b), nil
}

// guard is a webhook that every workload of a namespace has to pass, and nobody answers it until start is called.
type guard struct {
	name, address string
}

func (l lab) guard(t *testing.T) guard {
	t.Helper()
	any := httptest.NewTLSServer(http.NotFoundHandler()) // all of them have the same certificate
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: any.Certificate().Raw})
	any.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := guard{name: "guard." + l.ns + ".example", address: listener.Addr().String()}
	_ = listener.Close()
	url := "https://" + g.address + "/"
	none := admissionregistrationv1.SideEffectClassNone
	fail := admissionregistrationv1.Fail
	_, err = l.typed.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: g.name},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: g.name, FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
			ClientConfig:      admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: ca},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: l.ns}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
			}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := l.typed.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(ctx, g.name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	l.refuses(t, g.name)
	return g
}

// refuses waits until the cluster refuses a Deployment with a text: what admits objects learns of its rules a moment later.
func (l lab) refuses(t *testing.T, text string) {
	t.Helper()
	probe := []byte(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: ranker}, spec: {selector: {matchLabels: {a: b}},
		template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}}}`)
	testcluster.Eventually(t, func() error {
		_, err := l.typed.AppsV1().Deployments(l.ns).Patch(t.Context(), "ranker", "application/apply-patch+yaml", probe,
			metav1.PatchOptions{FieldManager: "test", DryRun: []string{metav1.DryRunAll}})
		if err == nil || !strings.Contains(err.Error(), text) {
			return fmt.Errorf("not refused yet: %v", err)
		}
		return nil
	})
}

// start answers the webhook: everything is allowed.
func (g guard) start(t *testing.T) {
	listener, err := net.Listen("tcp", g.address)
	if err != nil {
		t.Error(err)
		return
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		_ = json.NewEncoder(w).Encode(review)
	}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.StartTLS()
	t.Cleanup(server.Close)
}

func TestWebhookThatComesBackIsWaitedFor(t *testing.T) {
	l := newLab(t, testcluster.Start(t))
	path := file(t, flowOf(three...))
	g := l.guard(t)
	errOut := &listening{text: "trying again", call: func() { g.start(t) }}
	var out bytes.Buffer
	args := append([]string{"up", "-f", path}, l.at(l.cluster.Kubeconfig())...)
	code := cmd.Main(t.Context(), args, genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &out, ErrOut: errOut})
	if text := errOut.buf.String(); code != exitDone || !strings.Contains(text, g.name) {
		t.Fatalf("exit code %d, or the webhook was not named:\n%s", code, text)
	}
	l.converged(t, path)
}

func TestWebhookThatStaysDownIsNamedWhenTimeIsOver(t *testing.T) {
	l := newLab(t, testcluster.Start(t))
	path := file(t, flowOf(three...))
	g := l.guard(t)
	l.up(t, path, "--timeout", "5s").wants(t, g.name, "connection refused")
	l.tracked(t)
	g.start(t)
	if r := l.up(t, path); r.code != exitDone {
		t.Fatal(r)
	}
	l.converged(t, path)
}

func TestQuotaIsNamedAndNothingIsLost(t *testing.T) {
	l := newLab(t, testcluster.Start(t))
	path := file(t, flowOf(three...))
	const deployments = "count/deployments.apps"
	quotas := l.typed.CoreV1().ResourceQuotas(l.ns)
	limit := func(n string) {
		t.Helper()
		q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "two-workloads"},
			Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{deployments: resource.MustParse(n)}}}
		if _, err := quotas.Create(t.Context(), q, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
			_, err = quotas.Update(t.Context(), q, metav1.UpdateOptions{})
			if err != nil {
				t.Fatal(err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
		testcluster.Eventually(t, func() error {
			now, err := quotas.Get(t.Context(), q.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if got := now.Status.Hard[deployments]; got.String() != n {
				return fmt.Errorf("the quota in force is %s", got.String())
			}
			return nil
		})
	}
	limit("2")
	r := l.up(t, path)
	r.wants(t, "two-workloads", "exceeded quota", "objects were applied", "run the same command again")
	members := l.tracked(t)
	if n := len(slices.DeleteFunc(slices.Clone(members), func(m string) bool { return !strings.HasPrefix(m, "Deployment/") })); n != 2 {
		t.Errorf("%d Deployments were applied where 2 may be: %q", n, members)
	}
	limit("10")
	if r := l.up(t, path); r.code != exitDone {
		t.Fatal(r)
	}
	l.converged(t, path)
}

func TestNamespaceThatGoesInTheMiddleIsNamed(t *testing.T) {
	c := testcluster.Start(t)
	l := newLab(t, c)
	path := file(t, flowOf(three...))
	// What holds the namespace back, so that it stays in the state in which nothing new may be made in it.
	held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "held", Finalizers: []string{"test.example/hold"}}}
	if _, err := l.typed.CoreV1().ConfigMaps(l.ns).Create(t.Context(), held, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	release := func() {
		_, err := l.typed.CoreV1().ConfigMaps(l.ns).Patch(context.WithoutCancel(t.Context()), "held", "application/merge-patch+json",
			[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	}
	t.Cleanup(release)
	terminate := func() {
		if err := l.typed.CoreV1().Namespaces().Delete(t.Context(), l.ns, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}
	proxy := faultproxy.Start(t, c, 1, faultproxy.Rule{
		Match: func(r *http.Request) bool {
			return faultproxy.Write(r) && strings.Contains(r.URL.Path, "/deployments/")
		},
		Nth: 1, Before: terminate,
	})
	r := run(t.Context(), append([]string{"up", "-f", path}, l.at(proxy.Kubeconfig())...)...)
	r.wants(t, l.ns, "being terminated", "objects were applied")

	// The next one is told before it writes anything.
	l.up(t, path).wants(t, l.ns, "is being deleted")
}

func TestDenialOfAdmissionIsRepeatedWordForWord(t *testing.T) {
	l := newLab(t, testcluster.Start(t))
	path := file(t, flowOf(three...))
	const denial = `Rankers are not welcome here; ask "Ops" (ticket OPS-1) for an exception.`
	name := "no-rankers." + l.ns
	policies := l.typed.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	bindings := l.typed.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	_, err := policies.Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
				}}}},
			Validations: []admissionregistrationv1.Validation{{Expression: `object.metadata.name != "ranker"`, Message: denial}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = bindings.Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			MatchResources: &admissionregistrationv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
				MatchLabels: map[string]string{corev1.LabelMetadataName: l.ns}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	remove := sync.OnceFunc(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(bindings.Delete(ctx, name, metav1.DeleteOptions{}), policies.Delete(ctx, name, metav1.DeleteOptions{})); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(remove)
	l.refuses(t, denial)

	l.up(t, path).wants(t, "Deployment/ranker", denial)
	l.tracked(t)

	remove()
	testcluster.Eventually(t, func() error {
		if r := l.up(t, path); r.code != exitDone { // the policy is in force for a moment longer
			return errors.New(r.String())
		}
		return nil
	})
	l.converged(t, path)
}
