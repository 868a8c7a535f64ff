package standin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
)

// The annotations that say what a pod answers.
const (
	annotationAnswers  = "sim.test/answers"
	annotationDefault  = "sim.test/default"
	annotationJina     = "sim.test/jina"
	annotationDocArray = "sim.test/docarray"
)

// The protocols that differ here.
const (
	protocolGRPC = "GRPC"
	protocolHTTP = "HTTP"
)

// versionsOf a pod: those that the real thing was measured with, unless it says others.
func versionsOf(pod *corev1.Pod) versions {
	return versions{
		jina:     cmp.Or(pod.Annotations[annotationJina], "3.34.0"),
		docarray: cmp.Or(pod.Annotations[annotationDocArray], "0.41.0"),
	}
}

// answers tells whether the pod's servers accept connections.
func answers(pod *corev1.Pod) bool {
	if pod.Annotations[annotationAnswers] == "false" || pod.DeletionTimestamp != nil {
		return false
	}
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// hasDefault tells whether an executor has a default endpoint.
func hasDefault(pod *corev1.Pod) bool { return pod.Annotations[annotationDefault] != "false" }

// jinaContainer is the command line of one of Jina's containers.
type jinaContainer []string

// serving is the container that serves a port.
func serving(pod *corev1.Pod, port int) (jinaContainer, bool) {
	for _, c := range pod.Spec.Containers {
		if slices.Contains(jinaContainer(c.Args).values("--port"), strconv.Itoa(port)) {
			return c.Args, true
		}
	}
	return nil, false
}

// values are the words that follow an argument's name.
func (c jinaContainer) values(name string) []string {
	i := slices.Index(c, name)
	if i < 0 {
		return nil
	}
	var values []string
	for _, word := range c[i+1:] {
		if strings.HasPrefix(word, "--") {
			break
		}
		values = append(values, word)
	}
	return values
}

// floating are the executors that nothing follows in a gateway's graph, not even the answer.
func (c jinaContainer) floating() map[string]bool {
	var graph map[string][]string
	if json.Unmarshal([]byte(strings.Join(c.values("--graph-description"), "")), &graph) != nil {
		return nil
	}
	floating := map[string]bool{}
	for name, followers := range graph {
		floating[name] = len(followers) == 0
	}
	return floating
}

func (c jinaContainer) isGateway() bool { return len(c) > 0 && c[0] == "gateway" }

func (c jinaContainer) tls() bool { return len(c.values("--ssl-certfile")) > 0 }

// protocol of a port.
func (c jinaContainer) protocol(port int) string {
	protocols := c.values("--protocol")
	i := slices.Index(c.values("--port"), strconv.Itoa(port))
	if len(protocols) == 0 {
		return protocolGRPC
	}
	return strings.ToUpper(protocols[min(i, len(protocols)-1)])
}

// networkError is what Jina's gateway says when it does not reach an executor.
type networkError struct{ name, text string }

func (e *networkError) Error() string { return e.text }

// cluster finds the pods behind addresses.
type cluster struct{ clients kubernetes.Interface }

// serving is the pod that a connection leads to, as it is now.
func (c *cluster) serving(ctx context.Context, at address) (*corev1.Pod, jinaContainer, error) {
	pod, err := c.clients.CoreV1().Pods(at.namespace).Get(ctx, at.pod, metav1.GetOptions{})
	if err != nil {
		return nil, nil, err
	}
	container, ok := serving(pod, at.port)
	if !ok || !answers(pod) {
		return nil, nil, fmt.Errorf("nothing answers at %s", at)
	}
	return pod, container, nil
}

// dryRun goes from a gateway to every executor that it knows, or only to those with a default endpoint.
func (c *cluster) dryRun(ctx context.Context, namespace string, gateway jinaContainer, onlyDefault bool) *networkError {
	var executors map[string][]string
	if err := json.Unmarshal([]byte(strings.Join(gateway.values("--deployments-addresses"), "")), &executors); err != nil {
		return &networkError{"ValueError", "no addresses of executors: " + err.Error()}
	}
	floating := gateway.floating()
	for _, name := range slices.Sorted(maps.Keys(executors)) {
		if floating[name] {
			continue // nobody waits for its answer
		}
		for _, where := range executors[name] {
			if onlyDefault && c.passesBy(ctx, namespace, where) {
				continue
			}
			if err := c.reach(ctx, namespace, where); err != nil {
				return &networkError{"InternalNetworkError", fmt.Sprintf(
					"failed to connect to all addresses; last error: %v |Gateway: Communication error with deployment %s at address(es) {'%s'}. Head or worker(s) may be down.", err, name, where)}
			}
		}
	}
	return nil
}

// through is what a head does: it asks a shard. Other containers need nobody.
func (c *cluster) through(ctx context.Context, namespace string, container jinaContainer) error {
	var shards map[string]any
	text := strings.Join(container.values("--connection-list"), "")
	if text == "" || json.Unmarshal([]byte(text), &shards) != nil {
		return nil
	}
	var where string
	switch first := shards["0"].(type) {
	case string:
		where = first
	case []any:
		if len(first) > 0 {
			where, _ = first[0].(string)
		}
	}
	if err := c.reach(ctx, namespace, where); err != nil {
		return fmt.Errorf("%w |Head: Failed to connect to worker (Executor) pod at address %s. It may be down", err, where)
	}
	return nil
}

// errOutside: an address is of no Service of the cluster.
var errOutside = errors.New("not in the cluster")

// behind finds the pods behind an address, and the port that they serve there.
func (c *cluster) behind(ctx context.Context, namespace, where string) ([]corev1.Pod, int, error) {
	if !strings.Contains(where, "://") {
		where = "grpc://" + where
	}
	u, err := url.Parse(where)
	if err != nil {
		return nil, 0, err
	}
	host := strings.Split(u.Hostname(), ".")
	if len(host) > 1 {
		if len(host) < 3 || host[2] != "svc" {
			return nil, 0, errOutside
		}
		namespace = host[1]
	}
	service, err := c.clients.CoreV1().Services(namespace).Get(ctx, host[0], metav1.GetOptions{})
	if err != nil {
		return nil, 0, fmt.Errorf("DNS resolution failed for %s: %w", u.Host, err)
	}
	pods, err := c.clients.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(service.Spec.Selector).String()})
	if err != nil {
		return nil, 0, err
	}
	port, err := strconv.Atoi(u.Port())
	return pods.Items, targetPort(service, port), err
}

// reach finds a pod that answers behind an address. What is outside of the cluster answers.
func (c *cluster) reach(ctx context.Context, namespace, where string) error {
	pods, port, err := c.behind(ctx, namespace, where)
	if errors.Is(err, errOutside) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range pods {
		if answers(&pods[i]) {
			container, _ := serving(&pods[i], port)
			return c.through(ctx, namespace, container)
		}
	}
	return fmt.Errorf("UNAVAILABLE: %s: connection refused", where)
}

// passesBy tells whether the pods behind an address have no default endpoint. A gateway knows that from before.
func (c *cluster) passesBy(ctx context.Context, namespace, where string) bool {
	pods, _, err := c.behind(ctx, namespace, where)
	return err == nil && slices.ContainsFunc(pods, func(p corev1.Pod) bool { return !hasDefault(&p) })
}

// targetPort is the port of the pods behind a Service's.
func targetPort(service *corev1.Service, port int) int {
	for _, p := range service.Spec.Ports {
		if int(p.Port) == port && p.TargetPort.IntValue() != 0 {
			return p.TargetPort.IntValue()
		}
	}
	return port
}
