package rollout

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/kubectl/pkg/util/podutils"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// room is a namespace of the embedded cluster.
type room struct {
	*testing.T
	kubernetes.Interface
	cluster   *testcluster.Cluster
	namespace string
}

func newRoom(t *testing.T, cluster *testcluster.Cluster) room {
	t.Helper()
	return room{t, clientFor(t, cluster.Config()), cluster, cluster.Namespace(t)}
}

func clientFor(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (r room) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// template of pods that are ready after a time.
func (r room) template(name, readyAfter string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      map[string]string{plan.LabelFlow: "search", "app": name},
			Annotations: map[string]string{"sim.test/ready-after": readyAfter},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "executor", Image: "img:1"}}},
	}
}

// deploy makes a Deployment and returns it as a target.
func (r room) deploy(name string, replicas int32, readyAfter string, change ...func(*appsv1.Deployment)) Target {
	r.Helper()
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{plan.LabelFlow: "search"}},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, Template: r.template(name, readyAfter),
		},
	}
	for _, c := range change {
		c(d)
	}
	d, err := r.AppsV1().Deployments(r.namespace).Create(r.Context(), d, metav1.CreateOptions{})
	r.ok(err)
	target := executorTarget(name)
	target.Ref.Namespace, target.MinGeneration = r.namespace, d.Generation
	return target
}

func (r room) request(timeout time.Duration, targets ...Target) Request {
	return Request{Namespace: r.namespace, Flow: "search", Timeout: timeout, Targets: targets}
}

// log collects what a wait tells; it can be read while the wait is under way.
type log struct {
	mu     sync.Mutex
	events []Event
}

func (l *log) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *log) find(match func(Event) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if match(e) {
			return nil
		}
	}
	return fmt.Errorf("no such event among %+v", l.events)
}

// readyPods of an image that are not on their way out. The controllers count them in the workload's status a moment later.
func (r room) readyPods(image string) int32 {
	r.Helper()
	pods, err := r.CoreV1().Pods(r.namespace).List(r.Context(), metav1.ListOptions{})
	r.ok(err)
	n := int32(0)
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil && p.Spec.Containers[0].Image == image && podutils.IsPodReady(&p) {
			n++
		}
	}
	return n
}

func noFeedIsLeft(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 1<<22)
	if text := string(stacks[:runtime.Stack(stacks, true)]); strings.Contains(text, "rollout.feed.") {
		t.Errorf("a feed goes on after the wait:\n%s", text)
	}
}

func TestARealRolloutIsWaitedForUntilTheNewRevisionIsAvailable(t *testing.T) {
	r := newRoom(t, testcluster.Start(t))
	target := r.deploy("encoder", 2, "0s")
	r.ok(Wait(t.Context(), r, r.request(time.Minute, target), func(Event) {}))

	// The controller may still write the status.
	testcluster.Eventually(t, func() error {
		deployments := r.AppsV1().Deployments(r.namespace)
		d, err := deployments.Get(t.Context(), "encoder", metav1.GetOptions{})
		if err != nil {
			return err
		}
		d.Spec.Template = r.template("encoder", "1s")
		d.Spec.Template.Spec.Containers[0].Image = "img:2"
		d, err = deployments.Update(t.Context(), d, metav1.UpdateOptions{})
		target.MinGeneration = d.Generation
		return err
	})
	var l log
	r.ok(Wait(t.Context(), r, r.request(time.Minute, target), l.add))
	noFeedIsLeft(t)

	if n := r.readyPods("img:2"); n != 2 {
		t.Errorf("%d pods of the new revision are ready", n)
	}
	r.ok(l.find(func(e Event) bool {
		return e.Type == WorkloadProgress && e.State.Observed && e.State.Ready == 0 && e.State.Wanted == 2
	}))
}

// The time between the return of the wait and the last state of the Deployment, seen by a watch of the test's own.
func TestAWaitReturnsByAnEvent(t *testing.T) {
	r := newRoom(t, testcluster.Start(t))
	target := r.deploy("encoder", 3, "500ms")
	w, err := r.AppsV1().Deployments(r.namespace).Watch(t.Context(), metav1.ListOptions{})
	r.ok(err)
	defer w.Stop()
	available := make(chan time.Time, 1)
	go func() {
		for e := range w.ResultChan() {
			if d, ok := e.Object.(*appsv1.Deployment); ok && d.Status.AvailableReplicas == 3 {
				available <- time.Now()
				return
			}
		}
	}()
	r.ok(Wait(t.Context(), r, r.request(time.Minute, target), func(Event) {}))
	returned := time.Now()
	t.Logf("returned %s before the Deployment's own count was right", (<-available).Sub(returned))
}

