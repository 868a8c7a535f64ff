package rollout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// watcher judges snapshots of one workload as a wait does.
type watcher struct {
	judge
	target  Target
	objects Objects
}

func newWatcher(target Target, objects Objects) *watcher {
	return &watcher{judge{now: testNow, persist: 15 * time.Second, settle: 2 * time.Second, past: newHistory()}, target, objects}
}

// see judges the objects as they are some time after the beginning.
func (w *watcher) see(after time.Duration) State {
	w.now = testNow.Add(after)
	return w.evaluate(NewView([]Target{w.target}, w.objects, w.now).Workloads[0])
}

// broken is a Deployment whose only new pod is in a state.
func broken(change ...func(*corev1.Pod)) (*appsv1.Deployment, Objects) {
	d := deployment("e", 1, notReady)
	rs := replicaSet(d, 1, 0)
	return d, Objects{Deployments: []*appsv1.Deployment{d}, ReplicaSets: []*appsv1.ReplicaSet{rs}, Pods: []*corev1.Pod{pod(rs, "a", change...)}}
}

// verdictOf tells when a workload that stays as it is counts as failed: at once, after 2 s, after 15 s, or never.
func verdictOf(w *watcher) (patience, State) {
	first := w.see(0)
	if first.Failure != "" {
		return atOnce, first
	}
	if s := w.see(1999 * time.Millisecond); s.Failure != "" {
		return -1, s
	}
	if s := w.see(2 * time.Second); s.Failure != "" {
		return settled, s
	}
	if s := w.see(14999 * time.Millisecond); s.Failure != "" {
		return -1, s
	}
	if s := w.see(15 * time.Second); s.Failure != "" {
		return lasting, s
	}
	return never, w.see(time.Hour)
}

func looping(restarts int32, last corev1.ContainerState) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		unready(waiting("CrashLoopBackOff", "back-off 20s restarting failed container"))(p)
		crashedBefore(restarts, last)(p)
	}
}

// inInit puts a container before the pod's own that is in a loop.
func inInit(name string, native bool, restarts int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		unready(waiting("PodInitializing", ""))(p)
		c := corev1.Container{Name: name, Image: "init:1"}
		if native {
			c.RestartPolicy = ptr(corev1.ContainerRestartPolicyAlways)
		}
		p.Spec.InitContainers = []corev1.Container{c}
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{
			Name: name, RestartCount: restarts, State: waiting("CrashLoopBackOff", ""), LastTerminationState: terminated(1, "Error", ""),
		}}
	}
}

func specified(c corev1.Container) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		c.Name, c.Image = "executor", "img:1"
		p.Spec.Containers = []corev1.Container{c}
	}
}

func both(changes ...func(*corev1.Pod)) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		for _, c := range changes {
			c(p)
		}
	}
}

// ranFor is the end of a run that took a time.
func ranFor(d time.Duration, code int32, reason string) corev1.ContainerState {
	s := terminated(code, reason, "")
	s.Terminated.StartedAt = metav1.NewTime(s.Terminated.FinishedAt.Add(-d))
	return s
}

var (
	within512Mi = corev1.Container{Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}}}
	loads600s   = corev1.Container{StartupProbe: &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 600}}
)

