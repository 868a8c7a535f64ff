package plan

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestReplicasAreDecidedRowByRow goes through the protocol of design.md 5: who has written the replicas last, what the file
// says now and said at the last up, and whether an autoscaler targets the workload.
func TestReplicasAreDecidedRowByRow(t *testing.T) {
	const (
		apply  = metav1.ManagedFieldsOperationApply
		update = metav1.ManagedFieldsOperationUpdate
	)
	hpa := &Autoscaler{Kind: "HorizontalPodAutoscaler", Name: "enc", Min: 2, Max: 9}
	for _, c := range []struct {
		name string
		// file is what the file says; 0 is nothing. recorded is what it said at the last up.
		file     int64
		recorded string
		live     int64
		ours     bool
		owners   []metav1.ManagedFieldsEntry
		scaler   *Autoscaler
		reset    bool
		paused   bool

		// sends is what is applied; 0 leaves them out.
		sends    int64
		handover int32
		scale    int32
		force    bool
		note     string
	}{
		{name: "ours and as the file says", file: 2, recorded: "2", live: 2, ours: true, sends: 2},
		{name: "ours and the file has changed", file: 3, recorded: "2", live: 2, ours: true, sends: 3},
		{name: "taken by the scale command", file: 2, recorded: "2", live: 5, owners: []metav1.ManagedFieldsEntry{replicasBy(ScaleFieldManager, update, "scale")},
			note: "replicas stay 5, set by kubectl-jina-scale (the file says 2)"},
		{name: "taken by kubectl scale", file: 2, recorded: "2", live: 5, owners: []metav1.ManagedFieldsEntry{replicasBy("kubectl", update, "scale")},
			note: "replicas stay 5, set by kubectl (the file says 2)"},
		{name: "taken, with the file's value", file: 5, recorded: "5", live: 5, owners: []metav1.ManagedFieldsEntry{replicasBy("kubectl", update, "scale")},
			note: "replicas stay 5, set by kubectl"},
		{name: "scaled to 0, which leaves no owner", file: 2, recorded: "2", live: 0, note: "replicas stay 0, scaled by somebody (the file says 2)"},
		{name: "edited", file: 2, recorded: "2", live: 4, owners: []metav1.ManagedFieldsEntry{replicasBy("kubectl-edit", update, "")},
			note: "replicas stay 4, set by kubectl-edit (the file says 2)"},
		{name: "made by an older version, and scaled", file: 2, live: 5, owners: []metav1.ManagedFieldsEntry{replicasBy("kubectl", update, "scale")},
			note: "replicas stay 5, set by kubectl (the file says 2)"},
		{name: "taken and the file has changed", file: 3, recorded: "2", live: 5, owners: []metav1.ManagedFieldsEntry{replicasBy("kubectl", update, "scale")},
			scale: 3, note: "replicas go from 5 to 3: set by kubectl since the last up, but the file has changed, too"},
		{name: "scaled to 0 and the file has changed", file: 3, recorded: "2", live: 0,
			sends: 3, note: "replicas go from 0 to 3: scaled by somebody since the last up, but the file has changed, too"},
		{name: "taken, and the file has changed to what it is: a run was killed after it scaled", file: 5, recorded: "2", live: 5,
			owners: []metav1.ManagedFieldsEntry{replicasBy(ScaleFieldManager, update, "scale")}, note: "replicas stay 5, set by kubectl-jina-scale"},
		{name: "applied by another tool", file: 3, recorded: "2", live: 5, owners: []metav1.ManagedFieldsEntry{replicasBy("platform-team", apply, "")},
			note: "replicas stay 5, set by platform-team (the file says 3)"},
		{name: "nobody's, by default", file: 3, live: 1, sends: 3},
		{name: "scaled to 0, from where on the server keeps no owner, and up again", file: 2, recorded: "2", live: 5, note: "replicas stay 5, scaled by somebody (the file says 2)"},
		{name: "scaled to 0, and up again by the scale command", file: 2, recorded: "2", live: 5, owners: []metav1.ManagedFieldsEntry{replicasBy(ScaleFieldManager, apply, "scale")},
			note: "replicas stay 5, set by kubectl-jina-scale (the file says 2)"},
		{name: "scaled to 0, and up again by the scale command, and the file has changed", file: 3, recorded: "2", live: 5, owners: []metav1.ManagedFieldsEntry{replicasBy(ScaleFieldManager, apply, "scale")},
			scale: 3, note: "replicas go from 5 to 3: set by kubectl-jina-scale since the last up, but the file has changed, too"},
		{name: "nobody's, and as the file says: paused and resumed", file: 2, recorded: "2", live: 2, sends: 2},
		{name: "nobody's, and as the file has come to say", file: 5, recorded: "2", live: 5, sends: 5},
		{name: "scaled to 0 and to 1", file: 2, recorded: "2", live: 1, note: "replicas stay 1, scaled by somebody (the file says 2)"},

		{name: "an autoscaler owns them", file: 2, recorded: "2", live: 7, owners: []metav1.ManagedFieldsEntry{replicasBy("kube-controller-manager", update, "scale")}, scaler: hpa,
			note: "replicas stay 7: HorizontalPodAutoscaler/enc scales it (the file says 2)"},
		{name: "an autoscaler owns them and the file has changed", file: 3, recorded: "2", live: 7, owners: []metav1.ManagedFieldsEntry{replicasBy("kube-controller-manager", update, "scale")}, scaler: hpa,
			note: "replicas stay 7: HorizontalPodAutoscaler/enc scales it (the file says 3)"},
		{name: "an autoscaler appears while they are ours", file: 2, recorded: "2", live: 2, ours: true, scaler: hpa,
			handover: 2, note: "replicas stay 2: HorizontalPodAutoscaler/enc scales it"},
		{name: "a run was killed after it handed them over", file: 2, recorded: "2", live: 2, ours: true, owners: []metav1.ManagedFieldsEntry{replicasBy(ScaleFieldManager, apply, "")}, scaler: hpa,
			handover: 2, note: "replicas stay 2: HorizontalPodAutoscaler/enc scales it"},
		{name: "handed over", file: 2, recorded: "2", live: 2, owners: []metav1.ManagedFieldsEntry{replicasBy(ScaleFieldManager, apply, "")}, scaler: hpa,
			note: "replicas stay 2: HorizontalPodAutoscaler/enc scales it"},
		{name: "an autoscaler has gone", file: 2, recorded: "2", live: 7, owners: []metav1.ManagedFieldsEntry{replicasBy("kube-controller-manager", update, "scale")},
			note: "replicas stay 7, set by kube-controller-manager for an autoscaler that is gone (the file says 2)"},
		{name: "KEDA has gone", file: 2, recorded: "2", live: 7, owners: []metav1.ManagedFieldsEntry{replicasBy("keda-operator", update, "scale")},
			note: "replicas stay 7, set by keda-operator for an autoscaler that is gone (the file says 2)"},
		{name: "an autoscaler has gone that never wrote", file: 2, recorded: "2", live: 4, owners: []metav1.ManagedFieldsEntry{replicasBy(ScaleFieldManager, apply, "")},
			note: "replicas stay 4, which an earlier up left to an autoscaler or to whoever had set them (the file says 2)"},
		{name: "an autoscaler has gone and the file has changed", file: 3, recorded: "2", live: 7, owners: []metav1.ManagedFieldsEntry{replicasBy("kube-controller-manager", update, "scale")},
			scale: 3, note: "replicas go from 7 to 3: set by kube-controller-manager for an autoscaler that is gone since the last up, but the file has changed, too"},

		{name: "reset of what was scaled", file: 2, recorded: "2", live: 5, owners: []metav1.ManagedFieldsEntry{replicasBy("kubectl", update, "scale")}, reset: true, sends: 2, force: true},
		{name: "reset of what another tool applies", file: 2, recorded: "2", live: 5, owners: []metav1.ManagedFieldsEntry{replicasBy("platform-team", apply, "")}, reset: true, sends: 2, force: true},
		{name: "reset of what was scaled to 0", file: 2, recorded: "2", live: 0, reset: true, sends: 2},
		{name: "reset of what is ours", file: 2, recorded: "2", live: 2, ours: true, reset: true, sends: 2},
		{name: "reset of what an autoscaler scales is refused", file: 2, recorded: "2", live: 7, owners: []metav1.ManagedFieldsEntry{replicasBy("kube-controller-manager", update, "scale")}, scaler: hpa, reset: true,
			note: "replicas stay 7: HorizontalPodAutoscaler/enc scales it (the file says 2); --reset-replicas leaves what an autoscaler scales"},
		{name: "reset to the value that was there, and the file changes", file: 3, recorded: "2", live: 2, ours: true, owners: []metav1.ManagedFieldsEntry{replicasBy("kubectl", update, "scale")}, sends: 3, force: true},
		{name: "ours and applied by another tool, and the file changes", file: 3, recorded: "2", live: 2, ours: true, owners: []metav1.ManagedFieldsEntry{replicasBy("platform-team", apply, "")}, sends: 3},

		{name: "recreated with the replicas of somebody else", file: 2, recorded: "2", live: 5, ours: true,
			handover: 5, note: "replicas stay 5, which it had before it was recreated (the file says 2)"},
		{name: "the file no longer says how many", file: 0, recorded: "2", live: 2, ours: true, handover: 2, note: "replicas stay 2: the file no longer says how many"},
		{name: "the file says none and never did", file: 0, live: 1},

		{name: "paused", file: 2, recorded: "2", live: 0, paused: true, note: "replicas stay 0: the Flow is paused (the file says 2)"},
		{name: "paused, and the file has changed", file: 3, recorded: "2", live: 0, paused: true, note: "replicas stay 0: the Flow is paused (the file says 3)"},
		{name: "paused before all were stopped", file: 2, recorded: "2", live: 5, owners: []metav1.ManagedFieldsEntry{replicasBy(ScaleFieldManager, update, "scale")}, paused: true,
			note: "replicas stay 5: the Flow is paused (the file says 2)"},
		{name: "paused before all were stopped, and still ours", file: 3, recorded: "2", live: 2, ours: true, paused: true, sends: 2,
			note: "replicas stay 2: the Flow is paused (the file says 3)"},
		{name: "paused, and to be reset", file: 2, recorded: "2", live: 0, paused: true, reset: true,
			note: "replicas stay 0: the Flow is paused (the file says 2); --reset-replicas leaves a paused Flow's"},
		{name: "paused, and the file says none", file: 0, live: 0, paused: true, note: "replicas stay 0: the Flow is paused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Object{Unstructured: object(t, wantedDeployment)}
			if c.file == 0 {
				unstructured.RemoveNestedField(o.Object, "spec", "replicas")
			} else {
				_ = unstructured.SetNestedField(o.Object, c.file, "spec", "replicas")
			}
			given := asJSON(t, o.Object)
			live := object(t, liveDeployment)
			_ = unstructured.SetNestedField(live.Object, c.live, "spec", "replicas")
			live.SetAnnotations(nil)
			if c.recorded != "" {
				live.SetAnnotations(map[string]string{AnnotationReplicas: c.recorded})
			}
			own(t, live, c.ours, c.owners...)

			d := decideReplicas(o, live, c.scaler, CompareOptions{ResetReplicas: c.reset, Paused: c.paused})

			if n, _, _ := unstructured.NestedInt64(d.object.Object, "spec", "replicas"); n != c.sends {
				t.Errorf("applies %d, want %d", n, c.sends)
			}
			if got := number(d.replicas.Handover); got != c.handover {
				t.Errorf("hands over %d, want %d", got, c.handover)
			}
			if got := number(d.replicas.Scale); got != c.scale {
				t.Errorf("scales to %d, want %d", got, c.scale)
			}
			if d.force != c.force {
				t.Errorf("force %v, want %v", d.force, c.force)
			}
			if d.note != c.note {
				t.Errorf("note %q, want %q", d.note, c.note)
			}
			wantRecord := ""
			if c.file != 0 {
				wantRecord = asJSON(t, c.file)
			}
			if got := d.object.GetAnnotations()[AnnotationReplicas]; got != wantRecord {
				t.Errorf("records %q, want %q", got, wantRecord)
			}
			if asJSON(t, o.Object) != given {
				t.Error("the given object was changed")
			}
		})
	}
}

