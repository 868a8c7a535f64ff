package cmd

import (
	"bytes"
	"errors"
	"io"
	"regexp"
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
	labels := map[string]string{plan.LabelFlow: "search", plan.LabelManagedBy: plan.FieldManager, plan.LabelVersion: "3.34.0", plan.LabelComponent: string(part.Role), plan.LabelExecutor: strings.ToLower(written)}
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
			// The pods are those of the revision before.
			d.Annotations = map[string]string{"deployment.kubernetes.io/revision": "2"}
			next := o.ReplicaSets[1].DeepCopy()
			next.Name, next.UID, next.Annotations, next.Status = "encoder-2b", "encoder-2b", d.Annotations, appsv1.ReplicaSetStatus{}
			next.Labels = map[string]string{"pod-template-hash": "2b"}
			next.Status.Conditions = []appsv1.ReplicaSetCondition{{
				Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota: small",
			}}
			o.ReplicaSets = append(o.ReplicaSets, next)
		}, false},
		{"parts missing", func(o *rollout.Objects, _ map[string][]*corev1.Pod) {
			o.Deployments = append(o.Deployments[2:4:4], o.Deployments[4])
		}, false},
		{"a shard missing", func(o *rollout.Objects, _ map[string][]*corev1.Pod) {
			o.Deployments[2].Spec.Template.Spec.Containers[0].Args = []string{"executor", "--connection-list", `{"0": "indexer-0.prod.svc:8080", "1": "indexer-1.prod.svc:8080"}`}
			o.Deployments = o.Deployments[:4]
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
			var text bytes.Buffer
			if err := printJSON(&text, status); err != nil {
				t.Fatal(err)
			}
			golden(t, file+".txt", statusText(status, statusNow, false))
			golden(t, file+".json", text.String())
		})
	}
}

// variedStatus has an autoscaler, pods in a mesh, an external executor, a part that is missing, names with what pictures give a
// meaning to, and shards that nobody needs.
func variedStatus(t *testing.T) rollout.FlowStatus {
	t.Helper()
	o, pods := searchObjects()
	liveWorkload(&o, "odd", plan.Part{Role: plan.RoleExecutor, Executor: `o"d]d;\<b>`}, 1, 1)
	graph, err := rollout.ParseGraph(`{"encoder":["gateway"],"else where":{"needs":["encoder"],"external":true},"Indexer":["encoder","else where"],` +
		`"o\"d]d;\\<b>":["Indexer"],"gone":["gateway"]}`)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range pods["encoder"] {
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "linkerd-proxy", Ready: i == 0}}
	}
	pods["gateway"][0].Status.ContainerStatuses = append(pods["gateway"][0].Status.ContainerStatuses, corev1.ContainerStatus{Name: "istio-proxy", Ready: true})
	o.Deployments[0].Spec.Template.Spec.Containers[0].Image = "jinaai/jina:3.29.1-py38-standard"
	record := searchRecord(t)
	record.Graph = graph
	record.Autoscalers = map[plan.Ref]plan.Autoscaler{
		{Group: "apps", Version: "v1", Kind: "Deployment", Namespace: "prod", Name: "encoder"}:      {Kind: "HorizontalPodAutoscaler", Name: "encoder", Min: 2, Max: 8},
		{Group: "apps", Version: "v1", Kind: "Deployment", Namespace: "prod", Name: "indexer-head"}: {Kind: "ScaledObject", Name: "heads", Min: 0, Max: 100},
	}
	return rollout.Status(record, o, statusNow)
}

func TestStatusIsPrintedInEachFormat(t *testing.T) {
	for _, output := range statusOutputs() {
		t.Run(output, func(t *testing.T) {
			var out bytes.Buffer
			o := statusOptions{output: output, env: terminalEnv{now: func() time.Time { return statusNow }}}
			if err := o.print(&out, variedStatus(t)); err != nil {
				t.Fatal(err)
			}
			golden(t, "status_varied."+output, out.String())
		})
	}
}

