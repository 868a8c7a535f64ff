package meshcheck_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
)

// agent is the user agent of the checks' own requests, so that the audit log tells them from the tests'.
const agent = "meshcheck-test/"

// admin makes what a test needs; its requests are not the checks'.
func admin(t *testing.T, c *testcluster.Cluster) kubernetes.Interface {
	t.Helper()
	return clientset(t, c.Config())
}

func clientset(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	k, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// user is a client with the user's own certificate and no right but those of roles.
func user(t *testing.T, c *testcluster.Cluster, name, namespace string, rules ...rbacv1.PolicyRule) *rest.Config {
	t.Helper()
	k := admin(t, c)
	name += "-of-" + namespace
	if len(rules) > 0 {
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
		if _, err := k.RbacV1().Roles(namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
			RoleRef:    rbacv1.RoleRef{Kind: "Role", APIGroup: rbacv1.GroupName, Name: name},
		}
		if _, err := k.RbacV1().RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.User(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// rulesOf are the RBAC rules that give exactly the permissions.
func rulesOf(ps []meshcheck.Permission) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, p := range ps {
		target := p.Resource
		if p.Subresource != "" {
			target += "/" + p.Subresource
		}
		rules = append(rules, rbacv1.PolicyRule{Verbs: []string{p.Verb}, APIGroups: []string{p.Group}, Resources: []string{target}})
	}
	return rules
}

func flowKinds() []schema.GroupKind {
	return []schema.GroupKind{{Kind: "ConfigMap"}, {Kind: "Service"}, {Group: "apps", Kind: "Deployment"}}
}

// check runs all checks as the given user and asserts that nothing is left of them.
func check(t *testing.T, c *testcluster.Cluster, config *rest.Config, r meshcheck.Request) []meshcheck.Result {
	t.Helper()
	config = rest.CopyConfig(config)
	config.UserAgent = agent + r.Namespace
	config.QPS = -1
	facts := meshcheck.Collect(t.Context(), meshcheck.ClientsFor(clientset(t, config)), r)
	if err := facts.Unreachable(); err != nil {
		t.Fatal(err)
	}
	pods, err := admin(t, c).CoreV1().Pods(r.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		t.Errorf("the checks left pod %s", p.Name)
	}
	return meshcheck.Evaluate(facts)
}

func expect(t *testing.T, results []meshcheck.Result, id string, status meshcheck.Status, detail string) {
	t.Helper()
	for _, r := range results {
		if r.ID == id {
			if r.Status != status || !strings.Contains(r.Detail, detail) {
				t.Errorf("%s: got %s: %s\nwant %s: …%s…", id, r.Status, r.Detail, status, detail)
			}
			return
		}
	}
	t.Errorf("no result of %s", id)
}

func patchNamespace(t *testing.T, c *testcluster.Cluster, name, metadata string) {
	t.Helper()
	_, err := admin(t, c).CoreV1().Namespaces().Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":`+metadata+`}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnAdministratorSeesEverythingPass(t *testing.T) {
	c := testcluster.Start(t)
	ns := c.Namespace(t)
	results := check(t, c, c.Config(), meshcheck.Request{
		Namespace: ns, Mesh: meshcheck.MeshLinkerd, Permissions: meshcheck.CheckPermissions(flowKinds()),
	})
	for _, id := range []string{"api-reachable", "api-version", "namespace", "permissions", "linkerd-installed", "linkerd-control-plane"} {
		expect(t, results, id, meshcheck.StatusPass, "")
	}
	expect(t, results, "linkerd-injection", meshcheck.StatusPass, "as a native sidecar")
	if err := meshcheck.Strict(results); err != nil {
		t.Error(err)
	}
}

func TestTheGatewaysOwnTemplateIsWhatIsAdmitted(t *testing.T) {
	c := testcluster.Start(t)
	for _, tt := range []struct {
		name        string
		annotations map[string]string
		host        bool
		status      meshcheck.Status
		detail      string
	}{
		{"ordinary sidecar", map[string]string{"linkerd.io/inject": "enabled", "config.linkerd.io/proxy-enable-native-sidecar": "false"}, false, meshcheck.StatusPass, "as an ordinary container"},
		{"disabled", map[string]string{"linkerd.io/inject": "disabled"}, false, meshcheck.StatusFail, "annotated linkerd.io/inject: disabled"},
		{"invalid", map[string]string{"linkerd.io/inject": "true"}, false, meshcheck.StatusFail, "no valid value"},
		{"not annotated", nil, false, meshcheck.StatusFail, "neither the pod nor the namespace"},
		{"host network", map[string]string{"linkerd.io/inject": "enabled"}, true, meshcheck.StatusFail, "host's network"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template := &corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Annotations: tt.annotations, Labels: map[string]string{"app": "gateway"}},
				Spec: corev1.PodSpec{HostNetwork: tt.host, Containers: []corev1.Container{{
					Name: "gateway", Image: "jinaai/jina:3.34.0", Ports: []corev1.ContainerPort{{ContainerPort: 8080, HostPort: map[bool]int32{true: 8080}[tt.host]}},
				}}},
			}
			results := check(t, c, c.Config(), meshcheck.Request{Namespace: c.Namespace(t), Mesh: meshcheck.MeshLinkerd, Pod: template})
			expect(t, results, "linkerd-injection", tt.status, tt.detail)
		})
	}
}

