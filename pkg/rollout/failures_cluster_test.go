package rollout

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// failing is a pod that really behaves so, and what a wait makes of it.
type failing struct {
	name string
	// simulate is the pod template's annotations, without their prefix.
	simulate map[string]string
	change   func(*appsv1.Deployment)
	kind     CauseKind
	// says is part of the failure; of the reason where it is none.
	says string
	// tolerated: it is only named, and the wait runs into its deadline.
	tolerated bool
	logged    bool
}

func sidecar(name string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.InitContainers = []corev1.Container{
			{Name: "download", Image: "get:1"},
			{Name: name, Image: "mesh:1", RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways)},
		}
	}
}

func limited(d *appsv1.Deployment) {
	d.Spec.Template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}
}

func probed(d *appsv1.Deployment) {
	d.Spec.Template.Spec.Containers[0].StartupProbe = &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 8080}}, PeriodSeconds: 1, FailureThreshold: 600,
	}
}

func onNodesWith(name corev1.ResourceName) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{name: resource.MustParse("1")}
	}
}

func failures() []failing {
	fast := func(scenario string, more ...string) map[string]string {
		m := map[string]string{"scenario": scenario, "crash-after": "300ms", "backoff": "300ms"}
		for i := 0; i+1 < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	return []failing{
		{name: "invalid-image", simulate: fast("waiting", "reason", "InvalidImageName", "message", "couldn't parse image name"), kind: CauseImage,
			says: "`img:1` is no valid name of an image"},
		{name: "never-pull", simulate: fast("waiting", "reason", "ErrImageNeverPull"), kind: CauseImage, says: "image `img:1` is not on the node, and may not be pulled"},
		{name: "image-not-found", simulate: fast("imagepull"), kind: CauseImage, says: "image `img:1` not found (1 pod, "},
		{name: "image-no-access", simulate: fast("imagepull", "message", "pull access: 401 Unauthorized"), kind: CauseImage, says: "no access to image `img:1`"},
		{name: "image-slow-registry", simulate: fast("imagepull", "message", "dial tcp 10.0.0.9:443: i/o timeout"), kind: CauseImagePull, tolerated: true,
			says: "cannot pull image `img:1` yet: dial tcp 10.0.0.9:443: i/o timeout"},
		{name: "missing-secret-key", simulate: fast("waiting", "message", "couldn't find key k in Secret search/s"), kind: CauseConfig, says: "Secret `s` has no key `k`"},
		{name: "secret-cache", simulate: fast("waiting", "message", "failed to sync secret cache: timed out waiting for the condition"), kind: CauseConfig, tolerated: true,
			says: "the node has not read its Secrets and ConfigMaps yet"},
		{name: "missing-volume", simulate: fast("mount"), kind: CauseVolume, says: "there is no Secret `model-token`"},
		{name: "crash", simulate: fast("crashloop", "exit-code", "3"), kind: CauseCrash, says: "crashes: exit code 3, ", logged: true},
		{name: "oom", simulate: fast("oom"), change: limited, kind: CauseOutOfMemory, says: "out of memory: killed at its limit of 512Mi with exit code 137, ", logged: true},
		{name: "startup-killed", simulate: fast("startup-killed"), change: probed, kind: CauseStartupProbe, says: "killed by its own startup probe after ", logged: true},
		{name: "init-crash", simulate: fast("init-crash"), change: sidecar("linkerd-proxy"), kind: CauseCrash, says: "init container `download`: crashes: exit code 1, ", logged: true},
		{name: "mesh-proxy-crash", simulate: fast("sidecar-crash"), change: sidecar("linkerd-proxy"), kind: CauseMeshProxy, says: "the mesh's container `linkerd-proxy`: crashes: exit code 1, ", logged: true},
		{name: "sidecar-crash", simulate: fast("sidecar-crash"), change: sidecar("cache"), kind: CauseCrash, says: "sidecar `cache`: crashes: exit code 1, ", logged: true},
		{name: "no-command", simulate: fast("waiting", "reason", "RunContainerError", "message", `exec: "jina": executable file not found in $PATH`), kind: CauseRun,
			says: `cannot be run: exec: "jina": executable file not found in $PATH`},
		{name: "no-account", simulate: map[string]string{}, change: func(d *appsv1.Deployment) { d.Spec.Template.Spec.ServiceAccountName = "nobody" }, kind: CauseRefused,
			says: "there is no service account `nobody`"},
		{name: "gpu", simulate: map[string]string{}, change: onNodesWith("nvidia.com/gpu"), kind: CauseUnschedulable, tolerated: true, says: " nodes have nvidia.com/gpu free"},
		{name: "evicted", simulate: fast("failed"), kind: CausePodFailed, tolerated: true, says: "pod failed: Evicted: The node was low on resource: memory."},
		{name: "unready", simulate: fast("unready"), kind: CauseNotReady, tolerated: true, says: "runs, but is not ready: Readiness probe failed: connection refused", logged: true},
		{name: "no-progress", simulate: map[string]string{"ready-after": "1h"}, change: func(d *appsv1.Deployment) { d.Spec.ProgressDeadlineSeconds = ptr(int32(2)) },
			kind: CauseDeadline, says: "no progress for 2 s, its progress deadline"},
	}
}

// One Deployment for each row of the table of what may go wrong, all at once, each followed by a wait of its own.
func TestEveryFailureIsNamed(t *testing.T) {
	r := newRoom(t, testcluster.Start(t))
	rows := failures()
	took := make([]string, len(rows))
	var running sync.WaitGroup
	for i, f := range rows {
		running.Go(func() {
			began := time.Now()
			problem := r.fails(f)
			took[i] = fmt.Sprintf("%-20s %-14s %4.1f s", f.name, f.kind, time.Since(began).Seconds())
			if problem != "" {
				t.Errorf("%s: %s", f.name, problem)
			}
		})
	}
	running.Wait()
	t.Logf("a failure, its kind, and how long until it was named (what may pass has to last 2 s here, and may pass for 8 s):\n%s", strings.Join(took, "\n"))
	noFeedIsLeft(t)
}

// failing is one Deployment of a kind that fails.
func (r room) failing(f failing) (Target, error) {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: f.name, Labels: map[string]string{plan.LabelFlow: "search"}},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": f.name}}, Template: r.template(f.name, ""),
		},
	}
	d.Spec.Template.Annotations = map[string]string{}
	for key, value := range f.simulate {
		d.Spec.Template.Annotations["sim.test/"+key] = value
	}
	if f.change != nil {
		f.change(d)
	}
	d, err := r.AppsV1().Deployments(r.namespace).Create(r.Context(), d, metav1.CreateOptions{})
	if err != nil {
		return Target{}, err
	}
	target := executorTarget(f.name)
	target.MinGeneration = d.Generation
	return target, nil
}

