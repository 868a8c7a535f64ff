package meshcheck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
)

// row is what one check says of some facts: the detail and the remedies must contain the given texts.
type row struct {
	name   string
	check  string
	facts  Facts
	want   Status
	detail string
	remedy string
}

func resultOf(t *testing.T, results []Result, id string) Result {
	t.Helper()
	i := slices.IndexFunc(results, func(r Result) bool { return r.ID == id })
	if i < 0 {
		t.Fatalf("no result of %s in %v", id, results)
	}
	return results[i]
}

func run(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.check+"/"+r.name, func(t *testing.T) {
			got := resultOf(t, Evaluate(r.facts), r.check)
			if got.Status != r.want || !strings.Contains(got.Detail, r.detail) {
				t.Errorf("got %s: %s\nwant %s: …%s…", got.Status, got.Detail, r.want, r.detail)
			}
			if !strings.Contains(strings.Join(got.Remedy, "\n"), r.remedy) {
				t.Errorf("remedies %q do not say %q", got.Remedy, r.remedy)
			}
			if (got.Status == StatusFail || got.Status == StatusWarn) && len(got.Remedy) == 0 {
				t.Errorf("%s without a remedy", got.Status)
			}
			if got.Status == StatusPass && len(got.Remedy) > 0 {
				t.Errorf("a remedy for what passed: %q", got.Remedy)
			}
			if strings.ContainsAny(got.Detail, "\n\x1b") || got.Detail == "" {
				t.Errorf("detail is not one line of text: %q", got.Detail)
			}
		})
	}
}

