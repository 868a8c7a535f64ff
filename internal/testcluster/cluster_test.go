package testcluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestAPIServerSaysItsVersion(t *testing.T) {
	t.Parallel()
	c := Start(t)
	source, err := findModule()
	if err != nil {
		t.Fatal(err)
	}
	want, err := kubernetesVersion(source)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.clients.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if got.GitVersion != want {
		t.Errorf("the API server says %s, the module requires %s", got.GitVersion, want)
	}
}

func TestUserMayDoWhatIsGrantedAndNothingElse(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	user := clientsOf(t, c.User(t, "alice-"+ns, "team-"+ns))

	_, err := user.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	want := fmt.Sprintf(`pods is forbidden: User "alice-%[1]s" cannot list resource "pods" in API group "" in the namespace "%[1]s"`, ns)
	if !apierrors.IsForbidden(err) || err.Error() != want {
		t.Fatalf("list without a role: got %v, want %s", err, want)
	}
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}}
	if _, err := c.clients.RbacV1().Roles(ns).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "lister"}, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.clients.RbacV1().RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "lister"},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: "lister"},
		Subjects:   []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "Group", Name: "team-" + ns}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	Eventually(t, func() error {
		_, err := user.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
		return err
	})
	if _, err := user.CoreV1().Pods(ns).Create(t.Context(), pod("p", nil), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("create with a role for list: got %v, want forbidden", err)
	}
}

// headerKeeper keeps the header of the last answer.
type headerKeeper struct {
	next   http.RoundTripper
	header http.Header
}

func (k *headerKeeper) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := k.next.RoundTrip(r)
	if err == nil {
		k.header = response.Header
	}
	return response, err
}

func TestPriorityAndFairnessIsOn(t *testing.T) {
	t.Parallel()
	c := Start(t)
	keeper := &headerKeeper{}
	config := c.Config()
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { keeper.next = rt; return keeper })
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clients.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if keeper.header.Get("X-Kubernetes-Pf-Flowschema-Uid") == "" {
		t.Errorf("the answer names no flow schema: %v", keeper.header)
	}
}