func TestAStatefulSetIsWaitedForUntilTheNewRevisionIsAvailable(t *testing.T) {
	r := newRoom(t, testcluster.Start(t))
	sets := r.AppsV1().StatefulSets(r.namespace)
	set, err := sets.Create(t.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "store", Labels: map[string]string{plan.LabelFlow: "search"}},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "store"}}, Template: r.template("store", "300ms"),
		},
	}, metav1.CreateOptions{})
	r.ok(err)
	target := executorTarget("store")
	target.Ref.Kind, target.MinGeneration = kindStatefulSet, set.Generation
	r.ok(Wait(t.Context(), r, r.request(time.Minute, target), func(Event) {}))

	testcluster.Eventually(t, func() error {
		set, err := sets.Get(t.Context(), "store", metav1.GetOptions{})
		if err != nil {
			return err
		}
		set.Spec.Template.Spec.Containers[0].Image = "img:2"
		set, err = sets.Update(t.Context(), set, metav1.UpdateOptions{})
		target.MinGeneration = set.Generation
		return err
	})
	r.ok(Wait(t.Context(), r, r.request(time.Minute, target), func(Event) {}))
	if n := r.readyPods("img:2"); n != 2 {
		t.Errorf("%d pods of the new revision are ready", n)
	}
}

func TestScaledReplicasAreWaitedForUpAndDown(t *testing.T) {
	r := newRoom(t, testcluster.Start(t))
	target := r.deploy("encoder", 1, "200ms")
	r.ok(Wait(t.Context(), r, r.request(time.Minute, target), func(Event) {}))
	target.MinGeneration = 0
	for _, n := range []int32{3, 1, 0} {
		_, err := r.AppsV1().Deployments(r.namespace).UpdateScale(t.Context(), "encoder", &autoscalingv1.Scale{
			ObjectMeta: metav1.ObjectMeta{Name: "encoder", Namespace: r.namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: n},
		}, metav1.UpdateOptions{FieldManager: plan.ScaleFieldManager})
		r.ok(err)
		target.Replicas = &n
		r.ok(Wait(t.Context(), r, r.request(time.Minute, target), func(Event) {}))
		d, err := r.AppsV1().Deployments(r.namespace).Get(t.Context(), "encoder", metav1.GetOptions{})
		r.ok(err)
		if ready := r.readyPods("img:1"); ready != n {
			t.Errorf("%d pods are ready, %d wanted", ready, n)
		}
		// A count of 0 is left out of a Scale object, and what is left out belongs to nobody.
		want := OwnerScale
		if n == 0 {
			want = "nobody"
		}
		if got := ReplicasOwner(d); got != want {
			t.Errorf("%d replicas belong to %q, want %q", n, got, want)
		}
	}
	other := int32(7)
	target.Replicas = &other
	var failed *FailedError
	if err := Wait(t.Context(), r, r.request(time.Minute, target), func(Event) {}); !errors.As(err, &failed) || !strings.Contains(err.Error(), "replicas are 0, not 7: changed by nobody meanwhile") {
		t.Errorf("got %v", err)
	}
}

func TestATimeoutNamesWhyAPodIsUnschedulable(t *testing.T) {
	r := newRoom(t, testcluster.Start(t))
	target := r.deploy("encoder", 1, "0s", func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.NodeSelector = map[string]string{"gpu": "none-here"}
	})
	testcluster.Eventually(t, func() error {
		pods, err := r.CoreV1().Pods(r.namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, p := range pods.Items {
			for _, c := range p.Status.Conditions {
				if c.Reason == corev1.PodReasonUnschedulable {
					return nil
				}
			}
		}
		return errors.New("no pod is unschedulable")
	})
	var timeout *TimeoutError
	err := Wait(t.Context(), r, r.request(2*time.Second, target), func(Event) {})
	if !errors.As(err, &timeout) || !strings.Contains(err.Error(), "\n  encoder: 0/1 ready: unschedulable: 0/") {
		t.Errorf("got %v", err)
	}
	noFeedIsLeft(t)
}

