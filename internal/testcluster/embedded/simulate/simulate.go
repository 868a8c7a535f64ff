// Package simulate plays the nodes and the pods of the embedded cluster with KWOK: no container runs, but the API
// server shows what it would show if they did.
//
// What a pod does is said by annotations on it, so on a workload's pod template:
//
//	sim.test/ready-after: 3s      Ready after this time (default: the cluster's delay, 0)
//	sim.test/load-for: 3s         runs for this long before its startup probe passes
//	sim.test/terminate-after: 3s  stays Terminating this long after its deletion (default 0)
//	sim.test/cpu, sim.test/memory what metrics.k8s.io says it uses, a container (package metrics)
//
// With sim.test/scenario it fails, and may be healed by taking the annotation off the pod:
//
//	crashloop       its container sim.test/container (default: the first) ends sim.test/crash-after (0.5 s) its start with
//	                sim.test/exit-code (1) and sim.test/message, waits in CrashLoopBackOff for sim.test/backoff (2 s), and so on
//	oom             the same, OOMKilled with exit code 137
//	startup-killed  the same while it loads, killed with exit code 137 after an event of its failed startup probe
//	init-crash      its init container sim.test/container (the first) ends again and again, without ever being seen to run
//	sidecar-crash   the same for its last native sidecar
//	imagepull       ErrImagePull with sim.test/message (not found), ImagePullBackOff, and so on
//	waiting         waits for ever with sim.test/reason (CreateContainerConfigError) and sim.test/message (a missing Secret)
//	mount           ContainerCreating for ever, with an event of a volume from a missing Secret
//	unready         runs, and its readiness probe fails for ever
//	failed          ends for good after sim.test/fail-after (1 s) with sim.test/reason (Evicted) and sim.test/message
//
// Logs and port-forwards work through KWOK's kinds Logs and PortForward (kwok.x-k8s.io/v1alpha1), named as the pod and
// in its namespace. A pod of Jina's without a PortForward answers by itself (package standin). There is no exec: KWOK would run the command on the machine of the test.
package simulate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/kustomize/crd"
	"sigs.k8s.io/kwok/pkg/client/clientset/versioned"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	"sigs.k8s.io/kwok/pkg/kwok/server"
	"sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/client"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/manifest"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/standin"
)

//go:embed objects.yaml
var objects string

// nodeAddress is where the API server reaches the kubelet of every node.
const nodeAddress = "127.0.0.1"

// Options of the simulation.
type Options struct {
	// Kubeconfig of an administrator.
	Kubeconfig string
	// Config for the same.
	Config *rest.Config
	// KubeletCert and KubeletKey are paths of what the simulated kubelet serves with.
	KubeletCert, KubeletKey string
	// PodLog is the path of a file that is written here: what containers without a Logs object say.
	PodLog string
	// Nodes is how many there are.
	Nodes int
	// ReadyDelay of pods that say nothing themselves.
	ReadyDelay time.Duration
	// CA is what the kubelet's certificate is signed by, as PEM.
	CA []byte
	// SystemLog gets KWOK's own log.
	SystemLog io.Writer
}

// Start begins the simulation and returns once all nodes are Ready. It goes on until ctx ends. failed is called when
// it breaks off before that.
//
// KWOK's server keeps its port after ctx has ended; only the end of the process frees it.
func Start(ctx context.Context, o Options, failed func(error)) error {
	if err := installObjects(ctx, o); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	if err := runKwok(log.NewContext(ctx, log.NewLogger(o.SystemLog, slog.LevelWarn)), o, port, failed); err != nil {
		return fmt.Errorf("kwok: %w", err)
	}
	if err := waitForKubelet(ctx, o, port); err != nil {
		return err
	}
	clients, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return err
	}
	for i := range o.Nodes {
		if err := registerNode(ctx, clients, fmt.Sprintf("node-%d", i), port); err != nil {
			return fmt.Errorf("node-%d: %w", i, err)
		}
	}
	return waitForNodes(ctx, clients, o.Nodes)
}

func installObjects(ctx context.Context, o Options) error {
	// The format is the container runtime interface's: KWOK reads nothing else.
	line := time.Now().UTC().Format(time.RFC3339Nano) + " stdout F this container is simulated: it says nothing\n"
	if err := os.WriteFile(o.PodLog, []byte(line), 0o600); err != nil {
		return err
	}
	all := strings.Join([]string{
		string(crd.Logs), string(crd.ClusterLogs), string(crd.PortForward), string(crd.ClusterPortForward),
		strings.ReplaceAll(objects, "LOG_FILE", strconv.Quote(o.PodLog)),
	}, "\n---\n")
	return manifest.Apply(ctx, o.Config, all)
}

