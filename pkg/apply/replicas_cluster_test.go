package apply

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// The owners of replicas, as managedFields have them.
const (
	ownedByUs         = "kubectl-jina Apply"
	ownedByScale      = "kubectl-jina-scale Update scale"
	ownedByScaleApply = "kubectl-jina-scale Apply scale"
	ownedByHandover   = "kubectl-jina-scale Apply"
	ownedByKubectl    = "kubectl Update scale"
	ownedByAutoscaler = "kube-controller-manager Update scale"
)

// hold fails unless the Deployment d has a number of replicas and these owners of it, and the file's record of them.
func (f fixture) hold(t *testing.T, replicas int64, recorded string, owners ...string) {
	t.Helper()
	d := f.live(t, "Deployment", "d")
	if n := replicasOf(t, d); n != replicas {
		t.Errorf("%d replicas, want %d", n, replicas)
	}
	if diff := cmp.Diff(owners, ownersOf(t, d, "spec", "replicas")); diff != "" {
		t.Errorf("owners of the replicas: %s", diff)
	}
	if got := d.GetAnnotations()[plan.AnnotationReplicas]; got != recorded {
		t.Errorf("the file's replicas are recorded as %q, want %q", got, recorded)
	}
}

// file is the Deployment d with replicas and an image.
func (f fixture) file(t *testing.T, replicas int, image string) []plan.Object {
	t.Helper()
	text := replaceIn(t, deploymentYAML, "replicas: 2", fmt.Sprintf("replicas: %d", replicas))
	return []plan.Object{f.object(t, replaceIn(t, text, "x:1", image))}
}

// autoscale makes a HorizontalPodAutoscaler of the Deployment d. It has nothing to measure, for the pods request no CPU: all it does
// is to keep the replicas within its limits.
func (f fixture) autoscale(t *testing.T, minimum, maximum int64) {
	t.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": map[string]any{"name": "h"},
		"spec": map[string]any{
			"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
			"minReplicas":    minimum, "maxReplicas": maximum,
			"metrics": []any{map[string]any{"type": "Resource", "resource": map[string]any{"name": "cpu",
				"target": map[string]any{"type": "Utilization", "averageUtilization": int64(50)}}}},
		},
	}}
	if _, err := f.Dynamic.Resource(horizontalPodAutoscalers).Namespace(f.set.Namespace).Create(t.Context(), o, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (f fixture) awaitReplicas(t *testing.T, want int64) {
	t.Helper()
	testcluster.Eventually(t, func() error {
		if n := replicasOf(t, f.live(t, "Deployment", "d")); n != want {
			return fmt.Errorf("%d replicas, want %d", n, want)
		}
		return nil
	})
}

// TestNewWorkloadHasTheFilesReplicas shows C2 and C6: the first write is an apply as well, so that its fields are ours from the start.
func TestNewWorkloadHasTheFilesReplicas(t *testing.T) {
	f := newFixture(t)
	f.up(t, f.file(t, 2, "x:1"), plan.CompareOptions{})
	f.hold(t, 2, "2", ownedByUs)
	for _, m := range f.live(t, "Deployment", "d").GetManagedFields() {
		if m.Manager == plan.FieldManager && m.Operation != metav1.ManagedFieldsOperationApply {
			t.Errorf("we have written by %s", m.Operation)
		}
	}
	f.unchanged(t, f.file(t, 2, "x:1"))
}

// TestReplicasThatWeOwnFollowTheFile shows C6.
func TestReplicasThatWeOwnFollowTheFile(t *testing.T) {
	f := newFixture(t)
	f.up(t, f.file(t, 2, "x:1"), plan.CompareOptions{})
	f.up(t, f.file(t, 3, "x:1"), plan.CompareOptions{})
	f.hold(t, 3, "3", ownedByUs)
}

// TestScaledReplicasSurviveAnUp shows C6: scaled by us, and by kubectl, they stay what they are.
func TestScaledReplicasSurviveAnUp(t *testing.T) {
	for name, tc := range map[string]struct {
		scale func(t *testing.T, f fixture, n int32)
		owner string
		// fromZero owns them after they were 0, and fromThere after up has scaled them then.
		fromZero, fromThere []string
	}{
		"by kubectl jina scale": {func(t *testing.T, f fixture, n int32) {
			if err := f.Scale(t.Context(), f.live(t, "Deployment", "d"), n, nil); err != nil {
				t.Fatal(err)
			}
		}, ownedByScale, []string{ownedByScaleApply}, []string{ownedByScale}},
		"by kubectl scale": {func(t *testing.T, f fixture, n int32) {
			f.mustKubectl(t, "", "scale", "deployment/d", fmt.Sprintf("--replicas=%d", n))
		}, ownedByKubectl, nil, []string{ownedByUs}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.up(t, f.file(t, 2, "x:1"), plan.CompareOptions{})
			tc.scale(t, f, 5)
			f.hold(t, 5, "2", tc.owner)
			f.unchanged(t, f.file(t, 2, "x:1"))
			f.up(t, f.file(t, 2, "x:2"), plan.CompareOptions{})
			f.hold(t, 5, "2", tc.owner)

			// The file says something else than it did: that is newer, and goes the way that the others took.
			p := f.up(t, f.file(t, 3, "x:2"), plan.CompareOptions{})
			if c := changeOf(t, p, "Deployment", "d"); c.Replicas.Scale == nil || *c.Replicas.Scale != 3 {
				t.Errorf("replicas: %+v", c.Replicas)
			}
			f.hold(t, 3, "3", ownedByScale)

			// A run that dies between the two writes is continued.
			tc.scale(t, f, 7)
			_, p = f.planWith(t, f.file(t, 4, "x:2"), plan.CompareOptions{})
			if err := f.Scale(t.Context(), changeOf(t, p, "Deployment", "d").Live, 4, nil); err != nil {
				t.Fatal(err)
			}
			f.hold(t, 4, "3", ownedByScale)
			f.up(t, f.file(t, 4, "x:2"), plan.CompareOptions{})
			f.hold(t, 4, "4", ownedByScale)
			f.unchanged(t, f.file(t, 4, "x:2"))

			// --reset-replicas makes them the file's, and ours, again.
			tc.scale(t, f, 6)
			p = f.up(t, f.file(t, 4, "x:2"), plan.CompareOptions{ResetReplicas: true})
			if c := changeOf(t, p, "Deployment", "d"); !c.Replicas.Reset || len(p.Conflicts) > 0 {
				t.Errorf("replicas %+v, conflicts %v", c.Replicas, p.Conflicts)
			}
			f.hold(t, 4, "4", ownedByUs)

			// Scaled to nothing they have no owner; they are taken all the same.
			tc.scale(t, f, 0)
			f.hold(t, 0, "4")
			f.up(t, f.file(t, 4, "x:3"), plan.CompareOptions{})
			f.hold(t, 0, "4")
			// From there nobody owns them, however many they are, but who applies a Scale: the API server starts no record for another
			// write of one that had none.
			tc.scale(t, f, 8)
			f.hold(t, 8, "4", tc.fromZero...)
			f.unchanged(t, f.file(t, 4, "x:3"))
			f.up(t, f.file(t, 4, "x:4"), plan.CompareOptions{})
			f.hold(t, 8, "4", tc.fromZero...)
			f.up(t, f.file(t, 1, "x:4"), plan.CompareOptions{})
			f.hold(t, 1, "1", tc.fromThere...)
			f.unchanged(t, f.file(t, 1, "x:4"))
		})
	}
}

