package plan

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// exported is a Deployment as Jina exports it, on a server: with defaults, and %managed%.
const exported = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: enc
  namespace: ns
  uid: u2
  annotations: {kubectl.kubernetes.io/last-applied-configuration: hush, deployment.kubernetes.io/revision: "1"}
spec:
  replicas: 1
  progressDeadlineSeconds: 600
  revisionHistoryLimit: 10
  selector: {matchLabels: {app: enc}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: enc, jina_deployment_name: enc, ns: ns}}
    spec:
      restartPolicy: Always
      terminationGracePeriodSeconds: 30
      containers:
      - name: executor
        image: a:1
        imagePullPolicy: IfNotPresent
        command: [jina]
        args: [executor, --name, enc]
        terminationMessagePath: /dev/termination-log
        ports: [{containerPort: 8080, protocol: TCP}]
        envFrom: [{configMapRef: {name: enc-configmap}}]
        startupProbe: {exec: {command: [jina, ping]}, failureThreshold: 120, periodSeconds: 10, successThreshold: 1, timeoutSeconds: 10}
`

// byKubectl is what kubectl's client-side apply owns of exported: the defaults of the time, too.
const byKubectl = `{"f:metadata":{"f:annotations":{".":{},"f:kubectl.kubernetes.io/last-applied-configuration":{}}},
"f:spec":{"f:replicas":{},"f:progressDeadlineSeconds":{},"f:revisionHistoryLimit":{},"f:selector":{},
"f:strategy":{"f:type":{},"f:rollingUpdate":{".":{},"f:maxSurge":{},"f:maxUnavailable":{}}},
"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{},"f:jina_deployment_name":{},"f:ns":{}}},
"f:spec":{"f:restartPolicy":{},"f:terminationGracePeriodSeconds":{},"f:containers":{"k:{\"name\":\"executor\"}":{".":{},"f:name":{},"f:image":{},
"f:imagePullPolicy":{},"f:command":{},"f:args":{},"f:terminationMessagePath":{},"f:envFrom":{},
"f:ports":{".":{},"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}},
"f:startupProbe":{".":{},"f:exec":{".":{},"f:command":{}},"f:failureThreshold":{},"f:periodSeconds":{},"f:successThreshold":{},"f:timeoutSeconds":{}}}}}}}}`

const wantedOfExported = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: enc, namespace: ns, labels: {jina.ai/flow: f, applyset.kubernetes.io/part-of: set}}
spec:
  replicas: 2
  progressDeadlineSeconds: 905
  selector: {matchLabels: {app: enc}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: enc, jina_deployment_name: enc, ns: ns}}
    spec:
      containers:
      - name: executor
        image: a:1
        command: [jina]
        args: [executor, --name, enc]
        ports: [{containerPort: 8080, protocol: TCP}]
        envFrom: [{configMapRef: {name: enc-configmap}}]
        startupProbe: {grpc: {port: 8080, service: ""}, failureThreshold: 120, periodSeconds: 1}
`

// stranger is exported with owners.
func stranger(t *testing.T, entries ...metav1.ManagedFieldsEntry) *unstructured.Unstructured {
	t.Helper()
	o := object(t, exported)
	o.SetManagedFields(entries)
	return o
}

func adoptOne(t *testing.T, wanted string, found *unstructured.Unstructured, opts CompareOptions) Plan {
	t.Helper()
	o := Object{Unstructured: object(t, wanted), Part: Part{Role: RoleExecutor, Executor: "enc"}}
	c := Compare([]Object{o}, Live{Strangers: map[Ref]*unstructured.Unstructured{o.Ref(): found}}, opts)
	if n := len(c.Undecided()); n != 0 {
		t.Errorf("%d dry runs of an adoption", n)
	}
	return c.Plan(nil)
}

// clientSide is the manager of kubectl's client-side apply.
func clientSide() metav1.ManagedFieldsEntry {
	return owned("kubectl-client-side-apply", metav1.ManagedFieldsOperationUpdate, "", byKubectl)
}

