package cmd

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
)

// rightsFlow has workloads of each kind that are to stay, to be scaled, and to leave.
const rightsFlow = `jtype: Flow
with: {name: shop}
executors:
  - name: encoder
    uses: docker://registry.example/enc:1
    replicas: 2
  - name: store
    uses: docker://registry.example/store:1
    replicas: 1
    volumes: [/data]
  - name: index
    uses: docker://registry.example/index:1
    volumes: [/data]
  - name: old_ranker
    uses: docker://registry.example/rank:1
  - name: old_store
    uses: docker://registry.example/store:1
    volumes: [/data]
`

// changedFlow makes up do everything that a right is for: create, change, delete, recreate, and set replicas that were scaled.
func changedFlow() string {
	return strings.NewReplacer("replicas: 2", "replicas: 4", "replicas: 1", "replicas: 2", "index:1\n    volumes: [/data]", "index:1\n    volumes: [/data, /more]", "old_", "new_").Replace(rightsFlow)
}

// tenant is a user who has nothing but a Role, which the tests change.
type tenant struct {
	cluster    *testcluster.Cluster
	admin      kubernetes.Interface
	own        kubernetes.Interface
	name       string
	kubeconfig string
	namespace  string
}

// newTenant binds the Role kubectl-jina-test, which there is not yet, to a new user.
func newTenant(t *testing.T, c *testcluster.Cluster, admin kubernetes.Interface, namespace string) *tenant {
	t.Helper()
	u := &tenant{cluster: c, admin: admin, name: "tenant-of-" + namespace, namespace: namespace}
	u.join(t)
	return u
}

// join makes the user, and binds the Role to it.
func (u *tenant) join(t *testing.T) {
	t.Helper()
	u.kubeconfig = u.cluster.User(t, u.name)
	config, err := clientcmd.BuildConfigFromFlags("", u.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.UserAgent = "rbac-test"
	if u.own, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	_, err = u.admin.RbacV1().RoleBindings(u.namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "kubectl-jina-test-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "kubectl-jina-test"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: u.name}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// singleRules takes rules apart: one verb on one resource each.
func singleRules(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var singles []rbacv1.PolicyRule
	for _, r := range rules {
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					singles = append(singles, rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}})
				}
			}
		}
	}
	return singles
}