func TestWhatANamespaceDoesToInjection(t *testing.T) {
	c := testcluster.Start(t)
	quota := func(hard corev1.ResourceList) func(*testing.T, string) {
		return func(t *testing.T, ns string) {
			q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: hard}}
			if _, err := admin(t, c).CoreV1().ResourceQuotas(ns).Create(t.Context(), q, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			// The API server learns of it a moment later.
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "x"}}}}
			testcluster.Eventually(t, func() error {
				_, err := admin(t, c).CoreV1().Pods(ns).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
				if err == nil || !strings.Contains(err.Error(), "quota") || strings.Contains(err.Error(), "status unknown") {
					return fmt.Errorf("the quota is not in force yet: %v", err)
				}
				return nil
			})
		}
	}
	metadata := func(m string) func(*testing.T, string) {
		return func(t *testing.T, ns string) { patchNamespace(t, c, ns, m) }
	}
	for _, tt := range []struct {
		name    string
		prepare func(*testing.T, string)
		status  meshcheck.Status
		detail  string
	}{
		{"annotation invalid", metadata(`{"annotations":{"linkerd.io/inject":"yes"}}`), meshcheck.StatusFail, "namespace is annotated linkerd.io/inject: yes"},
		{"annotation disabled, pod enabled", metadata(`{"annotations":{"linkerd.io/inject":"disabled"}}`), meshcheck.StatusPass, "proxy"},
		{"quota without room", quota(corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}), meshcheck.StatusWarn, "quota"},
		{"quota that demands limits", quota(corev1.ResourceList{corev1.ResourceLimitsMemory: resource.MustParse("1Gi")}), meshcheck.StatusFail, "must specify limits.memory"},
		{"Pod Security baseline", metadata(`{"labels":{"pod-security.kubernetes.io/enforce":"baseline"}}`), meshcheck.StatusFail, `violates PodSecurity "baseline:latest"`},
		{"Pod Security restricted", metadata(`{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}`), meshcheck.StatusFail, `violates PodSecurity "restricted:latest"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := c.Namespace(t)
			tt.prepare(t, ns)
			results := check(t, c, c.Config(), meshcheck.Request{Namespace: ns, Mesh: meshcheck.MeshLinkerd})
			expect(t, results, "linkerd-injection", tt.status, tt.detail)
		})
	}
}

func TestANamespaceOutOfTheInjectorsReachIsNamed(t *testing.T) {
	c := testcluster.Start(t)
	ns := c.NamespaceWithoutMesh(t)
	results := check(t, c, c.Config(), meshcheck.Request{Namespace: ns, Mesh: meshcheck.MeshLinkerd})
	expect(t, results, "linkerd-injection", meshcheck.StatusFail, "labelled config.linkerd.io/admission-webhooks=disabled")
	expect(t, results, "linkerd-control-plane", meshcheck.StatusPass, "")

	results = check(t, c, c.Config(), meshcheck.Request{Namespace: ns, Mesh: meshcheck.MeshNone, MultiReplicaParts: []string{"encoder"}})
	expect(t, results, "linkerd-injection", meshcheck.StatusSkipped, "--mesh none")
	expect(t, results, "replicas-balanced", meshcheck.StatusWarn, "encoder")
	if err := meshcheck.Failed(results); err != nil {
		t.Error(err)
	}
}

// brokenWebhook makes a webhook on pods of one namespace that nobody answers, and refuses them for that.
func brokenWebhook(t *testing.T, c *testcluster.Cluster, name, namespace string) {
	t.Helper()
	nobody, fail, none, timeout := "https://127.0.0.1:1/", admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNone, int32(5)
	configurations := admin(t, c).AdmissionregistrationV1().MutatingWebhookConfigurations()
	_, err := configurations.Create(t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: name, FailurePolicy: &fail, SideEffects: &none, TimeoutSeconds: &timeout,
			AdmissionReviewVersions: []string{"v1"},
			ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &nobody},
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := configurations.Delete(context.WithoutCancel(t.Context()), namespace, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	// The API server learns of a webhook a moment after it was made.
	testcluster.Eventually(t, func() error {
		_, err := admin(t, c).CoreV1().Pods(namespace).Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "p-"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil {
			return errors.New("the webhook is not in force yet")
		}
		return nil
	})
}

func TestWebhooksThatDoNotAnswer(t *testing.T) {
	c := testcluster.Start(t)
	for _, tt := range []struct {
		name   string
		status meshcheck.Status
		detail string
	}{
		{"linkerd-proxy-injector.linkerd.io", meshcheck.StatusFail, "Linkerd's injector does not answer, and no pod can be made"},
		{"policy.example.com", meshcheck.StatusWarn, `failed calling webhook "policy.example.com"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := c.Namespace(t)
			brokenWebhook(t, c, tt.name, ns)
			results := check(t, c, c.Config(), meshcheck.Request{Namespace: ns, Mesh: meshcheck.MeshLinkerd})
			expect(t, results, "linkerd-injection", tt.status, tt.detail)
		})
	}
}