// fails makes the Deployment, waits for it, and says what is not as it should be.
func (r room) fails(f failing) string {
	target, err := r.failing(f)
	if err != nil {
		return err.Error()
	}
	request := r.request(time.Minute, target)
	request.Persist = 2 * time.Second
	if f.tolerated {
		request.Timeout = 8 * time.Second
	}
	var l log
	err = Wait(r.Context(), r, request, l.add)
	var failed *FailedError
	var timeout *TimeoutError
	var states []State
	switch {
	case errors.As(err, &failed) && !f.tolerated:
		states = failed.Targets
	case errors.As(err, &timeout) && f.tolerated:
		states = timeout.NotReady
	}
	if len(states) != 1 || states[0].Cause == nil {
		return fmt.Sprintf("got %v", err)
	}
	s := states[0]
	switch {
	case s.Cause.Kind != f.kind || !strings.Contains(s.Why(), f.says):
		return fmt.Sprintf("got  %s: %s\nwant %s: %s", s.Cause.Kind, s.Why(), f.kind, f.says)
	case s.Cause.Remedy == "" && f.name != "secret-cache":
		return "nothing is said that could be done"
	case f.logged && !slices.Contains(s.Cause.Logs, "this container is simulated: it says nothing"):
		return fmt.Sprintf("the log is %q %s", s.Cause.Logs, s.Cause.LogNote)
	case !f.logged && len(s.Cause.Logs) > 0:
		return fmt.Sprintf("a log that tells nothing is shown: %q", s.Cause.Logs)
	}
	return ""
}

