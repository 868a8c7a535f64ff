package rollout

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// brief is the part of a State that a row of a table says.
type brief struct {
	ready, wanted int32
	done          bool
	failure       string
	reason        string
	trouble       bool
}

func briefOf(s State) brief {
	return brief{s.Ready, s.Wanted, s.Done, s.Failure, s.Reason, s.Trouble}
}

func evaluateOne(t *testing.T, target Target, o Objects) State {
	t.Helper()
	states := Evaluate(NewView([]Target{target}, o, testNow)).States
	if len(states) != 1 {
		t.Fatalf("%d states for one target", len(states))
	}
	return states[0]
}

func TestDeploymentStates(t *testing.T) {
	for _, c := range []struct {
		name   string
		d      *appsv1.Deployment
		target func(*Target)
		want   brief
	}{
		{"available in full", deployment("e", 2), nil, brief{2, 2, true, "", "", false}},
		{"no replicas wanted", deployment("e", 0), nil, brief{0, 0, true, "", "", false}},
		{
			"replicas left out are one",
			deployment("e", 1, func(d *appsv1.Deployment) { d.Spec.Replicas = nil }), nil,
			brief{1, 1, true, "", "", false},
		},
		{
			"spec newer than the controller",
			deployment("e", 2, func(d *appsv1.Deployment) { d.Generation = 2 }), nil,
			brief{2, 2, false, "", "waiting for the controller to see the change", false},
		},
		{
			"older than our own write",
			deployment("e", 2), func(t *Target) { t.MinGeneration = 3 },
			brief{2, 2, false, "", "waiting for the controller to see the change", false},
		},
		{
			"old pods still run",
			deployment("e", 2, func(d *appsv1.Deployment) { d.Status.Replicas = 3 }), nil,
			brief{2, 2, false, "", "waiting for 1 old pod to end", false},
		},
		{
			"new pods to be made",
			deployment("e", 2, func(d *appsv1.Deployment) { d.Status.UpdatedReplicas, d.Status.Replicas = 1, 3 }), nil,
			brief{1, 2, false, "", "waiting for new pods to be made", false},
		},
		{
			"available lags behind ready",
			deployment("e", 2, func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 1 }), nil,
			brief{2, 2, false, "", "waiting for pods to be ready", false},
		},
		{
			"too many while it scales down",
			deployment("e", 3, func(d *appsv1.Deployment) { d.Spec.Replicas = ptr(int32(1)) }), nil,
			brief{3, 1, false, "", "waiting for 2 pods to end", false},
		},
		{
			"progress deadline exceeded",
			deployment("e", 2, notReady, func(d *appsv1.Deployment) { d.Spec.ProgressDeadlineSeconds = ptr(int32(900)) },
				condition(appsv1.DeploymentProgressing, corev1.ConditionFalse, progressDeadlineExceeded, "")), nil,
			brief{0, 2, false, "no progress for 900 s, its progress deadline", "", true},
		},
		{
			"a deadline exceeded before our change is none",
			deployment("e", 2, notReady, func(d *appsv1.Deployment) { d.Generation = 2 },
				condition(appsv1.DeploymentProgressing, corev1.ConditionFalse, progressDeadlineExceeded, "")), nil,
			brief{0, 2, false, "", "waiting for the controller to see the change", false},
		},
		{
			"quota exceeded",
			deployment("e", 2, notReady, condition(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, "FailedCreate", `pods "e-1" is forbidden: exceeded quota: q`)), nil,
			brief{0, 2, false, "", `cannot create pods: pods "e-1" is forbidden: exceeded quota: q`, true},
		},
		{
			"paused",
			deployment("e", 2, func(d *appsv1.Deployment) { d.Spec.Paused = true; d.Status.UpdatedReplicas = 0 }), nil,
			brief{0, 2, false, "", "its rollout is paused (kubectl rollout resume goes on)", true},
		},
		{
			"replicas as wanted",
			deployment("e", 2), func(t *Target) { t.Replicas = ptr(int32(2)) },
			brief{2, 2, true, "", "", false},
		},
		{
			"replicas changed by somebody else",
			deployment("e", 2, func(d *appsv1.Deployment) {
				d.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kube-controller-manager", Subresource: "scale",
					FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)}}
			}), func(t *Target) { t.Replicas = ptr(int32(5)) },
			brief{2, 2, false, "replicas are 2, not 5: changed by autoscaler meanwhile", "", true},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := executorTarget("e")
			if c.target != nil {
				c.target(&target)
			}
			if got := briefOf(evaluateOne(t, target, Objects{Deployments: []*appsv1.Deployment{c.d}})); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestAWorkloadThatDoesNotExistHasFailed(t *testing.T) {
	s := evaluateOne(t, executorTarget("e"), Objects{})
	if s.Done || s.Failure != `Deployment "e" does not exist` {
		t.Errorf("got %+v", s)
	}
}