func TestAServiceAccountThatIsMissingIsNamed(t *testing.T) {
	c := testcluster.Start(t)
	results := check(t, c, c.Config(), meshcheck.Request{Namespace: c.Namespace(t), Mesh: meshcheck.MeshLinkerd, Pod: &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"linkerd.io/inject": "enabled"}},
		Spec:       corev1.PodSpec{ServiceAccountName: "robot", Containers: []corev1.Container{{Name: "gateway", Image: "jinaai/jina:3.34.0"}}},
	}})
	expect(t, results, "linkerd-injection", meshcheck.StatusFail, `serviceaccount "robot" not found`)
}

func TestANamespaceThatIsBeingDeletedFails(t *testing.T) {
	c := testcluster.Start(t)
	k, ns := admin(t, c), c.Namespace(t)
	// The finalizer keeps the namespace in that state.
	held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "held", Finalizers: []string{"example.com/hold"}}}
	if _, err := k.CoreV1().ConfigMaps(ns).Create(t.Context(), held, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := k.CoreV1().ConfigMaps(ns).Patch(context.WithoutCancel(t.Context()), "held", types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil {
			t.Error(err)
		}
	})
	if err := k.CoreV1().Namespaces().Delete(t.Context(), ns, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	facts := meshcheck.Collect(t.Context(), meshcheck.ClientsFor(k), meshcheck.Request{Namespace: ns, Mesh: meshcheck.MeshLinkerd})
	results := meshcheck.Evaluate(facts)
	expect(t, results, "namespace", meshcheck.StatusFail, "namespace "+ns+" is being deleted")
	expect(t, results, "linkerd-injection", meshcheck.StatusSkipped, "not there")
	// Whoever may not read the namespace learns it from the dry run's answer.
	facts.Namespace.Err = apierrors.NewForbidden(schema.GroupResource{Resource: "namespaces"}, ns, errors.New("no right"))
	expect(t, meshcheck.Evaluate(facts), "namespace", meshcheck.StatusFail, "is being deleted")
}