func TestKubernetesChecks(t *testing.T) {
	versioned := func(text string) func(*Facts) {
		return func(f *Facts) { f.Version.Value = version.Info{GitVersion: text} }
	}
	access := func(as ...Access) func(*Facts) { return func(f *Facts) { f.Access = as } }
	denied := func(verb, group, resource, sub string, optional bool) Access {
		return Access{Permission: Permission{Verb: verb, Group: group, Resource: resource, Subresource: sub, Optional: optional, For: "to test"}}
	}
	unasked := denied("get", "", "services", "", false)
	unasked.Err = userForbidden("create", "authorization.k8s.io", "selfsubjectaccessreviews", "")
	reasoned := denied("get", "", "services", "", false)
	reasoned.Reason = `no relation found`

	run(t, []row{
		{"answers", apiReachable, healthy(), StatusPass, "https://10.0.0.1:6443", ""},
		{"refuses the credentials", apiReachable, healthy(func(f *Facts) { f.Version.Err = unauthorized() }), StatusFail, "401", "log in again"},
		{"version may not be read", apiReachable, healthy(func(f *Facts) { f.Version.Err = userForbidden("get", "", "/version", "") }), StatusPass, "https", ""},

		{"current", apiVersion, healthy(), StatusPass, "v1.34.4", ""},
		{"oldest supported", apiVersion, healthy(versioned("v1.27.0-eks-1")), StatusPass, "v1.27.0-eks-1", ""},
		{"too old", apiVersion, healthy(versioned("v1.26.15+k3s1")), StatusFail, "v1.26.15+k3s1, and 1.27", "upgrade"},
		{"major beats minor", apiVersion, healthy(versioned("v2.0.0")), StatusPass, "v2.0.0", ""},
		{"build without a version", apiVersion, healthy(versioned("v0.0.0-master+$Format:%H$")), StatusUnknown, "v0.0.0-master", ""},
		{"not a version", apiVersion, healthy(versioned("master")), StatusUnknown, "\"master\", which is no release", ""},
		{"forbidden", apiVersion, healthy(func(f *Facts) { f.Version.Err = userForbidden("get", "", "/version", "") }), StatusUnknown, "cannot be read", "public-info-viewer"},

		{"there", namespace, healthy(), StatusPass, "shop", ""},
		{"missing", namespace, healthy(namespaceFails(notFound("namespaces", "shop")), dryRunFails(notFound("namespaces", "shop"))), StatusFail, "no namespace shop", "kubectl create namespace shop"},
		{"terminating", namespace, healthy(func(f *Facts) {
			f.Namespace.Value.Status.Phase = corev1.NamespaceTerminating
		}), StatusFail, "being deleted", "wait"},
		{"deleted, phase not yet written", namespace, healthy(func(f *Facts) {
			f.Namespace.Value.DeletionTimestamp = &metav1.Time{}
		}), StatusFail, "being deleted", "wait"},
		{"forbidden, seen by the dry run", namespace, healthy(namespaceFails(userForbidden("get", "", "namespaces", "shop"))), StatusPass, "seen by a dry run", ""},
		{"forbidden, seen by a refused dry run", namespace, healthy(namespaceFails(userForbidden("get", "", "namespaces", "shop")), dryRunFails(admissionForbids("exceeded quota: q"))), StatusPass, "seen by a dry run", ""},
		{"forbidden, missing to the dry run", namespace, healthy(namespaceFails(userForbidden("get", "", "namespaces", "shop")), dryRunFails(notFound("namespaces", "shop"))), StatusFail, "no namespace shop", "create namespace"},
		{"forbidden, terminating to the dry run", namespace, healthy(namespaceFails(userForbidden("get", "", "namespaces", "shop")), dryRunFails(terminating())), StatusFail, "being deleted", "wait"},
		{"forbidden with the dry run", namespace, healthy(namespaceFails(userForbidden("get", "", "namespaces", "shop")), dryRunFails(userForbidden("create", "", "pods", "shop"))), StatusUnknown, "needs get namespaces", "go on"},
		{"forbidden without a dry run", namespace, healthy(noMesh(), namespaceFails(userForbidden("get", "", "namespaces", "shop"))), StatusUnknown, "needs get namespaces", ""},
		{"unanswered", namespace, healthy(noMesh(), namespaceFails(serverError(500, "etcd is gone"))), StatusUnknown, "etcd is gone", ""},

		{"all", permissionsCheck, healthy(), StatusPass, "all 2 rights in namespace shop", ""},
		{"none asked", permissionsCheck, healthy(access()), StatusSkipped, "nothing", ""},
		{"denied", permissionsCheck, healthy(access(denied("create", "", "configmaps", "", false), denied("get", "apps", "deployments", "", false),
			denied("patch", "", "configmaps", "", false), denied("patch", "apps", "deployments", "scale", false))), StatusFail,
			"in namespace shop the user may not create, patch configmaps; get deployments.apps; patch deployments.apps/scale", "--clusterrole=edit"},
		{"denied with a reason", permissionsCheck, healthy(access(reasoned)), StatusFail, "get services (no relation found)", ""},
		{"denied beats unanswered", permissionsCheck, healthy(access(unasked, denied("get", "", "pods", "", false))), StatusFail, "get pods", ""},
		{"optional denied", permissionsCheck, healthy(access(denied("watch", "", "pods", "", true))), StatusWarn, "watch pods (needed to test)", "clusterrole"},
		{"review forbidden", permissionsCheck, healthy(access(unasked, denied("watch", "", "pods", "", true))), StatusUnknown, "get services", "selfsubjectaccessreviews"},
	})
}