func number(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}

func TestNewWorkloadHasTheFilesReplicas(t *testing.T) {
	o := Object{Unstructured: object(t, wantedDeployment)}
	d := decideReplicas(o, nil, &Autoscaler{Kind: "HorizontalPodAutoscaler", Name: "enc"}, CompareOptions{})
	if n, _, _ := unstructured.NestedInt64(d.object.Object, "spec", "replicas"); n != 2 || d.replicas != (Replicas{}) || d.note != "" {
		t.Errorf("%d replicas, %+v, %q", n, d.replicas, d.note)
	}
	if d.object.GetAnnotations()[AnnotationReplicas] != "2" {
		t.Error("what the file says is not recorded")
	}
}

func TestNewWorkloadOfAPausedFlowIsNotStarted(t *testing.T) {
	for name, file := range map[string]int64{"the file says how many": 2, "the file says none": 0} {
		t.Run(name, func(t *testing.T) {
			o := Object{Unstructured: object(t, wantedDeployment)}
			recorded := asJSON(t, file)
			if file == 0 {
				unstructured.RemoveNestedField(o.Object, "spec", "replicas")
				recorded = ""
			}
			d := decideReplicas(o, nil, nil, CompareOptions{Paused: true})
			n, has, _ := unstructured.NestedInt64(d.object.Object, "spec", "replicas")
			if n != 0 || !has || d.note != "it starts with 0 replicas: the Flow is paused" {
				t.Errorf("%d replicas, said %v, %q", n, has, d.note)
			}
			if got := d.object.GetAnnotations()[AnnotationReplicas]; got != recorded {
				t.Errorf("what the file says is recorded as %q", got)
			}
		})
	}
}