func TestNoNameIsMoreThanTextInAPicture(t *testing.T) {
	status := variedStatus(t)
	status.Flow = "a\"b\\"
	status.Executors[0].Name = "x\"]\n  click e0 href \"https://example.com\"; y -> z"
	var mermaid, dot bytes.Buffer
	if err := errors.Join(printMermaid(&mermaid, status), printDOT(&dot, status)); err != nil {
		t.Fatal(err)
	}
	node := regexp.MustCompile(`^ *[a-z0-9]+\["[A-Za-z0-9 \-_/.#;<>]*"\]:::(healthy|unhealthy|external)$`)
	for line := range strings.Lines(mermaid.String()) {
		if strings.Contains(line, ":::") && !node.MatchString(strings.TrimSuffix(line, "\n")) || strings.Contains(line, `click e0 href "`) {
			t.Errorf("mermaid: %s", line)
		}
	}
	if text := dot.String(); !strings.HasPrefix(text, `digraph "a\"b\\" {`) || !strings.Contains(text, `label="x\"]`) {
		t.Errorf("dot:\n%s", text)
	}
}

func TestAPausedFlowSaysHowItStarts(t *testing.T) {
	var o rollout.Objects
	liveWorkload(&o, "gateway", plan.Part{Role: plan.RoleGateway}, 0, 0)
	record := rollout.Record{Flow: "search", Namespace: "prod", Paused: true}
	text := statusText(rollout.Status(record, o, statusNow), statusNow, false)
	if !strings.Contains(text, "Flow search in namespace prod: paused, 1 of 1 workload ready") || !strings.Contains(text, "kubectl jina resume") || strings.Contains(text, "none") {
		t.Errorf("got:\n%s", text)
	}
}

func TestAPageThatDoesNotFitHasWhatIsWrongFirst(t *testing.T) {
	status := variedStatus(t)
	whole := statusLinesIn(status, statusNow, false, 100)
	page := statusLinesIn(status, statusNow, false, 8)
	if len(page) != 8 || page[0] != whole[0] || page[2] != "Not healthy:" || !strings.HasPrefix(page[7], "… and ") {
		t.Errorf("got:\n%s", strings.Join(page, "\n"))
	}
	if strings.Join(whole, "\n")+"\n" != statusText(status, statusNow, false) {
		t.Errorf("the whole page is not the status:\n%s", strings.Join(whole, "\n"))
	}
}

func TestAWatchedStatusIsDrawnInItsPlace(t *testing.T) {
	term := newScreen(t, 100, 12)
	p := &statusPicture{area: &liveArea{out: term, size: func() (int, int, bool) { return term.columns, term.rows, true }}}
	if _, err := io.WriteString(term, "$ kubectl jina status --watch\n"); err != nil {
		t.Fatal(err)
	}
	objects, pods := searchObjects()
	show := func() {
		if err := p.show(rollout.Status(searchRecord(t), objects, statusNow), statusNow); err != nil {
			t.Fatal(err)
		}
	}
	show()
	p.notice("the cluster can be read again")
	crash(pods["encoder"][0], 3, false)
	show()
	got := term.text()
	if strings.Count(got, "Flow search") != 1 || !strings.Contains(got, "not healthy, 4 of 5") || !strings.Contains(got, "the cluster can be read again") {
		t.Errorf("got:\n%s", got)
	}
	all := strings.Join(term.scrollback, "\n") + got
	if !strings.Contains(all, "$ kubectl jina status --watch") {
		t.Errorf("what was there before is gone:\n%s", all)
	}
}