func TestLinkerdChecks(t *testing.T) {
	forbiddenPods := userForbidden("create", "", "pods", "shop")
	groupsFail := func(f *Facts) {
		f.Groups = asked[[]string](nil, userForbidden("get", "", "/apis", ""))
	}
	controlPlaneHas := func(components ...string) func(*Facts) {
		return func(f *Facts) {
			f.ControlPlane = asked(ControlPlane{Namespace: "mesh", Pods: controlPlanePods(components...)}, nil)
		}
	}
	run(t, []row{
		{"groups", linkerdInstalled, healthy(), StatusPass, "linkerd.io, policy.linkerd.io", ""},
		{"as a tenant", linkerdInstalled, tenant(), StatusPass, "linkerd.io", ""},
		{"no groups", linkerdInstalled, without(), StatusFail, "none of the API groups linkerd.io, policy.linkerd.io", "linkerd install --crds | kubectl apply -f -"},
		{"no groups, dry run forbidden", linkerdInstalled, without(dryRunFails(forbiddenPods)), StatusFail, "none of", "--mesh none"},
		{"no groups, but injected", linkerdInstalled, without(func(f *Facts) { f.DryRun = asked(injectedPod(true), nil) }), StatusPass, "injector answers", ""},
		{"discovery forbidden", linkerdInstalled, healthy(groupsFail, dryRunFails(forbiddenPods)), StatusUnknown, "cannot be read", "system:discovery"},
		{"discovery forbidden, injected", linkerdInstalled, healthy(groupsFail), StatusPass, "injector answers", ""},
		{"no mesh wanted", linkerdInstalled, without(noMesh("encoder")), StatusSkipped, "--mesh none", ""},

		{"ready", linkerdControlPlane, healthy(), StatusPass, "ready in namespace linkerd", ""},
		{"forbidden", linkerdControlPlane, tenant(), StatusUnknown, "needs list pods in namespace linkerd", "nothing to do"},
		{"not ready, injection works", linkerdControlPlane, healthy(controlPlaneHas("identity", "proxy-injector")), StatusWarn, "no ready pod of destination in namespace mesh", "linkerd check"},
		{"not ready, injection forbidden", linkerdControlPlane, healthy(controlPlaneHas("destination"), dryRunFails(forbiddenPods)), StatusWarn, "identity, proxy-injector", "kubectl get pods -n mesh"},
		{"not ready, injection failed", linkerdControlPlane, healthy(controlPlaneHas("destination", "identity"), comesBackBare), StatusFail, "no ready pod of proxy-injector", "kubectl get pods -n mesh"},
		{"pod exists, is not ready", linkerdControlPlane, healthy(func(f *Facts) {
			f.ControlPlane.Value.Pods[0].Status.Conditions[0].Status = corev1.ConditionFalse
		}), StatusWarn, "destination", ""},
		{"pod ready, going away", linkerdControlPlane, healthy(func(f *Facts) {
			f.ControlPlane.Value.Pods[1].DeletionTimestamp = &metav1.Time{}
		}), StatusWarn, "identity", ""},
		{"unanswered", linkerdControlPlane, healthy(func(f *Facts) { f.ControlPlane.Err = serverError(500, "boom") }), StatusUnknown, "boom", ""},
		{"not installed", linkerdControlPlane, without(), StatusSkipped, "not installed", ""},
		{"no mesh wanted", linkerdControlPlane, healthy(noMesh()), StatusSkipped, "--mesh none", ""},

		{"with Linkerd", replicasBalanced, healthy(), StatusSkipped, linkerdInjection, ""},
		{"no mesh, several replicas", replicasBalanced, without(noMesh("encoder", "ranker")), StatusWarn, "encoder, ranker will not share the load (measured: 1,322 of 1,322", "--mesh linkerd"},
		{"no mesh, one replica each", replicasBalanced, without(noMesh()), StatusPass, "no part has more than one replica", ""},
		{"many parts", replicasBalanced, without(noMesh("a", "b", "c", "d", "e", "f", "g")), StatusWarn, "a, b, c, d, e and 2 more", ""},
	})
}

