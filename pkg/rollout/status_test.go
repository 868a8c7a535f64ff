package rollout

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

func TestParseGraphKeepsTheFlowsOrder(t *testing.T) {
	got, err := ParseGraph(`{"zeta":["gateway"],"alpha":["zeta"],"join":["zeta","alpha"],"floating":[]}`)
	want := Graph{
		{Executor: "zeta", Needs: []string{"gateway"}}, {Executor: "alpha", Needs: []string{"zeta"}}, {Executor: "join", Needs: []string{"zeta", "alpha"}}, {Executor: "floating", Needs: []string{}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := ParseGraph(""); got != nil || err != nil {
		t.Errorf("of nothing: %v, %v", got, err)
	}
	for _, bad := range []string{"[]", "{", `{"a":1}`, `{"a":["b"]`, "x", `{"a"`} {
		if got, err := ParseGraph(bad); err == nil {
			t.Errorf("%s: %v", bad, got)
		}
	}
}

// labelled makes a deployment one of a Flow's parts.
func labelled(role plan.Role, written, shard string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Labels[plan.LabelComponent] = string(role)
		d.Labels[plan.LabelExecutor] = strings.ToLower(written)
		if shard != "" {
			d.Labels[plan.LabelShard] = shard
		}
		d.CreationTimestamp = metav1.NewTime(testNow.Add(-time.Hour))
		d.Spec.Template.Labels = map[string]string{plan.LabelJinaDeployment: written}
		d.Spec.Template.Spec.Containers = []corev1.Container{{Image: "img:" + d.Name}}
	}
}

func searchFlow() Objects {
	return Objects{Deployments: []*appsv1.Deployment{
		deployment("indexer-1", 1, labelled(plan.RoleShard, "Indexer", "1")),
		deployment("indexer-head", 1, labelled(plan.RoleHead, "Indexer", "")),
		deployment("indexer-0", 1, labelled(plan.RoleShard, "Indexer", "0")),
		deployment("gateway", 1, labelled(plan.RoleGateway, "gateway", "")),
		deployment("encoder", 2, labelled(plan.RoleExecutor, "encoder", "")),
	}}
}

var searchRecord = Record{
	Flow: "search", Namespace: testNamespace, Tooling: "kubectl-jina/v1.2.3",
	Graph: Graph{{Executor: "encoder", Needs: []string{"gateway"}}, {Executor: "Indexer", Needs: []string{"encoder"}}},
}

func TestStatusSaysForHowLongSomethingLoads(t *testing.T) {
	s := State{Reason: "loading", Since: testNow.Add(-125 * time.Second), Allowed: 10 * time.Minute}
	if got := reasonOf(s, testNow); got != "loading for 2 min 5 s of at most 10 min" {
		t.Errorf("got %q", got)
	}
	if got := reasonOf(State{Since: s.Since}, testNow); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

// calls makes a deployment a head that calls the shards of an address list.
func calls(list string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Args = []string{"executor", "--pod-role", "HEAD", "--connection-list", list}
	}
}

func TestAMissingShardOrHeadIsNotHealthy(t *testing.T) {
	const list = `{"0": "grpc://indexer-0.jina.svc:8080", "1": "indexer-1.jina.svc:8080", "2": "indexer-2.jina.svc:8080"}`
	head := deployment("indexer-head", 1, labelled(plan.RoleHead, "Indexer", ""), calls(list))
	shard := func(n string) *appsv1.Deployment {
		return deployment("indexer-"+n, 1, labelled(plan.RoleShard, "Indexer", n))
	}
	for _, c := range []struct {
		name    string
		objects []*appsv1.Deployment
		missing []string
	}{
		{"all there", []*appsv1.Deployment{head, shard("0"), shard("1"), shard("2")}, nil},
		{"one in the middle", []*appsv1.Deployment{head, shard("0"), shard("2")}, []string{"indexer-1"}},
		{"the last ones", []*appsv1.Deployment{head, shard("0")}, []string{"indexer-1", "indexer-2"}},
		{"all shards", []*appsv1.Deployment{head}, []string{"indexer-0", "indexer-1", "indexer-2"}},
		{"the head", []*appsv1.Deployment{shard("0"), shard("1")}, []string{"indexer-head"}},
		{"a list that nobody can read", []*appsv1.Deployment{deployment("indexer-head", 1, labelled(plan.RoleHead, "Indexer", ""), calls("[1]")), shard("0")}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Status(Record{Graph: Graph{{Executor: "Indexer"}}}, Objects{Deployments: c.objects}, testNow)
			var missing []string
			for _, w := range s.Executors[0].Workloads() {
				if w.Phase == PhaseMissing {
					missing = append(missing, w.Name)
				}
			}
			if !reflect.DeepEqual(missing, c.missing) || s.Healthy != (missing == nil) || s.Workloads != len(c.objects)+len(missing) || s.Ready != len(c.objects) {
				t.Errorf("missing %v, %+v", missing, s)
			}
			if phase := s.Executors[0].Phase; (phase == PhaseFailed) != (missing != nil) {
				t.Errorf("the executor is %s", phase)
			}
		})
	}
}