// What kubelets, runtimes and registries say, and what it means. A container that had crashed before it was first seen has to
// go on with it; see below for one that was seen from its beginning.
func TestEveryStateOfAPodHasItsVerdict(t *testing.T) {
	pull := func(reason, message string) func(*corev1.Pod) { return unready(waiting(reason, message)) }
	for _, c := range []struct {
		name   string
		change func(*corev1.Pod)
		kind   CauseKind
		when   patience
		says   string
	}{
		{"a name that is none", pull("InvalidImageName", `couldn't parse image name "img:1"`), CauseImage, atOnce, "`img:1` is no valid name of an image"},
		{"never pulled", pull("ErrImageNeverPull", ""), CauseImage, atOnce, "image `img:1` is not on the node, and may not be pulled"},
		{"not found, containerd", pull("ErrImagePull", `rpc error: code = NotFound desc = failed to pull and unpack image "img:1": failed to resolve reference "img:1": img:1: not found`), CauseImage, lasting, "image `img:1` not found (1 pod, 15 s)"},
		{"not found, Docker's registry", pull("ErrImagePull", "manifest for img:1 not found: manifest unknown: manifest unknown"), CauseImage, lasting, "image `img:1` not found (1 pod, 15 s)"},
		{"not found, told between two attempts", pull("ImagePullBackOff", `Back-off pulling image "img:1": ErrImagePull: manifest unknown`), CauseImage, lasting, "image `img:1` not found (1 pod, 15 s)"},
		{"no access", pull("ErrImagePull", "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized"), CauseImage, lasting, "no access to image `img:1` (1 pod, 15 s)"},
		{"denied", pull("ErrImagePull", "denied: requested access to the resource is denied"), CauseImage, lasting, "no access to image `img:1` (1 pod, 15 s)"},
		{"not found or no access", pull("ErrImagePull", "pull access denied, repository does not exist or may require authorization"), CauseImage, lasting, "image `img:1` not found, or no access to it (1 pod, 15 s)"},
		{"rate limit", pull("ErrImagePull", "toomanyrequests: You have reached your pull rate limit"), CauseImagePull, never, "cannot pull image `img:1` yet: toomanyrequests: You have reached your pull rate limit"},
		{"rate limit as a denial", pull("ErrImagePull", "denied: rate limit exceeded, 429"), CauseImagePull, never, "cannot pull image `img:1` yet: denied: rate limit exceeded, 429"},
		{"time-out", pull("ErrImagePull", "net/http: TLS handshake timeout"), CauseImagePull, never, "cannot pull image `img:1` yet: net/http: TLS handshake timeout"},
		{"registry down", pull("ErrImagePull", "unexpected status code 503 Service Unavailable"), CauseImagePull, never, "cannot pull image `img:1` yet: unexpected status code 503 Service Unavailable"},
		{"no such registry", pull("ErrImagePull", "dial tcp: lookup registry.example: no such host"), CauseImagePull, never, "cannot pull image `img:1` yet: lookup registry.example: no such host"},
		{"untrusted registry", pull("ErrImagePull", "tls: failed to verify certificate: x509: certificate signed by unknown authority"), CauseImagePull, never, "cannot pull image `img:1` yet: x509: certificate signed by unknown authority"},
		{"back-off of unknown cause", pull("ImagePullBackOff", `Back-off pulling image "img:1"`), CauseImagePull, never, "cannot pull image `img:1` yet"},
		{"missing key of a Secret", unready(waiting("CreateContainerConfigError", "couldn't find key token in Secret search/hub")), CauseConfig, lasting, "Secret `hub` has no key `token` (1 pod, 15 s)"},
		{"missing key of a ConfigMap", unready(waiting("CreateContainerConfigError", "couldn't find key k in ConfigMap search/c")), CauseConfig, lasting, "ConfigMap `c` has no key `k` (1 pod, 15 s)"},
		{"missing Secret", unready(waiting("CreateContainerConfigError", `secret "hub" not found`)), CauseConfig, lasting, "there is no Secret `hub` (1 pod, 15 s)"},
		{"missing ConfigMap", unready(waiting("CreateContainerConfigError", `configmap "c" not found`)), CauseConfig, lasting, "there is no ConfigMap `c` (1 pod, 15 s)"},
		{"a cache that is not filled", unready(waiting("CreateContainerConfigError", "failed to sync secret cache: timed out waiting for the condition")), CauseConfig, never, "the node has not read its Secrets and ConfigMaps yet"},
		{"root refused", unready(waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")), CauseConfig, lasting, "cannot be configured: container has runAsNonRoot and image will run as root (1 pod, 15 s)"},
		{"no command", unready(waiting("RunContainerError", `exec: "jina": executable file not found in $PATH`)), CauseRun, lasting, `cannot be run: exec: "jina": executable file not found in $PATH (1 pod, 15 s)`},
		{"the runtime's own trouble", both(unready(waiting("RunContainerError", "context deadline exceeded")), crashedBefore(1, terminated(128, "ContainerCannotRun", ""))), CauseRun, never, "cannot be run: context deadline exceeded"},
		{"the runtime's trouble that stays", looping(2, terminated(128, "StartError", "no such file")), CauseRun, lasting, "cannot be run: no such file, 2 restarts (1 pod, 15 s)"},
		{"crashed once", looping(1, terminated(1, "Error", "")), CauseCrash, never, "crashes: exit code 1, 1 restart"},
		{"crashes again and again", looping(2, terminated(1, "Error", "")), CauseCrash, lasting, "crashes: exit code 1, 2 restarts (1 pod, 15 s)"},
		{"ends well again and again", looping(2, terminated(0, "Completed", "")), CauseCrash, lasting, "crashes: exit code 0 (Completed), 2 restarts (1 pod, 15 s)"},
		{"is on its way after crashes", both(unready(running()), crashedBefore(5, terminated(1, "Error", ""))), CauseCrash, never, "crashes: exit code 1, 5 restarts"},
		{"out of memory", both(specified(within512Mi), looping(2, terminated(137, "OOMKilled", ""))), CauseOutOfMemory, lasting, "out of memory: killed at its limit of 512Mi with exit code 137, 2 restarts (1 pod, 15 s)"},
		{"killed while it loads", both(specified(loads600s), looping(2, ranFor(600*time.Second, 137, "Error"))), CauseStartupProbe, lasting, "killed by its own startup probe after 10 min of loading, 2 restarts (1 pod, 15 s)"},
		{"killed once while it loads", both(specified(loads600s), unready(running()), crashedBefore(1, ranFor(600*time.Second, 143, "Error"))), CauseStartupProbe, never, "killed by its own startup probe after 10 min of loading, 1 restart"},
		{"crashed while it loads", both(specified(loads600s), looping(2, ranFor(30*time.Second, 137, "Error"))), CauseCrash, lasting, "crashes: exit code 137, 2 restarts (1 pod, 15 s)"},
		{"an init container crashes", inInit("download", false, 2), CauseCrash, lasting, "init container `download`: crashes: exit code 1, 2 restarts (1 pod, 15 s)"},
		{"a native sidecar crashes", inInit("cache", true, 2), CauseCrash, lasting, "sidecar `cache`: crashes: exit code 1, 2 restarts (1 pod, 15 s)"},
		{"the mesh's proxy crashes at first", inInit("linkerd-proxy", true, 2), CauseMeshProxy, never, "the mesh's container `linkerd-proxy`: crashes: exit code 1, 2 restarts"},
		{"the mesh's proxy crashes", inInit("linkerd-proxy", true, 3), CauseMeshProxy, lasting, "the mesh's container `linkerd-proxy`: crashes: exit code 1, 3 restarts (1 pod, 15 s)"},
		{"no GPU", pending("Unschedulable", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available."), CauseUnschedulable, never, "0/3 nodes have nvidia.com/gpu free"},
		{"no GPU where the pod may go", pending("Unschedulable", "0/3 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 Insufficient nvidia.com/gpu."), CauseUnschedulable, never, "0/3 nodes have nvidia.com/gpu free"},
		{"no memory", pending("Unschedulable", "0/3 nodes are available: 3 Insufficient memory."), CauseUnschedulable, never, "unschedulable: 0/3 nodes are available: 3 Insufficient memory."},
		{"evicted", func(p *corev1.Pod) {
			p.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on memory"}
		}, CausePodFailed, never, "pod failed: Evicted: low on memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, objects := broken(c.change)
			when, s := verdictOf(newWatcher(executorTarget("e"), objects))
			if s.Cause == nil {
				t.Fatalf("no cause: %+v", s)
			}
			says := s.Why()
			if c.when == atOnce {
				says = s.Cause.Summary
			}
			if s.Cause.Kind != c.kind || when != c.when || says != c.says {
				t.Errorf("got  %s, patience %d: %s\nwant %s, patience %d: %s", s.Cause.Kind, when, says, c.kind, c.when, c.says)
			}
			if s.Cause.Remedy == "" && c.name != "a cache that is not filled" {
				t.Error("nothing is said that could be done")
			}
			if !s.Trouble {
				t.Error("it is no trouble")
			}
		})
	}
}

// What the API server says when a controller makes pods.
func TestEveryRefusalOfPodsHasItsCause(t *testing.T) {
	for _, c := range []struct {
		message, says string
		kind          CauseKind
		limit         string
	}{
		{`pods "e-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0`,
			"quota `small` exceeded: requested: pods=1, used: pods=0, limited: pods=0", CauseQuota, "pods=0"},
		{`pods "e-1" is forbidden: failed quota: small: must specify limits.cpu for: executor`,
			"quota `small` refuses pods that do not say what they need: must specify limits.cpu for: executor", CauseQuota, ""},
		{`pods "e-1" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod or container "executor" must set it)`,
			"PodSecurity `restricted:latest` refuses the pods: runAsNonRoot != true (pod or container \"executor\" must set it)", CauseRefused, ""},
		{`admission webhook "policy.example.com" denied the request: no latest tags`,
			"webhook `policy.example.com` refuses the pods: no latest tags", CauseRefused, ""},
		{`pods "e-1" is forbidden: error looking up service account search/nobody: serviceaccount "nobody" not found`,
			"there is no service account `nobody`", CauseRefused, ""},
		{"something new", "cannot create pods: something new", CauseRefused, ""},
	} {
		d := deployment("e", 1, notReady, condition(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, "FailedCreate", c.message))
		when, s := verdictOf(newWatcher(executorTarget("e"), Objects{Deployments: []*appsv1.Deployment{d}}))
		if when != lasting || s.Failure != c.says+" (15 s)" || s.Cause.Kind != c.kind || s.Cause.Limit != c.limit || s.Cause.Remedy == "" {
			t.Errorf("%s\ngot %+v with %+v", c.message, s, s.Cause)
		}
	}
}

func TestAControllersVerdictHasToSettleAndIsExplainedByThePods(t *testing.T) {
	d, objects := broken(pending("Unschedulable", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."))
	condition(appsv1.DeploymentProgressing, corev1.ConditionFalse, progressDeadlineExceeded, "")(d)
	d.Spec.ProgressDeadlineSeconds = ptr(int32(900))
	when, s := verdictOf(newWatcher(executorTarget("e"), objects))
	if when != settled || s.Failure != "no progress for 900 s, its progress deadline" || s.Reason != "0/3 nodes have nvidia.com/gpu free" || s.Cause.Kind != CauseUnschedulable {
		t.Errorf("patience %d: %+v", when, s)
	}
}

func TestAPatientWaitGivesUpOnNothingThatPodsDo(t *testing.T) {
	_, objects := broken(unready(waiting("InvalidImageName", "")))
	w := newWatcher(executorTarget("e"), objects)
	w.patient = true
	if when, s := verdictOf(w); when != never || !s.Trouble || s.Cause.Kind != CauseImage {
		t.Errorf("patience %d: %+v", when, s)
	}
	w.objects = Objects{}
	if s := w.see(time.Hour); s.Failure != "" {
		t.Errorf("at first sight: %+v", s)
	}
	if s := w.see(time.Hour + 2*time.Second); s.Failure == "" {
		t.Error("a workload that is gone was waited for")
	}
}

func TestTroubleThatPassesStartsAnew(t *testing.T) {
	_, objects := broken(unready(waiting("ErrImagePull", "manifest unknown")))
	w := newWatcher(executorTarget("e"), objects)
	w.see(0)
	w.see(14 * time.Second)
	troubled := objects.Pods
	_, well := broken(unready(waiting("ContainerCreating", "")))
	w.objects.Pods = well.Pods
	if s := w.see(14500 * time.Millisecond); s.Trouble {
		t.Fatalf("got %+v", s)
	}
	w.objects.Pods = troubled
	for _, after := range []time.Duration{15 * time.Second, 29 * time.Second} {
		if s := w.see(after); s.Failure != "" {
			t.Errorf("after %s: %+v", after, s)
		}
	}
	if s := w.see(30 * time.Second); s.Failure == "" {
		t.Error("it has lasted, and is no failure")
	}
}

// Between two attempts many kubelets only say that they wait.
func TestWhatAPullSaidIsRememberedBetweenTwoAttempts(t *testing.T) {
	_, failed := broken(unready(waiting("ErrImagePull", "manifest unknown")))
	_, between := broken(unready(waiting("ImagePullBackOff", `Back-off pulling image "img:1"`)))
	w := newWatcher(executorTarget("e"), failed)
	w.see(0)
	w.objects = between
	if s := w.see(10 * time.Second); s.Cause == nil || s.Cause.Kind != CauseImage || s.Cause.Message != "manifest unknown" {
		t.Errorf("after 10 s: %+v", s)
	}
	if s := w.see(15 * time.Second); s.Failure != "image `img:1` not found (1 pod, 15 s)" {
		t.Errorf("after 15 s: %+v", s)
	}
	// Whoever looks only now is told by the event.
	between.Events = []*corev1.Event{podEvent(between.Pods[0], "Failed", `Failed to pull image "img:1": manifest unknown`, 0)}
	if s := newWatcher(executorTarget("e"), between).see(0); s.Cause == nil || s.Cause.Kind != CauseImage {
		t.Errorf("with an event: %+v", s)
	}
}

func TestACrashLoopSeenFromItsBeginningIsAFailureAtItsSecondRestart(t *testing.T) {
	_, fresh := broken(unready(running()))
	w := newWatcher(executorTarget("e"), fresh)
	w.see(0)
	for restarts := range int32(3) {
		_, w.objects = broken(looping(restarts, terminated(1, "Error", "")))
		s := w.see(time.Duration(restarts+1) * time.Second)
		if failed := s.Failure != ""; failed != (restarts >= crashes) {
			t.Errorf("%d restarts: %+v", restarts, s)
		}
	}
}

func TestTheImpatientOfSeveralPodsDecidesAndAllAreCounted(t *testing.T) {
	d, objects := broken(unready(waiting("ErrImagePull", "manifest unknown")))
	d.Spec.Replicas = ptr(int32(3))
	rs := objects.ReplicaSets[0]
	objects.Pods = append(objects.Pods,
		pod(rs, "b", unready(waiting("ErrImagePull", "manifest unknown"))), pod(rs, "c", pending("Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.")))
	if when, s := verdictOf(newWatcher(executorTarget("e"), objects)); when != lasting || s.Failure != "image `img:1` not found (2 pods, 15 s)" {
		t.Errorf("patience %d: %+v", when, s)
	}
}

// It opens no port before its slowest executor has answered it once, so that its own startup probe restarts it.
func TestAGatewayThatItsProbeRestartsWhileAnExecutorLoadsIsNoVerdict(t *testing.T) {
	target := executorTarget("e")
	target.Part = plan.Part{Role: plan.RoleGateway}
	for _, c := range []struct {
		name    string
		last    corev1.ContainerState
		waiting bool
		failed  bool
	}{
		{"killed while an executor loads", ranFor(600*time.Second, 137, "Error"), true, false},
		{"ended well when told to, while an executor loads", ranFor(600*time.Second, 0, "Completed"), true, false},
		{"ended by the signal while an executor loads", ranFor(20*time.Second, 143, "Error"), true, false},
		{"killed when all executors are ready", ranFor(600*time.Second, 137, "Error"), false, true},
		{"crashed by itself while an executor loads", ranFor(2*time.Second, 1, "Error"), true, true},
		{"out of memory while an executor loads", ranFor(2*time.Second, 137, "OOMKilled"), true, true},
	} {
		d, objects := broken(both(specified(loads600s), looping(4, c.last)))
		if c.waiting {
			condition(appsv1.DeploymentProgressing, corev1.ConditionFalse, progressDeadlineExceeded, "")(d)
		}
		w := newWatcher(target, objects)
		w.waitsForOthers = c.waiting
		when, s := verdictOf(w)
		if c.waiting && c.failed && when == settled {
			t.Errorf("%s: its progress was held against it: %+v", c.name, s)
		}
		if failed := when != never; failed != c.failed || s.Trouble != c.failed {
			t.Errorf("%s: patience %d, %+v", c.name, when, s)
		}
	}
}

func TestAGatewayIsExcusedOnlyWhileOthersAreNotReady(t *testing.T) {
	gateway, executor := executorTarget("g"), executorTarget("e")
	gateway.Part = plan.Part{Role: plan.RoleGateway}
	d := deployment("g", 1, notReady)
	rs := replicaSet(d, 1, 0)
	killed := pod(rs, "a", specified(loads600s), looping(2, ranFor(600*time.Second, 137, "Error")))
	loading, ready := deployment("e", 1, notReady), deployment("e", 1)
	for _, c := range []struct {
		executor *appsv1.Deployment
		failed   bool
	}{{loading, false}, {ready, true}} {
		o := Objects{Deployments: []*appsv1.Deployment{d, c.executor}, ReplicaSets: []*appsv1.ReplicaSet{rs}, Pods: []*corev1.Pod{killed}}
		if s := Evaluate(NewView([]Target{gateway, executor}, o, testNow)).States[0]; (s.Failure != "") != c.failed {
			t.Errorf("executor done %v: %+v", c.failed, s)
		}
	}
}

func podEvent(p *corev1.Pod, reason, message string, age time.Duration) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprintf("%s.%s", p.Name, strings.ToLower(reason)), Namespace: p.Namespace},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: p.Name, UID: p.UID},
		Reason:         reason, Message: message, Type: corev1.EventTypeWarning, LastTimestamp: metav1.NewTime(testNow.Add(-age)),
	}
}

func TestEventsTellWhatThePodDoesNot(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*corev1.Pod)
		event  func(*corev1.Pod) *corev1.Event
		kind   CauseKind
		when   patience
		says   string
	}{
		{"a volume from a missing Secret", unready(waiting("ContainerCreating", "")), func(p *corev1.Pod) *corev1.Event {
			return podEvent(p, "FailedMount", `MountVolume.SetUp failed for volume "model" : secret "s" not found`, 0)
		}, CauseVolume, lasting, "there is no Secret `s`, which a volume is made from (1 pod, 15 s)"},
		{"a volume that is slow", unready(waiting("ContainerCreating", "")), func(p *corev1.Pod) *corev1.Event {
			return podEvent(p, "FailedAttachVolume", "Multi-Attach error for volume", 0)
		}, CauseVolume, never, "cannot mount a volume: Multi-Attach error for volume"},
		{"a readiness probe", both(unready(running()), func(p *corev1.Pod) { p.Status.ContainerStatuses[0].Started = ptr(true) }), func(p *corev1.Pod) *corev1.Event {
			return podEvent(p, "Unhealthy", "Readiness probe failed: connection refused", 0)
		}, CauseNotReady, never, "runs, but is not ready: Readiness probe failed: connection refused"},
		{"a startup probe that kills early", both(specified(loads600s), looping(2, ranFor(30*time.Second, 137, "Error"))), func(p *corev1.Pod) *corev1.Event {
			return podEvent(p, "Unhealthy", "Startup probe failed: timeout", 0)
		}, CauseStartupProbe, lasting, "killed by its own startup probe after 30 s of loading, 2 restarts (1 pod, 15 s)"},
		{"a liveness probe", looping(2, ranFor(30*time.Second, 143, "Error")), func(p *corev1.Pod) *corev1.Event {
			return podEvent(p, "Unhealthy", "Liveness probe failed: timeout", 0)
		}, CauseLivenessProbe, lasting, "killed by its own liveness probe, 2 restarts (1 pod, 15 s)"},
		{"a startup probe that a crash came before", both(specified(loads600s), looping(2, ranFor(30*time.Second, 1, "Error"))), func(p *corev1.Pod) *corev1.Event {
			return podEvent(p, "Unhealthy", "Startup probe failed: timeout", 0)
		}, CauseCrash, lasting, "crashes: exit code 1, 2 restarts (1 pod, 15 s)"},
	} {
		_, objects := broken(c.change)
		objects.Events = []*corev1.Event{c.event(objects.Pods[0])}
		when, s := verdictOf(newWatcher(executorTarget("e"), objects))
		if s.Cause == nil || s.Cause.Kind != c.kind || when != c.when || s.Why() != c.says {
			t.Errorf("%s: patience %d, %+v", c.name, when, s)
		}
	}
}

