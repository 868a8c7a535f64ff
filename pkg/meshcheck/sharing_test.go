package meshcheck

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestProxyIsFoundInEitherPlace(t *testing.T) {
	named := func(names ...string) []corev1.Container {
		var containers []corev1.Container
		for _, n := range names {
			containers = append(containers, corev1.Container{Name: n})
		}
		return containers
	}
	for name, c := range map[string]struct {
		spec corev1.PodSpec
		want bool
	}{
		"Linkerd's":                    {corev1.PodSpec{Containers: named("linkerd-proxy", "executor")}, true},
		"Linkerd's, a native sidecar":  {corev1.PodSpec{InitContainers: named("linkerd-proxy"), Containers: named("executor")}, true},
		"Istio's":                      {corev1.PodSpec{Containers: named("executor", "istio-proxy")}, true},
		"only the init container's":    {corev1.PodSpec{InitContainers: named("linkerd-init"), Containers: named("executor")}, false},
		"none":                         {corev1.PodSpec{Containers: named("executor")}, false},
		"a container named like a bit": {corev1.PodSpec{Containers: named("my-linkerd-proxy")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := hasProxy(corev1.Pod{Spec: c.spec}); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}
