package plan

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestImmutableFieldMakesItARecreation(t *testing.T) {
	statefulSet := func(text string) string {
		return strings.NewReplacer("kind: Deployment", "kind: StatefulSet", "  progressDeadlineSeconds: 600\n", "  serviceName: enc\n", "        f:selector: {}\n", "        f:selector: {}\n        f:serviceName: {}\n").Replace(text)
	}
	const service = `{apiVersion: v1, kind: Service, metadata: {name: enc, namespace: ns, uid: u3}, spec: {clusterIP: %, ports: [{port: 8080, protocol: TCP}]}}`
	for _, c := range []struct {
		name, live, wanted string
		immutable          []string
		reason             string
		keepPods           bool
		field              string
	}{
		{
			name: "the selector of a Deployment", live: liveDeployment, immutable: []string{"spec.selector"},
			wanted: strings.NewReplacer("{matchLabels: {app: enc}}", "{matchLabels: {app: other}}", "{labels: {app: enc}}", "{labels: {app: other}}").Replace(wantedDeployment),
			reason: "spec.selector cannot be changed in place: it is deleted and made anew, with downtime until the new pods are ready",
			field:  "spec.selector",
		},
		{
			name: "the Service of a StatefulSet", live: statefulSet(liveDeployment), immutable: []string{"spec.serviceName"},
			wanted: strings.Replace(statefulSet(wantedDeployment), "spec:\n", "spec:\n  serviceName: other\n", 1),
			reason: "spec.serviceName cannot be changed in place: it is deleted and made anew; its pods keep running and are replaced one after the other where their template changes; its claims stay",
			field:  "spec.serviceName", keepPods: true,
		},
		{
			name: "a claim more", live: statefulSet(liveDeployment), immutable: []string{"spec.volumeClaimTemplates"},
			wanted: strings.Replace(statefulSet(wantedDeployment), "spec:\n", "spec:\n  serviceName: enc\n  volumeClaimTemplates: [{metadata: {name: more}}]\n", 1),
			reason: "spec.volumeClaimTemplates cannot be changed in place: it is deleted and made anew, with downtime until the new pods are ready; its claims stay",
			field:  "spec.volumeClaimTemplates",
		},
		{
			name: "the size of a claim", immutable: []string{"spec.volumeClaimTemplates"},
			live:   strings.Replace(statefulSet(liveDeployment), "\nspec:\n", "\nspec:\n  volumeClaimTemplates: [{metadata: {name: data}, spec: {resources: {requests: {storage: 1Gi}}}}]\n", 1),
			wanted: strings.Replace(statefulSet(wantedDeployment), "spec:\n", "spec:\n  serviceName: enc\n  volumeClaimTemplates: [{metadata: {name: data}, spec: {resources: {requests: {storage: 2Gi}}}}]\n", 1),
			reason: "spec.volumeClaimTemplates cannot be changed in place: it is deleted and made anew; its pods keep running and are replaced one after the other where their template changes; its claims stay",
			field:  "spec.volumeClaimTemplates", keepPods: true,
		},
		{
			name: "the selector of a StatefulSet", live: statefulSet(liveDeployment), immutable: []string{"spec.selector"},
			wanted: strings.NewReplacer("{matchLabels: {app: enc}}", "{matchLabels: {app: other}}", "spec:\n  replicas", "spec:\n  serviceName: enc\n  replicas").Replace(statefulSet(wantedDeployment)),
			reason: "spec.selector cannot be changed in place: it is deleted and made anew, with downtime until the new pods are ready; its claims stay",
			field:  "spec.selector",
		},
		{
			name: "the selector of a StatefulSet whose claims go with it", immutable: []string{"spec.selector"},
			live:   strings.Replace(statefulSet(liveDeployment), "\nspec:\n", "\nspec:\n  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}\n", 1),
			wanted: strings.NewReplacer("{matchLabels: {app: enc}}", "{matchLabels: {app: other}}", "spec:\n  replicas", "spec:\n  serviceName: enc\n  replicas").Replace(statefulSet(wantedDeployment)),
			reason: "spec.selector cannot be changed in place: it is deleted and made anew, with downtime until the new pods are ready; " +
				"its CLAIMS ARE DELETED WITH IT, with what is in them, as its persistentVolumeClaimRetentionPolicy says",
			field: "spec.selector",
		},
		{
			name: "a Service that becomes headless", live: strings.Replace(service, "%", "10.0.0.1", 1), wanted: strings.Replace(service, "%", "None", 1), immutable: []string{"spec.clusterIP"},
			reason: "spec.clusterIP cannot be changed in place: it is deleted and made anew, with another address; callers are cut off for a moment",
			field:  "spec.clusterIP",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Object{Unstructured: object(t, c.wanted)}
			live := object(t, c.live)
			p := Compare([]Object{o}, Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): live}}, CompareOptions{}).
				Plan(map[Ref]Answer{o.Ref(): {Immutable: c.immutable}})
			ch := p.Changes[0]
			if ch.Action != Recreate || ch.Reason != c.reason || ch.KeepPods != c.keepPods || ch.UID == "" {
				t.Errorf("%s (keeps pods: %v), reason\n%q, want\n%q", ch.Action, ch.KeepPods, ch.Reason, c.reason)
			}
			if !slices.ContainsFunc(ch.Fields, func(f FieldChange) bool { return strings.HasPrefix(f.Path, c.field) }) {
				t.Errorf("no %s in\n%s", c.field, fieldLines(ch))
			}
		})
	}
}

