package apply

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// TestKubectlRefusesOurSetAndListsItsMembers shows C18 with kubectl's own code.
func TestKubectlRefusesOurSetAndListsItsMembers(t *testing.T) {
	f := newFixture(t)
	f.up(t, append(f.configMaps(t, 2), f.object(t, deploymentYAML), f.object(t, serviceYAML)), plan.CompareOptions{})
	out, err := f.kubectl(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: theirs}}", []string{"KUBECTL_APPLYSET=true"},
		"apply", "--server-side", "--applyset=configmaps/jina-f", "--prune", "-f", "-")
	if err == nil || !strings.Contains(out, `is managed by tooling "kubectl-jina" instead of "kubectl"`) {
		t.Errorf("kubectl did not refuse: %v\n%s", err, out)
	}
	got := strings.Fields(f.mustKubectl(t, "", "get", "configmaps,deployments,services", "-l", plan.LabelPartOfSet+"="+f.set.ID(), "-o", "name"))
	want := []string{"configmap/c0", "configmap/c1", "deployment.apps/d", "service/s"}
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestSetThatKubectlMadeIsRefused shows C18 the other way round.
func TestSetThatKubectlMadeIsRefused(t *testing.T) {
	f := newFixture(t)
	f.mustKubectl(t, "", "create", "configmap", "jina-f")
	parent := f.live(t, "ConfigMap", "jina-f")
	parent.SetLabels(map[string]string{labelSetID: f.set.ID()})
	parent.SetAnnotations(map[string]string{AnnotationTooling: "kubectl/v1.37", annotationGroupKinds: "ConfigMap"})
	r, err := f.resource(f.set.ParentRef())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Update(t.Context(), parent, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = f.Read(t.Context(), f.set, f.configMaps(t, 1), plan.CompareOptions{})
	var conflict *ConflictError
	if !errors.As(err, &conflict) || !strings.Contains(err.Error(), "ConfigMap/jina-f") || !strings.Contains(err.Error(), "kubectl/v1.37") {
		t.Errorf("error %v", err)
	}
}

// TestFlowIsSplitInTwo moves objects from one Flow to another: refused, by the first one's name, until that has let go of them.
func TestFlowIsSplitInTwo(t *testing.T) {
	f := newFixture(t)
	all := f.configMaps(t, 4)
	f.up(t, all, plan.CompareOptions{})
	g := fixture{f.Client, Set{Flow: "g", Namespace: f.set.Namespace, Version: "v1"}}
	_, p := g.planWith(t, all[2:], plan.CompareOptions{Force: true})
	if len(p.Conflicts) != 2 || p.Conflicts[0].Field != "" || !strings.Contains(p.Conflicts[0].Owner.Manager, f.set.ID()) && !strings.Contains(p.Conflicts[0].Owner.Manager, `"f"`) {
		t.Errorf("conflicts %+v", p.Conflicts)
	}
	f.up(t, all[:2], plan.CompareOptions{})
	g.up(t, all[2:], plan.CompareOptions{})
	f.unchanged(t, all[:2])
	g.unchanged(t, all[2:])
	_, members, err := f.Members(t.Context(), f.set)
	if err != nil || len(members) != 2 {
		t.Errorf("%d members of f, %v", len(members), err)
	}
}

// TestRenamedExecutorLeavesNothingBehind shows C19: what the file calls by another name is new under it, and gone under the old one.
func TestRenamedExecutorLeavesNothingBehind(t *testing.T) {
	f := newFixture(t)
	f.up(t, []plan.Object{f.object(t, deploymentYAML), f.object(t, serviceYAML)}, plan.CompareOptions{})
	renamed := strings.NewReplacer("name: d}", "name: e}", "app: d", "app: e")
	objects := []plan.Object{f.object(t, renamed.Replace(deploymentYAML)), f.object(t, renamed.Replace(serviceYAML))}
	p := f.up(t, objects, plan.CompareOptions{})
	if d := cmp.Diff([]string{"create Deployment/e", "update Service/s", "prune Deployment/d"}, summary(p)); d != "" {
		t.Error(d)
	}
	if names := f.podNames(t, "app=d"); len(names) > 0 {
		t.Errorf("pods of the old one: %v", names)
	}
	f.unchanged(t, objects)
}

// TestMemberWithAnOwnerIsNotDeleted shows C19: it goes with its owner, and somebody has said so.
func TestMemberWithAnOwnerIsNotDeleted(t *testing.T) {
	f := newFixture(t)
	f.up(t, f.configMaps(t, 2), plan.CompareOptions{})
	owner := f.create(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: owner}}", "somebody")
	owned := f.live(t, "ConfigMap", "c1")
	owned.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "owner", UID: owner.GetUID()}})
	r, err := f.resource(plan.RefOf(owned))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Update(t.Context(), owned, metav1.UpdateOptions{FieldManager: "somebody"}); err != nil {
		t.Fatal(err)
	}
	state, p := f.planWith(t, f.configMaps(t, 1), plan.CompareOptions{})
	var conflict *ConflictError
	if _, err := f.Run(t.Context(), f.set, state, p, Options{Force: true}, func(Event) {}); !errors.As(err, &conflict) || !strings.Contains(err.Error(), "ConfigMap/owner") {
		t.Errorf("up: %v", err)
	}
	if _, _, err := f.Members(t.Context(), f.set); !errors.As(err, &conflict) || !strings.Contains(err.Error(), "ConfigMap/c1") {
		t.Errorf("down: %v", err)
	}
	f.live(t, "ConfigMap", "c1")
}