// reader is a user who may do what the rules say in the room's namespace.
func (r room) reader(rules ...rbacv1.PolicyRule) kubernetes.Interface {
	r.Helper()
	user := r.namespace + "-reader"
	_, err := r.RbacV1().Roles(r.namespace).Create(r.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: rules}, metav1.CreateOptions{})
	r.ok(err)
	_, err = r.RbacV1().RoleBindings(r.namespace).Create(r.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}, metav1.CreateOptions{})
	r.ok(err)
	config, err := clientcmd.BuildConfigFromFlags("", r.cluster.User(r.T, user))
	r.ok(err)
	reader := clientFor(r.T, config)
	testcluster.Eventually(r, func() error {
		_, err := reader.AppsV1().Deployments(r.namespace).List(r.Context(), metav1.ListOptions{})
		return err
	})
	return reader
}

func TestWhoMayReadNeitherLogsNorEventsIsToldSo(t *testing.T) {
	t.Parallel()
	r := newRoom(t, testcluster.Start(t))
	read := []string{"list", "watch"}
	reader := r.reader(
		rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments", "replicasets"}, Verbs: read},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: read},
	)
	target, err := r.failing(failing{name: "crash", simulate: map[string]string{"scenario": "crashloop", "crash-after": "200ms", "backoff": "200ms"}})
	r.ok(err)
	var l log
	var failed *FailedError
	if err := Wait(t.Context(), reader, r.request(time.Minute, target), l.add); !errors.As(err, &failed) {
		t.Fatalf("got %v", err)
	}
	cause := failed.Targets[0].Cause
	if want := fmt.Sprintf("its log is not shown: not allowed to get pods/log in namespace %q", r.namespace); cause.Kind != CauseCrash || len(cause.Logs) > 0 || cause.LogNote != want {
		t.Errorf("got %+v", cause)
	}
	r.ok(l.find(func(e Event) bool { return e.Type == Notice && strings.HasPrefix(e.Text, "not allowed to read events") }))
}

func TestEventsArePolledForByWhoMayNotWatchThem(t *testing.T) {
	t.Parallel()
	r := newRoom(t, testcluster.Start(t))
	reader := r.reader(
		rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments", "replicasets"}, Verbs: []string{"list"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods", "events"}, Verbs: []string{"list"}},
	)
	target, err := r.failing(failing{name: "mount", simulate: map[string]string{"scenario": "mount"}})
	r.ok(err)
	request := r.request(time.Minute, target)
	request.Persist = time.Second
	var l log
	var failed *FailedError
	if err := Wait(t.Context(), reader, request, l.add); !errors.As(err, &failed) || failed.Targets[0].Cause.Kind != CauseVolume {
		t.Errorf("got %v", err)
	}
	r.ok(l.find(func(e Event) bool {
		return e.Type == Notice && strings.HasPrefix(e.Text, "not allowed to watch events")
	}))
}

