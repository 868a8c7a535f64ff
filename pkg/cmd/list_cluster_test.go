package cmd

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

func TestListHasTheFlowsOfANamespaceAndOfAll(t *testing.T) {
	c, client, ns, at := clusterForTest(t)
	r := must(t, codeOK, append([]string{"list"}, at...)...)
	if r.out != "" || !strings.Contains(r.errOut, "no Flow in namespace "+ns) {
		t.Errorf("of nothing: %q, %q", r.out, r.errOut)
	}
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, logsFlow)}, at...)...)
	r = must(t, codeOK, append([]string{"list"}, at...)...)
	if !regexp.MustCompile(`^NAME +READY +STATUS +GATEWAY +AGE +TOOLING\nshop +5/5 +healthy +1/1 +\S+ +` + regexp.QuoteMeta(Version) + `\n$`).MatchString(r.out) {
		t.Errorf("got:\n%s", r.out)
	}
	if err := client.AppsV1().Deployments(ns).Delete(t.Context(), "encoder", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	all := must(t, codeOK, "list", "-A", "-o", "wide", "--kubeconfig", c.Kubeconfig()).out
	if !regexp.MustCompile(`(?m)^` + ns + ` +shop +4/5 +not healthy +1/1 +\S+ +\S+ +encoder$`).MatchString(all) {
		t.Errorf("got:\n%s", all)
	}
	if names := must(t, codeOK, "list", "-A", "-o", "name", "--kubeconfig", c.Kubeconfig()).out; !slices.Contains(strings.Split(names, "\n"), ns+"/shop") {
		t.Errorf("got:\n%s", names)
	}
	var list listedFlows
	if err := json.Unmarshal([]byte(must(t, codeOK, append([]string{"list", "-o", "json"}, at...)...).out), &list); err != nil ||
		len(list.Flows) != 1 || list.Flows[0].Healthy || !slices.Equal(list.Flows[0].NotHealthy, []string{"encoder"}) {
		t.Errorf("got %+v, %v", list, err)
	}
}

func TestListCostsTheSameHoweverManyFlows(t *testing.T) {
	c, _, ns, at := clusterForTest(t)
	lists := func() int {
		return len(c.AuditEvents(t, func(e testcluster.Event) bool { return e.Namespace == ns && e.Verb == "list" }))
	}
	var costs []int
	for _, name := range []string{"first", "second", "third"} {
		file := flowFileIn(t, "jtype: Deployment\nwith: {name: "+name+", uses: docker://registry.example/x:1}\n")
		must(t, codeOK, append([]string{"up", "-f", file}, at...)...)
		before := lists()
		if out := must(t, codeOK, append([]string{"list"}, at...)...).out; !strings.Contains(out, name) {
			t.Errorf("%s is missing:\n%s", name, out)
		}
		costs = append(costs, lists()-before)
	}
	// Flows, Deployments, StatefulSets, replica sets and pods.
	if !slices.Equal(costs, []int{5, 5, 5}) {
		t.Errorf("the lists cost %v requests", costs)
	}
}

func TestListOfAllNamespacesSaysWhichRightIsMissing(t *testing.T) {
	c, admin, ns, _ := clusterForTest(t)
	u := newTenant(t, c, admin, ns)
	r := run(t.Context(), "list", "-A", "--kubeconfig", u.kubeconfig)
	if r.code != codeError || !strings.Contains(r.errOut, `cannot list resource "configmaps"`) || !strings.Contains(r.errOut, "-A needs it in all namespaces") {
		t.Errorf("exit code %d\n%s", r.code, r.errOut)
	}
}