func TestStatefulSetStates(t *testing.T) {
	target := executorTarget("e")
	target.Ref.Kind = kindStatefulSet
	partition := func(n int32) func(*appsv1.StatefulSet) {
		return func(s *appsv1.StatefulSet) {
			s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: &n}
		}
	}
	half := func(s *appsv1.StatefulSet) { s.Status.UpdateRevision, s.Status.UpdatedReplicas = "r2", 1 }
	for _, c := range []struct {
		name string
		set  *appsv1.StatefulSet
		want brief
	}{
		{"available in full", statefulSet("e", 2), brief{2, 2, true, "", "", false}},
		{"no replicas wanted", statefulSet("e", 0), brief{0, 0, true, "", "", false}},
		{"half updated", statefulSet("e", 2, half), brief{1, 2, false, "", "waiting for new pods to be made", false}},
		{"half updated, as its partition says", statefulSet("e", 2, half, partition(1)), brief{2, 2, true, "", "", false}},
		{"partition above all", statefulSet("e", 2, partition(9)), brief{2, 2, true, "", "", false}},
		{
			"updated on delete only",
			statefulSet("e", 2, half, func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType }),
			brief{2, 2, true, "", "", false},
		},
		{
			"spec newer than the controller",
			statefulSet("e", 2, func(s *appsv1.StatefulSet) { s.Generation = 2 }),
			brief{2, 2, false, "", "waiting for the controller to see the change", false},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := briefOf(evaluateOne(t, target, Objects{StatefulSets: []*appsv1.StatefulSet{c.set}})); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestAStatefulSetsReasonIsOfItsUpdateRevisionOnly(t *testing.T) {
	target := executorTarget("e")
	target.Ref.Kind = kindStatefulSet
	set := statefulSet("e", 2, func(s *appsv1.StatefulSet) {
		s.Status.UpdateRevision, s.Status.UpdatedReplicas, s.Status.AvailableReplicas = "r2", 1, 1
	})
	s := evaluateOne(t, target, Objects{StatefulSets: []*appsv1.StatefulSet{set}, Pods: []*corev1.Pod{
		setPod(set, 0, "r1", unready(waiting("CrashLoopBackOff", ""))),
		setPod(set, 1, "r2", unready(waiting("CreateContainerConfigError", `secret "s" not found`))),
	}})
	if want := (brief{0, 2, false, "", "there is no Secret `s`", true}); briefOf(s) != want {
		t.Errorf("got  %+v\nwant %+v", briefOf(s), want)
	}
}

// Every row is a pod of the new revision of a Deployment that is not available yet.
func TestReasonsOfPods(t *testing.T) {
	crashing := unready(waiting("CrashLoopBackOff", "back-off 40s restarting failed container=executor pod=e-11-a_search(12)"))
	initState := func(name string, sidecar bool, state corev1.ContainerState, started bool) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			unready(waiting("PodInitializing", ""))(p)
			c := corev1.Container{Name: name}
			if sidecar {
				c.RestartPolicy = ptr(corev1.ContainerRestartPolicyAlways)
			}
			p.Spec.InitContainers = append(p.Spec.InitContainers, c)
			p.Status.InitContainerStatuses = append(p.Status.InitContainerStatuses, corev1.ContainerStatus{Name: name, State: state, Started: &started})
		}
	}
	for _, c := range []struct {
		name    string
		change  func(*corev1.Pod)
		want    string
		trouble bool
	}{
		{"just made", func(p *corev1.Pod) { p.Spec.NodeName, p.Status = "", corev1.PodStatus{Phase: corev1.PodPending} }, "waiting for a node", false},
		{"unschedulable", pending("Unschedulable", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."), "0/3 nodes have nvidia.com/gpu free", true},
		{"gated", pending("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"), "waiting for a node: SchedulingGated: Scheduling is blocked due to non-empty scheduling gates", false},
		{"containers are made", unready(waiting("ContainerCreating", "")), "creating its containers", false},
		{"image not found", unready(waiting("ErrImagePull", "manifest unknown")), "image `img:1` not found", true},
		{"image back-off", unready(waiting("ImagePullBackOff", "")), "cannot pull image `img:1` yet", true},
		{"missing secret", unready(waiting("CreateContainerConfigError", `secret "s" not found`)), "there is no Secret `s`", true},
		{"crash loop of unknown cause", crashing, "crashes", true},
		{
			"crash loop with an exit code",
			func(p *corev1.Pod) {
				crashing(p)
				crashedBefore(1, terminated(1, "Error", "Traceback\nModuleNotFoundError: no torch\n"))(p)
			},
			"crashes: exit code 1: ModuleNotFoundError: no torch, 1 restart", true,
		},
		{
			"out of memory",
			func(p *corev1.Pod) { crashing(p); crashedBefore(1, terminated(137, "OOMKilled", ""))(p) },
			"out of memory: killed with exit code 137, without a limit of its own, 1 restart", true,
		},
		{"exited a moment ago", unready(terminated(2, "Error", "")), "crashes: exit code 2", true},
		{"starting", func(p *corev1.Pod) { unready(running())(p); p.Status.ContainerStatuses[0].Started = ptr(false) }, "loading", false},
		{"running, not ready", unready(running()), "running, but not ready yet", false},
		{"init container at work", initState("download", false, running(), false), "running its init container `download`", false},
		{"init container crashes", initState("download", false, waiting("CrashLoopBackOff", ""), false), "init container `download`: crashes", true},
		{"native sidecar crashes", initState("linkerd-proxy", true, waiting("CrashLoopBackOff", ""), false), "the mesh's container `linkerd-proxy`: crashes", true},
		{"native sidecar starts", initState("linkerd-proxy", true, running(), false), "running its init container `linkerd-proxy`", false},
		{
			"native sidecar runs, the executor starts",
			func(p *corev1.Pod) {
				initState("linkerd-proxy", true, running(), true)(p)
				p.Status.InitContainerStatuses[0].Ready = true
				unready(running())(p)
				p.Status.ContainerStatuses[0].Started = ptr(false)
			},
			"loading", false,
		},
		{
			"evicted",
			func(p *corev1.Pod) {
				p.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on resource: memory."}
			},
			"pod failed: Evicted: The node was low on resource: memory.", true,
		},
		{"control sequences", unready(waiting("Bad\x1b[2J", "a\x1b]0;title\x07b\r\nc\u202e")), "cannot be run: Bad: ab c", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := deployment("e", 1, notReady)
			rs := replicaSet(d, 1, 0)
			s := evaluateOne(t, executorTarget("e"), Objects{
				Deployments: []*appsv1.Deployment{d}, ReplicaSets: []*appsv1.ReplicaSet{rs}, Pods: []*corev1.Pod{pod(rs, "a", c.change)},
			})
			if s.Reason != c.want || s.Trouble != c.trouble {
				t.Errorf("got  %q, trouble %v\nwant %q, trouble %v", s.Reason, s.Trouble, c.want, c.trouble)
			}
		})
	}
}

