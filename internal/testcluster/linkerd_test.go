package testcluster

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const inject = "linkerd.io/inject"

func dryRunPod(t *testing.T, c *Cluster, namespace string, p *corev1.Pod) (*corev1.Pod, error) {
	t.Helper()
	return c.clients.CoreV1().Pods(namespace).Create(t.Context(), p, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
}

func annotateNamespace(t *testing.T, c *Cluster, name, value string) {
	t.Helper()
	ns, err := c.clients.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ns.Annotations = map[string]string{inject: value}
	if _, err := c.clients.CoreV1().Namespaces().Update(t.Context(), ns, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// The table is what a dry run against Linkerd edge-26.8.3 answered.
func TestInjectorDecidesAsLinkerdDoes(t *testing.T) {
	t.Parallel()
	c := Start(t)
	none := "-"
	for _, test := range []struct {
		onNamespace, onPod string
		change             func(*corev1.Pod)
		want               bool
	}{
		{onNamespace: none, onPod: none, want: false},
		{onNamespace: none, onPod: "enabled", want: true},
		{onNamespace: none, onPod: "ingress", want: true},
		{onNamespace: none, onPod: "disabled", want: false},
		{onNamespace: none, onPod: "true", want: false},
		{onNamespace: "enabled", onPod: none, want: true},
		{onNamespace: "enabled", onPod: "disabled", want: false},
		{onNamespace: "enabled", onPod: "true", want: false},
		{onNamespace: "disabled", onPod: "enabled", want: true},
		{onNamespace: "yes", onPod: "enabled", want: false},
		{onNamespace: "yes", onPod: none, want: false},
		{onNamespace: none, onPod: "enabled", change: func(p *corev1.Pod) { p.Spec.HostNetwork = true }, want: false},
		{onNamespace: none, onPod: "enabled", change: func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "istio-proxy", Image: "example.test/istio"})
		}, want: false},
		{onNamespace: none, onPod: "enabled", change: func(p *corev1.Pod) { no := false; p.Spec.AutomountServiceAccountToken = &no }, want: true},
	} {
		t.Run("namespace "+test.onNamespace+" pod "+test.onPod, func(t *testing.T) {
			t.Parallel()
			ns := c.Namespace(t)
			if test.onNamespace != none {
				annotateNamespace(t, c, ns, test.onNamespace)
			}
			p := pod("p", nil)
			if test.onPod != none {
				p.Annotations = map[string]string{inject: test.onPod}
			}
			if test.change != nil {
				test.change(p)
			}
			got, err := dryRunPod(t, c, ns, p)
			if err != nil {
				t.Fatal(err)
			}
			if injected := got.Annotations["linkerd.io/created-by"] != ""; injected != test.want {
				t.Errorf("injected: %v, want %v", injected, test.want)
			}
		})
	}
}

func TestNamespaceWithoutMeshIsNotInjected(t *testing.T) {
	t.Parallel()
	c := Start(t)
	got, err := dryRunPod(t, c, c.NamespaceWithoutMesh(t), pod("p", map[string]string{inject: "enabled"}))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Spec.InitContainers) != 0 || got.Annotations["linkerd.io/created-by"] != "" {
		t.Errorf("the pod was injected: %+v", got)
	}
}

func names(containers []corev1.Container) string {
	var out []string
	for _, c := range containers {
		out = append(out, c.Name)
	}
	return strings.Join(out, " ")
}

func TestInjectedPodLooksLikeLinkerds(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	roots, err := c.clients.CoreV1().ConfigMaps("linkerd").Get(t.Context(), "linkerd-identity-trust-roots", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bundle := roots.Data["ca-bundle.crt"]
	hash := sha256.Sum256([]byte(bundle))

	native, err := dryRunPod(t, c, ns, pod("p", map[string]string{inject: "enabled"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := names(native.Spec.InitContainers) + " | " + names(native.Spec.Containers); got != "linkerd-init linkerd-proxy | executor" {
		t.Errorf("native form: %s", got)
	}
	if p := native.Spec.InitContainers[1].RestartPolicy; p == nil || *p != corev1.ContainerRestartPolicyAlways {
		t.Errorf("the native sidecar's restart policy is %v", p)
	}
	for key, want := range map[string]string{"linkerd.io/control-plane-ns": "linkerd", "linkerd.io/workload-ns": ns, "app": "p"} {
		if got := native.Labels[key]; got != want {
			t.Errorf("label %s is %q, want %q", key, got, want)
		}
	}
	if got := native.Annotations["linkerd.io/trust-root-sha256"]; got != hex.EncodeToString(hash[:]) || bundle == "" {
		t.Errorf("trust root hash is %s, that of the ConfigMap is %x", got, hash)
	}
	if v := native.Annotations["linkerd.io/proxy-version"]; v == "" || native.Annotations["linkerd.io/created-by"] != "linkerd/proxy-injector "+v {
		t.Errorf("annotations are %v", native.Annotations)
	}
	if !slices.Contains(native.Spec.InitContainers[1].Env, corev1.EnvVar{Name: "LINKERD2_PROXY_INBOUND_PORTS", Value: "8080"}) {
		t.Errorf("the proxy's environment has not the pod's port: %v", native.Spec.InitContainers[1].Env)
	}

	ordinary, err := dryRunPod(t, c, ns, pod("p", map[string]string{inject: "enabled", "config.linkerd.io/proxy-enable-native-sidecar": "false"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := names(ordinary.Spec.InitContainers) + " | " + names(ordinary.Spec.Containers); got != "linkerd-init | linkerd-proxy executor" {
		t.Errorf("ordinary form: %s", got)
	}
}

func TestInjectedPodIsReadyWithItsProxy(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	createPod(t, c, ns, pod("p", map[string]string{inject: "enabled"}))
	p := waitForPod(t, c, ns, "p")
	for _, s := range p.Status.InitContainerStatuses {
		// As real ones: linkerd-init is over, which is ready but not started.
		if wantStarted := s.Name == "linkerd-proxy"; !s.Ready || s.Started == nil || *s.Started != wantStarted {
			t.Errorf("%s: ready %v, started %v", s.Name, s.Ready, s.Started)
		}
	}
	if len(p.Status.InitContainerStatuses) != 2 {
		t.Errorf("%d init container statuses, want 2", len(p.Status.InitContainerStatuses))
	}
}

// As with Linkerd: its init container needs capabilities that the levels baseline and restricted forbid.
func TestPodSecurityRefusesAnInjectedPod(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.newNamespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"})
	if _, err := dryRunPod(t, c, ns, pod("p", nil)); err != nil {
		t.Errorf("without a proxy: %v", err)
	}
	_, err := dryRunPod(t, c, ns, pod("p", map[string]string{inject: "enabled"}))
	if err == nil || !strings.Contains(err.Error(), `container "linkerd-init" must not include "NET_ADMIN", "NET_RAW"`) {
		t.Errorf("with a proxy: %v", err)
	}
}

func TestLinkerdIsDiscoverable(t *testing.T) {
	t.Parallel()
	c := Start(t)
	groups, err := c.clients.Discovery().ServerGroups()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range groups.Groups {
		got = append(got, g.Name)
	}
	for _, want := range []string{"linkerd.io", "policy.linkerd.io"} {
		if !slices.Contains(got, want) {
			t.Errorf("API group %s is not there: %v", want, got)
		}
	}
	for _, name := range []string{"linkerd-destination", "linkerd-identity", "linkerd-proxy-injector"} {
		waitForDeployment(t, c, "linkerd", name, 1)
	}
}