func TestDeploymentBecomesAvailableAndIsCollected(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	if _, err := c.clients.AppsV1().Deployments(ns).Create(t.Context(), deployment("d", 2, nil), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.clients.CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "d"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "d"}, Ports: []corev1.ServicePort{{Port: 8080}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	waitForDeployment(t, c, ns, "d", 2)
	Eventually(t, func() error {
		slices, err := c.clients.DiscoveryV1().EndpointSlices(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=d"})
		if err != nil {
			return err
		}
		ready := 0
		for _, s := range slices.Items {
			for _, e := range s.Endpoints {
				if e.Conditions.Ready != nil && *e.Conditions.Ready {
					ready++
				}
			}
		}
		if ready != 2 {
			return fmt.Errorf("the Service has %d ready endpoints, want 2", ready)
		}
		return nil
	})
	foreground := metav1.DeletePropagationForeground
	if err := c.clients.AppsV1().Deployments(ns).Delete(t.Context(), "d", metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		t.Fatal(err)
	}
	Eventually(t, func() error {
		_, err := c.clients.AppsV1().Deployments(ns).Get(t.Context(), "d", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("the Deployment is still there (%v)", err)
		}
		return nil
	})
	pods, err := c.clients.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) != 0 {
		t.Errorf("after a foreground deletion: %d pods, %v", len(pods.Items), err)
	}
}

func TestControllersWriteUnderTheirRealName(t *testing.T) {
	c := Start(t)
	ns := c.Namespace(t)
	_, err := c.clients.AppsV1().Deployments(ns).Patch(t.Context(), "d", types.ApplyPatchType, []byte(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: d},
		spec: {selector: {matchLabels: {app: d}}, template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c, image: x}]}}}}`), metav1.PatchOptions{FieldManager: "test"})
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, func() error {
		d, err := c.clients.AppsV1().Deployments(ns).Get(t.Context(), "d", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, m := range d.ManagedFields {
			if m.Subresource == "status" && m.Manager == "kube-controller-manager" {
				return nil
			}
		}
		return fmt.Errorf("nobody of that name has written the status: %v", d.ManagedFields)
	})
}

func TestStatefulSetGetsItsVolumes(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	replicas := int32(2)
	p := pod("s", nil)
	if _, err := c.clients.AppsV1().StatefulSets(ns).Create(t.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "s"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, ServiceName: "s", Selector: &metav1.LabelSelector{MatchLabels: p.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: p.Labels}, Spec: p.Spec},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "workspace"},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
				},
			}},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	waitForPod(t, c, ns, "s-0")
	waitForPod(t, c, ns, "s-1")
	var claim *corev1.PersistentVolumeClaim
	// The scheduler takes a claim that names its volume; its phase follows a moment later.
	Eventually(t, func() (err error) {
		claim, err = c.clients.CoreV1().PersistentVolumeClaims(ns).Get(t.Context(), "workspace-s-1", metav1.GetOptions{})
		if err == nil && (claim.Status.Phase != corev1.ClaimBound || claim.Spec.VolumeName == "") {
			err = fmt.Errorf("claim is %s with volume %q, want Bound", claim.Status.Phase, claim.Spec.VolumeName)
		}
		return err
	})
	if err := c.clients.AppsV1().StatefulSets(ns).Delete(t.Context(), "s", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.clients.CoreV1().PersistentVolumeClaims(ns).Delete(t.Context(), claim.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	Eventually(t, func() error {
		v, err := c.clients.CoreV1().PersistentVolumes().Get(t.Context(), claim.Spec.VolumeName, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("the volume of a deleted claim is still there: %s (%v)", v.Status.Phase, err)
		}
		return nil
	})
}

// An hour is never waited for: the annotation is changed instead, so that no clock decides.
func TestPodIsReadyAfterItsOwnDelay(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	createPod(t, c, ns, pod("slow", map[string]string{"sim.test/ready-after": "1h"}))
	createPod(t, c, ns, pod("fast", nil))
	waitForPod(t, c, ns, "fast")
	var slow *corev1.Pod
	Eventually(t, func() (err error) {
		slow, err = c.clients.CoreV1().Pods(ns).Get(t.Context(), "slow", metav1.GetOptions{})
		if err == nil && len(slow.Status.ContainerStatuses) == 0 {
			err = fmt.Errorf("the slow pod has no status yet")
		}
		return err
	})
	if w := slow.Status.ContainerStatuses[0].State.Waiting; w == nil || w.Reason != "ContainerCreating" {
		t.Errorf("the slow pod's container is %+v, want waiting for ContainerCreating", slow.Status.ContainerStatuses[0].State)
	}
	if got := podCondition(slow, corev1.PodReady); got != corev1.ConditionFalse {
		t.Errorf("the slow pod's condition Ready is %s, want False", got)
	}
	patch := []byte(`{"metadata":{"annotations":{"sim.test/ready-after":"1ms"}}}`)
	if _, err := c.clients.CoreV1().Pods(ns).Patch(t.Context(), "slow", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	waitForPod(t, c, ns, "slow")
}

func TestPodTerminatesAfterItsOwnDelay(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	pods := c.clients.CoreV1().Pods(ns)
	createPod(t, c, ns, pod("slow", map[string]string{"sim.test/terminate-after": "1h"}))
	createPod(t, c, ns, pod("fast", nil))
	for _, name := range []string{"slow", "fast"} {
		waitForPod(t, c, ns, name)
		if err := pods.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(name string) func() error {
		return func() error {
			if _, err := pods.Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("pod %s is still there (%v)", name, err)
			}
			return nil
		}
	}
	Eventually(t, gone("fast"))
	slow, err := pods.Get(t.Context(), "slow", metav1.GetOptions{})
	if err != nil || slow.DeletionTimestamp == nil {
		t.Fatalf("the slow pod should be terminating: %v, %v", slow.DeletionTimestamp, err)
	}
	patch := []byte(`{"metadata":{"annotations":{"sim.test/terminate-after":"1ms"}}}`)
	if _, err := pods.Patch(t.Context(), "slow", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	Eventually(t, gone("slow"))
}

func TestAutoscalerScalesUp(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	d := deployment("d", 1, map[string]string{"sim.test/cpu": "300m"})
	d.Spec.Template.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("100m")}
	if _, err := c.clients.AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	target := int32(50)
	if _, err := c.clients.AutoscalingV2().HorizontalPodAutoscalers(ns).Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "d"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "d"},
			MaxReplicas:    3,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: "cpu", Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &target}}}},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	waitForDeployment(t, c, ns, "d", 3)
}

func TestNamespaceIsDeletedWithAllInIt(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	if _, err := c.clients.AppsV1().Deployments(ns).Create(t.Context(), deployment("d", 1, nil), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	waitForDeployment(t, c, ns, "d", 1)
	if err := c.clients.CoreV1().Namespaces().Delete(t.Context(), ns, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	Eventually(t, func() error {
		_, err := c.clients.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("namespace %s is still there (%v)", ns, err)
		}
		return nil
	})
}

func TestServiceAccountTokenWorks(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	token, err := c.clients.CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(c.Config())
	config.BearerToken = token.Status.Token
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	review, err := clients.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "system:serviceaccount:" + ns + ":default"; review.Status.UserInfo.Username != want {
		t.Errorf("the token is %s, want %s", review.Status.UserInfo.Username, want)
	}
}

func logOf(ctx context.Context, c *Cluster, namespace, name string) (string, error) {
	stream, err := c.clients.CoreV1().Pods(namespace).GetLogs(name, &corev1.PodLogOptions{Container: "executor"}).Stream(ctx)
	if err != nil {
		return "", err
	}
	defer stream.Close()
	b, err := io.ReadAll(stream)
	return string(b), err
}

func TestPodHasALog(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	createPod(t, c, ns, pod("told", nil))
	createPod(t, c, ns, pod("untold", nil))
	waitForPod(t, c, ns, "told")
	waitForPod(t, c, ns, "untold")
	c.Say(t, ns, "told", "executor", "loading the model", "no such file: model.onnx")
	for name, want := range map[string]string{
		"told":   "loading the model\nno such file: model.onnx\n",
		"untold": "this container is simulated: it says nothing\n",
	} {
		Eventually(t, func() error {
			got, err := logOf(t.Context(), c, ns, name)
			if err == nil && got != want {
				err = fmt.Errorf("log of %s is %q, want %q", name, got, want)
			}
			return err
		})
	}
}

func TestNamespaceNamesAreUniqueLabels(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		pid   int
		count int64
		want  string
	}{
		{"TestUp", 36, 1, "t-up-10-1"},
		{"TestUp/a case: ä", 36, 2, "t-up-a-case-10-2"},
		{"Test" + strings.Repeat("Long", 40), 1 << 22, 1 << 20, "t-" + strings.Repeat("long", 12) + "lo" + "-2hwcg-mh34"},
	} {
		got := namespaceName(test.name, test.pid, test.count)
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
		if len(got) > 63 {
			t.Errorf("%s: %s has %d characters", test.name, got, len(got))
		}
	}
}