// TestAutoscalerOwnsTheReplicas shows C6 with Kubernetes' own autoscaler: what it has written stays, whatever the file says, also when
// it is gone.
func TestAutoscalerOwnsTheReplicas(t *testing.T) {
	f := newFixture(t)
	f.up(t, f.file(t, 2, "x:1"), plan.CompareOptions{})
	f.autoscale(t, 4, 9)
	f.awaitReplicas(t, 4)
	f.hold(t, 4, "2", ownedByAutoscaler)
	p := f.up(t, f.file(t, 3, "x:2"), plan.CompareOptions{ResetReplicas: true})
	f.hold(t, 4, "3", ownedByAutoscaler)
	if c := changeOf(t, p, "Deployment", "d"); c.Replicas != (plan.Replicas{}) {
		t.Errorf("replicas: %+v", c.Replicas)
	}
	f.unchanged(t, f.file(t, 3, "x:2"))

	if err := f.Dynamic.Resource(horizontalPodAutoscalers).Namespace(f.set.Namespace).Delete(t.Context(), "h", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.up(t, f.file(t, 3, "x:3"), plan.CompareOptions{})
	f.hold(t, 4, "3", ownedByAutoscaler)
	f.up(t, f.file(t, 3, "x:3"), plan.CompareOptions{ResetReplicas: true})
	f.hold(t, 3, "3", ownedByUs)
}

// TestReplicasAreHandedOverToAnAutoscalerThatAppears shows C6: between our letting go and the autoscaler's first write they never
// fall back to 1.
func TestReplicasAreHandedOverToAnAutoscalerThatAppears(t *testing.T) {
	f := newFixture(t)
	f.up(t, f.file(t, 3, "x:1"), plan.CompareOptions{})
	f.autoscale(t, 1, 9)
	seen := f.watchReplicas(t)
	p := f.up(t, f.file(t, 3, "x:1"), plan.CompareOptions{})
	if c := changeOf(t, p, "Deployment", "d"); c.Replicas.Handover == nil || *c.Replicas.Handover != 3 {
		t.Errorf("replicas: %+v", c.Replicas)
	}
	f.hold(t, 3, "3", ownedByHandover)
	f.unchanged(t, f.file(t, 3, "x:1"))
	f.up(t, f.file(t, 3, "x:2"), plan.CompareOptions{})
	f.hold(t, 3, "3", ownedByHandover)
	for n := range seen() {
		if n != 3 {
			t.Errorf("it had %d replicas in between", n)
		}
	}

	// The autoscaler takes them from there.
	if err := f.Dynamic.Resource(horizontalPodAutoscalers).Namespace(f.set.Namespace).Delete(t.Context(), "h", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.autoscale(t, 5, 9)
	f.awaitReplicas(t, 5)
	f.hold(t, 5, "3", ownedByAutoscaler)
	f.unchanged(t, f.file(t, 3, "x:2"))
}

// watchReplicas records which replicas the Deployment d has had, until the returned function is called.
func (f fixture) watchReplicas(t *testing.T) func() map[int64]bool {
	t.Helper()
	d := f.live(t, "Deployment", "d")
	r, err := f.resource(plan.RefOf(d))
	if err != nil {
		t.Fatal(err)
	}
	w, err := r.Watch(t.Context(), metav1.ListOptions{ResourceVersion: d.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return func() map[int64]bool {
		last := f.live(t, "Deployment", "d").GetResourceVersion()
		seen := map[int64]bool{}
		for event := range w.ResultChan() {
			o, ok := event.Object.(*unstructured.Unstructured)
			if !ok || event.Type == watch.Error {
				t.Fatalf("watch: %v", event.Object)
			}
			seen[replicasOf(t, o)] = true
			if o.GetResourceVersion() == last {
				return seen
			}
		}
		t.Fatal("the watch ended too early")
		return nil
	}
}
