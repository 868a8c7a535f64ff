package cmd

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

func TestCheckOfAHealthyClusterPasses(t *testing.T) {
	c := testcluster.Start(t)
	ns := c.Namespace(t)
	r := must(t, 0, "check", "--kubeconfig", c.Kubeconfig(), "-n", ns, "--strict")
	for _, want := range []string{
		"Kubernetes\n  pass     api-reachable ", "  pass     permissions ", "Mesh\n  pass     linkerd-installed ",
		"  pass     linkerd-injection ", "8 checks: 7 passed, 1 skipped\n",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is not in\n%s", want, r.out)
		}
	}
	if r.errOut != "" {
		t.Errorf("on standard error: %s", r.errOut)
	}
}

func TestCheckWithoutAMeshFailsAndSaysHowToGoOn(t *testing.T) {
	c := testcluster.Start(t)
	ns := c.NamespaceWithoutMesh(t)
	file := flowFileIn(t, shopFlow)
	r := must(t, 4, "check", "--kubeconfig", c.Kubeconfig(), "-n", ns, "-f", file)
	if !strings.Contains(r.out, "  FAIL     linkerd-injection ") || !strings.Contains(r.out, "--mesh none") {
		t.Errorf("got\n%s", r.out)
	}
	if !strings.HasPrefix(r.errOut, "error: preflight failed: linkerd-injection: ") || strings.Count(r.errOut, "\n") != 1 {
		t.Errorf("standard error is not one line: %q", r.errOut)
	}

	r = must(t, 0, "check", "--kubeconfig", c.Kubeconfig(), "-n", ns, "-f", file, "--mesh", "none")
	if !strings.Contains(r.out, "the replicas of encoder will not share the load") {
		t.Errorf("the price is not told:\n%s", r.out)
	}
	must(t, 4, "check", "--kubeconfig", c.Kubeconfig(), "-n", ns, "-f", file, "--mesh", "none", "--strict")
}

func TestCheckAsJSON(t *testing.T) {
	c := testcluster.Start(t)
	r := must(t, 4, "check", "--kubeconfig", c.Kubeconfig(), "-n", "no-such-namespace", "-o", "json")
	var report struct {
		Namespace, Server, Mesh, Verdict string
		Checks                           []struct {
			ID, Group, Title, Status, Detail, Docs string
			Remedy                                 []string
		}
	}
	d := json.NewDecoder(strings.NewReader(r.out))
	if err := d.Decode(&report); err != nil {
		t.Fatalf("%v\n%s", err, r.out)
	}
	if report.Namespace != "no-such-namespace" || report.Mesh != "linkerd" || report.Verdict != "fail" || report.Server == "" {
		t.Errorf("got %+v", report)
	}
	for _, got := range report.Checks {
		if got.ID == "" || got.Group == "" || got.Title == "" || got.Detail == "" || !strings.HasSuffix(got.Docs, "#"+got.ID) {
			t.Errorf("incomplete: %+v", got)
		}
		if got.ID == "namespace" && (got.Status != "fail" || got.Remedy[0] != "make it: kubectl create namespace no-such-namespace, or up --create-namespace") {
			t.Errorf("got %+v", got)
		}
	}
	if len(report.Checks) != 8 {
		t.Errorf("%d checks", len(report.Checks))
	}
}

func TestCheckAsAStrangerNamesTheMissingRights(t *testing.T) {
	c := testcluster.Start(t)
	ns := c.Namespace(t)
	r := must(t, 4, "check", "--kubeconfig", c.User(t, "stranger-to-"+ns), "-n", ns)
	if !strings.Contains(r.out, "in namespace "+ns+" the user may not get, list, create, patch configmaps") {
		t.Errorf("got\n%s", r.out)
	}
}

func TestCheckRefusesWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"check", "--mesh", "istio"}, {"check", "-o", "yaml"}, {"check", "gateway"}, {"check", "--name", "shop"}, {"check", "--no-such-flag"},
	} {
		r := must(t, 64, args...)
		if strings.Count(r.errOut, "\n") != 1 || r.out != "" {
			t.Errorf("%v: not one line: %s%s", args, r.out, r.errOut)
		}
	}
}