func TestTheWorstReasonIsToldWithItsNumberOfPods(t *testing.T) {
	d := deployment("e", 4, notReady)
	rs := replicaSet(d, 1, 1)
	oom := func(p *corev1.Pod) {
		unready(waiting("CrashLoopBackOff", ""))(p)
		crashedBefore(1, terminated(137, "OOMKilled", ""))(p)
	}
	s := evaluateOne(t, executorTarget("e"), Objects{
		Deployments: []*appsv1.Deployment{d}, ReplicaSets: []*appsv1.ReplicaSet{rs},
		Pods: []*corev1.Pod{pod(rs, "a", unready(running())), pod(rs, "b", oom), pod(rs, "c"), pod(rs, "d", oom)},
	})
	if want := "out of memory: killed with exit code 137, without a limit of its own, 1 restart (2 pods)"; s.Reason != want {
		t.Errorf("got %q, want %q", s.Reason, want)
	}
	if s.Ready != 1 {
		t.Errorf("ready %d, want the replica set's 1", s.Ready)
	}
}

func TestOnlyPodsOfTheNewReplicaSetCount(t *testing.T) {
	d := deployment("e", 1, func(d *appsv1.Deployment) {
		d.Annotations[revisionAnnotation] = "2"
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 2, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
	})
	old, current := replicaSet(d, 1, 1), replicaSet(d, 2, 0)
	broken := unready(waiting("CrashLoopBackOff", ""))
	objects := Objects{Deployments: []*appsv1.Deployment{d}, ReplicaSets: []*appsv1.ReplicaSet{old, current}, Pods: []*corev1.Pod{
		pod(old, "a", broken), pod(current, "a", broken, terminating), pod(current, "b", unready(waiting("ContainerCreating", ""))),
	}}
	s := evaluateOne(t, executorTarget("e"), objects)
	if want := (brief{0, 1, false, "", "creating its containers", false}); briefOf(s) != want {
		t.Errorf("got  %+v\nwant %+v", briefOf(s), want)
	}
}

