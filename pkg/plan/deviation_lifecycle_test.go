package plan

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// flowOf parses a text.
func flowOf(t *testing.T, text string) *flow.Flow {
	t.Helper()
	f, problems := flow.Parse(flow.Source{Name: "flow.yml", Data: []byte(text)})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestProgressDeadlineIsLongerThanTheStartupProbe(t *testing.T) {
	objects := objectsOf(t, "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, timeout_ready: 1800000}]", Options{})
	for ref, want := range map[string]int64{"Deployment/e": 5 + 1800 + 300, "Deployment/gateway": 5 + 1800 + 300 + 150} {
		o := objectNamed(t, objects, ref)
		if got := field(t, o, "spec", "progressDeadlineSeconds"); got != want {
			t.Errorf("%s: deadline is %v, not %d", ref, got, want)
		}
		if budget := probeBudget(o); budget > time.Duration(want)*time.Second {
			t.Errorf("%s: the startup probe allows %s, the deadline is %d s", ref, budget, want)
		}
	}
	if got := StartupBudget(objects); got != 2255*time.Second {
		t.Errorf("up waits for %s", got)
	}
	if got := StartupBudget(nil); got != StartupAllowance {
		t.Errorf("up waits for nothing for %s", got)
	}
}

func TestGatewayWaitsForItsSlowestExecutor(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want time.Duration
	}{
		"default":             {gatewayWith("{}"), 605*time.Second + StartupAllowance + reconnectAllowance},
		"the slowest of them": {"jtype: Flow\nexecutors: [{name: a, uses: docker://e:1, timeout_ready: 1200000}, {name: b, uses: docker://e:1, shards: 2, timeout_ready: 3600000}]", 3605*time.Second + StartupAllowance + reconnectAllowance},
		"its own":             {gatewayWith("{timeout_ready: 3600000}"), 3605*time.Second + StartupAllowance},
		"no executors":        {"jtype: Flow\nexecutors: []", 605*time.Second + StartupAllowance},
	} {
		t.Run(name, func(t *testing.T) {
			objects := objectsOf(t, c.text, Options{})
			gateway := objectNamed(t, objects, "Deployment/gateway")
			if got := probeBudget(gateway); got != c.want {
				t.Errorf("the gateway has %s to start, not %s", got, c.want)
			}
			if got := StartupBudget(objects); got != c.want {
				t.Errorf("up waits for %s, not %s", got, c.want)
			}
			if got := field(t, gateway, "spec", "progressDeadlineSeconds"); got != int64(c.want/time.Second) {
				t.Errorf("the deadline is %v, not %s", got, c.want)
			}
		})
	}
}

func TestUpWaitsForObjectsOfTheReferenceToo(t *testing.T) {
	objects := objectsOf(t, gatewayWith("{}"), Options{Compat: true})
	if got, want := StartupBudget(objects), 605*time.Second+StartupAllowance+reconnectAllowance; got != want {
		t.Errorf("budget is %s, not %s", got, want)
	}
}

func TestPodsFinishTheirLongestRequest(t *testing.T) {
	const chain = `
jtype: Flow
%s
executors:
  - {name: a, uses: docker://e:1%s}
  - {name: b, uses: docker://e:1, shards: 2, uses_before: docker://b:1, uses_after: docker://a:1%s}
  - {name: c, uses: docker://e:1, needs: gateway}
  - {name: d, uses: docker://e:1, needs: [b, c]}
`
	for name, c := range map[string]struct {
		gateway, a, b string
		want          map[string]int64
	}{
		"default":           {"", "", "", map[string]int64{"a": 12, "b-0": 12, "b-head": 12, "gateway": 12}},
		"no time-out":       {"with: {timeout_send: -1}", "", "", map[string]int64{"a": 12, "b-0": 12, "b-head": 12, "gateway": 12}},
		"of the Flow":       {"with: {timeout_send: 60000}", "", "", map[string]int64{"a": 62, "b-0": 62, "b-head": 62, "c": 62, "gateway": 182}},
		"of the gateway":    {"gateway: {timeout_send: 1500}", "", "", map[string]int64{"a": 4, "b-head": 4, "gateway": 12}},
		"of executors":      {"", ", timeout_send: 40000", ", timeout_send: 30000", map[string]int64{"a": 42, "b-0": 32, "b-1": 32, "b-head": 92, "c": 12, "gateway": 2 + 40 + 90 + 10}},
		"too long":          {"with: {timeout_send: 3600000}", "", "", map[string]int64{"a": 542, "b-head": 542, "gateway": 542}},
		"longer than a day": {"with: {timeout_send: 99999999999999}", "", "", map[string]int64{"a": 542, "gateway": 542}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := objectsOf(t, fmt.Sprintf(chain, c.gateway, c.a, c.b), Options{})
			for workload, want := range c.want {
				o := objectNamed(t, objects, "Deployment/"+workload)
				for _, container := range containersOf(o) {
					if got := fmt.Sprint(childOf(container, "lifecycle", "preStop", "exec")["command"]); got != fmt.Sprintf("[/bin/sh -c sleep %d]", want) {
						t.Errorf("%s: %s: preStop is %s, not %d s", workload, container["name"], got, want)
					}
				}
				if got := field(t, o, "spec", "template", "spec", "terminationGracePeriodSeconds"); got != want+30 {
					t.Errorf("%s: the pod has %v s, not %d", workload, got, want+30)
				}
			}
		})
	}
}