// grant gives the tenant exactly the rules, and waits until the API server goes by them.
func (u *tenant) grant(t *testing.T, rules []rbacv1.PolicyRule) {
	t.Helper()
	roles := u.admin.RbacV1().Roles(u.namespace)
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "kubectl-jina-test"}, Rules: rules}
	_, err := roles.Update(t.Context(), role, metav1.UpdateOptions{})
	if err != nil {
		_, err = roles.Create(t.Context(), role, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	names := func(verbs, groups, resources []string) string { return fmt.Sprint(verbs, groups, resources) }
	var want []string
	for _, r := range rules {
		want = append(want, names(r.Verbs, r.APIGroups, r.Resources))
	}
	slices.Sort(want)
	testcluster.Eventually(t, func() error {
		review, err := u.own.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), &authorizationv1.SelfSubjectRulesReview{
			Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: u.namespace},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		var got []string
		for _, r := range review.Status.ResourceRules {
			// Every user has those about oneself.
			if !slices.Contains(r.APIGroups, "authorization.k8s.io") && !slices.Contains(r.APIGroups, "authentication.k8s.io") {
				got = append(got, names(r.Verbs, r.APIGroups, r.Resources))
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Errorf("the rules are %v, want %v", got, want)
		}
		return nil
	})
}

// run runs the command line as the tenant.
func (u *tenant) run(t *testing.T, args ...string) result {
	t.Helper()
	return run(t.Context(), append(args, "--kubeconfig", u.kubeconfig, "-n", u.namespace)...)
}

// written are the tenant's requests that changed something.
func (u *tenant) written(t *testing.T) []testcluster.Event {
	t.Helper()
	return u.cluster.AuditEvents(t, func(e testcluster.Event) bool { return e.User == u.name && e.Persisted() })
}

// printedRules are those of the Roles that check --print-rbac prints for a command.
func printedRules(t *testing.T, command string) (required, optional []rbacv1.PolicyRule) {
	t.Helper()
	roles := rolesIn(t, must(t, codeOK, "check", "--print-rbac="+command, "-n", "any").out)
	if len(roles) > 1 {
		optional = roles[1].Rules
	}
	return roles[0].Rules, optional
}

// mustFailWithoutEach takes each of the rules away in turn, and holds that the command then fails, names what is missing, and has
// written nothing.
func (u *tenant) mustFailWithoutEach(t *testing.T, rules []rbacv1.PolicyRule, code func(verb, resource string) int, args ...string) {
	t.Helper()
	singles := singleRules(rules)
	for i, missing := range singles {
		verb, resource := missing.Verbs[0], missing.Resources[0]
		t.Run(verb+" "+resource, func(t *testing.T) {
			u.grant(t, slices.Delete(slices.Clone(singles), i, i+1))
			r := u.run(t, args...)
			if want := code(verb, resource); r.code != want {
				t.Errorf("exit code %d, want %d\n%s%s", r.code, want, r.out, r.errOut)
			}
			names := fmt.Sprintf("in namespace %s the user may not %s %s", u.namespace, verb, targetOf(missing))
			if r.code == codeError {
				names = fmt.Sprintf("cannot %s resource %q in API group %q in the namespace %q", verb, resource, missing.APIGroups[0], u.namespace)
			}
			if !strings.Contains(r.errOut, names) {
				t.Errorf("%q is not said:\n%s", names, r.errOut)
			}
			if events := u.written(t); len(events) > 0 {
				t.Errorf("written without the right to %s %s: %v", verb, resource, events)
			}
		})
		if t.Failed() && len(u.written(t)) > 0 {
			t.Fatal("the rest would fail for that")
		}
	}
}

// targetOf a rule about one resource is the resource with its group, as the checks name it.
func targetOf(r rbacv1.PolicyRule) string {
	name, subresource, _ := strings.Cut(r.Resources[0], "/")
	return meshcheck.Permission{Group: r.APIGroups[0], Resource: name, Subresource: subresource}.Target()
}

// rightsCase is a Flow that an administrator has brought up, and a tenant.
func rightsCase(t *testing.T) (u *tenant, file string, at []string) {
	t.Helper()
	c, admin, ns, at := clusterForTest(t)
	t.Setenv("JINA_K8S_STORAGE_CLASS_NAME", "simulated")
	file = flowFileIn(t, rightsFlow)
	must(t, codeOK, append([]string{"up", "-f", file}, at...)...)
	return newTenant(t, c, admin, ns), file, at
}

func TestUpNeedsEachRightOfItsRoleAndNoOther(t *testing.T) {
	u, file, at := rightsCase(t)
	must(t, codeOK, append([]string{"scale", "encoder", "store", "--replicas", "3"}, at...)...)
	if err := os.WriteFile(file, []byte(changedFlow()), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, optional := printedRules(t, "up")
	preflight := func(string, string) int { return codePreflight }
	u.mustFailWithoutEach(t, withoutDeletingPods(singleRules(rules)), preflight, "up", "-f", file, "--yes", "--recreate")

	u.grant(t, rules)
	if r := u.run(t, "plan", "-f", file, "--exit-code"); r.code != codeChanges {
		t.Errorf("plan: exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	if events := u.written(t); len(events) > 0 {
		t.Errorf("plan wrote: %v", events)
	}
	r := u.run(t, "up", "-f", file, "--yes", "--recreate")
	if r.code != codeOK {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	for _, want := range []string{
		"unknown  linkerd-injection: forbidden: needs create pods in namespace " + u.namespace,
		"list horizontalpodautoscalers.autoscaling", "else only one that has is seen",
		"else it is polled every two seconds",
	} {
		if !strings.Contains(r.errOut, want) {
			t.Errorf("%q is not said:\n%s", want, r.errOut)
		}
	}
	d := deployment(t, u.admin, u.namespace, "encoder")
	if *d.Spec.Replicas != 4 {
		t.Errorf("encoder has %d replicas", *d.Spec.Replicas)
	}

	u.grant(t, slices.Concat(rules, optional))
	r = u.run(t, "up", "-f", file)
	if r.code != codeOK || strings.Contains(r.errOut, "warn") || strings.Contains(r.errOut, "unknown") {
		t.Errorf("with the optional rights: exit code %d\n%s", r.code, r.errOut)
	}
	if _, err := u.admin.AppsV1().Deployments(u.namespace).Get(t.Context(), "old-ranker", metav1.GetOptions{}); err == nil {
		t.Error("old-ranker was not deleted")
	}
}

func TestScaleNeedsEachRightOfItsRoleAndNoOther(t *testing.T) {
	u, _, _ := rightsCase(t)
	rules, _ := printedRules(t, "scale")
	u.mustFailWithoutEach(t, rules, afterReading("scale"), "scale", "encoder", "store", "--replicas", "3")

	u.grant(t, rules)
	r := u.run(t, "scale", "encoder", "store", "--replicas", "3")
	if r.code != codeOK {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	if want := fmt.Sprintf("not allowed to watch deployments in namespace %q", u.namespace); !strings.Contains(r.errOut, want) {
		t.Errorf("%q is not said:\n%s", want, r.errOut)
	}
}

func TestRestartNeedsEachRightOfItsRoleAndNoOther(t *testing.T) {
	u, _, _ := rightsCase(t)
	rules, _ := printedRules(t, "restart")
	u.mustFailWithoutEach(t, rules, afterReading("restart"), "restart", "encoder", "store")

	u.grant(t, rules)
	if r := u.run(t, "restart", "encoder", "store"); r.code != codeOK {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
}

func TestPauseAndResumeNeedEachRightOfTheirRolesAndNoOther(t *testing.T) {
	u, _, at := rightsCase(t)
	rules, _ := printedRules(t, "pause")
	u.mustFailWithoutEach(t, rules, afterReading("pause"), "pause")
	u.grant(t, rules)
	r := u.run(t, "pause")
	if r.code != codeOK {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	for _, want := range []string{
		fmt.Sprintf("not allowed to watch pods in namespace %q", u.namespace),
		"warning: the right to list horizontalpodautoscalers.autoscaling in namespace " + u.namespace + " is missing",
	} {
		if strings.Count(r.errOut, want) == 0 {
			t.Errorf("%q is not said:\n%s", want, r.errOut)
		}
	}

	// Another tenant, who has written nothing yet.
	v := &tenant{cluster: u.cluster, admin: u.admin, name: u.name + "-too", namespace: u.namespace}
	v.join(t)
	rules, _ = printedRules(t, "resume")
	v.mustFailWithoutEach(t, rules, afterReading("resume"), "resume")
	v.grant(t, rules)
	if r := v.run(t, "resume"); r.code != codeOK {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	must(t, codeOK, append([]string{"status", "--exit-code"}, at...)...)
}

// afterReading is the exit code of a command that first reads what there is: a read that is forbidden is an error like any
// other, and what it needs besides is checked then.
func afterReading(command string) func(verb, resource string) int {
	return func(verb, resource string) int {
		reads := []string{"get configmaps", "list configmaps", "list deployments", "list statefulsets"}
		if command == "down" {
			reads = append(reads, "list services")
		}
		if slices.Contains(reads, verb+" "+resource) {
			return codeError
		}
		return codePreflight
	}
}

func TestStatusNeedsEachRightOfItsRoleAndNoOther(t *testing.T) {
	u, _, _ := rightsCase(t)
	rules, _ := printedRules(t, "status")
	u.mustFailWithoutEach(t, rules, func(string, string) int { return codeError }, "status")

	u.grant(t, rules)
	r := u.run(t, "status", "--exit-code")
	if r.code != codeOK || !strings.Contains(r.out, "Not allowed to list pods and replicasets") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	out, errOut, stop := background(t, "status", "--watch", "--kubeconfig", u.kubeconfig, "-n", u.namespace)
	eventuallyPrinted(t, out, ": healthy, 6 of 6 workloads ready")
	eventuallyPrinted(t, errOut, "not allowed to watch deployments in namespace")
	if code := stop(); code != codeInterrupted {
		t.Errorf("watched: exit code %d", code)
	}
}

func TestListNeedsEachRightOfItsRoleAndNoOther(t *testing.T) {
	u, _, _ := rightsCase(t)
	rules, optional := printedRules(t, "list")
	u.mustFailWithoutEach(t, rules, func(string, string) int { return codeError }, "list")

	u.grant(t, rules)
	r := u.run(t, "list")
	if r.code != codeOK || !strings.Contains(r.out, "shop") || !strings.Contains(r.errOut, "not allowed to list pods and replicasets") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	u.grant(t, slices.Concat(rules, optional))
	if r := u.run(t, "list"); r.code != codeOK || r.errOut != "" {
		t.Errorf("with the optional rights: exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
}

func TestLogsNeedEachRightOfTheirRoleAndNoOther(t *testing.T) {
	u, _, _ := rightsCase(t)
	rules, _ := printedRules(t, "logs")
	u.mustFailWithoutEach(t, rules, func(string, string) int { return codeError }, "logs")

	u.grant(t, rules)
	if r := u.run(t, "logs", "encoder"); r.code != codeOK || r.out == "" || r.errOut != "" {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	// Without the right to watch, new pods are looked for.
	out, errOut, stop := background(t, "logs", "encoder", "-f", "--kubeconfig", u.kubeconfig, "-n", u.namespace)
	eventuallyPrinted(t, out, "encoder ")
	eventuallyPrinted(t, errOut, "not allowed to watch pods in namespace")
	if code := stop(); code != codeInterrupted {
		t.Errorf("exit code %d", code)
	}
}

func TestPingNeedsEachRightOfItsRoleAndNoOther(t *testing.T) {
	u, _, _ := rightsCase(t)
	rules, _ := printedRules(t, "ping")
	u.mustFailWithoutEach(t, rules, afterReading("ping"), "ping")

	u.grant(t, rules)
	if r := u.run(t, "ping"); r.code != codeOK || r.errOut != "" {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
}

func TestPortForwardNeedsEachRightOfItsRoleAndNoOther(t *testing.T) {
	u, _, _ := rightsCase(t)
	rules, _ := printedRules(t, "port-forward")
	u.mustFailWithoutEach(t, rules, afterReading("port-forward"), "port-forward", ":8080")

	u.grant(t, rules)
	_, errOut, stop := background(t, "port-forward", ":8080", "--kubeconfig", u.kubeconfig, "-n", u.namespace)
	eventuallyPrinted(t, errOut, "connected to pod gateway-")
	if code := stop(); code != codeOK {
		t.Errorf("exit code %d", code)
	}
}

func TestDownNeedsEachRightOfItsRoleAndNoOther(t *testing.T) {
	u, _, _ := rightsCase(t)
	rules, _ := printedRules(t, "down")
	u.mustFailWithoutEach(t, rules, afterReading("down"), "down", "--yes")

	u.grant(t, rules)
	if r := u.run(t, "down", "--yes"); r.code != codeOK {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	maps, err := u.admin.CoreV1().ConfigMaps(u.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "jina.ai/flow"})
	leases, more := u.admin.CoordinationV1().Leases(u.namespace).List(t.Context(), metav1.ListOptions{})
	if err = errors.Join(err, more); err != nil || len(maps.Items)+len(leases.Items) > 0 {
		t.Errorf("%d ConfigMaps and %d Leases are left, %v", len(maps.Items), len(leases.Items), err)
	}
}
