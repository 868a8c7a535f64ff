package rollout

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Graph is what a Flow's executors need, in the order of the Flow. It is nil where nobody recorded it.
type Graph []Node

// Node is an executor of the graph, named as in the file.
type Node struct {
	Executor string
	Needs    []string
	// External executors have no workload.
	External bool
}

// ParseGraph reads a JSON object {"executor": ["needs", …], …} whose order is the Flow's; an external executor has
// {"needs": ["needs", …], "external": true}. Empty text is no graph.
func ParseGraph(text string) (Graph, error) {
	if text == "" {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("the Flow's graph is not a JSON object: %q", PlainText(text))
	}
	graph := Graph{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("the Flow's graph: %w", err)
		}
		node := Node{Executor: PlainText(name.(string))} // the keys of an object are strings
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("the Flow's graph, executor %q: %w", node.Executor, err)
		}
		if err := node.read(value); err != nil {
			return nil, fmt.Errorf("the Flow's graph, executor %q: %w", node.Executor, err)
		}
		for i, need := range node.Needs {
			node.Needs[i] = PlainText(need)
		}
		graph = append(graph, node)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("the Flow's graph: %w", err)
	}
	return graph, nil
}

// read reads what the graph says of a node: its needs, or an object that has them.
func (n *Node) read(value json.RawMessage) error {
	if len(value) == 0 || value[0] != '{' {
		return json.Unmarshal(value, &n.Needs)
	}
	var more struct {
		Needs    []string `json:"needs"`
		External bool     `json:"external"`
	}
	err := json.Unmarshal(value, &more)
	n.Needs, n.External = more.Needs, more.External
	return err
}

// hasGateway tells a Flow's graph from that of a Deployment file, which has one executor and nothing before it.
func (g Graph) hasGateway() bool {
	return slices.ContainsFunc(g, func(n Node) bool { return slices.Contains(n.Needs, string(plan.RoleGateway)) })
}

// Phase is a workload's state in a word.
type Phase string

// The phases. Only PhaseReady, PhaseStopped and PhaseExternal are healthy.
const (
	PhaseReady    Phase = "ready"
	PhaseStopped  Phase = "stopped"   // no replicas are wanted, and none run
	PhaseStarting Phase = "starting"  // pods are on their way
	PhaseUpdating Phase = "updating"  // pods of an earlier revision still run
	PhaseCrashing Phase = "crashing"  // ready at the moment, but a container crashes again and again
	PhaseNotReady Phase = "not ready" // something is wrong; it may pass
	PhaseFailed   Phase = "failed"    // cannot come up by itself
	PhaseMissing  Phase = "missing"   // the graph has it, the cluster does not
	PhaseExternal Phase = "external"  // runs elsewhere: nothing is known of it
)

// Healthy tells whether nothing is wrong.
func (p Phase) Healthy() bool {
	return p == PhaseReady || p == PhaseStopped || p == PhaseExternal
}

// FlowStatus is a Flow as it runs. Its JSON form is what status -o json prints.
type FlowStatus struct {
	Flow      string `json:"flow"`
	Namespace string `json:"namespace"`
	// Healthy: every workload is.
	Healthy bool `json:"healthy"`
	// Paused: the Flow has been stopped by pause, and starts again by resume.
	Paused bool `json:"paused,omitempty"`
	// Ready of Workloads are healthy; what is missing counts as one workload.
	Ready     int `json:"ready"`
	Workloads int `json:"workloads"`
	// Tooling is the plugin's version that last applied the Flow.
	Tooling string `json:"tooling,omitempty"`
	// Gateway is nil for a Deployment file.
	Gateway   *WorkloadStatus  `json:"gateway,omitempty"`
	Executors []ExecutorStatus `json:"executors"`
	// Unreadable are the resources that could not be read: the reasons, restarts and crashes that they would show are
	// not known.
	Unreadable []string `json:"unreadable,omitempty"`
}

// ExecutorStatus is an executor as it runs: one workload, or a head and shards.
type ExecutorStatus struct {
	// Name as written in the Flow.
	Name    string   `json:"name"`
	Needs   []string `json:"needs,omitempty"`
	Phase   Phase    `json:"phase"`
	Healthy bool     `json:"healthy"`
	// External executors run elsewhere: they have no workload.
	External bool             `json:"external,omitempty"`
	Single   *WorkloadStatus  `json:"workload,omitempty"`
	Head     *WorkloadStatus  `json:"head,omitempty"`
	Shards   []WorkloadStatus `json:"shards,omitempty"`
}