func TestInjection(t *testing.T) {
	podAnnotation := func(value string) func(*Facts) {
		return func(f *Facts) {
			f.DryRun = asked(bare(), nil)
			f.DryRun.Value.Annotations = map[string]string{injectAnnotation: value}
		}
	}
	namespaceAnnotation := func(value string) func(*Facts) {
		return func(f *Facts) { f.Namespace.Value.Annotations = map[string]string{injectAnnotation: value} }
	}
	namespaceForbidden := namespaceFails(userForbidden("get", "", "namespaces", "shop"))
	injectorGone := func(f *Facts) {
		f.Webhook = asked(f.Webhook.Value, notFound("mutatingwebhookconfigurations", injectorWebhook))
	}
	run(t, []row{
		{"native sidecar", linkerdInjection, healthy(), StatusPass, "proxy edge-26.8.3, as a native sidecar", ""},
		{"ordinary sidecar", linkerdInjection, healthy(func(f *Facts) { f.DryRun = asked(injectedPod(false), nil) }), StatusPass, "as an ordinary container", ""},
		{"as a tenant", linkerdInjection, tenant(), StatusPass, "edge-26.8.3", ""},
		{"not installed", linkerdInjection, without(), StatusSkipped, "not installed", ""},
		{"no mesh wanted", linkerdInjection, healthy(noMesh()), StatusSkipped, "--mesh none", ""},
		{"forbidden", linkerdInjection, healthy(dryRunFails(userForbidden("create", "", "pods", "shop"))), StatusUnknown, "needs create pods in namespace shop", "after the rollout"},
		{"namespace missing", linkerdInjection, healthy(dryRunFails(notFound("namespaces", "shop"))), StatusSkipped, "not there", ""},
		{"namespace terminating", linkerdInjection, healthy(dryRunFails(terminating())), StatusSkipped, "not there", ""},

		{"pod disabled", linkerdInjection, healthy(podAnnotation("disabled")), StatusFail, "pod template is annotated linkerd.io/inject: disabled", "annotate the pod template"},
		{"pod invalid", linkerdInjection, healthy(podAnnotation("true")), StatusFail, "true, which is no valid value", "annotate the pod template"},
		{"nothing annotated", linkerdInjection, healthy(comesBackBare, func(f *Facts) { f.DryRun.Value.Annotations = nil }), StatusFail, "neither the pod nor the namespace", "annotate the pod template"},
		{"empty values are none", linkerdInjection, healthy(podAnnotation(""), namespaceAnnotation("")), StatusFail, "neither the pod nor the namespace", ""},
		{"pod empty, namespace enabled", linkerdInjection, tenant(podAnnotation(""), namespaceAnnotation("enabled")), StatusFail, "the injector does not answer", ""},
		{"namespace invalid", linkerdInjection, healthy(comesBackBare, namespaceAnnotation("yes")), StatusFail, "namespace is annotated linkerd.io/inject: yes", "kubectl annotate namespace shop linkerd.io/inject=enabled --overwrite"},
		{"namespace label", linkerdInjection, healthy(comesBackBare, func(f *Facts) {
			f.Namespace.Value.Labels = map[string]string{webhooksLabel: "disabled"}
		}), StatusFail, "labelled config.linkerd.io/admission-webhooks=disabled", "kubectl label namespace shop config.linkerd.io/admission-webhooks-"},
		{"excluded namespace", linkerdInjection, healthy(comesBackBare, func(f *Facts) { f.Request.Namespace = "kube-system" }), StatusFail, "leaves the namespace kube-system alone", "-n NAMESPACE"},
		{"host network", linkerdInjection, healthy(comesBackBare, func(f *Facts) { f.DryRun.Value.Spec.HostNetwork = true }), StatusFail, "host's network", "hostNetwork"},
		{"Istio was first", linkerdInjection, healthy(comesBackBare, func(f *Facts) {
			f.DryRun.Value.Spec.InitContainers = []corev1.Container{{Name: "istio-proxy"}}
		}), StatusFail, "proxy of Istio", "one mesh"},
		{"injector not ready", linkerdInjection, healthy(comesBackBare, func(f *Facts) {
			f.ControlPlane.Value.Pods = controlPlanePods("destination", "identity")
		}), StatusFail, "no ready pod in namespace linkerd, and the API server goes on without it", "proxy-injector"},
		{"only the CRDs are there", linkerdInjection, healthy(comesBackBare, injectorGone), StatusFail, "CRDs are there, but its injector is not", "linkerd install |"},
		{"injector silent", linkerdInjection, tenant(comesBackBare), StatusFail, "the injector does not answer", "--mesh none"},
		{"injector silent, namespace forbidden", linkerdInjection, tenant(comesBackBare, namespaceForbidden), StatusFail, "needs get namespaces", "kubectl get pods -n linkerd"},
		{"disabled namespace does not disable an enabled pod", linkerdInjection, tenant(comesBackBare, namespaceAnnotation("disabled")), StatusFail, "the injector does not answer", ""},
		{"several causes", linkerdInjection, healthy(podAnnotation("off"), namespaceAnnotation("on")), StatusFail, "off, which is no valid value; the namespace is annotated linkerd.io/inject: on", "--overwrite"},
		{"escape sequences in an annotation", linkerdInjection, healthy(podAnnotation("\x1b[31mx\ny")), StatusFail, "inject: [31mx y, which", ""},

		{"quota exceeded", linkerdInjection, healthy(dryRunFails(admissionForbids("exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0"))), StatusWarn, "exceeded quota: q", "kubectl describe quota -n shop"},
		{"quota not computed yet", linkerdInjection, healthy(dryRunFails(admissionForbids("status unknown for quota: q, resources: pods"))), StatusWarn, "status unknown for quota", ""},
		{"quota demands limits of the proxy", linkerdInjection, healthy(dryRunFails(admissionForbids("failed quota: q: must specify limits.memory for: linkerd-init,linkerd-proxy"))), StatusFail, "refuses every pod", "config.linkerd.io/proxy-cpu-request"},
		{"quota demands limits of the gateway", linkerdInjection, healthy(dryRunFails(admissionForbids("failed quota: q: must specify limits.memory for: gateway"))), StatusFail, "refuses every pod", "LimitRange"},
		{"Pod Security refuses the init container", linkerdInjection, healthy(dryRunFails(admissionForbids(`violates PodSecurity "baseline:latest": non-default capabilities (container "linkerd-init" must not include "NET_ADMIN", "NET_RAW")`))), StatusFail, `violates PodSecurity "baseline:latest"`, "CNI plugin"},
		{"Pod Security refuses the pod", linkerdInjection, healthy(dryRunFails(admissionForbids(`violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "gateway" must set …)`))), StatusFail, "restricted:latest", "security context"},
		{"service account missing", linkerdInjection, healthy(dryRunFails(admissionForbids(`error looking up service account shop/jina: serviceaccount "jina" not found`))), StatusFail, `serviceaccount "jina" not found`, "change what the message names"},
		{"policy denies", linkerdInjection, healthy(dryRunFails(apierrors.NewBadRequest(`admission webhook "policy.example.com" denied the request: no latest tags`))), StatusFail, "no latest tags", "change what"},
		{"webhook without dry run", linkerdInjection, healthy(dryRunFails(apierrors.NewBadRequest(`admission webhook "x.example.com" does not support dry run`))), StatusUnknown, "x.example.com", "after the rollout"},
		{"injector down, policy Fail", linkerdInjection, healthy(dryRunFails(serverError(500, `failed calling webhook "linkerd-proxy-injector.linkerd.io": failed to call webhook: Post "https://…": connection refused`))), StatusFail, "injector does not answer", "kubectl get pods -n linkerd"},
		{"another webhook down", linkerdInjection, healthy(dryRunFails(serverError(500, `failed calling webhook "x.example.com": failed to call webhook`))), StatusWarn, "x.example.com", "administrator"},
		{"server error", linkerdInjection, healthy(dryRunFails(serverError(500, "etcdserver: request timed out"))), StatusUnknown, "request timed out", "try again"},
		{"deadline", linkerdInjection, healthy(dryRunFails(context.DeadlineExceeded)), StatusUnknown, "deadline exceeded", ""},
	})
}

