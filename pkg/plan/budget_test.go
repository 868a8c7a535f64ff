package plan

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// loads is a workload whose pods may take some seconds to load and to end; a negative number leaves the field out.
func loads(role Role, replicas, startup, end int64) Object {
	container := map[string]any{"name": "main"}
	if startup >= 0 {
		container["startupProbe"] = map[string]any{"periodSeconds": int64(1), "failureThreshold": startup}
	}
	pod := map[string]any{"containers": []any{container}}
	if end >= 0 {
		pod["terminationGracePeriodSeconds"] = end
	}
	spec := map[string]any{"template": map[string]any{"spec": pod}}
	if replicas >= 0 {
		spec["replicas"] = replicas
	}
	return Object{Unstructured: &unstructured.Unstructured{Object: map[string]any{"kind": "Deployment", "spec": spec}}, Part: Part{Role: role}}
}

func TestRestartMayTakeAStartForEachReplica(t *testing.T) {
	for name, c := range map[string]struct {
		objects []Object
		want    time.Duration
	}{
		"nothing":                {nil, StartupAllowance},
		"one replica":            {[]Object{loads(RoleExecutor, 1, 600, 60)}, StartupAllowance + 11*time.Minute},
		"three":                  {[]Object{loads(RoleExecutor, 3, 600, 60)}, 3 * (StartupAllowance + 11*time.Minute)},
		"two workloads":          {[]Object{loads(RoleExecutor, 3, 600, 60), loads(RoleExecutor, 1, 60, 60)}, 3 * (StartupAllowance + 11*time.Minute)},
		"no replicas said":       {[]Object{loads(RoleExecutor, -1, 600, 60)}, StartupAllowance + 11*time.Minute},
		"no grace period said":   {[]Object{loads(RoleExecutor, 1, 600, -1)}, StartupAllowance + 10*time.Minute + 30*time.Second},
		"no replicas":            {[]Object{loads(RoleExecutor, 0, 600, 60)}, StartupAllowance},
		"no startup probe there": {[]Object{loads(RoleExecutor, 1, -1, 60)}, StartupAllowance + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if got := RestartBudget(c.objects); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestStopMayTakeTheLongestGracePeriod(t *testing.T) {
	objects := []Object{loads(RoleExecutor, 3, 600, 90), loads(RoleGateway, 1, 600, -1)}
	if got := StopBudget(objects); got != 2*time.Minute+30*time.Second {
		t.Errorf("%s", got)
	}
	if got := StopBudget(objects[1:]); got != time.Minute+30*time.Second {
		t.Errorf("%s where the API's default counts", got)
	}
}