// runKwok starts the controllers that play the stages, and the kubelet that answers for logs and port-forwards.
func runKwok(ctx context.Context, o Options, port int, failed func(error)) error {
	clients, err := client.NewClientset("", o.Kubeconfig)
	if err != nil {
		return err
	}
	config, err := controllerConfig(clients, o.ReadyDelay, port)
	if err != nil {
		return err
	}
	controller, err := controllers.NewController(config)
	if err != nil {
		return err
	}
	kubelet, err := server.NewServer(server.Config{
		TypedKwokClient: config.TypedKwokClient, DataSource: controller,
		NodeCacheGetter: controller.GetNodeCache(), PodCacheGetter: controller.GetPodCache(),
		EnableCRDs: []string{"Logs", "ClusterLogs", "PortForward", "ClusterPortForward"},
	})
	if err != nil {
		return err
	}
	kubelet.InstallHealthz()
	kubelet.InstallDebuggingHandlers()
	if err := kubelet.InstallCRD(ctx); err != nil {
		return err
	}
	behind, err := freePort()
	if err != nil {
		return err
	}
	address := net.JoinHostPort(nodeAddress, strconv.Itoa(behind))
	report := func(err error) {
		if err != nil && !errors.Is(err, context.Canceled) {
			failed(fmt.Errorf("simulated kubelet: %w", err))
		}
	}
	go func() { report(kubelet.Run(ctx, address, o.KubeletCert, o.KubeletKey)) }()
	if err := runStandIn(ctx, o, config, port, address, report); err != nil {
		return err
	}
	return controller.Start(ctx)
}

// runStandIn puts the servers of Jina's pods in front of KWOK's kubelet.
func runStandIn(ctx context.Context, o Options, config controllers.Config, port int, kubelet string, ended func(error)) error {
	certificate, err := tls.LoadX509KeyPair(o.KubeletCert, o.KubeletKey)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(nodeAddress, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	front := standin.NewKubelet(standin.Options{Clients: config.TypedClient, Kwok: config.TypedKwokClient, Next: kubelet, CA: o.CA, Certificate: certificate})
	go func() { ended(front.Serve(ctx, listener)) }()
	return nil
}

func controllerConfig(clients client.Clientset, readyDelay time.Duration, port int) (controllers.Config, error) {
	none := controllers.Config{}
	restConfig, err := clients.ToRESTConfig()
	if err != nil {
		return none, err
	}
	dynamicClient, err := clients.ToDynamicClient()
	if err != nil {
		return none, err
	}
	mapper, err := clients.ToRESTMapper()
	if err != nil {
		return none, err
	}
	restClient, err := rest.RESTClientFor(restConfig)
	if err != nil {
		return none, err
	}
	typed, err := kubernetes.NewForConfig(restConfig)
	if err != nil {
		return none, err
	}
	kwokClient, err := versioned.NewForConfig(restConfig)
	if err != nil {
		return none, err
	}
	local, err := stages(readyDelay)
	if err != nil {
		return none, err
	}
	return controllers.Config{
		Clock: clock.RealClock{}, ID: "jina-testcluster",
		DynamicClient: dynamicClient, RESTClient: restClient, RESTMapper: mapper,
		ImpersonatingDynamicClient: clients.ToImpersonatingDynamicClient(),
		ImpersonatingTypedClient:   clients.ToImpersonatingTypedClient(),
		TypedClient:                typed, TypedKwokClient: kwokClient,
		ManageAllNodes: true, CIDR: "10.0.0.1/16", NodeIP: nodeAddress, NodePort: port,
		LocalStages: local, PodPlayStageParallelism: 16, NodePlayStageParallelism: 4,
		NodeLeaseDurationSeconds: 40, NodeLeaseParallelism: 4,
		PodsOnNodeSyncParallelism: 4, EnablePodsOnNodeSyncStreamWatch: true,
	}, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(nodeAddress, "0"))
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// waitForKubelet returns when the default log is answered for any container: then the kubelet listens and knows the
// objects that tell it what to answer.
func waitForKubelet(ctx context.Context, o Options, port int) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(o.CA)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	url := fmt.Sprintf("https://%s/containerLogs/default/any/any", net.JoinHostPort(nodeAddress, strconv.Itoa(port)))
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(response.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("simulated kubelet: %w: %w", context.Cause(ctx), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// registerNode makes the node, or tells an earlier run's node the kubelet's new port.
func registerNode(ctx context.Context, clients kubernetes.Interface, name string, port int) error {
	size := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("512Gi"),
		corev1.ResourcePods: resource.MustParse("5000"), corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
	}
	nodes := clients.CoreV1().Nodes()
	_, err := nodes.Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}},
		Status: corev1.NodeStatus{Capacity: size, Allocatable: size},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		patch := fmt.Sprintf(`{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, port)
		_, err = nodes.Patch(ctx, name, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{}, "status")
		return err
	}
	return err
}

func waitForNodes(ctx context.Context, clients kubernetes.Interface, want int) error {
	for {
		list, err := clients.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		ready := 0
		for _, n := range list.Items {
			if usable(n) {
				ready++
			}
		}
		if ready >= want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d nodes are ready: %w", ready, want, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func usable(n corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue && len(n.Spec.Taints) == 0
		}
	}
	return false
}
