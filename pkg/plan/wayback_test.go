package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ownersText is who owns which fields, a line each, the status aside.
func ownersText(entries []metav1.ManagedFieldsEntry) []string {
	var out []string
	for _, m := range entries {
		if m.Subresource != "status" {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", m.Manager, m.Operation, m.Subresource))+" "+m.FieldsV1.GetRawString())
		}
	}
	slices.Sort(out)
	return out
}

// TestWayBackLeadsToTheOwnersFromBefore has the object as it is after changes of all kinds, and after the way back's apply.
func TestWayBackLeadsToTheOwnersFromBefore(t *testing.T) {
	const apply, update = metav1.ManagedFieldsOperationApply, metav1.ManagedFieldsOperationUpdate
	edited := func(t *testing.T, entries ...metav1.ManagedFieldsEntry) *unstructured.Unstructured {
		live := object(t, strings.NewReplacer("                f:image: {}\n", "", "image: a:1", "image: edited:1").Replace(liveDeployment))
		own(t, live, true, entries...)
		return live
	}
	editor := owned("kubectl-edit", update, "", imageOfExecutor)
	for _, c := range []struct {
		name        string
		before, now *unstructured.Unstructured
		scaled      bool
		image       string
		replicas    int64 // -1: not applied
		left        []string
		owners      []string // besides ours
	}{
		{
			name: "nothing was taken", before: object(t, liveDeployment), image: "a:1", replicas: 2,
			now: object(t, strings.NewReplacer("image: a:1", "image: a:2", "replicas: 2\n  progress", "replicas: 5\n  progress").Replace(liveDeployment)),
		},
		{
			name: "a field was taken by force", before: edited(t, editor), image: "edited:1", replicas: 2,
			now:    object(t, strings.Replace(liveDeployment, "image: a:1", "image: a:2", 1)),
			owners: []string{"kubectl-edit Update " + imageOfExecutor},
		},
		{
			name: "its owner has taken it again", before: edited(t, editor), image: "", replicas: 2,
			now: edited(t, editor), owners: []string{"kubectl-edit Update " + imageOfExecutor},
		},
		{
			name: "somebody has scaled it since", before: object(t, liveDeployment), image: "a:1", replicas: -1,
			now: scaled(t, 5, false, replicasBy("kubectl", update, "scale")), left: []string{"spec.replicas"},
			owners: []string{`kubectl Update scale {"f:spec":{"f:replicas":{}}}`},
		},
		{
			name: "the plan has scaled it over somebody", before: scaled(t, 4, false, replicasBy("kubectl", update, "scale")), image: "a:1", replicas: 4, scaled: true,
			now: scaled(t, 3, false, replicasBy(ScaleFieldManager, update, "scale")), owners: []string{`kubectl Update scale {"f:spec":{"f:replicas":{}}}`},
		},
		{
			name: "the plan has handed replicas over", before: object(t, liveDeployment), image: "a:1", replicas: 2, scaled: true,
			now: scaled(t, 2, false, replicasBy(ScaleFieldManager, apply, "")),
		},
		{
			name: "the scale command came in between", before: object(t, liveDeployment), image: "a:1", replicas: -1,
			now: scaled(t, 7, false, replicasBy(ScaleFieldManager, update, "scale")), left: []string{"spec.replicas"},
			owners: []string{`kubectl-jina-scale Update scale {"f:spec":{"f:replicas":{}}}`},
		},
		{
			name: "it is made again", before: edited(t, editor), image: "edited:1", replicas: 2, owners: []string{"kubectl-edit Update " + imageOfExecutor},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			back, err := wayBack(c.before, c.now, c.scaled)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(back.Left, c.left) {
				t.Errorf("left %v", back.Left)
			}
			containers, _, _ := unstructured.NestedSlice(back.Object.Object, "spec", "template", "spec", "containers")
			image, _, _ := unstructured.NestedString(containers[0].(map[string]any), "image")
			replicas, has, _ := unstructured.NestedInt64(back.Object.Object, "spec", "replicas")
			if !has {
				replicas = -1
			}
			if image != c.image || replicas != c.replicas {
				t.Errorf("image %q and %d replicas are applied", image, replicas)
			}
			for _, field := range [][]string{{"status"}, {"metadata", "managedFields"}, {"metadata", "generation"}, {"spec", "progressDeadlineSeconds"}} {
				if _, has, _ := unstructured.NestedFieldNoCopy(back.Object.Object, field...); has {
					t.Errorf("%v is applied", field)
				}
			}
			now := c.now
			if now == nil {
				now = &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment"}}
			}
			entries, _, err := back.Owners(appliedOver(t, now, back.Object))
			if err != nil {
				t.Fatal(err)
			}
			ours := slices.DeleteFunc(c.before.GetManagedFields(), func(m metav1.ManagedFieldsEntry) bool { return !isOurs(m) })
			want := append(ownersText(ours), c.owners...)
			if len(c.left) > 0 {
				want[0] = strings.Replace(want[0], `"f:replicas":{},`, "", 1)
			}
			slices.Sort(want)
			if got := ownersText(entries); !slices.Equal(got, want) {
				t.Errorf("owned by\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// appliedOver is what the API server makes of an apply by force, as far as it matters here: all that is in it is ours, and nobody
// else's but where another says the same.
func appliedOver(t *testing.T, now, wanted *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	o := wanted.DeepCopy()
	all, err := allFields(newConverter(), wanted)
	if err != nil {
		t.Fatal(err)
	}
	var entries []metav1.ManagedFieldsEntry
	for _, m := range now.GetManagedFields() {
		set, err := fieldSet(m)
		if err != nil {
			t.Fatal(err)
		}
		if m.Subresource != "status" && !isOurs(m) && m.Manager == ScaleFieldManager && m.Operation == metav1.ManagedFieldsOperationUpdate {
			set = set.Difference(all) // it says something else
		}
		if !isOurs(m) {
			if entries, err = appendEntry(entries, m, set); err != nil {
				t.Fatal(err)
			}
		}
	}
	ours := metav1.ManagedFieldsEntry{Manager: FieldManager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: "apps/v1", FieldsType: "FieldsV1"}
	if entries, err = appendEntry(entries, ours, all); err != nil {
		t.Fatal(err)
	}
	o.SetManagedFields(entries)
	return o
}

func TestObjectWithoutOwnersGoesBackAsAWhole(t *testing.T) {
	before := object(t, liveDeployment)
	unstructured.RemoveNestedField(before.Object, "metadata", "managedFields")
	back, err := Change{}.Back(before, object(t, strings.Replace(liveDeployment, "image: a:1", "image: a:2", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if seconds, _, _ := unstructured.NestedInt64(back.Object.Object, "spec", "progressDeadlineSeconds"); seconds != 600 {
		t.Errorf("applied: %v", back.Object.Object)
	}
	entries, changed, err := back.Owners(appliedOver(t, object(t, liveDeployment), back.Object))
	if err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if got := ownersText(entries); len(got) != 1 || !strings.HasPrefix(got[0], "before-first-apply Update ") {
		t.Errorf("owned by %v", got)
	}
}

func TestOwnedIsWhatAManagerApplied(t *testing.T) {
	o, err := Owned(object(t, liveDeployment), FieldManager)
	if err != nil {
		t.Fatal(err)
	}
	if want := canonical(object(t, wantedDeployment)).Object; fmt.Sprint(o.Object["spec"]) != fmt.Sprint(want["spec"]) || o.GetName() != "enc" || o.GetUID() != "" {
		t.Errorf("%v", o.Object)
	}
	if o, err := Owned(object(t, liveDeployment), "nobody"); o != nil || err != nil {
		t.Errorf("%v, %v", o, err)
	}
}