func TestEventsOfAnotherPodTellNothing(t *testing.T) {
	_, objects := broken(unready(waiting("ContainerCreating", "")))
	stranger := objects.Pods[0].DeepCopy()
	stranger.UID = types.UID("other")
	objects.Events = []*corev1.Event{podEvent(stranger, "FailedMount", `secret "s" not found`, 0)}
	if s := newWatcher(executorTarget("e"), objects).see(0); s.Trouble {
		t.Errorf("got %+v", s)
	}
}

// A Deployment has the failures of all its replica sets.
func TestOnlyTheNewReplicaSetsFailureToMakePodsCounts(t *testing.T) {
	const message = `pods "e-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0`
	d := deployment("e", 1, notReady, condition(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, "FailedCreate", message), func(d *appsv1.Deployment) {
		d.Annotations[revisionAnnotation] = "2"
	})
	for failing, want := range map[int]patience{0: never, 1: lasting} {
		sets := []*appsv1.ReplicaSet{replicaSet(d, 1, 0), replicaSet(d, 2, 0)}
		sets[failing].Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: message}}
		when, s := verdictOf(newWatcher(executorTarget("e"), Objects{Deployments: []*appsv1.Deployment{d}, ReplicaSets: sets}))
		if when != want || s.Trouble != (want != never) {
			t.Errorf("replica set %d fails: patience %d, %+v", failing, when, s)
		}
	}
}