func TestStatusHasTheFlowsOrderAndItsWrittenNames(t *testing.T) {
	s := Status(searchRecord, searchFlow(), testNow)
	if !s.Healthy || s.Ready != 5 || s.Workloads != 5 || s.Tooling != "kubectl-jina/v1.2.3" {
		t.Errorf("got %+v", s)
	}
	if s.Gateway == nil || s.Gateway.Name != "gateway" || s.Gateway.Image != "img:gateway" || s.Gateway.Created != testNow.Add(-time.Hour) {
		t.Errorf("gateway %+v", s.Gateway)
	}
	if len(s.Executors) != 2 || s.Executors[0].Name != "encoder" || s.Executors[1].Name != "Indexer" {
		t.Fatalf("executors %+v", s.Executors)
	}
	indexer := s.Executors[1]
	if indexer.Single != nil || indexer.Head == nil || len(indexer.Shards) != 2 || *indexer.Shards[0].Shard != 0 || *indexer.Shards[1].Shard != 1 {
		t.Errorf("indexer %+v", indexer)
	}
	if got := indexer.Needs; len(got) != 1 || got[0] != "encoder" {
		t.Errorf("needs %v", got)
	}
}

func TestStatusWithoutAGraphListsExecutorsByName(t *testing.T) {
	record := searchRecord
	record.Graph = nil
	s := Status(record, searchFlow(), testNow)
	if len(s.Executors) != 2 || s.Executors[0].Name != "Indexer" || s.Executors[1].Name != "encoder" || !s.Healthy {
		t.Errorf("executors %+v", s.Executors)
	}
}

func TestStatusShowsExecutorsThatTheGraphDoesNotKnow(t *testing.T) {
	o := searchFlow()
	o.Deployments = append(o.Deployments, deployment("former", 1, labelled(plan.RoleExecutor, "former", "")))
	s := Status(searchRecord, o, testNow)
	if len(s.Executors) != 3 || s.Executors[2].Name != "former" {
		t.Errorf("executors %+v", s.Executors)
	}
}

func TestStatusIsUnhealthyWhenAPartIsMissing(t *testing.T) {
	without := func(name string) Objects {
		o := searchFlow()
		var kept []*appsv1.Deployment
		for _, d := range o.Deployments {
			if d.Name != name {
				kept = append(kept, d)
			}
		}
		o.Deployments = kept
		return o
	}
	s := Status(searchRecord, without("encoder"), testNow)
	if s.Healthy || s.Executors[0].Phase != PhaseMissing || s.Executors[0].Name != "encoder" {
		t.Errorf("without encoder: %+v", s)
	}
	s = Status(searchRecord, without("gateway"), testNow)
	if s.Healthy || s.Gateway == nil || s.Gateway.Phase != PhaseMissing {
		t.Errorf("without gateway: %+v", s)
	}
	if s := Status(Record{Flow: "search"}, Objects{}, testNow); s.Healthy {
		t.Errorf("without anything: %+v", s)
	}
	deploymentFile := Record{Flow: "encoder", Graph: Graph{{Executor: "encoder", Needs: []string{}}}}
	o := Objects{Deployments: []*appsv1.Deployment{deployment("encoder", 1, labelled(plan.RoleExecutor, "encoder", ""))}}
	if s := Status(deploymentFile, o, testNow); !s.Healthy || s.Gateway != nil {
		t.Errorf("a Deployment file has no gateway: %+v", s)
	}
}