func TestAMissingNamespaceFailsAndSkipsInjection(t *testing.T) {
	c := testcluster.Start(t)
	results := check(t, c, c.Config(), meshcheck.Request{Namespace: "nowhere-at-all", Mesh: meshcheck.MeshLinkerd})
	expect(t, results, "namespace", meshcheck.StatusFail, "there is no namespace nowhere-at-all")
	expect(t, results, "linkerd-injection", meshcheck.StatusSkipped, "not there")
}

func TestATenantWithExactlyTheRightsOfUpPasses(t *testing.T) {
	c := testcluster.Start(t)
	ns := c.Namespace(t)
	permissions := append(meshcheck.UpPermissions(flowKinds()), meshcheck.PrunePermissions(flowKinds())...)
	tenant := user(t, c, "tenant", ns, rulesOf(permissions)...)
	results := check(t, c, tenant, meshcheck.Request{Namespace: ns, Mesh: meshcheck.MeshLinkerd, Permissions: permissions})
	expect(t, results, "permissions", meshcheck.StatusPass, "")
	expect(t, results, "namespace", meshcheck.StatusPass, "seen by a dry run")
	expect(t, results, "linkerd-installed", meshcheck.StatusPass, "linkerd.io")
	expect(t, results, "linkerd-injection", meshcheck.StatusPass, "native sidecar")
	expect(t, results, "linkerd-control-plane", meshcheck.StatusUnknown, "needs list pods in namespace linkerd")
	if err := meshcheck.Strict(results); err != nil {
		t.Error(err)
	}

	// The same user has nothing to say elsewhere.
	other := c.Namespace(t)
	results = check(t, c, tenant, meshcheck.Request{Namespace: other, Mesh: meshcheck.MeshLinkerd, Permissions: permissions})
	expect(t, results, "permissions", meshcheck.StatusFail, "in namespace "+other+" the user may not get, list, create, patch, delete configmaps")
}

func TestTheClusterRoleEditHasTheRightsThatTheRemedyPromises(t *testing.T) {
	c := testcluster.Start(t)
	ns := c.Namespace(t)
	name := "editor-of-" + ns
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "jina"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", APIGroup: rbacv1.GroupName, Name: "edit"},
	}
	if _, err := admin(t, c).RbacV1().RoleBindings(ns).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.User(t, name))
	if err != nil {
		t.Fatal(err)
	}
	kinds := append(flowKinds(), schema.GroupKind{Group: "apps", Kind: "StatefulSet"}, schema.GroupKind{Group: "policy", Kind: "PodDisruptionBudget"})
	results := check(t, c, config, meshcheck.Request{Namespace: ns, Mesh: meshcheck.MeshLinkerd, Permissions: meshcheck.CheckPermissions(kinds)})
	expect(t, results, "permissions", meshcheck.StatusPass, "")
	expect(t, results, "namespace", meshcheck.StatusPass, ns)
}

