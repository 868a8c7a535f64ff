package cmd

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
)

// usedRight is a right that a request needed.
type usedRight struct {
	verb        string
	resource    schema.GroupResource
	subresource string
	scope       meshcheck.Scope
}

func (u usedRight) String() string {
	p := meshcheck.Permission{Group: u.resource.Group, Resource: u.resource.Resource, Subresource: u.subresource}
	return fmt.Sprintf("%s %s in %s", u.verb, p.Target(), u.scope)
}

// rightsOf are what the API server asked its authorizer about a request.
func rightsOf(e testcluster.Event) []usedRight {
	u := usedRight{e.Verb, schema.GroupResource{Group: e.Group, Resource: e.Resource}, e.Subresource, meshcheck.ScopeNamespace}
	switch {
	case e.Group == "authorization.k8s.io":
		u.scope = meshcheck.ScopeEveryone
	case e.Namespace == "", e.Resource == "namespaces" && e.Verb == "create":
		u.scope = meshcheck.ScopeCluster
	case e.Namespace == "linkerd":
		u.scope = meshcheck.ScopeMesh
	}
	if e.Verb == "patch" && e.Code == http.StatusCreated {
		create := u
		create.verb = "create"
		return []usedRight{u, create}
	}
	return []usedRight{u}
}

// recorder runs commands as a user of its own and remembers which rights each used.
type recorder struct {
	cluster    *testcluster.Cluster
	user       string
	kubeconfig string
	used       map[meshcheck.Command][]usedRight
}

func (r *recorder) run(t *testing.T, command meshcheck.Command, code int, args ...string) {
	t.Helper()
	r.record(t, command, func() {
		must(t, code, append([]string{string(command)}, append(args, "--kubeconfig", r.kubeconfig)...)...)
	})
}

// runUntil runs a command that goes on, until it has printed a text.
func (r *recorder) runUntil(t *testing.T, command meshcheck.Command, text string, args ...string) {
	t.Helper()
	r.record(t, command, func() {
		_, errOut, stop := background(t, append([]string{string(command)}, append(args, "--kubeconfig", r.kubeconfig)...)...)
		eventuallyPrinted(t, errOut, text)
		stop()
	})
}

// record remembers which rights were used meanwhile.
func (r *recorder) record(t *testing.T, command meshcheck.Command, meanwhile func()) {
	t.Helper()
	events := func() []testcluster.Event {
		return r.cluster.AuditEvents(t, func(e testcluster.Event) bool { return e.User == r.user })
	}
	before := len(events())
	meanwhile()
	for _, e := range events()[before:] {
		if e.Resource == "" {
			if path, _, _ := strings.Cut(e.URI, "?"); path != "/version" && path != "/apis" {
				t.Errorf("%s asks for %s, which the table does not allow for", command, path)
			}
			continue
		}
		for _, u := range rightsOf(e) {
			if !slices.Contains(r.used[command], u) {
				r.used[command] = append(r.used[command], u)
			}
		}
	}
}