func TestAnExceededQuotaIsNamed(t *testing.T) {
	r := newRoom(t, testcluster.Start(t))
	_, err := r.CoreV1().ResourceQuotas(r.namespace).Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": resource.MustParse("0")}},
	}, metav1.CreateOptions{})
	r.ok(err)
	testcluster.Eventually(t, func() error {
		q, err := r.CoreV1().ResourceQuotas(r.namespace).Get(t.Context(), "small", metav1.GetOptions{})
		if err == nil && len(q.Status.Hard) == 0 {
			err = errors.New("the quota is not in force yet")
		}
		return err
	})
	target := r.deploy("encoder", 1, "0s")
	request := r.request(time.Minute, target)
	request.Persist = time.Second
	var failed *FailedError
	if err := Wait(t.Context(), r, request, func(Event) {}); !errors.As(err, &failed) {
		t.Fatalf("got %v", err)
	}
	if c := failed.Targets[0].Cause; c.Kind != CauseQuota || c.Limit != "pods=0" || !strings.HasPrefix(c.Summary, "quota `small` exceeded: requested: pods=1") {
		t.Errorf("got %+v", c)
	}
	noFeedIsLeft(t)
}

func TestWhoMayNotWatchIsPolledFor(t *testing.T) {
	cluster := testcluster.Start(t)
	r := newRoom(t, cluster)
	user := r.namespace + "-user"
	_, err := r.RbacV1().Roles(r.namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"list"}},
	}}, metav1.CreateOptions{})
	r.ok(err)
	_, err = r.RbacV1().RoleBindings(r.namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}, metav1.CreateOptions{})
	r.ok(err)
	config, err := clientcmd.BuildConfigFromFlags("", cluster.User(t, user))
	r.ok(err)
	reader := clientFor(t, config)
	testcluster.Eventually(t, func() error {
		_, err := reader.AppsV1().Deployments(r.namespace).List(t.Context(), metav1.ListOptions{})
		return err
	})
	target := r.deploy("encoder", 1, "1s")
	var l log
	r.ok(Wait(t.Context(), reader, r.request(time.Minute, target), l.add))
	for _, notice := range []string{"not allowed to watch deployments", "not allowed to read pods", "not allowed to read replicasets"} {
		r.ok(l.find(func(e Event) bool { return e.Type == Notice && strings.HasPrefix(e.Text, notice) }))
	}
	objects, err := Read(t.Context(), clientFor(t, config), r.namespace, "search")
	if err == nil {
		t.Errorf("read %+v without the right to list stateful sets", objects)
	}
}

// crash ends a cluster as a power cut does: an orderly stop would wait for the watches that are open.
func crash(t *testing.T, p *testcluster.Process) {
	t.Helper()
	process, err := os.FindProcess(p.PID())
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
}

func TestAWaitSurvivesACrashOfTheServer(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short no cluster is started")
	}
	dir, err := os.MkdirTemp("", "jina") // t.TempDir is too long for the socket in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	binary, err := testcluster.Build(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	start := func() *testcluster.Process {
		p, err := testcluster.Run(t.Context(), binary, testcluster.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := start()
	defer func() { _ = first.Stop() }() // the crash is its end; this is for a test that fails before
	config, err := clientcmd.BuildConfigFromFlags("", first.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	r := room{T: t, Interface: clientFor(t, config), namespace: "default"}
	target := r.deploy("encoder", 1, "0s", func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.NodeSelector = map[string]string{"gpu": "none-here"}
	})
	var l log
	done := make(chan error, 1)
	go func() { done <- Wait(t.Context(), r, r.request(5*time.Minute, target), l.add) }()
	testcluster.Eventually(t, func() error {
		return l.find(func(e Event) bool { return strings.HasPrefix(e.State.Reason, "unschedulable") })
	})
	crash(t, first)
	testcluster.Eventually(t, func() error {
		return l.find(func(e Event) bool {
			return e.Type == Notice && strings.Contains(e.Text, "cannot be read at the moment")
		})
	})
	second := start()
	defer crash(t, second)
	testcluster.Eventually(t, func() error {
		return l.find(func(e Event) bool { return e.Type == Notice && e.Text == "the cluster can be read again" })
	})
	testcluster.Eventually(t, func() error {
		d, err := r.AppsV1().Deployments(r.namespace).Get(t.Context(), "encoder", metav1.GetOptions{})
		if err != nil {
			return err
		}
		d.Spec.Template.Spec.NodeSelector = nil
		_, err = r.AppsV1().Deployments(r.namespace).Update(t.Context(), d, metav1.UpdateOptions{})
		return err
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
	noFeedIsLeft(t)
}
