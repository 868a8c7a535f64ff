package cmd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
)

// stuckFolder is a folder exported by Jina whose StatefulSet is as the folder says and waits for its broken pod of another revision.
func stuckFolder(t *testing.T) (c *testcluster.Cluster, typed kubernetes.Interface, ns, dir string, at []string) {
	t.Helper()
	t.Setenv("JINA_K8S_STORAGE_CLASS_NAME", "simulated")
	c, typed, ns, dir, at = exported(t, "{jtype: Flow, executors: [{name: store, uses: docker://registry.example/store:1, volumes: [/data]}]}")
	must(t, codeOK, append([]string{"up", "-f", dir, "--mesh", "none"}, at...)...)
	good := podOf(t, typed, ns, "store-0")
	templateAnnotation(t, typed, ns, `"1000h"`)
	testcluster.Eventually(t, func() error {
		pod, err := typed.CoreV1().Pods(ns).Get(t.Context(), "store-0", metav1.GetOptions{})
		if err == nil && pod.UID == good.UID {
			err = fmt.Errorf("%s is not replaced yet", pod.Name)
		}
		return err
	})
	templateAnnotation(t, typed, ns, "null")
	return c, typed, ns, dir, at
}

// templateAnnotation makes a revision of the StatefulSet whose pods become ready after some time.
func templateAnnotation(t *testing.T, typed kubernetes.Interface, ns, readyAfter string) {
	t.Helper()
	patch := `{"spec":{"template":{"metadata":{"annotations":{"sim.test/ready-after":` + readyAfter + `}}}}}`
	if _, err := typed.AppsV1().StatefulSets(ns).Patch(t.Context(), "store", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, func() error {
		s, err := typed.AppsV1().StatefulSets(ns).Get(t.Context(), "store", metav1.GetOptions{})
		if err == nil && s.Status.ObservedGeneration < s.Generation {
			err = fmt.Errorf("the controller has seen generation %d of %d", s.Status.ObservedGeneration, s.Generation)
		}
		return err
	})
}

func podOf(t *testing.T, typed kubernetes.Interface, ns, name string) *corev1.Pod {
	t.Helper()
	pod, err := typed.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func TestStuckStatefulSetIsRepairedByTheNextUpAsItsPlanSays(t *testing.T) {
	_, typed, ns, dir, at := stuckFolder(t)
	broken := podOf(t, typed, ns, "store-0")
	r := must(t, codeChanges, append([]string{"plan", "-f", dir, "--exit-code"}, at...)...)
	inOrder(t, r.out, "~ update StatefulSet/store  (pod store-0 of an earlier revision is not ready", "Plan: 1 to update")
	r = must(t, codeOK, append([]string{"plan", "-f", dir, "-o", "json"}, at...)...)
	inOrder(t, r.out, `"repairPods": [`, `"name": "store-0"`, `"uid": "`+string(broken.UID)+`"`)
	must(t, codeOK, append([]string{"up", "-f", dir, "--mesh", "none"}, at...)...)
	if pod := podOf(t, typed, ns, "store-0"); pod.UID == broken.UID {
		t.Error("the broken pod is still there")
	}
	if r = must(t, codeOK, append([]string{"up", "-f", dir, "--mesh", "none"}, at...)...); !strings.Contains(r.errOut, "Nothing to do") {
		t.Errorf("up of a repaired folder:\n%s", r.errOut)
	}
}

// TestRightToDeletePodsIsNeededWhereABrokenOneIsInTheWay takes the right away that TestUpNeedsEachRightOfItsRoleAndNoOther has no
// use for.
func TestRightToDeletePodsIsNeededWhereABrokenOneIsInTheWay(t *testing.T) {
	c, typed, ns, dir, _ := stuckFolder(t)
	broken := podOf(t, typed, ns, "store-0")
	u := newTenant(t, c, typed, ns)
	rules, _ := printedRules(t, "up")
	u.grant(t, withoutDeletingPods(singleRules(rules)))
	r := u.run(t, "up", "-f", dir, "--mesh", "none")
	if want := "in namespace " + ns + " the user may not delete pods"; r.code != codePreflight || !strings.Contains(r.errOut, want) {
		t.Errorf("exit code %d, not %q:\n%s", r.code, want, r.errOut)
	}
	if events := u.written(t); len(events) > 0 {
		t.Errorf("written: %v", events)
	}
	u.grant(t, rules)
	if r := u.run(t, "up", "-f", dir, "--mesh", "none"); r.code != codeOK {
		t.Errorf("exit code %d\n%s", r.code, r.errOut)
	}
	if pod := podOf(t, typed, ns, "store-0"); pod.UID == broken.UID {
		t.Error("the broken pod is still there")
	}
}

func withoutDeletingPods(singles []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	return slices.DeleteFunc(singles, func(r rbacv1.PolicyRule) bool { return r.Verbs[0] == "delete" && r.Resources[0] == "pods" })
}

// repair makes up delete a broken pod, in a namespace of its own.
func (r *recorder) repair(t *testing.T) {
	t.Helper()
	_, _, _, dir, _ := stuckFolder(t)
	r.run(t, meshcheck.CommandPlan, codeOK, "-f", dir)
	r.run(t, meshcheck.CommandUp, codeOK, "-f", dir, "--mesh", "none")
}