// WorkloadStatus is a Deployment or StatefulSet as it runs.
type WorkloadStatus struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Shard is set for shards.
	Shard   *int  `json:"shard,omitempty"`
	Phase   Phase `json:"phase"`
	Healthy bool  `json:"healthy"`
	// Ready and Updated of Wanted replicas.
	Ready   int32 `json:"ready"`
	Updated int32 `json:"updated"`
	Wanted  int32 `json:"wanted"`
	// Old replicas are of an earlier revision; they still run, and serve if they are ready.
	Old int32 `json:"old,omitempty"`
	// ReplicasOwner is who set Wanted, see ReplicasOwner.
	ReplicasOwner string `json:"replicasOwner"`
	// Autoscaler is what scales the workload by itself; nil where nothing does, or where that could not be read.
	Autoscaler *AutoscalerStatus `json:"autoscaler,omitempty"`
	Image      string            `json:"image"`
	// JinaVersion is that of Jina's own image, else the one that the Flow was brought up for; empty where neither is known.
	JinaVersion string    `json:"jinaVersion,omitempty"`
	Created     time.Time `json:"created,omitzero"`
	// Restarts of all containers of the pods that run, sidecars included; nil when pods could not be read.
	Restarts *int32 `json:"restarts,omitempty"`
	// Mesh is nil when pods could not be read.
	Mesh *MeshStatus `json:"mesh,omitempty"`
	// Reason of whatever is not healthy.
	Reason string `json:"reason,omitempty"`
	// Cause is what is wrong, and what shows it; nil when nothing is.
	Cause *Cause `json:"cause,omitempty"`
}

// Record is what is known of a Flow without its workloads.
type Record struct {
	Flow, Namespace string
	Tooling         string
	Graph           Graph
	// Paused: the Flow has been stopped by pause.
	Paused bool
	// Autoscalers by the workload that they scale.
	Autoscalers map[plan.Ref]plan.Autoscaler
}

// PartOf is the part of the Flow that an object with these labels is of. The name of its executor is the caller's: what the labels
// of pods say is as in the file, what those of workloads say is a DNS name.
func PartOf(labels map[string]string, executor string) plan.Part {
	part := plan.Part{Role: plan.Role(labels[plan.LabelComponent])}
	if part.Role != plan.RoleGateway {
		part.Executor = PlainText(executor)
	}
	if part.Role == plan.RoleShard {
		part.Shard, _ = strconv.Atoi(labels[plan.LabelShard]) // a label that somebody broke counts as shard 0
	}
	return part
}

// TargetsOf are the workloads among the objects, as targets, in no particular order. An executor is named as in the file
// by Jina's own label on the pods, which says it for heads and shards too.
func TargetsOf(o Objects) []Target {
	var targets []Target
	add := func(meta metav1.ObjectMeta, kind string, template corev1.PodTemplateSpec) {
		part := PartOf(meta.Labels, cmp.Or(template.Labels[plan.LabelJinaDeployment], meta.Labels[plan.LabelExecutor], meta.Name))
		targets = append(targets, Target{Part: part, Ref: plan.Ref{
			Group: "apps", Version: "v1", Kind: kind, Namespace: meta.Namespace, Name: meta.Name,
		}})
	}
	for _, d := range o.Deployments {
		add(d.ObjectMeta, kindDeployment, d.Spec.Template)
	}
	for _, s := range o.StatefulSets {
		add(s.ObjectMeta, kindStatefulSet, s.Spec.Template)
	}
	return targets
}

// Status says how a Flow runs. It is pure: the record, the objects as [Read] gave them and the time decide.
func Status(record Record, o Objects, now time.Time) FlowStatus {
	status := FlowStatus{
		Flow: record.Flow, Namespace: record.Namespace, Tooling: PlainText(record.Tooling), Paused: record.Paused,
		Executors: []ExecutorStatus{}, Unreadable: o.Unreadable,
	}
	view := NewView(TargetsOf(o), o, now)
	states := Evaluate(view).States
	podsKnown := !slices.Contains(o.Unreadable, resourcePods)
	executors := map[string]*ExecutorStatus{}
	called := map[string]map[int]string{} // the shards that an executor's head calls
	for i, w := range view.Workloads {
		s := states[i]
		workload := workloadStatus(w, s, podsKnown, now)
		workload.scaledBy(record.Autoscalers, w.Target.Ref)
		status.count(workload.Phase)
		if s.Part.Role == plan.RoleGateway {
			status.Gateway = &workload
			continue
		}
		e := executors[s.Part.Executor]
		if e == nil {
			e = &ExecutorStatus{Name: s.Part.Executor}
			executors[s.Part.Executor] = e
		}
		e.put(s.Part, workload)
		if s.Part.Role == plan.RoleHead {
			called[s.Part.Executor] = shardsOf(w.template())
		}
	}
	for name, e := range executors {
		for range e.addMissing(called[name]) {
			status.count(PhaseMissing)
		}
	}
	status.order(record.Graph, executors)
	return status
}

func (f *FlowStatus) count(p Phase) {
	f.Workloads++
	if p.Healthy() {
		f.Ready++
	}
}

// put adds a workload to its executor.
func (e *ExecutorStatus) put(p plan.Part, w WorkloadStatus) {
	switch p.Role {
	case plan.RoleHead:
		e.Head = &w
	case plan.RoleShard:
		w.Shard = &p.Shard
		e.Shards = append(e.Shards, w)
	default:
		e.Single = &w
	}
}