// TestAdoptionPredictsWhatItChanges is anchors.md C3: what kubectl's client-side apply owned and the Flow does not want goes, but for what
// the API server sets again, and what others own stays.
func TestAdoptionPredictsWhatItChanges(t *testing.T) {
	p := adoptOne(t, wantedOfExported, stranger(t, clientSide()), CompareOptions{})
	c := p.Changes[0]
	if c.Action != Adopt || len(p.Conflicts) != 0 || !slices.Equal(c.Migrate, []string{"kubectl-client-side-apply"}) || c.UID != "u2" {
		t.Fatalf("%s, migrates %v, conflicts %v", c.Action, c.Migrate, p.Conflicts)
	}
	if want := "made by kubectl-client-side-apply, whose 27 fields become ours"; c.Reason != want {
		t.Errorf("reason %q, want %q", c.Reason, want)
	}
	want := `metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]: "***" -> "", kubectl-client-side-apply, set by kubectl-client-side-apply; not in the file
metadata.labels: "" -> "{\"applyset.kubernetes.io/part-of\":\"set\",\"jina.ai/flow\":\"f\"}", nobody, new in the file
spec.progressDeadlineSeconds: "600" -> "905", kubectl-client-side-apply, set by kubectl-client-side-apply; the file says otherwise
spec.replicas: "1" -> "2", kubectl-client-side-apply, set by kubectl-client-side-apply; the file says otherwise
spec.template.spec.containers[executor].startupProbe.exec: "{\"command\":[\"jina\",\"ping\"]}" -> "", kubectl-client-side-apply, set by kubectl-client-side-apply; not in the file
spec.template.spec.containers[executor].startupProbe.grpc: "" -> "{\"port\":8080,\"service\":\"\"}", nobody, new in the file
spec.template.spec.containers[executor].startupProbe.periodSeconds: "10" -> "1", kubectl-client-side-apply, set by kubectl-client-side-apply; the file says otherwise
spec.template.spec.containers[executor].startupProbe.timeoutSeconds: "10" -> "1", kubectl-client-side-apply, set by kubectl-client-side-apply; not in the file
`
	if got := strings.Replace(fieldLines(c), "metadata.annotations[jina.ai/replicas]: \"\" -> \"2\", nobody, new in the file\n", "", 1); got != want {
		t.Errorf("fields:\n%s\nwant:\n%s", got, want)
	}
	if c.Live.GetManagedFields()[0].Manager != "kubectl-client-side-apply" {
		t.Error("the live object is not the one that was found")
	}
}

func TestAdoptedReplicasFollowTheirOwner(t *testing.T) {
	// The owner of the scale subresource is none that is migrated.
	found := stranger(t, owned("kubectl-client-side-apply", metav1.ManagedFieldsOperationUpdate, "", strings.Replace(byKubectl, `"f:replicas":{},`, "", 1)),
		replicasBy("kubectl", metav1.ManagedFieldsOperationUpdate, "scale"))
	_ = unstructured.SetNestedField(found.Object, int64(6), "spec", "replicas")
	c := adoptOne(t, wantedOfExported, found, CompareOptions{}).Changes[0]
	if _, has, _ := unstructured.NestedInt64(c.Object.Object, "spec", "replicas"); has || strings.Contains(fieldLines(c), "spec.replicas:") {
		t.Errorf("replicas are applied: %s", fieldLines(c))
	}
	if !strings.HasSuffix(c.Reason, "; replicas stay 6, set by kubectl (the file says 2)") {
		t.Errorf("reason %q", c.Reason)
	}
	p := adoptOne(t, wantedOfExported, found, CompareOptions{ResetReplicas: true})
	if c := p.Changes[0]; !c.Replicas.Reset || len(p.Conflicts) != 0 || !strings.Contains(fieldLines(c), `spec.replicas: "6" -> "2", kubectl, --reset-replicas`) {
		t.Errorf("%+v %v %s", c.Replicas, p.Conflicts, fieldLines(c))
	}
}

func TestEditedFieldOfAnAdoptedObjectConflictsByName(t *testing.T) {
	found := stranger(t, owned("kubectl-client-side-apply", metav1.ManagedFieldsOperationUpdate, "", strings.Replace(byKubectl, `"f:image":{},`, "", 1)),
		owned("kubectl-edit", metav1.ManagedFieldsOperationUpdate, "", imageOfExecutor))
	p := adoptOne(t, strings.Replace(wantedOfExported, "image: a:1", "image: a:2", 1), found, CompareOptions{})
	if len(p.Conflicts) != 1 || p.Conflicts[0].Owner.Manager != "kubectl-edit" || p.Conflicts[0].Live != "a:1" || p.Conflicts[0].Ours != "a:2" || slices.Contains(p.Changes[0].Migrate, "kubectl-edit") {
		t.Errorf("%+v, migrates %v", p.Conflicts, p.Changes[0].Migrate)
	}
	// The value that the file has, too, is shared.
	if p := adoptOne(t, wantedOfExported, found, CompareOptions{}); len(p.Conflicts) != 0 {
		t.Errorf("%+v", p.Conflicts)
	}
}