// scaled is the live Deployment with replicas that somebody else has set.
func scaled(t *testing.T, replicas int64, keeps bool, owners ...metav1.ManagedFieldsEntry) *unstructured.Unstructured {
	t.Helper()
	live := object(t, liveDeployment)
	_ = unstructured.SetNestedField(live.Object, replicas, "spec", "replicas")
	own(t, live, keeps, owners...)
	return live
}

func planOf(t *testing.T, wanted string, live *unstructured.Unstructured, scaler *Autoscaler, opts CompareOptions) Plan {
	t.Helper()
	o := Object{Unstructured: object(t, wanted), Part: Part{Role: RoleExecutor, Executor: "enc"}}
	l := Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): live}, Autoscalers: map[Ref]Autoscaler{}}
	if scaler != nil {
		l.Autoscalers[o.Ref()] = *scaler
	}
	c := Compare([]Object{o}, l, opts)
	return c.Plan(answers(t, c))
}

func TestHandedOverReplicasDoNotShowAsFallingToOne(t *testing.T) {
	p := planOf(t, wantedDeployment, scaled(t, 2, true), &Autoscaler{Kind: "HorizontalPodAutoscaler", Name: "enc"}, CompareOptions{})
	c := p.Changes[0]
	if c.Action != Update || number(c.Replicas.Handover) != 2 || len(c.Fields) != 0 || len(p.Conflicts) != 0 {
		t.Errorf("%s %+v %v %v", c.Action, c.Replicas, c.Fields, p.Conflicts)
	}
	if want := "only who owns which fields changes, not what they say; replicas stay 2: HorizontalPodAutoscaler/enc scales it"; c.Reason != want {
		t.Errorf("reason %q, want %q", c.Reason, want)
	}
}