func TestRecreatedWorkloadKeepsTheReplicasThatItHas(t *testing.T) {
	wanted := strings.Replace(wantedDeployment, "{matchLabels: {app: enc}}", "{matchLabels: {app: other}}", 1)
	o := Object{Unstructured: object(t, wanted)}
	live := scaled(t, 5, false, replicasBy("kubectl", metav1.ManagedFieldsOperationUpdate, "scale"))
	p := Compare([]Object{o}, Live{Members: map[Ref]*unstructured.Unstructured{o.Ref(): live}}, CompareOptions{}).
		Plan(map[Ref]Answer{o.Ref(): {Immutable: []string{"spec.selector"}}})
	c := p.Changes[0]
	if n, _, _ := unstructured.NestedInt64(c.Object.Object, "spec", "replicas"); n != 5 || c.Replicas != (Replicas{}) {
		t.Errorf("%d replicas, %+v", n, c.Replicas)
	}
	if strings.Contains(fieldLines(c), "spec.replicas:") {
		t.Error(fieldLines(c))
	}

	// The next up does not take them back.
	again := answerTo(t, newConverter(), &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment"}}, Question{Object: *c.Object})
	again.Object.SetUID("u9")
	p = planOf(t, wanted, again.Object, nil, CompareOptions{})
	if c := p.Changes[0]; number(c.Replicas.Handover) != 5 || strings.Contains(fieldLines(c), "spec.replicas") {
		t.Errorf("%+v %s", c.Replicas, fieldLines(c))
	}
}

func TestAdoptionThatCannotBeMadeInPlaceIsARecreation(t *testing.T) {
	statefulSet := func(text string) string {
		return strings.NewReplacer("kind: Deployment", "kind: StatefulSet", "strategy:", "updateStrategy:", "rollingUpdate: {maxSurge: 1, maxUnavailable: 0}", "rollingUpdate: {partition: 0}",
			"  progressDeadlineSeconds: 905\n", "", "  progressDeadlineSeconds: 600\n", "  podManagementPolicy: OrderedReady\n").Replace(text)
	}
	found := object(t, statefulSet(exported))
	p := adoptOne(t, strings.Replace(statefulSet(wantedOfExported), "spec:\n", "spec:\n  serviceName: enc\n", 1), found, CompareOptions{})
	c := p.Changes[0]
	want := "spec.serviceName cannot be changed in place: it is deleted and made anew; its pods keep running and are replaced one after the other where their template changes; its claims stay; made by before-first-apply"
	if c.Action != Recreate || !c.KeepPods || len(c.Migrate) != 0 || c.Reason != want {
		t.Errorf("%s %v %v\n%q, want\n%q\n%s", c.Action, c.KeepPods, c.Migrate, c.Reason, want, fieldLines(c))
	}
}