// TestWhoIsMigrated is anchors.md C3 and C4.
func TestWhoIsMigrated(t *testing.T) {
	const (
		apply  = metav1.ManagedFieldsOperationApply
		update = metav1.ManagedFieldsOperationUpdate
	)
	lastApplied := `{"f:metadata":{"f:annotations":{"f:kubectl.kubernetes.io/last-applied-configuration":{}}}}`
	for _, c := range []struct {
		name    string
		entries []metav1.ManagedFieldsEntry
		want    []string
	}{
		{"kubectl apply", []metav1.ManagedFieldsEntry{clientSide()}, []string{"kubectl-client-side-apply"}},
		{"kubectl apply --server-side", []metav1.ManagedFieldsEntry{owned("kubectl", apply, "", imageOfExecutor)}, []string{"kubectl"}},
		{"kubectl scale is not kubectl apply", []metav1.ManagedFieldsEntry{replicasBy("kubectl", update, "scale")}, nil},
		{"a server-side apply through the scale subresource is not one of the object", []metav1.ManagedFieldsEntry{replicasBy("kubectl", apply, "scale")}, nil},
		{"kubectl create and replace", []metav1.ManagedFieldsEntry{owned("kubectl-create", update, "", imageOfExecutor), owned("kubectl-replace", update, "", imageOfExecutor)}, []string{"kubectl-create", "kubectl-replace"}},
		{"kubectl edit, patch and label", []metav1.ManagedFieldsEntry{owned("kubectl-edit", update, "", imageOfExecutor), owned("kubectl-patch", update, "", imageOfExecutor)}, nil},
		{"whoever owns the last applied", []metav1.ManagedFieldsEntry{owned("terraform", update, "", lastApplied)}, []string{"terraform"}},
		{"an old kubectl", []metav1.ManagedFieldsEntry{owned("kubectl", update, "", lastApplied)}, []string{"kubectl"}},
		{"what was there before managedFields", []metav1.ManagedFieldsEntry{owned("before-first-apply", update, "", imageOfExecutor)}, []string{"before-first-apply"}},
		{"no managedFields at all", nil, []string{"before-first-apply"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := stranger(t, c.entries...)
			p := adoptOne(t, wantedOfExported, found, CompareOptions{Force: true})
			if got := p.Changes[0].Migrate; p.Changes[0].Action != Adopt || !slices.Equal(got, c.want) {
				t.Errorf("%s, migrates %v, want %v", p.Changes[0].Action, got, c.want)
			}
			managed, err := MigrateFields(found, c.want)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range managed {
				if m.Manager != FieldManager && Migrated(m, c.want) {
					t.Errorf("%s still owns something", m.Manager)
				}
			}
		})
	}
}

func TestAdoptionOfAnObjectWithoutManagedFieldsTakesAllOfIt(t *testing.T) {
	c := adoptOne(t, wantedOfExported, stranger(t), CompareOptions{}).Changes[0]
	lines := fieldLines(c)
	if !strings.Contains(lines, "startupProbe.exec: ") || strings.Contains(lines, "deployment.kubernetes.io/revision") || strings.Contains(lines, "restartPolicy") {
		t.Error(lines)
	}
	if !strings.Contains(lines, `"600" -> "905", before-first-apply`) {
		t.Error(lines)
	}
}