// TestClaimOfASetIsNeverDeleted shows C19: neither by up nor by down; the parent goes on listing it.
func TestClaimOfASetIsNeverDeleted(t *testing.T) {
	f := newFixture(t)
	f.up(t, f.configMaps(t, 1), plan.CompareOptions{})
	claim := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim",
		"metadata": map[string]any{"name": "v", "labels": map[string]any{plan.LabelPartOfSet: f.set.ID()}},
		"spec": map[string]any{"accessModes": []any{"ReadWriteOnce"}, "storageClassName": "none",
			"resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}}},
	}}
	claims := f.Dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}).Namespace(f.set.Namespace)
	if _, err := claims.Create(t.Context(), claim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.listKinds(t, "ConfigMap", "Namespace", "PersistentVolumeClaim", "Service")
	f.up(t, []plan.Object{f.object(t, serviceYAML)}, plan.CompareOptions{})
	if kinds := f.listedKinds(t); kinds != "Namespace,PersistentVolumeClaim,Service" {
		t.Errorf("kinds %s", kinds)
	}
	state, members, err := f.Members(t.Context(), f.set)
	if err != nil || len(members) != 1 {
		t.Fatalf("members %v, %v", members, err)
	}
	left, err := f.Down(t.Context(), f.set, state, members, true, func(Event) {})
	if err != nil || len(left) != 1 || left[0].String() != "PersistentVolumeClaim/v" {
		t.Errorf("left %v, %v", left, err)
	}
	if _, err := claims.Get(t.Context(), "v", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	if kinds := f.listedKinds(t); !strings.Contains(kinds, "PersistentVolumeClaim") {
		t.Errorf("kinds %s", kinds)
	}
}

// listKinds makes the parent list kinds, as an earlier run would.
func (f fixture) listKinds(t *testing.T, kinds ...string) {
	t.Helper()
	var list []schema.GroupKind
	for _, k := range kinds {
		list = append(list, schema.ParseGroupKind(k))
	}
	if err := f.writeParent(t.Context(), f.set, nil, list, Record{}); err != nil {
		t.Fatal(err)
	}
}

func (f fixture) listedKinds(t *testing.T) string {
	t.Helper()
	return f.live(t, "ConfigMap", f.set.ParentRef().Name).GetAnnotations()[annotationGroupKinds]
}

// TestParentIsWrittenOnlyWhenItDiffers shows C18: superset, and exact set, and no write in between and after.
func TestParentIsWrittenOnlyWhenItDiffers(t *testing.T) {
	f := newFixture(t)
	objects := append(f.configMaps(t, 1), f.object(t, serviceYAML))
	f.up(t, objects, plan.CompareOptions{})
	before := f.live(t, "ConfigMap", "jina-f").GetResourceVersion()
	f.up(t, objects, plan.CompareOptions{})
	if after := f.live(t, "ConfigMap", "jina-f").GetResourceVersion(); after != before {
		t.Error("the parent was written without need")
	}
	// A run that was killed before its end left more kinds than there are.
	f.listKinds(t, "ConfigMap", "Service", "StatefulSet.apps")
	f.up(t, objects, plan.CompareOptions{})
	if kinds := f.listedKinds(t); kinds != "ConfigMap,Service" {
		t.Errorf("kinds %s", kinds)
	}
	// Kinds of a later version of the plugin are not guessed at.
	f.listKinds(t, "ConfigMap", "Service", "Widget.example.com")
	if _, err := f.Read(t.Context(), f.set, objects, plan.CompareOptions{}); err == nil || !strings.Contains(err.Error(), "Widget.example.com") {
		t.Errorf("error %v", err)
	}
}

// holdMembers makes a set of two members that do not go until released.
func (f fixture) holdMembers(t *testing.T) (release func()) {
	t.Helper()
	f.up(t, f.configMaps(t, 2), plan.CompareOptions{})
	r, err := f.resource(plan.Ref{Version: "v1", Kind: "ConfigMap", Namespace: f.set.Namespace})
	if err != nil {
		t.Fatal(err)
	}
	finalizers := func(text string) {
		for _, name := range []string{"c0", "c1"} {
			patch := []byte(`{"metadata":{"finalizers":` + text + `}}`)
			if _, err := r.Patch(context.WithoutCancel(t.Context()), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
		}
	}
	finalizers(`["test.example/hold"]`)
	t.Cleanup(func() { finalizers("null") })
	return func() { finalizers("null") }
}

func (f fixture) down(t *testing.T, ctx context.Context, wait bool) (left []plan.Ref, err error) {
	t.Helper()
	state, members, err := f.Members(t.Context(), f.set)
	if err != nil {
		t.Fatal(err)
	}
	return f.Down(ctx, f.set, state, members, wait, func(Event) {})
}

func TestDownWaitsForWhatAnInterruptedDownHasDeleted(t *testing.T) {
	f := newFixture(t)
	release := f.holdMembers(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var still *StillThereError
	if _, err := f.down(t, ctx, true); !errors.As(err, &still) {
		t.Fatalf("error %v", err)
	}
	again, cancelAgain := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancelAgain()
	if _, err := f.down(t, again, true); !errors.As(err, &still) || len(still.Refs) != 2 {
		t.Errorf("the second down did not wait: %v", err)
	}
	if kinds := f.listedKinds(t); kinds != "ConfigMap" {
		t.Errorf("kinds %s", kinds)
	}
	release()
	if left, err := f.down(t, t.Context(), true); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	f.gone(t)
}

func TestDownThatDoesNotWaitKeepsTheParentWhileSomethingIsLeft(t *testing.T) {
	f := newFixture(t)
	release := f.holdMembers(t)
	left, err := f.down(t, t.Context(), false)
	if err != nil || len(left) != 2 {
		t.Fatalf("left %v, %v", left, err)
	}
	if kinds := f.listedKinds(t); kinds != "ConfigMap" {
		t.Errorf("kinds %s", kinds)
	}
	release()
	testcluster.Eventually(t, func() error {
		state, err := f.Read(t.Context(), f.set, nil, plan.CompareOptions{})
		if err == nil && len(state.Members) > 0 {
			err = errors.New("not gone")
		}
		return err
	})
	if left, err := f.down(t, t.Context(), false); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	f.gone(t)
}

func (f fixture) gone(t *testing.T) {
	t.Helper()
	var none *NotFoundError
	if _, _, err := f.Members(t.Context(), f.set); !errors.As(err, &none) {
		t.Errorf("the Flow is still known: %v", err)
	}
}
