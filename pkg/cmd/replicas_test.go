package cmd

import (
	"bytes"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// liveWith is a live part of a Flow, with the labels that up puts on it.
func liveWith(part plan.Part, dnsName string, args ...string) livePart {
	labels := map[string]any{plan.LabelComponent: string(part.Role)}
	if part.Role != plan.RoleGateway {
		labels[plan.LabelExecutor] = dnsName
	}
	words := make([]any, len(args))
	for i, a := range args {
		words[i] = a
	}
	return livePart{part, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": dnsName, "labels": labels},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"args": words}}}}},
	}}}
}

func targetFlow() liveFlow {
	return liveFlow{name: "shop", parts: []livePart{
		liveWith(plan.Part{Role: plan.RoleGateway}, "gateway"),
		liveWith(plan.Part{Role: plan.RoleExecutor, Executor: "Text_Encoder"}, "text-encoder"),
		liveWith(plan.Part{Role: plan.RoleHead, Executor: "indexer"}, "indexer"),
		liveWith(plan.Part{Role: plan.RoleShard, Executor: "indexer"}, "indexer"),
		liveWith(plan.Part{Role: plan.RoleShard, Executor: "indexer", Shard: 1}, "indexer"),
		liveWith(plan.Part{Role: plan.RoleShard, Executor: "indexer", Shard: 10}, "indexer"),
		liveWith(plan.Part{Role: plan.RoleExecutor, Executor: "a/b"}, "a-b"),
	}}
}

func TestTargetsNamePartsOfTheFlow(t *testing.T) {
	for target, want := range map[string][]string{
		"gateway": {"gateway"}, "Text_Encoder": {"Text_Encoder"}, "text-encoder": {"Text_Encoder"},
		"indexer": {"indexer/0", "indexer/1", "indexer/10"}, "indexer/head": {"indexer/head"}, "indexer/1": {"indexer/1"}, "indexer/10": {"indexer/10"},
		"a/b": {"a/b"}, "a-b": {"a/b"},
		"": nil, "gateway/0": nil, "Text_Encoder/head": nil, "Text_Encoder/0": nil, "indexer/": nil, "indexer/01": nil, "indexer/2": nil, "index": nil, "indexer/head/0": nil, "TEXT-ENCODER": nil,
	} {
		picked, err := pick(targetFlow().parts, []string{target})
		if (err == nil) != (want != nil) || len(picked) != len(want) {
			t.Errorf("%q picks %v, %v, want %q", target, picked, err, want)
			continue
		}
		for i, p := range picked {
			if p.part.String() != want[i] {
				t.Errorf("%q picks %s in place of %s", target, p.part, want[i])
			}
		}
		if err != nil && exitCode(err) != codeUsage {
			t.Errorf("%q: exit code %d", target, exitCode(err))
		}
	}
	picked, err := pick(targetFlow().parts, []string{"indexer/1", "indexer", "gateway", "gateway"})
	if err != nil || len(picked) != 4 || picked[0].part.Shard != 1 || picked[3].part.Role != plan.RoleGateway {
		t.Errorf("%v, %v", picked, err)
	}
}

func TestPartsAreCalledByTheGatewayOrTheirHead(t *testing.T) {
	f := targetFlow()
	for _, c := range []struct{ part, caller string }{
		{"Text_Encoder", "gateway"}, {"indexer/head", "gateway"}, {"indexer/0", "indexer/head"}, {"gateway", ""},
	} {
		picked, err := pick(f.parts, []string{c.part})
		if err != nil {
			t.Fatal(err)
		}
		caller, called := f.caller(picked[0].part)
		if called != (c.caller != "") || called && caller.part.String() != c.caller {
			t.Errorf("%s is called by %s, want %q", c.part, caller.part, c.caller)
		}
	}
	if _, called := (liveFlow{parts: f.parts[1:2]}).caller(f.parts[1].part); called {
		t.Error("the executor of a Deployment file is called by a part of it")
	}
	if f.parts[1].balancesItself() || !liveWith(plan.Part{}, "g", "--grpc-channel-options", `{"grpc.lb_policy_name": "round_robin"}`).balancesItself() {
		t.Error("round robin is not seen in the arguments")
	}
}