// TestOnlyWhatIsProvablyJinasIsAdopted has the objects of one executor, and what makes each a stranger's.
func TestOnlyWhatIsProvablyJinasIsAdopted(t *testing.T) {
	const (
		service   = `{apiVersion: v1, kind: Service, metadata: {name: enc, namespace: ns, labels: {app: enc}}, spec: {selector: {app: enc}, ports: [{port: 8080, protocol: TCP}]}}`
		configMap = `{apiVersion: v1, kind: ConfigMap, metadata: {name: enc-configmap, namespace: ns}, data: {a: b}}`
		monitor   = `{apiVersion: monitoring.coreos.com/v1, kind: ServiceMonitor, metadata: {name: enc, namespace: ns}, spec: {selector: {matchLabels: {app: enc}}}}`
	)
	// jinasOwn is the part of exported with the labels and the command.
	jinasOwn := exported[strings.Index(exported, ", jina_deployment_name"):strings.Index(exported, "        args:")]
	all := map[string]string{"Deployment": exported, "Service": service, "ConfigMap": configMap, "ServiceMonitor": monitor}
	kinds := []string{"Deployment", "Service", "ConfigMap", "ServiceMonitor"}
	for _, c := range []struct {
		name, kind, old, new string
		// owner and detail of the conflict about the object of the kind; empty for none.
		owner, detail string
		// adopted are the kinds that are adopted.
		adopted []string
	}{
		{name: "all Jina's", adopted: kinds},
		{name: "no labels of Jina's, but its command", kind: "Deployment", old: ", jina_deployment_name: enc, ns: ns", adopted: kinds},
		{name: "its command under another name", kind: "Deployment", old: "{app: enc, jina_deployment_name: enc, ns: ns}", new: "{app: other}", owner: "nobody that it names", detail: "neither Jina's labels"},
		{name: "another command", kind: "Deployment", old: jinasOwn, new: strings.NewReplacer(", jina_deployment_name: enc, ns: ns", "", "command: [jina]", "command: [python]").Replace(jinasOwn),
			owner: "nobody that it names", detail: "nor the command jina"},
		{name: "a Service of other pods", kind: "Service", old: "selector: {app: enc}", new: "selector: {app: web}", owner: "nobody that it names", detail: "selects the pods of no workload of Jina's", adopted: []string{"Deployment", "ConfigMap"}},
		{name: "a Service without a selector", kind: "Service", old: "selector: {app: enc}, ", owner: "nobody that it names", detail: "selects the pods of no workload", adopted: []string{"Deployment", "ConfigMap"}},
		{name: "a ConfigMap that nobody uses", kind: "Deployment", old: "name: enc-configmap", new: "name: x-configmap", adopted: []string{"Deployment", "Service", "ServiceMonitor"}},
		{name: "a ServiceMonitor of other Services", kind: "ServiceMonitor", old: "matchLabels: {app: enc}", new: "matchLabels: {app: web}", owner: "nobody that it names", detail: "selects no Service of Jina's", adopted: []string{"Deployment", "Service", "ConfigMap"}},
		{name: "in a Helm release", kind: "Deployment", old: "annotations: {", new: `annotations: {meta.helm.sh/release-name: search, `, owner: `the Helm release "search"`},
		{name: "a Service in a Helm release", kind: "Service", old: "namespace: ns,", new: `namespace: ns, annotations: {meta.helm.sh/release-name: search},`, owner: `the Helm release "search"`, adopted: []string{"Deployment", "ConfigMap"}},
		{name: "in a kapp app", kind: "ConfigMap", old: "namespace: ns", new: `namespace: ns, labels: {kapp.k14s.io/app: "17"}`, owner: `the kapp app "17"`, adopted: []string{"Deployment", "Service", "ServiceMonitor"}},
		{name: "in an inventory", kind: "ConfigMap", old: "namespace: ns", new: `namespace: ns, annotations: {config.k8s.io/owning-inventory: inv}`, owner: `the inventory "inv" (config.k8s.io/owning-inventory)`, adopted: []string{"Deployment", "Service", "ServiceMonitor"}},
		{name: "in a Flux Kustomization", kind: "ConfigMap", old: "namespace: ns", new: `namespace: ns, labels: {kustomize.toolkit.fluxcd.io/name: apps}`, owner: `the Flux Kustomization "apps"`, adopted: []string{"Deployment", "Service", "ServiceMonitor"}},
		{name: "in a Flux HelmRelease", kind: "ConfigMap", old: "namespace: ns", new: `namespace: ns, labels: {helm.toolkit.fluxcd.io/name: apps}`, owner: `the Flux HelmRelease "apps"`, adopted: []string{"Deployment", "Service", "ServiceMonitor"}},
		{name: "in an Argo CD application", kind: "ConfigMap", old: "namespace: ns", new: `namespace: ns, annotations: {argocd.argoproj.io/tracking-id: "apps:/ConfigMap:ns/enc-configmap"}`, owner: `the Argo CD application "apps"`, adopted: []string{"Deployment", "Service", "ServiceMonitor"}},
		{name: "under a controller", kind: "Deployment", old: "  uid: u2\n", new: "  uid: u2\n  ownerReferences: [{apiVersion: x/v1, kind: Rollout, name: enc, uid: r, controller: true}]\n", owner: "Rollout/enc, its controller"},
		{name: "in another Flow", kind: "Deployment", old: "  uid: u2\n", new: "  uid: u2\n  labels: {applyset.kubernetes.io/part-of: x, jina.ai/flow: other}\n", owner: `the Flow "other"`},
		{name: "in another set", kind: "Deployment", old: "  uid: u2\n", new: "  uid: u2\n  labels: {applyset.kubernetes.io/part-of: x}\n", owner: "the apply set x"},
		{name: "managed by somebody who says so for people only", kind: "Deployment", old: "  uid: u2\n", new: "  uid: u2\n  labels: {app.kubernetes.io/instance: x, app.kubernetes.io/managed-by: hand}\n", adopted: kinds},
		{name: "going", kind: "Deployment", old: "  uid: u2\n", new: "  uid: u2\n  deletionTimestamp: \"2026-01-02T03:04:05Z\"\n", owner: "nobody that it names", detail: "it is being deleted", adopted: []string{"Service", "ConfigMap", "ServiceMonitor"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			live := Live{Strangers: map[Ref]*unstructured.Unstructured{}}
			var objects []Object
			for _, kind := range kinds {
				text := all[kind]
				if kind == c.kind {
					if text = strings.Replace(text, c.old, c.new, 1); text == all[kind] {
						t.Fatal("the edit changed nothing")
					}
				}
				found := object(t, text)
				live.Strangers[RefOf(found)] = found
				wanted := object(t, all[kind])
				if kind == "Deployment" {
					wanted = object(t, wantedOfExported)
				}
				objects = append(objects, Object{Unstructured: wanted})
			}
			p := Compare(objects, live, CompareOptions{}).Plan(nil)
			var adopted []string
			for _, ch := range p.Changes {
				if ch.Action == Adopt {
					adopted = append(adopted, ch.Ref.Kind)
				}
			}
			if !slices.Equal(adopted, c.adopted) {
				t.Errorf("adopted %v, want %v", adopted, c.adopted)
			}
			for _, conflict := range p.Conflicts {
				if conflict.Ref.Kind == c.kind && c.owner != "" && (conflict.Owner.Manager != c.owner || !strings.Contains(conflict.Detail, c.detail) || conflict.Field != "") {
					t.Errorf("%+v, want %q, %q", conflict, c.owner, c.detail)
				}
			}
			if n := len(p.Conflicts); n != len(kinds)-len(c.adopted) {
				t.Errorf("%d conflicts: %+v", n, p.Conflicts)
			}
		})
	}
}

