package rollout

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// slowFlow is a Flow whose executor may load for 15 minutes, as it is brought to a cluster, in simulated time.
type slowFlow struct {
	*testing.T
	*fake.Clientset
	*waitUnderWay
	pods map[string]*corev1.Pod
}

func newSlowFlow(t *testing.T) *slowFlow {
	t.Helper()
	f, problems := flow.Parse(flow.Source{Name: "flow.yml", Data: []byte("jtype: Flow\nexecutors: [{name: encoder, uses: docker://registry.example/llm:1, timeout_ready: 900000}]")})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	objects, problems := plan.Objects(f, plan.Options{FlowName: "search", Namespace: testNamespace})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	s := &slowFlow{T: t, pods: map[string]*corev1.Pod{}}
	r := Request{Namespace: testNamespace, Flow: "search", Timeout: plan.StartupBudget(objects)}
	var live []runtime.Object
	for _, o := range objects {
		if o.Ref().Kind != kindDeployment {
			continue
		}
		d := &appsv1.Deployment{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, d); err != nil {
			t.Fatal(err)
		}
		made := deployment(d.Name, 1, notReady)
		made.Spec = d.Spec
		rs := replicaSet(made, 1, 0)
		p := pod(rs, "a", unready(waiting("ContainerCreating", "")))
		p.Spec.Containers = d.Spec.Template.Spec.Containers
		p.Status.ContainerStatuses[0].Name = d.Spec.Template.Spec.Containers[0].Name
		p.Status.ContainerStatuses[0].Started = ptr(false)
		s.pods[d.Name] = p
		live = append(live, made, rs, p)
		r.Targets = append(r.Targets, Target{Part: o.Part, Ref: o.Ref()})
	}
	s.Clientset = fake.NewClientset(live...)
	s.waitUnderWay = startWait(t.Context(), s.Clientset, r)
	return s
}

// turn makes the only container of a pod be in another state.
func (s *slowFlow) turn(name string, state corev1.ContainerState, change ...func(*corev1.ContainerStatus)) {
	s.Helper()
	p := s.pods[name].DeepCopy()
	p.Status.ContainerStatuses[0].State = state
	for _, c := range change {
		c(&p.Status.ContainerStatuses[0])
	}
	s.pods[name] = p
	s.store(p)
}

func (s *slowFlow) store(p *corev1.Pod) {
	s.Helper()
	if _, err := s.CoreV1().Pods(testNamespace).Update(s.Context(), p, metav1.UpdateOptions{}); err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
}

func (s *slowFlow) ready(name string) {
	s.Helper()
	p := s.pods[name].DeepCopy()
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	p.Status.ContainerStatuses[0].Ready, p.Status.ContainerStatuses[0].Started = true, ptr(true)
	s.store(p)
}

func (s *slowFlow) runs(name string) {
	s.Helper()
	s.turn(name, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}})
}

func TestAModelThatLoadsForTenMinutesAfterASlowPullIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlowFlow(t)
		s.runs("gateway")
		time.Sleep(2 * time.Minute)
		s.turn("encoder", waiting("ErrImagePull", "net/http: TLS handshake timeout"))
		time.Sleep(2 * time.Minute)
		s.runs("encoder")
		time.Sleep(10*time.Minute + 30*time.Second)
		s.stillWaiting(t)
		if got := s.last.Elapsed(time.Now()); got != "for 10 min 30 s of at most 15 min 5 s" {
			t.Errorf("the executor loads %q", got)
		}
		s.ready("encoder")
		time.Sleep(10 * time.Second)
		s.ready("gateway")
		began := time.Now()
		if err := <-s.err; err != nil {
			t.Fatal(err)
		}
		if late := time.Since(began); late != 0 {
			t.Errorf("returned %s after the last pod was ready", late)
		}
		said := strings.Join(s.lines, "\n")
		for _, want := range []string{
			"workload-progress encoder: 0/1 ready: cannot pull image `registry.example/llm:1` yet: net/http: TLS handshake timeout",
			"workload-progress encoder: 0/1 ready: loading",
			"workload-progress gateway: 0/1 ready: waiting for the executors",
			"finished (2 of 2 done)",
		} {
			if !strings.Contains(said, want) {
				t.Errorf("%q was not said:\n%s", want, said)
			}
		}
	})
}

func TestAModelThatItsProbeKillsIsNamedAndTheGatewayIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlowFlow(t)
		s.runs("gateway")
		s.runs("encoder")
		// The startup probe's initial delay comes on top.
		const allowed = 15*time.Minute + 5*time.Second
		killed := func(name string, restarts int32, after time.Duration, again bool) {
			end := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: 137, Reason: "Error", StartedAt: metav1.NewTime(time.Now().Add(-after)), FinishedAt: metav1.Now(),
			}}
			now := waiting("CrashLoopBackOff", "")
			if again {
				now = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
			}
			s.turn(name, now, func(c *corev1.ContainerStatus) { c.RestartCount, c.LastTerminationState = restarts, end })
		}
		for restarts := range int32(4) {
			killed("gateway", restarts, allowed, false)
			time.Sleep(time.Minute)
		}
		s.stillWaiting(t)
		time.Sleep(11 * time.Minute)
		killed("encoder", 1, allowed, true)
		s.stillWaiting(t)
		if want := "workload-progress encoder: 0/1 ready: killed by its own startup probe after 15 min 5 s of loading, 1 restart (0 of 2 done)"; !slices.Contains(s.lines, want) {
			t.Errorf("%q was not said: %q", want, s.lines)
		}
		time.Sleep(time.Minute)
		killed("encoder", 2, allowed, false)
		var failed *FailedError
		if err := <-s.err; !errors.As(err, &failed) || len(failed.Targets) != 1 {
			t.Fatalf("got %v", err)
		}
		f := failed.Targets[0]
		if f.Part.Executor != "encoder" || f.Cause.Kind != CauseStartupProbe || !strings.Contains(f.Cause.Remedy, "timeout_ready") {
			t.Errorf("got %+v with %+v", f, f.Cause)
		}
		if len(failed.Others) > 0 {
			t.Errorf("the gateway is blamed: %+v", failed.Others)
		}
	})
}