func TestWatchedLinesComeWhenSomethingChanges(t *testing.T) {
	var out bytes.Buffer
	lines := &statusLines{out: &out, before: map[string]string{}}
	objects, pods := searchObjects()
	show := func(o rollout.Objects) {
		if err := lines.show(rollout.Status(searchRecord(t), o, statusNow), statusNow); err != nil {
			t.Fatal(err)
		}
	}
	show(objects)
	first := out.String()
	show(objects)
	if out.String() != first || !strings.HasSuffix(first, "Indexer/1: 1/1 ready\nFlow search in namespace prod: healthy, 5 of 5 workloads ready\n") {
		t.Errorf("got:\n%s", out.String())
	}
	out.Reset()
	crash(pods["encoder"][0], 3, false)
	show(objects)
	if got := out.String(); !regexp.MustCompile(`^encoder: 2/2 crashing: .*\nFlow search in namespace prod: not healthy, 4 of 5 workloads ready\n$`).MatchString(got) {
		t.Errorf("got:\n%s", got)
	}
	// What may not be listed is said once.
	var told []string
	lines.told = func(text string) { told = append(told, text) }
	hidden := objects
	hidden.Unreadable = []string{"events"}
	show(hidden)
	show(hidden)
	if len(told) != 1 || !strings.Contains(told[0], "Not allowed to list events") {
		t.Errorf("told %q", told)
	}
	// That the crash was longer ago is no news.
	out.Reset()
	if err := lines.show(rollout.Status(searchRecord(t), hidden, statusNow.Add(time.Minute)), statusNow); err != nil || out.Len() > 0 {
		t.Errorf("%v, got:\n%s", err, out.String())
	}
}

func TestWatchedDocumentsComeWhenSomethingChanges(t *testing.T) {
	objects, _ := searchObjects()
	status := rollout.Status(searchRecord(t), objects, statusNow)
	for _, yaml := range []bool{false, true} {
		var out bytes.Buffer
		d := &statusDocuments{out: &out, yaml: yaml}
		for _, ready := range []int{5, 5, 4} {
			status.Ready = ready
			if err := d.show(status, statusNow); err != nil {
				t.Fatal(err)
			}
		}
		want, separator := 2, "\n"
		if yaml {
			want, separator = 1, "\n---\n"
		}
		if got := strings.Count(out.String(), separator); got != want {
			t.Errorf("yaml %v: %d of %q in\n%s", yaml, got, separator, out.String())
		}
	}
}

func TestNamesAreOnlyTextInPictures(t *testing.T) {
	const name = "a\"b\\N&lt;#;\u2028[é]"
	for got, want := range map[string]string{
		mermaidText(name):  "a#34;b#92;N#38;lt#59;#35;#59;#8232;#91;#233;#93;",
		dotText(name, "x"): `"a\"b\\N&amp;lt;#;` + "\u2028" + `[é]\nx"`,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestStatusFlagsThatDoNotFitTogether(t *testing.T) {
	for _, args := range [][]string{
		{"-o", "xml"}, {"--for", "healthy"}, {"--watch", "--for", "soon"}, {"--watch", "--timeout", "1m"}, {"--watch", "--for", "ready", "--timeout", "-1s"},
		{"--watch", "-o", "dot"}, {"--watch", "--exit-code"}, {"--flow", "a", "-f", "b"}, {"extra"},
	} {
		if r := run(t.Context(), append([]string{"status"}, args...)...); r.code != codeUsage {
			t.Errorf("%v: exit code %d\n%s", args, r.code, r.errOut)
		}
	}
}

func TestStatusOfADeploymentFileHasNoGateway(t *testing.T) {
	var o rollout.Objects
	liveWorkload(&o, "encoder", plan.Part{Role: plan.RoleExecutor, Executor: "encoder"}, 1, 1)
	status := rollout.Status(rollout.Record{Flow: "encoder", Namespace: "prod", Graph: rollout.Graph{{Executor: "encoder"}}}, o, statusNow)
	if text := statusText(status, statusNow, false); strings.Contains(text, "gateway") || !strings.Contains(text, "\nencoder   1/1     ready") {
		t.Errorf("got:\n%s", text)
	}
}