func TestServiceOfAMemberIsAdopted(t *testing.T) {
	service := object(t, `{apiVersion: v1, kind: Service, metadata: {name: enc, namespace: ns}, spec: {selector: {app: enc}, ports: [{port: 8080, protocol: TCP}]}}`)
	o := Object{Unstructured: service}
	member := object(t, liveDeployment)
	p := Compare([]Object{o, {Unstructured: object(t, wantedDeployment)}}, Live{
		Strangers: map[Ref]*unstructured.Unstructured{o.Ref(): service}, Members: map[Ref]*unstructured.Unstructured{RefOf(member): member},
	}, CompareOptions{}).Plan(nil)
	if p.Changes[0].Action != Adopt {
		t.Errorf("%s, %+v", p.Changes[0].Action, p.Conflicts)
	}
}

func TestDefaultsOfTheServerAreKnown(t *testing.T) {
	for image, want := range map[string]string{
		"a": "Always", "a:latest": "Always", "reg:5000/a": "Always", "reg:5000/a:1": "IfNotPresent", "a@sha256:0": "IfNotPresent", "a:1": "IfNotPresent",
	} {
		if got := defaultPullPolicy(image); got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}

func TestObjectWhoseOwnersCannotBeReadIsNotAdopted(t *testing.T) {
	broken := owned("kubectl", metav1.ManagedFieldsOperationApply, "", `{"f:spec":{"f:replicas":{}}}`)
	broken.FieldsV1.SetRawBytes([]byte(`[1]`))
	for _, found := range []*unstructured.Unstructured{stranger(t, broken), object(t, strings.Replace(exported, "containers:\n      - name: executor\n", "containers:\n      - name: [executor]\n", 1))} {
		p := adoptOne(t, wantedOfExported, found, CompareOptions{})
		if len(p.Conflicts) != 1 || p.Conflicts[0].Field != "" || p.Conflicts[0].Detail == "" {
			t.Errorf("%+v\n%+v", p.Conflicts, p.Changes)
		}
	}
}