func TestAutoscalersAreNamedWithTheWayOut(t *testing.T) {
	for want, a := range map[string]plan.Autoscaler{
		" between 2 and 9 replicas, change its minReplicas and maxReplicas where it is written, or with `kubectl edit hpa enc -n prod`, or delete it":                    {Kind: "HorizontalPodAutoscaler", Name: "enc", Min: 2, Max: 9},
		" between 0 and 100 replicas, change its minReplicaCount and maxReplicaCount where it is written, or with `kubectl edit scaledobject enc -n prod`, or delete it": {Kind: "ScaledObject", Name: "enc", Max: 100},
		", change its minReplicas and maxReplicas where it is written, or with `kubectl edit hpa enc -n prod`, or delete it":                                             {Kind: "HorizontalPodAutoscaler", Name: "enc"},
	} {
		if got := limitsText(a) + ", " + wayOut(a, "prod"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestPartsWhosePodsWouldStayAreNotRestarted(t *testing.T) {
	for name, c := range map[string]struct {
		spec map[string]any
		says string
	}{
		"a Deployment":                 {map[string]any{}, ""},
		"a halted Deployment":          {map[string]any{"paused": true}, "the rollouts of encoder are halted"},
		"a StatefulSet":                {map[string]any{"updateStrategy": map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"partition": int64(0)}}}, ""},
		"one whose pods the user ends": {map[string]any{"updateStrategy": map[string]any{"type": "OnDelete"}}, "the updateStrategy of encoder"},
		"one with a partition":         {map[string]any{"updateStrategy": map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"partition": int64(1)}}}, "the updateStrategy of encoder"},
	} {
		t.Run(name, func(t *testing.T) {
			p := liveWith(plan.Part{Role: plan.RoleExecutor, Executor: "encoder"}, "encoder")
			p.object.Object["spec"] = c.spec
			err := refuseHalted([]livePart{p})
			if (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

func TestPauseTellsAFlowThatWasPausedFromOneThatHadNothingToStop(t *testing.T) {
	paused := map[string]string{apply.AnnotationPaused: "{}"}
	for _, c := range []struct {
		annotations map[string]string
		stopped     int
		want        string
	}{
		{nil, 2, "Flow shop is paused in namespace prod: 2 workloads stopped\n"},
		{nil, 0, "Flow shop is paused in namespace prod: 0 workloads stopped\n"},
		{paused, 0, "Flow shop is paused already in namespace prod\n"},
		{paused, 1, "Flow shop is paused in namespace prod: 1 workload stopped\n"},
	} {
		parent := &apply.Parent{Object: &unstructured.Unstructured{Object: map[string]any{}}}
		parent.Object.SetAnnotations(c.annotations)
		var out bytes.Buffer
		err := printPaused(&out, liveFlow{name: "shop", parent: parent}, c.stopped, "prod")
		if first, _, _ := strings.Cut(out.String(), "  `kubectl jina resume"); err != nil || first != c.want {
			t.Errorf("%q, %v; want %q", first, err, c.want)
		}
	}
}

func TestOnlyAStatefulExecutorHasAQuorumToLose(t *testing.T) {
	parts := []livePart{
		liveWith(plan.Part{Role: plan.RoleExecutor, Executor: "plain"}, "plain", "--replicas", "3"),
		liveWith(plan.Part{Role: plan.RoleExecutor, Executor: "raft"}, "raft", "--stateful", "--replicas", "3"),
	}
	for replicas, refused := range map[int32]bool{0: true, 1: true, 2: false, 3: false, 5: false} {
		if err := refuseQuorum(parts, replicas); (err != nil) != refused {
			t.Errorf("%d replicas: %v", replicas, err)
		}
	}
	if err := refuseQuorum(parts[:1], 0); err != nil {
		t.Error(err)
	}
}