// TestTheTableOfRightsIsWhatTheCommandsUse holds pkg/meshcheck's table to the API server's audit log, in both directions.
func TestTheTableOfRightsIsWhatTheCommandsUse(t *testing.T) {
	c, admin, ns, _ := clusterForTest(t)
	t.Setenv("JINA_K8S_STORAGE_CLASS_NAME", "simulated")
	r := &recorder{cluster: c, user: "recorder-of-" + ns, used: map[meshcheck.Command][]usedRight{}}
	r.kubeconfig = c.User(t, r.user, "system:masters")
	file := flowFileIn(t, rightsFlow)
	// Somebody has tidied up: the next command has to make the Lease that it works under.
	tidyUp := func() {
		if err := admin.CoordinationV1().Leases(ns).Delete(t.Context(), "jina-shop", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}

	r.run(t, meshcheck.CommandCheck, codeOK, "-n", ns, "-f", file)
	r.run(t, meshcheck.CommandPlan, codeOK, "-n", ns, "-f", file)
	r.run(t, meshcheck.CommandUp, codeOK, "-n", ns, "-f", file)
	r.run(t, meshcheck.CommandStatus, codeOK, "-n", ns)
	r.run(t, meshcheck.CommandList, codeOK, "-n", ns)
	r.run(t, meshcheck.CommandLogs, codeOK, "-n", ns, "encoder")
	r.run(t, meshcheck.CommandPing, codeOK, "-n", ns)
	r.runUntil(t, meshcheck.CommandPortForward, "connected to pod gateway-", "-n", ns, ":8080")
	r.run(t, meshcheck.CommandScale, codeOK, "-n", ns, "encoder", "store", "--replicas", "3")
	r.run(t, meshcheck.CommandRestart, codeOK, "-n", ns, "encoder", "store")
	tidyUp()
	r.run(t, meshcheck.CommandPause, codeOK, "-n", ns)
	tidyUp()
	r.run(t, meshcheck.CommandResume, codeOK, "-n", ns)
	if err := os.WriteFile(file, []byte(changedFlow()), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(t, meshcheck.CommandPlan, codeOK, "-n", ns, "-f", file)
	r.run(t, meshcheck.CommandUp, codeOK, "-n", ns, "-f", file, "--yes", "--recreate")
	// What a failing pod needs to be explained: events, and its log.
	r.fail(t, admin, ns, file)
	tidyUp()
	r.run(t, meshcheck.CommandDown, codeOK, "-n", ns, "--yes")
	r.repair(t)

	made := ns + "-new"
	t.Cleanup(func() {
		if err := admin.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), made, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	r.run(t, meshcheck.CommandUp, codeOK, "-n", made, "-f", file, "--create-namespace", "--mesh", "none", "--wait=false")

	rights := meshcheck.Rights(usualKinds())
	for _, row := range rights {
		for _, u := range all(row) {
			// The one review is for clusters whose authorizer cannot list rights.
			if !r.someUsed(u) && u.resource.Resource != "selfsubjectaccessreviews" {
				t.Errorf("the table has a right that no command used: %s", u)
			}
		}
	}
	for command, used := range r.used {
		for _, u := range used {
			if !slices.ContainsFunc(rights, func(row meshcheck.Right) bool { return row.Needs[command] != "" && gives(row, u) }) {
				t.Errorf("%s used a right that is not in the table: %s", command, u)
			}
		}
	}
	for _, row := range rights {
		for command, need := range row.Needs {
			if need == meshcheck.NeedOptional {
				continue // what is optional depends on how fast a rollout is; it is looked at below
			}
			for _, u := range all(row) {
				if !slices.Contains(r.used[command], u) {
					t.Errorf("the table says that %s needs a right (%s) that no request used: %s", command, need, u)
				}
			}
		}
	}
}

// fail makes up fail at a pod that crashes.
func (r *recorder) fail(t *testing.T, admin kubernetes.Interface, ns, file string) {
	t.Helper()
	crash := []byte(`{"spec":{"template":{"metadata":{"annotations":{"sim.test/scenario":"crashloop","sim.test/crash-after":"200ms","sim.test/backoff":"2s"}}}}}`)
	if _, err := admin.AppsV1().Deployments(ns).Patch(t.Context(), "encoder", types.MergePatchType, crash, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	r.run(t, meshcheck.CommandUp, codeRollout, "-n", ns, "-f", file, "--yes")
}

func (r *recorder) someUsed(u usedRight) bool {
	for _, used := range r.used {
		if slices.Contains(used, u) {
			return true
		}
	}
	return false
}

func gives(row meshcheck.Right, u usedRight) bool { return slices.Contains(all(row), u) }

// all are the rights of a row of the table, one by one.
func all(row meshcheck.Right) []usedRight {
	var rights []usedRight
	for _, resource := range row.Resources {
		for _, verb := range row.Verbs {
			rights = append(rights, usedRight{verb, resource, row.Subresource, row.Scope})
		}
	}
	return rights
}