// The controllers count half a second late when there are thousands of pods.
func TestReadyPodsAreDoneBeforeTheControllerHasCountedThem(t *testing.T) {
	lagging := func(d *appsv1.Deployment) {
		notReady(d)
		d.Annotations[revisionAnnotation] = "2"
	}
	for _, c := range []struct {
		name   string
		change func(*appsv1.Deployment)
		pods   func(old, current *appsv1.ReplicaSet) []*corev1.Pod
		hidden bool
		want   bool
	}{
		{"all are ready", nil, func(_, rs *appsv1.ReplicaSet) []*corev1.Pod { return []*corev1.Pod{pod(rs, "a"), pod(rs, "b")} }, false, true},
		{"an old one is on its way out", nil, func(old, rs *appsv1.ReplicaSet) []*corev1.Pod {
			return []*corev1.Pod{pod(rs, "a"), pod(rs, "b"), pod(old, "a", terminating)}
		}, false, true},
		{"one was evicted before", nil, func(_, rs *appsv1.ReplicaSet) []*corev1.Pod {
			return []*corev1.Pod{pod(rs, "a"), pod(rs, "b"), pod(rs, "c", func(p *corev1.Pod) { p.Status = corev1.PodStatus{Phase: corev1.PodFailed} })}
		}, false, true},
		{"one is not ready", nil, func(_, rs *appsv1.ReplicaSet) []*corev1.Pod {
			return []*corev1.Pod{pod(rs, "a"), pod(rs, "b", unready(running()))}
		}, false, false},
		{"one is missing", nil, func(_, rs *appsv1.ReplicaSet) []*corev1.Pod { return []*corev1.Pod{pod(rs, "a")} }, false, false},
		{"one is too many", nil, func(_, rs *appsv1.ReplicaSet) []*corev1.Pod {
			return []*corev1.Pod{pod(rs, "a"), pod(rs, "b"), pod(rs, "c")}
		}, false, false},
		{"an old one is left", nil, func(old, rs *appsv1.ReplicaSet) []*corev1.Pod {
			return []*corev1.Pod{pod(rs, "a"), pod(rs, "b"), pod(old, "a")}
		}, false, false},
		{"all are of the old revision", nil, func(old, _ *appsv1.ReplicaSet) []*corev1.Pod { return []*corev1.Pod{pod(old, "a"), pod(old, "b")} }, false, false},
		{"the spec is newer than the controller", func(d *appsv1.Deployment) { d.Generation = 2 }, func(_, rs *appsv1.ReplicaSet) []*corev1.Pod {
			return []*corev1.Pod{pod(rs, "a"), pod(rs, "b")}
		}, false, false},
		{"they have to stay ready for a while", func(d *appsv1.Deployment) { d.Spec.MinReadySeconds = 5 }, func(_, rs *appsv1.ReplicaSet) []*corev1.Pod {
			return []*corev1.Pod{pod(rs, "a"), pod(rs, "b")}
		}, false, false},
		{"nobody may read pods", nil, func(_, rs *appsv1.ReplicaSet) []*corev1.Pod { return []*corev1.Pod{pod(rs, "a"), pod(rs, "b")} }, true, false},
	} {
		d := deployment("e", 2, lagging)
		if c.change != nil {
			c.change(d)
		}
		old, current := replicaSet(d, 1, 0), replicaSet(d, 2, 0)
		o := Objects{Deployments: []*appsv1.Deployment{d}, ReplicaSets: []*appsv1.ReplicaSet{old, current}, Pods: c.pods(old, current)}
		if c.hidden {
			o.Unreadable = []string{resourcePods}
		}
		s := evaluateOne(t, executorTarget("e"), o)
		if s.Done != c.want || c.want && s.Ready != 2 {
			t.Errorf("%s: %+v", c.name, s)
		}
		// Nothing new is told when the controller has counted.
		d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas = 2, 2, 2, 2
		if counted := evaluateOne(t, executorTarget("e"), o); c.want && !counted.Equal(s) {
			t.Errorf("%s: %+v, and before it was counted %+v", c.name, counted, s)
		}
	}
}