func TestKilledContainersAreNotWaitedFor(t *testing.T) {
	container := containersOf(objectNamed(t, objectsOf(t, "jtype: Flow\nwith: {timeout_send: 300000}\nexecutors: [{name: e, uses: docker://e:1}]", Options{}), "Deployment/e"))[0]
	for key, want := range map[string]any{"startupProbe": int64(5), "livenessProbe": int64(30), "readinessProbe": nil} {
		if got := childOf(container, key)["terminationGracePeriodSeconds"]; got != want {
			t.Errorf("%s: grace is %v, not %v", key, got, want)
		}
	}
}

func TestTimesThatNobodyMeansAreReported(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		compat bool
		want   string
	}{
		"a day":             {"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, timeout_ready: 86400000}]", false, ""},
		"days":              {"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, timeout_ready: 999999999}]", false, "flow.yml:2:58: warning: timeout_ready is in milliseconds: 999999999 are 11.6 days"},
		"days in compat":    {"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, timeout_ready: 999999999}]", true, ""},
		"centuries":         {"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, timeout_ready: 9999999999999}]", false, "flow.yml:2:58: error: timeout_ready is 9999999999999, the most that Kubernetes can count is 2147482887000"},
		"of the gateway":    {gatewayWith("{timeout_ready: 9999999999999}"), false, "flow.yml:2:26: error: timeout_ready"},
		"more than a probe": {"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, timeout_ready: 99999999999999}]", true, "flow.yml:2:58: error: timeout_ready is 99999999999999, the most that Kubernetes can count is 10737418235000"},
		"long request":      {"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, timeout_send: 540001}]", false, "flow.yml:2:57: warning: by timeout_send a request may take 9m0.001s"},
		"not too long":      {"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, timeout_send: 530000}]", false, ""},
		"long chain": {
			"jtype: Flow\nwith:\n  timeout_send: 300000\nexecutors: [{name: e, uses: docker://e:1}, {name: f, uses: docker://e:1}]", false,
			"flow.yml:3:17: warning: by timeout_send a request may take 10m0s; a pod that goes finishes what it has for 9m0s and no longer",
		},
		"long head": {
			"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, timeout_send: 200000, shards: 2, uses_before: docker://b:1, uses_after: docker://a:1}]", false,
			"flow.yml:2:57: warning: by timeout_send a request may take 10m0s",
		},
		"Deployment": {"jtype: Deployment\nwith: {name: e, uses: docker://e:1, timeout_send: 600000}", false, "flow.yml:2:51: warning: by timeout_send a request may take 10m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := checkTimes(flowOf(t, c.text), Options{Compat: c.compat})
			switch {
			case c.want == "" && len(problems) > 0:
				t.Error(problems)
			case c.want != "" && (len(problems) != 1 || !strings.HasPrefix(problems[0].String(), c.want)):
				t.Errorf("%d problems: %v", len(problems), problems)
			}
		})
	}
}

// TestLongestLegalStartIsLegal holds the bound of timeout_ready to what is made of it.
func TestLongestLegalStartIsLegal(t *testing.T) {
	for _, compat := range []bool{false, true} {
		objects := objectsOf(t, fmt.Sprintf("jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, timeout_ready: %d}]", maxTimeoutReady(compat)), Options{Compat: compat})
		for _, o := range objects {
			for _, container := range containersOf(o) {
				if n, _ := childOf(container, "startupProbe")["failureThreshold"].(int64); n <= 0 || n > math.MaxInt32 {
					t.Errorf("compat %t: %s: failureThreshold is %d", compat, o.Ref(), n)
				}
				if n, _ := field(t, o, "spec", "progressDeadlineSeconds").(int64); n < 0 || n > math.MaxInt32 {
					t.Errorf("compat %t: %s: progressDeadlineSeconds is %d", compat, o.Ref(), n)
				}
			}
		}
	}
}
