package cmd

import (
	"bytes"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

var statusNow = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// liveWorkload is a Deployment with wanted replicas of which ready are, and its replica set and pods.
func liveWorkload(o *rollout.Objects, name string, part plan.Part, wanted, ready int32, managers ...metav1.ManagedFieldsEntry) []*corev1.Pod {
	written := part.Executor
	if part.Role == plan.RoleGateway {
		written = "gateway"
	}
	labels := map[string]string{plan.LabelFlow: "search", plan.LabelComponent: string(part.Role), plan.LabelExecutor: strings.ToLower(written)}
	if part.Role == plan.RoleShard {
		labels[plan.LabelShard] = string(rune('0' + part.Shard))
	}
	age := metav1.NewTime(statusNow.Add(-26 * time.Hour))
	isController := true
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "prod", UID: types.UID(name), Generation: 1, Labels: labels, CreationTimestamp: age,
			Annotations: map[string]string{"deployment.kubernetes.io/revision": "1"}, ManagedFields: managers},
		Spec: appsv1.DeploymentSpec{Replicas: &wanted, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{plan.LabelJinaDeployment: written}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "executor", Image: "registry.example.com/" + strings.ToLower(written) + ":1"}}},
		}},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: wanted, UpdatedReplicas: wanted, ReadyReplicas: ready, AvailableReplicas: ready},
	}
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-1a", Namespace: "prod", UID: types.UID(name + "-1a"),
			Annotations: d.Annotations, Labels: map[string]string{"pod-template-hash": "1a"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Deployment", Name: name, UID: d.UID, Controller: &isController}}},
		Status: appsv1.ReplicaSetStatus{ReadyReplicas: ready},
	}
	o.Deployments, o.ReplicaSets = append(o.Deployments, d), append(o.ReplicaSets, rs)
	var pods []*corev1.Pod
	for i := range wanted {
		condition := corev1.ConditionTrue
		if i >= ready {
			condition = corev1.ConditionFalse
		}
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name + "-1a-" + string(rune('a'+i)), Namespace: "prod", Labels: rs.Labels,
				OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: rs.Name, UID: rs.UID, Controller: &isController}}},
			Spec: corev1.PodSpec{NodeName: "n"},
			Status: corev1.PodStatus{Phase: corev1.PodRunning,
				Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: condition}},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "executor", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, Ready: i < ready}}},
		}
		o.Pods, pods = append(o.Pods, p), append(pods, p)
	}
	return pods
}

func owner(manager, subresource string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)}
}

func crash(p *corev1.Pod, restarts int32, waiting bool) {
	c := &p.Status.ContainerStatuses[0]
	c.RestartCount = restarts
	c.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
		ExitCode: 137, Reason: "OOMKilled", FinishedAt: metav1.NewTime(statusNow.Add(-42 * time.Second)),
	}
	if waiting {
		c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	}
}

// searchObjects is a Flow with a sharded executor, each workload's replicas from somebody else.
func searchObjects() (o rollout.Objects, pods map[string][]*corev1.Pod) {
	pods = map[string][]*corev1.Pod{}
	pods["gateway"] = liveWorkload(&o, "gateway", plan.Part{Role: plan.RoleGateway}, 3, 3, owner(plan.ScaleFieldManager, "scale"))
	pods["encoder"] = liveWorkload(&o, "encoder", plan.Part{Role: plan.RoleExecutor, Executor: "encoder"}, 2, 2, owner("kube-controller-manager", "scale"))
	pods["head"] = liveWorkload(&o, "indexer-head", plan.Part{Role: plan.RoleHead, Executor: "Indexer"}, 1, 1, owner(plan.FieldManager, ""))
	pods["0"] = liveWorkload(&o, "indexer-0", plan.Part{Role: plan.RoleShard, Executor: "Indexer"}, 1, 1, owner(plan.FieldManager, ""))
	pods["1"] = liveWorkload(&o, "indexer-1", plan.Part{Role: plan.RoleShard, Executor: "Indexer", Shard: 1}, 1, 1, owner("kubectl-edit", ""))
	return o, pods
}

func searchRecord(t *testing.T) rollout.Record {
	t.Helper()
	graph, err := rollout.ParseGraph(`{"encoder":["gateway"],"Indexer":["encoder","gateway"]}`)
	if err != nil {
		t.Fatal(err)
	}
	return rollout.Record{Flow: "search", Namespace: "prod", Tooling: "kubectl-jina/v1.2.3", Graph: graph}
}

func TestStatusPrinters(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*rollout.Objects, map[string][]*corev1.Pod)
		healthy bool
	}{
		{"healthy", func(*rollout.Objects, map[string][]*corev1.Pod) {}, true},
		{"crashing", func(o *rollout.Objects, pods map[string][]*corev1.Pod) {
			crash(pods["encoder"][0], 3, false) // ready between two crashes
			crash(pods["1"][0], 7, true)
			o.Deployments[4].Status.ReadyReplicas, o.Deployments[4].Status.AvailableReplicas = 0, 0
			o.ReplicaSets[4].Status.ReadyReplicas = 0
			pods["1"][0].Status.Conditions[0].Status = corev1.ConditionFalse
		}, false},
		{"stuck on a new revision", func(o *rollout.Objects, _ map[string][]*corev1.Pod) {
			d := o.Deployments[1]
			d.Status.UpdatedReplicas, d.Status.ReadyReplicas = 0, 2
			d.Status.Conditions = []appsv1.DeploymentCondition{{
				Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota: small",
			}}
			o.ReplicaSets[1].Status.ReadyReplicas = 0
		}, false},
		{"parts missing", func(o *rollout.Objects, _ map[string][]*corev1.Pod) {
			o.Deployments = append(o.Deployments[2:4:4], o.Deployments[4])
		}, false},
		{"pods unreadable", func(o *rollout.Objects, _ map[string][]*corev1.Pod) {
			o.Pods, o.ReplicaSets, o.Unreadable = nil, nil, []string{"pods", "replicasets"}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			objects, pods := searchObjects()
			c.change(&objects, pods)
			status := rollout.Status(searchRecord(t), objects, statusNow)
			if status.Healthy != c.healthy {
				t.Errorf("healthy %v", status.Healthy)
			}
			file := "status_" + strings.ReplaceAll(c.name, " ", "_")
			var tree, text bytes.Buffer
			if err := printStatus(&tree, status, statusNow); err != nil {
				t.Fatal(err)
			}
			if err := printStatusJSON(&text, status); err != nil {
				t.Fatal(err)
			}
			golden(t, file+".txt", tree.String())
			golden(t, file+".json", text.String())
		})
	}
}

func TestStatusOfADeploymentFileHasNoGateway(t *testing.T) {
	var o rollout.Objects
	liveWorkload(&o, "encoder", plan.Part{Role: plan.RoleExecutor, Executor: "encoder"}, 1, 1)
	var out bytes.Buffer
	status := rollout.Status(rollout.Record{Flow: "encoder", Namespace: "prod", Graph: rollout.Graph{{Executor: "encoder"}}}, o, statusNow)
	if err := printStatus(&out, status, statusNow); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Contains(text, "gateway") || !strings.Contains(text, "\nencoder   1/1     ready") {
		t.Errorf("got:\n%s", text)
	}
}