func TestReadyPodsOfAStatefulSetAreDoneBeforeItsControllerHasCountedThem(t *testing.T) {
	target := executorTarget("e")
	target.Ref.Kind = kindStatefulSet
	for _, c := range []struct {
		name   string
		change func(*appsv1.StatefulSet)
		second string
		want   bool
	}{
		{"all are ready", nil, "r2", true},
		{"one is of the revision before", nil, "r1", false},
		{"some are to stay at the revision before", func(s *appsv1.StatefulSet) {
			s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: ptr(int32(1))}
		}, "r2", false},
		{"they have to stay ready for a while", func(s *appsv1.StatefulSet) { s.Spec.MinReadySeconds = 5 }, "r2", false},
	} {
		set := statefulSet("e", 2, func(s *appsv1.StatefulSet) {
			s.Status = appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 2, UpdatedReplicas: 1, UpdateRevision: "r2", CurrentRevision: "r1"}
		})
		if c.change != nil {
			c.change(set)
		}
		s := evaluateOne(t, target, Objects{StatefulSets: []*appsv1.StatefulSet{set}, Pods: []*corev1.Pod{setPod(set, 0, "r2"), setPod(set, 1, c.second)}})
		if s.Done != c.want {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

// A Deployment that was deleted and made again has the same names, hashes and revision numbers as the one before.
func TestPodsOfADeletedNamesakeDoNotCount(t *testing.T) {
	d := deployment("e", 1, notReady)
	former := deployment("e", 1, func(d *appsv1.Deployment) { d.UID = "uid-former" })
	rs := replicaSet(former, 1, 1)
	rs.UID = "uid-former-rs"
	s := evaluateOne(t, executorTarget("e"), Objects{
		Deployments: []*appsv1.Deployment{d}, ReplicaSets: []*appsv1.ReplicaSet{rs},
		Pods: []*corev1.Pod{pod(rs, "a", unready(waiting("CrashLoopBackOff", "")))},
	})
	if s.Trouble || s.Ready != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestReasonsAreKnownWithoutReplicaSetsWhenAllPodsAreOfOneTemplate(t *testing.T) {
	d := deployment("e", 1, notReady)
	first, second := replicaSet(d, 1, 0), replicaSet(d, 2, 0)
	objects := Objects{Deployments: []*appsv1.Deployment{d}, Pods: []*corev1.Pod{pod(first, "a", unready(waiting("CrashLoopBackOff", "")))}}
	if s := evaluateOne(t, executorTarget("e"), objects); s.Reason != "crashes" {
		t.Errorf("one template: %q", s.Reason)
	}
	objects.Pods = append(objects.Pods, pod(second, "a", unready(waiting("CrashLoopBackOff", ""))))
	if s := evaluateOne(t, executorTarget("e"), objects); s.Trouble {
		t.Errorf("two templates, nobody knows which is the new one, but: %q", s.Reason)
	}
}

func TestAReadyPodThatKeepsCrashingIsTrouble(t *testing.T) {
	d := deployment("e", 1)
	rs := replicaSet(d, 1, 1)
	for _, c := range []struct {
		name     string
		restarts int32
		last     corev1.ContainerState
		now      time.Time
		want     string
	}{
		{"crashes", 4, terminated(1, "Error", ""), testNow, "container `executor` of pod `e-11-a` crashed 4 times, last 20 s ago: exit code 1"},
		{"restarted once", 1, terminated(1, "Error", ""), testNow, ""},
		{"long ago", 4, terminated(1, "Error", ""), testNow.Add(time.Hour), ""},
		{"ended well", 4, terminated(0, "Completed", ""), testNow, ""},
		{"without a clock", 4, terminated(1, "Error", ""), time.Time{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Objects{
				Deployments: []*appsv1.Deployment{d}, ReplicaSets: []*appsv1.ReplicaSet{rs},
				Pods: []*corev1.Pod{pod(rs, "a", crashedBefore(c.restarts, c.last))},
			}
			s := Evaluate(NewView([]Target{executorTarget("e")}, o, c.now)).States[0]
			if !s.Done || s.Reason != c.want || s.Trouble != (c.want != "") {
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestVerdictSortsOutStates(t *testing.T) {
	v := Verdict{States: []State{{Done: true}, {Reason: "slow"}, {Failure: "broken"}}}
	if v.Done() || len(v.NotDone()) != 2 || len(v.Failed()) != 1 {
		t.Errorf("done %v, not done %v, failed %v", v.Done(), v.NotDone(), v.Failed())
	}
	if v := (Verdict{States: []State{{Done: true}}}); !v.Done() {
		t.Error("one that is done is not done")
	}
}

func TestPlainText(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		"plain":                        "plain",
		"  two\n\tlines \r\n":          "two lines",
		"\x1b[31mred\x1b[0m":           "red",
		"\x1b]8;;http://x\x1b\\link":   "link",
		"\x1b]0;title\x07after":        "after",
		"\x1bPq#0\x1b\\sixel":          "sixel",
		"a\x1b7b\x1b(Bc":               "abc",
		"c1 \u009b31m csi":             "c1 csi",
		"\x00\x08\x7fx":                "x",
		"abc\u202edcba\u2069\u200b":    "abcdcba",
		"cut \x1b[":                    "cut",
		"bad \xff utf8":                "bad \uFFFD utf8",
		strings.Repeat("é", maxText+1): strings.Repeat("é", maxText-1) + "…",
	} {
		if got := PlainText(in); got != want {
			t.Errorf("PlainText(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestReplicasOwner(t *testing.T) {
	entry := func(manager, subresource, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const replicas, other = `{"f:spec":{"f:replicas":{},"f:template":{}}}`, `{"f:spec":{"f:template":{}}}`
	for _, c := range []struct {
		want    string
		entries []metav1.ManagedFieldsEntry
	}{
		{"nobody", nil},
		{"nobody", []metav1.ManagedFieldsEntry{entry("a", "", other), {Manager: "b"}, entry("c", "", "not json")}},
		{OwnerFile, []metav1.ManagedFieldsEntry{entry("b", "", other), entry(plan.FieldManager, "", replicas)}},
		{OwnerScale, []metav1.ManagedFieldsEntry{entry(plan.FieldManager, "", other), entry(plan.ScaleFieldManager, "scale", replicas)}},
		{OwnerAutoscaler, []metav1.ManagedFieldsEntry{entry("kube-controller-manager", "scale", replicas)}},
		{OwnerAutoscaler, []metav1.ManagedFieldsEntry{entry("keda-operator", "scale", replicas)}},
		{"my-autoscaler-bot", []metav1.ManagedFieldsEntry{entry("my-autoscaler-bot", "scale", replicas)}},
		{"kube-controller-manager", []metav1.ManagedFieldsEntry{entry("kube-controller-manager", "status", replicas)}},
		{"kubectl", []metav1.ManagedFieldsEntry{entry("kubectl", "scale", replicas)}},
		{"argocd, file", []metav1.ManagedFieldsEntry{entry(plan.FieldManager, "", replicas), entry("argocd", "", replicas), entry("argocd", "scale", replicas)}},
	} {
		if got := ReplicasOwner(&metav1.ObjectMeta{ManagedFields: c.entries}); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if got := ReplicasOwner(nil); got != "nobody" {
		t.Errorf("of nothing: %q", got)
	}
}