func TestTheLastLinesOfTheFailingContainerAreShownMadeSafe(t *testing.T) {
	t.Parallel()
	r := newRoom(t, testcluster.Start(t))
	target, err := r.failing(failing{name: "crash", simulate: map[string]string{"scenario": "crashloop", "crash-after": "200ms", "backoff": "4s"}})
	r.ok(err)
	var said []string
	for i := range 30 {
		said = append(said, fmt.Sprintf("line %d", i))
	}
	said = append(said, `  File "executor.py", line 7`, "ModuleNotFoundError: \x1b[31mno torch\x1b[0m")
	testcluster.Eventually(t, func() error {
		pods, err := r.CoreV1().Pods(r.namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(pods.Items) != 1 {
			return fmt.Errorf("%d pods: %w", len(pods.Items), err)
		}
		r.cluster.Say(t, r.namespace, pods.Items[0].Name, "executor", said...)
		return nil
	})
	var failed *FailedError
	if err := Wait(t.Context(), r, r.request(time.Minute, target), func(Event) {}); !errors.As(err, &failed) {
		t.Fatalf("got %v", err)
	}
	logs := failed.Targets[0].Cause.Logs
	if len(logs) != 20 || logs[0] != "line 12" || logs[18] != `  File "executor.py", line 7` || logs[19] != "ModuleNotFoundError: no torch" {
		t.Errorf("got %d lines: %q", len(logs), logs)
	}
}

// A pod that is slow in every way is no failure, however short the patience with what is wrong.
func TestASlowPodIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRoom(t, testcluster.Start(t))
	target, err := r.failing(failing{name: "slow", simulate: map[string]string{"ready-after": "2s", "load-for": "3s"}, change: probed})
	r.ok(err)
	request := r.request(time.Minute, target)
	request.Persist = 500 * time.Millisecond
	var l log
	r.ok(Wait(t.Context(), r, request, l.add))
	r.ok(l.find(func(e Event) bool { return e.State.Reason == "creating its containers" && !e.State.Trouble }))
	r.ok(l.find(func(e Event) bool {
		return e.State.Reason == "loading" && !e.State.Trouble && e.State.Allowed == 10*time.Minute && !e.State.Since.IsZero()
	}))
}

func TestAStatefulSetStuckOnABrokenRevisionGoesOnOnceItsPodsAreDeleted(t *testing.T) {
	t.Parallel()
	r := newRoom(t, testcluster.Start(t))
	template := r.template("store", "0s")
	template.Annotations["sim.test/scenario"] = "imagepull"
	sets := r.AppsV1().StatefulSets(r.namespace)
	set, err := sets.Create(t.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "store", Labels: map[string]string{plan.LabelFlow: "search"}},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "store"}}, Template: template,
		},
	}, metav1.CreateOptions{})
	r.ok(err)
	target := executorTarget("store")
	target.Ref.Kind, target.MinGeneration = kindStatefulSet, set.Generation
	request := r.request(time.Minute, target)
	request.Persist = time.Second
	wait := func() *FailedError {
		t.Helper()
		var failed *FailedError
		request.Targets = []Target{target}
		if err := Wait(t.Context(), r, request, func(Event) {}); err != nil && !errors.As(err, &failed) {
			t.Fatalf("got %v", err)
		}
		return failed
	}
	if failed := wait(); failed == nil || failed.Targets[0].Cause.Kind != CauseImage {
		t.Fatalf("the broken revision: %v", failed)
	}

	testcluster.Eventually(t, func() error {
		set, err := sets.Get(t.Context(), "store", metav1.GetOptions{})
		if err != nil {
			return err
		}
		delete(set.Spec.Template.Annotations, "sim.test/scenario")
		set, err = sets.Update(t.Context(), set, metav1.UpdateOptions{})
		target.MinGeneration = set.Generation
		return err
	})
	if failed := wait(); failed == nil || failed.Targets[0].Cause.Kind != CauseStuckRevision {
		t.Fatalf("the mended revision: %v", failed)
	}
	objects, err := Read(t.Context(), r, r.namespace, "search")
	r.ok(err)
	for _, p := range StuckPods(NewView([]Target{target}, objects, time.Now()).Workloads[0]) {
		r.ok(r.CoreV1().Pods(r.namespace).Delete(t.Context(), p.Name, metav1.DeleteOptions{}))
	}
	if failed := wait(); failed != nil {
		t.Errorf("after the repair: %v", failed)
	}
}