func TestReplicasThatChangeByScalingAloneAreAnUpdateWithThatField(t *testing.T) {
	p := planOf(t, strings.Replace(wantedDeployment, "replicas: 2", "replicas: 3", 1),
		scaled(t, 5, false, replicasBy("kubectl", metav1.ManagedFieldsOperationUpdate, "scale")), nil, CompareOptions{})
	c := p.Changes[0]
	if c.Action != Update || number(c.Replicas.Scale) != 3 {
		t.Fatalf("%s %+v", c.Action, c.Replicas)
	}
	if want := "spec.replicas: \"5\" -> \"3\", kubectl, the file's replicas have changed\n"; fieldLines(c) != want {
		t.Errorf("fields %s, want %s", fieldLines(c), want)
	}
	if _, has, _ := unstructured.NestedInt64(c.Object.Object, "spec", "replicas"); has {
		t.Error("the object is applied with replicas")
	}
}

func TestResetTakesReplicasAndNothingElse(t *testing.T) {
	kubectl := replicasBy("kubectl", metav1.ManagedFieldsOperationUpdate, "scale")
	o := Object{Unstructured: object(t, wantedDeployment)}
	asked := Compare([]Object{o}, Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): scaled(t, 5, false, kubectl)}}, CompareOptions{ResetReplicas: true}).Undecided()
	if len(asked) != 1 || !asked[0].Force {
		t.Errorf("the server is asked %+v, want one dry run that may use force", asked)
	}
	p := planOf(t, wantedDeployment, scaled(t, 5, false, kubectl), nil, CompareOptions{ResetReplicas: true})
	c := p.Changes[0]
	if c.Action != Update || !c.Replicas.Reset || len(p.Conflicts) != 0 {
		t.Fatalf("%s %+v, conflicts %v", c.Action, c.Replicas, p.Conflicts)
	}
	if want := "spec.replicas: \"5\" -> \"2\", kubectl, --reset-replicas\n"; fieldLines(c) != want {
		t.Errorf("fields %s, want %s", fieldLines(c), want)
	}

	live := scaled(t, 5, false, kubectl, owned("mallory", metav1.ManagedFieldsOperationApply, "",
		`{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"executor\"}":{"f:image":{}}}}}}}`))
	p = planOf(t, strings.Replace(wantedDeployment, "image: a:1", "image: a:2", 1), live, nil, CompareOptions{ResetReplicas: true})
	if len(p.Conflicts) != 1 || p.Conflicts[0].Field != "spec.template.spec.containers[executor].image" || p.Changes[0].Replicas.Reset {
		t.Errorf("conflicts %+v, reset %v", p.Conflicts, p.Changes[0].Replicas.Reset)
	}
}

func TestWorkloadOfAnOlderVersionGetsItsRecordOnce(t *testing.T) {
	live := object(t, liveDeployment)
	live.SetAnnotations(nil)
	own(t, live, true)
	p := planOf(t, wantedDeployment, live, nil, CompareOptions{})
	c := p.Changes[0]
	if want := "metadata.annotations[jina.ai/replicas]"; c.Action != Update || len(c.Fields) != 1 || !strings.HasPrefix(c.Fields[0].Path, "metadata.annotations") {
		t.Errorf("%s %s, want an update of %s", c.Action, fieldLines(c), want)
	}
}