func TestEvaluationNeedsNoPolicyOfTheWebhook(t *testing.T) {
	// A configuration that leaves failurePolicy out has Kubernetes' default, Fail, and then "goes on without" is wrong.
	f := healthy(comesBackBare, func(f *Facts) {
		f.ControlPlane.Value.Pods = nil
		f.Webhook.Value.Webhooks[0].FailurePolicy = nil
	})
	if got := resultOf(t, Evaluate(f), linkerdInjection); strings.Contains(got.Detail, "goes on without") {
		t.Errorf("claims failurePolicy Ignore: %s", got.Detail)
	}
}

func TestOnlyDecidingChecksFailATenant(t *testing.T) {
	results := Evaluate(tenant())
	if err := Failed(results); err != nil {
		t.Errorf("a tenant fails: %v", err)
	}
	if err := Strict(results); err != nil {
		t.Errorf("a tenant fails the strict check on what only an administrator may see: %v", err)
	}
}

func TestStrictCountsWarningsAndOpenDecisions(t *testing.T) {
	for _, tt := range []struct {
		name  string
		facts Facts
		want  string
	}{
		{"healthy", healthy(), ""},
		{"warning", without(noMesh("encoder")), replicasBalanced},
		{"unknown that decides", healthy(dryRunFails(userForbidden("create", "", "pods", "shop"))), linkerdInjection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			results := Evaluate(tt.facts)
			if err := Failed(results); err != nil {
				t.Errorf("fails without strict: %v", err)
			}
			err := Strict(results)
			if tt.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			var failed *FailedError
			if !errors.As(err, &failed) || len(failed.Results) != 1 || failed.Results[0].ID != tt.want {
				t.Errorf("got %v, want %s alone", err, tt.want)
			}
		})
	}
}