func TestServingPodsOfTheRevisionBeforeAreCounted(t *testing.T) {
	d := deployment("e", 2, func(d *appsv1.Deployment) {
		d.Annotations[revisionAnnotation] = "2"
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 3, UpdatedReplicas: 1, ReadyReplicas: 2, AvailableReplicas: 2}
	})
	old, current := replicaSet(d, 1, 2), replicaSet(d, 2, 0)
	s := evaluateOne(t, executorTarget("e"), Objects{Deployments: []*appsv1.Deployment{d}, ReplicaSets: []*appsv1.ReplicaSet{old, current}})
	if s.Serving != 2 || s.Ready != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestALoadingContainerTellsSinceWhenAndHowLongItMay(t *testing.T) {
	_, objects := broken(specified(loads600s), func(p *corev1.Pod) {
		state := running()
		state.Running.StartedAt = metav1.NewTime(testNow.Add(-125 * time.Second))
		unready(state)(p)
		p.Status.ContainerStatuses[0].Started = ptr(false)
	})
	s := newWatcher(executorTarget("e"), objects).see(0)
	if s.Reason != "loading" || s.Trouble || s.Elapsed(testNow) != "for 2 min 5 s of at most 10 min" {
		t.Errorf("got %+v, %q", s, s.Elapsed(testNow))
	}
	if s.Elapsed(testNow.Add(-time.Hour)) != "" || (State{Since: testNow, Done: true}).Elapsed(testNow.Add(time.Hour)) != "" {
		t.Error("a clock that is behind, or a workload that is done, has an elapsed time")
	}
}

func TestPartsAreNamedInTheFlowsWords(t *testing.T) {
	for want, p := range map[string]plan.Part{
		"gateway":              {Role: plan.RoleGateway},
		"executor `encoder`":   {Role: plan.RoleExecutor, Executor: "encoder"},
		"head of `indexer`":    {Role: plan.RoleHead, Executor: "indexer"},
		"shard 1 of `indexer`": {Role: plan.RoleShard, Executor: "indexer", Shard: 1},
	} {
		if got := Subject(p); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDurationsAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1499 * time.Millisecond: "1 s", time.Minute: "1 min", 125 * time.Second: "2 min 5 s", time.Hour + 3*time.Minute + time.Second: "1 h 3 min",
	} {
		if got := durationText(d); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