// TestRightsToNamedObjectsAreAskedForOneByOne has the two answers of RBAC that leave a right open: a rule for objects of some
// names, and a role that does not exist.
func TestRightsToNamedObjectsAreAskedForOneByOne(t *testing.T) {
	c := testcluster.Start(t)
	ns := c.Namespace(t)
	config := user(t, c, "named", ns,
		rbacv1.PolicyRule{Verbs: []string{"patch"}, APIGroups: []string{"apps"}, Resources: []string{"deployments/scale"}, ResourceNames: []string{"gateway"}},
		rbacv1.PolicyRule{Verbs: []string{"get", "list"}, APIGroups: []string{""}, Resources: []string{"configmaps", "pods"}},
		rbacv1.PolicyRule{Verbs: []string{"list"}, APIGroups: []string{"apps"}, Resources: []string{"deployments"}},
	)
	scale := meshcheck.ChangePermissions(meshcheck.CommandScale, flowKinds())
	reviews := func() (n int) {
		for _, e := range c.AuditEvents(t, func(e testcluster.Event) bool { return strings.HasPrefix(e.UserAgent, agent+ns) }) {
			if e.Resource == "selfsubjectaccessreviews" {
				n++
			}
		}
		return n
	}
	results := check(t, c, config, meshcheck.Request{Namespace: ns, Mesh: meshcheck.MeshNone, Permissions: scale})
	expect(t, results, "permissions", meshcheck.StatusFail, "the user may not patch deployments.apps/scale")
	if n := reviews(); n != 1 {
		t.Errorf("%d access reviews, want one, of the right to objects of some names", n)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "dangling"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "named-of-" + ns}},
		RoleRef:    rbacv1.RoleRef{Kind: "Role", APIGroup: rbacv1.GroupName, Name: "no-such-role"},
	}
	if _, err := admin(t, c).RbacV1().RoleBindings(ns).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, func() error {
		before := reviews()
		results := check(t, c, config, meshcheck.Request{Namespace: ns, Mesh: meshcheck.MeshNone, Permissions: scale})
		expect(t, results, "permissions", meshcheck.StatusFail, "the user may not patch deployments.apps/scale")
		if n := reviews() - before; n < 2 {
			return fmt.Errorf("%d access reviews of what is not listed", n)
		}
		return nil
	})
}

func TestADryRunThatIsForbiddenLeavesInjectionOpen(t *testing.T) {
	c := testcluster.Start(t)
	ns := c.NamespaceWithoutMesh(t)
	permissions := meshcheck.UpPermissions(flowKinds())
	var granted []meshcheck.Permission
	for _, p := range permissions {
		if !p.Optional {
			granted = append(granted, p)
		}
	}
	results := check(t, c, user(t, c, "no-pods", ns, rulesOf(granted)...),
		meshcheck.Request{Namespace: ns, Mesh: meshcheck.MeshLinkerd, Permissions: permissions})
	expect(t, results, "linkerd-injection", meshcheck.StatusUnknown, "needs create pods in namespace "+ns)
	expect(t, results, "namespace", meshcheck.StatusUnknown, "needs get namespaces")
	expect(t, results, "permissions", meshcheck.StatusWarn, "the user may not list horizontalpodautoscalers.autoscaling; list, watch replicasets.apps; list, watch events; get pods/log; watch deployments.apps; watch, create pods; create pods/portforward (needed to leave")
	if err := meshcheck.Failed(results); err != nil {
		t.Errorf("what is not known has failed: %v", err)
	}
}

func TestChecksPersistNothing(t *testing.T) {
	c := testcluster.Start(t)
	ns := c.Namespace(t)
	check(t, c, c.Config(), meshcheck.Request{
		Namespace: ns, Mesh: meshcheck.MeshLinkerd, Permissions: meshcheck.CheckPermissions(flowKinds()),
	})
	events := c.AuditEvents(t, func(e testcluster.Event) bool { return strings.HasPrefix(e.UserAgent, agent+ns) })
	var reviews, dryRuns int
	for _, e := range events {
		switch {
		case e.Persisted():
			t.Errorf("a write: %s", e)
		case e.Group == "authorization.k8s.io":
			reviews++
		case e.Verb == "create" && e.Resource == "pods" && e.DryRun && e.Code == 201:
			dryRuns++
		}
	}
	if reviews != 1 || dryRuns != 1 {
		t.Errorf("the audit log has %d reviews and %d dry runs of pods, want one of each: %v", reviews, dryRuns, events)
	}
}
