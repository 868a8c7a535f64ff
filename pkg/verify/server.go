package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"
	"k8s.io/kubectl/pkg/util/podutils"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// Server is a ready pod of a Flow, and what it serves.
type Server struct {
	Part plan.Part
	Pod  string
	// Image is what runs in it: the image's digest where the node tells it.
	Image     string
	Endpoints []plan.Endpoint
	// Floating are the executors whose answers a gateway does not wait for: its dry run says nothing of them.
	Floating []string
}

// PodLister lists pods of a namespace; the typed client's is one.
type PodLister interface {
	List(ctx context.Context, opts metav1.ListOptions) (*corev1.PodList, error)
}

// Servers reads the ready pods of a Flow: the gateway's first, then by executor, head and shard, and by name.
func Servers(ctx context.Context, pods PodLister, flowName string) ([]Server, error) {
	var servers []Server
	list := pager.New(func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return pods.List(ctx, opts)
	})
	err := list.EachListItem(ctx, metav1.ListOptions{LabelSelector: plan.LabelFlow + "=" + flowName}, func(o runtime.Object) error {
		if pod, ok := o.(*corev1.Pod); ok && Ready(pod) {
			if s := serverOf(pod); len(s.Endpoints) > 0 {
				servers = append(servers, s)
			}
		}
		return nil
	})
	slices.SortFunc(servers, compareServers)
	return servers, err
}

func compareServers(a, b Server) int {
	return cmp.Or(
		cmp.Compare(a.Part.Executor, b.Part.Executor), // the gateway has none
		cmp.Compare(a.Part.Role, b.Part.Role),
		cmp.Compare(a.Part.Shard, b.Part.Shard),
		cmp.Compare(a.Pod, b.Pod),
	)
}

// Ready tells whether a pod takes requests.
func Ready(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning && podutils.IsPodReady(pod)
}

// serverOf finds Jina's container in a pod: a mesh may have put its own before it.
func serverOf(pod *corev1.Pod) Server {
	s := Server{Part: PartOf(pod.Labels), Pod: pod.Name}
	for _, c := range pod.Spec.Containers {
		if s.Endpoints = plan.Endpoints(c.Args); len(s.Endpoints) == 0 {
			continue
		}
		s.Image = c.Image
		if isGateway(s.Part) {
			s.Floating = floating(c.Args)
		}
		for _, status := range pod.Status.ContainerStatuses {
			if status.Name == c.Name && status.ImageID != "" {
				s.Image = status.ImageID
			}
		}
		break
	}
	return s
}

// floating reads a gateway's graph: the executors from which no way leads to the answer. Jina waits for a last executor unless
// the graph says that nothing follows it.
func floating(args []string) []string {
	description, said := plan.ArgumentValue(args, "--graph-description")
	if !said {
		return nil
	}
	var graph map[string][]string
	if json.Unmarshal([]byte(description), &graph) != nil {
		return nil // a gateway that takes another graph
	}
	awaited := map[string]bool{}
	for _, followers := range graph {
		for _, name := range followers {
			_, said := graph[name]
			awaited[name] = !said || name == "end-gateway"
		}
	}
	for changed := true; changed; {
		changed = false
		for name, followers := range graph {
			if !awaited[name] && slices.ContainsFunc(followers, func(follower string) bool { return awaited[follower] }) {
				awaited[name], changed = true, true
			}
		}
	}
	var names []string
	for name := range graph {
		if !awaited[name] && name != "start-gateway" && name != "end-gateway" {
			names = append(names, plain(name))
		}
	}
	slices.Sort(names)
	return names
}

// PartOf is the part of the Flow that pods with these labels are of. Executors are named as in the file, by the label that Jina itself puts on
// their pods.
func PartOf(labels map[string]string) plan.Part {
	return rollout.PartOf(labels, cmp.Or(labels[plan.LabelJinaDeployment], labels[plan.LabelExecutor]))
}

// endpoint is the best port to ask: gRPC tells most, then WebSocket. There is at least one.
func (s Server) endpoint() plan.Endpoint {
	for _, protocol := range []string{plan.ProtocolGRPC, plan.ProtocolWebSocket} {
		if i := slices.IndexFunc(s.Endpoints, func(e plan.Endpoint) bool { return e.Protocol == protocol }); i >= 0 {
			return s.Endpoints[i]
		}
	}
	return s.Endpoints[0]
}

// Versions are what a server says that it runs.
type Versions struct {
	Jina     string `json:"jina,omitempty"`
	DocArray string `json:"docarray,omitempty"`
}

func (v *Versions) set(key, value string) {
	switch key {
	case "jina":
		v.Jina = plain(value)
	case "docarray":
		v.DocArray = plain(value)
	}
}

func (v Versions) known() bool { return v != Versions{} }

func (v Versions) String() string {
	var said []string
	if v.Jina != "" {
		said = append(said, "jina "+v.Jina)
	}
	if v.DocArray != "" {
		said = append(said, "docarray "+v.DocArray)
	}
	return strings.Join(said, " and ")
}