// order puts the executors as the graph has them, those that it does not know behind them by name, and decides what is
// healthy.
func (f *FlowStatus) order(graph Graph, executors map[string]*ExecutorStatus) {
	known := map[string]bool{}
	for _, node := range graph {
		known[node.Executor] = true
		e := executors[node.Executor]
		if e == nil {
			e = &ExecutorStatus{Name: node.Executor, External: node.External}
			if !e.External {
				f.count(PhaseMissing)
			}
		}
		e.Needs = node.Needs
		f.Executors = append(f.Executors, *e)
	}
	var others []ExecutorStatus
	for name, e := range executors {
		if !known[name] {
			others = append(others, *e)
		}
	}
	slices.SortFunc(others, func(a, b ExecutorStatus) int { return cmp.Compare(a.Name, b.Name) })
	f.Executors = append(f.Executors, others...)
	if f.Gateway == nil && graph.hasGateway() {
		f.Gateway = &WorkloadStatus{Kind: kindDeployment, Name: string(plan.RoleGateway), Phase: PhaseMissing}
		f.count(PhaseMissing)
	}
	f.Healthy = f.Workloads > 0 && (f.Gateway == nil || f.Gateway.Healthy)
	for i := range f.Executors {
		e := &f.Executors[i]
		e.Phase = e.worst()
		e.Healthy = e.Phase.Healthy()
		f.Healthy = f.Healthy && e.Healthy
	}
}

// worst is the phase that says most about what is wrong; missing only where all of the executor is.
func (e *ExecutorStatus) worst() Phase {
	var phases []Phase
	for _, w := range e.Workloads() {
		if w.Phase == PhaseMissing {
			w.Phase = PhaseFailed // a part of it is, which does not come back by itself
		}
		phases = append(phases, w.Phase)
	}
	switch {
	case len(phases) > 0:
	case e.External:
		return PhaseExternal
	default:
		return PhaseMissing
	}
	bad := []Phase{PhaseReady, PhaseStopped, PhaseStarting, PhaseUpdating, PhaseCrashing, PhaseNotReady, PhaseFailed}
	return slices.MaxFunc(phases, func(a, b Phase) int { return slices.Index(bad, a) - slices.Index(bad, b) })
}

// Workloads of the executor: the single one, or head and shards.
func (e ExecutorStatus) Workloads() []WorkloadStatus {
	var all []WorkloadStatus
	for _, w := range []*WorkloadStatus{e.Single, e.Head} {
		if w != nil {
			all = append(all, *w)
		}
	}
	return append(all, e.Shards...)
}

func workloadStatus(w Workload, s State, podsKnown bool, now time.Time) WorkloadStatus {
	phase := phaseOf(s)
	status := WorkloadStatus{
		Kind: w.Target.Ref.Kind, Name: w.Target.Ref.Name, Phase: phase, Healthy: phase.Healthy(),
		Ready: s.Ready, Updated: s.Updated, Wanted: s.Wanted, Old: s.Old,
		ReplicasOwner: ReplicasOwner(w.object()), Created: w.object().GetCreationTimestamp().UTC(), Reason: reasonOf(s, now), Cause: s.Cause,
	}
	template := w.template()
	// The workload's own template: an injected sidecar is in the pods only.
	if len(template.Spec.Containers) > 0 {
		status.Image = PlainText(template.Spec.Containers[0].Image)
		status.JinaVersion = jinaVersion(status.Image, w.object().GetLabels())
	}
	if podsKnown {
		restarts := restartsOf(w.Pods)
		status.Restarts = &restarts
		mesh := meshOf(w.Pods)
		status.Mesh = &mesh
	}
	return status
}

// reasonOf a workload's state, and since when it is so where that says something.
func reasonOf(s State, now time.Time) string {
	why := s.Why()
	if elapsed := s.Elapsed(now); why != "" && elapsed != "" {
		return why + " " + elapsed
	}
	return why
}

// scaledBy adds the autoscaler of a workload, which owns its replicas also before it has changed them.
func (s *WorkloadStatus) scaledBy(autoscalers map[plan.Ref]plan.Autoscaler, ref plan.Ref) {
	a, ok := autoscalers[ref]
	if !ok {
		return
	}
	s.Autoscaler = &AutoscalerStatus{Kind: a.Kind, Name: PlainText(a.Name), Min: a.Min, Max: a.Max}
	s.ReplicasOwner = OwnerAutoscaler
}

func phaseOf(s State) Phase {
	switch {
	case s.Failure != "":
		return PhaseFailed
	case s.Done && s.Trouble:
		return PhaseCrashing
	case s.Done && s.Wanted == 0:
		return PhaseStopped
	case s.Done:
		return PhaseReady
	case s.Trouble:
		return PhaseNotReady
	case !s.Observed || s.Old > 0 || s.Updated != s.Wanted && s.Ready > 0:
		return PhaseUpdating
	default:
		return PhaseStarting
	}
}

func restartsOf(pods []*corev1.Pod) int32 {
	var n int32
	for _, p := range pods {
		if p.DeletionTimestamp != nil {
			continue
		}
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			n += c.RestartCount
		}
	}
	return n
}