func TestPhases(t *testing.T) {
	failed := condition(appsv1.DeploymentProgressing, corev1.ConditionFalse, progressDeadlineExceeded, "")
	broken := unready(waiting("CrashLoopBackOff", ""))
	flapping := crashedBefore(5, terminated(1, "Error", ""))
	for _, c := range []struct {
		phase Phase
		d     *appsv1.Deployment
		pod   func(*corev1.Pod)
	}{
		{PhaseReady, deployment("e", 1), nil},
		{PhaseStopped, deployment("e", 0), nil},
		{PhaseStarting, deployment("e", 1, notReady), unready(waiting("ContainerCreating", ""))},
		{PhaseUpdating, deployment("e", 1, func(d *appsv1.Deployment) { d.Status.Replicas = 2 }), unready(running())},
		{PhaseUpdating, deployment("e", 1, func(d *appsv1.Deployment) { d.Generation = 2 }), nil},
		{PhaseNotReady, deployment("e", 1, notReady), broken},
		{PhaseFailed, deployment("e", 1, notReady, failed), broken},
		{PhaseCrashing, deployment("e", 1), flapping},
	} {
		d := c.d
		labelled(plan.RoleExecutor, "e", "")(d)
		rs := replicaSet(d, 1, 0)
		p := pod(rs, "a")
		if c.pod != nil {
			c.pod(p)
		}
		s := Status(Record{Flow: "search"}, Objects{Deployments: []*appsv1.Deployment{d}, ReplicaSets: []*appsv1.ReplicaSet{rs}, Pods: []*corev1.Pod{p}}, testNow)
		e := s.Executors[0]
		if e.Phase != c.phase || e.Single.Phase != c.phase || e.Healthy != c.phase.Healthy() || s.Healthy != c.phase.Healthy() {
			t.Errorf("want %q: executor %q healthy %v, workload %q, Flow healthy %v", c.phase, e.Phase, e.Healthy, e.Single.Phase, s.Healthy)
		}
		if bad := !c.phase.Healthy(); bad != (e.Single.Reason != "") {
			t.Errorf("%q: reason %q", c.phase, e.Single.Reason)
		}
	}
}

func TestAnExecutorIsAsBadAsItsWorstShard(t *testing.T) {
	o := searchFlow()
	notReady(o.Deployments[0])
	s := Status(searchRecord, o, testNow)
	if s.Healthy || s.Executors[1].Healthy || s.Executors[1].Phase != PhaseStarting || !s.Executors[0].Healthy {
		t.Errorf("got %+v", s.Executors)
	}
}

func TestRestartsCountEveryContainerOfThePodsThatStay(t *testing.T) {
	d := deployment("e", 2, labelled(plan.RoleExecutor, "e", ""))
	rs := replicaSet(d, 1, 2)
	sidecar := func(p *corev1.Pod) {
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "linkerd-proxy", RestartCount: 2}}
	}
	o := Objects{Deployments: []*appsv1.Deployment{d}, ReplicaSets: []*appsv1.ReplicaSet{rs}, Pods: []*corev1.Pod{
		pod(rs, "a", crashedBefore(3, corev1.ContainerState{})), pod(rs, "b", sidecar), pod(rs, "c", crashedBefore(9, corev1.ContainerState{}), terminating),
	}}
	if got := Status(Record{}, o, testNow).Executors[0].Single.Restarts; got == nil || *got != 5 {
		t.Errorf("got %v", got)
	}
	o.Pods, o.Unreadable = nil, []string{resourcePods}
	if got := Status(Record{}, o, testNow).Executors[0].Single.Restarts; got != nil {
		t.Errorf("unreadable pods restarted %d times", *got)
	}
}

func TestStatusHasNoControlSequences(t *testing.T) {
	d := deployment("e", 1, labelled(plan.RoleExecutor, "e", ""))
	d.Spec.Template.Spec.Containers[0].Image = "img\x1b[2J:1"
	record := Record{Flow: "f", Tooling: "kubectl-jina/\x1b[2Jv1", Graph: mustGraph(t, `{"e\u001b[2J":["gate\u001b[2Jway"]}`)}
	text, err := json.Marshal(Status(record, Objects{Deployments: []*appsv1.Deployment{d}}, testNow))
	if err != nil || strings.Contains(string(text), `\u001b`) || !strings.Contains(string(text), "img:1") {
		t.Errorf("%s, %v", text, err)
	}
}

func mustGraph(t *testing.T, text string) Graph {
	t.Helper()
	g, err := ParseGraph(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestStatusKnowsExternalExecutors(t *testing.T) {
	graph, err := ParseGraph(`{"encoder":["gateway"],"elsewhere":{"needs":["encoder"],"external":true},"Indexer":["elsewhere"]}`)
	if err != nil {
		t.Fatal(err)
	}
	record := searchRecord
	record.Graph = graph
	s := Status(record, searchFlow(), testNow)
	if !s.Healthy || s.Workloads != 5 {
		t.Errorf("an external executor counts: %+v", s)
	}
	e := s.Executors[1]
	if e.Name != "elsewhere" || !e.External || e.Phase != PhaseExternal || !e.Healthy || len(e.Needs) != 1 || e.Needs[0] != "encoder" {
		t.Errorf("elsewhere is %+v", e)
	}
	for _, text := range []string{`{"e":{"needs":5}}`, `{"e":5}`} {
		if _, err := ParseGraph(text); err == nil || !strings.Contains(err.Error(), `executor "e"`) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