func TestFailedNamesEveryFailedCheck(t *testing.T) {
	f := without(namespaceFails(notFound("namespaces", "shop")), dryRunFails(notFound("namespaces", "shop")))
	err := Failed(Evaluate(f))
	var failed *FailedError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v", err)
	}
	want := "preflight failed: namespace: there is no namespace shop; linkerd-installed: the cluster has none of the API groups linkerd.io, policy.linkerd.io"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestAnUnreachableServerSkipsEveryOtherCheck(t *testing.T) {
	results := Evaluate(healthy(func(f *Facts) { f.Version.Err = unauthorized() }))
	for _, r := range results {
		want := StatusSkipped
		if r.ID == apiReachable {
			want = StatusFail
		}
		if r.Status != want {
			t.Errorf("%s: got %s, want %s", r.ID, r.Status, want)
		}
	}
}

func TestEvaluateIsPure(t *testing.T) {
	f := healthy(comesBackBare, func(f *Facts) { f.Namespace.Value.Annotations = map[string]string{injectAnnotation: "yes"} })
	before := fmt.Sprintf("%+v", f)
	first := fmt.Sprintf("%+v", Evaluate(f))
	for range 20 {
		if got := fmt.Sprintf("%+v", Evaluate(f)); got != first {
			t.Fatalf("two answers to the same facts:\n%s\n%s", first, got)
		}
	}
	if after := fmt.Sprintf("%+v", f); after != before {
		t.Errorf("the facts were changed:\n%s\n%s", before, after)
	}
}

func TestInstallRemediesNameBothCommands(t *testing.T) {
	got := strings.Join(resultOf(t, Evaluate(without()), linkerdInstalled).Remedy, "\n")
	for _, want := range []string{"linkerd install --crds | kubectl apply -f -", "linkerd install | kubectl apply -f -", "Gateway API", "--mesh none"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
}

func TestParseMesh(t *testing.T) {
	for _, m := range []Mesh{MeshLinkerd, MeshNone} {
		if got, err := ParseMesh(string(m)); err != nil || got != m {
			t.Errorf("%s: got %s, %v", m, got, err)
		}
	}
	if _, err := ParseMesh("istio"); err == nil || err.Error() != `unknown mesh "istio": it is linkerd or none` {
		t.Errorf("got %v", err)
	}
}
