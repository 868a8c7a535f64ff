package metrics

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestUsageIsWhatAnnotationsSay(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		annotations map[string]string
		cpu, memory string
	}{
		{nil, "10m", "64Mi"},
		{map[string]string{"sim.test/cpu": "1500m"}, "1500m", "64Mi"},
		{map[string]string{"sim.test/memory": "2Gi"}, "10m", "2Gi"},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Annotations: test.annotations},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}, {Name: "b"}}}}
		m, err := usage(pod, metav1.Now())
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Containers) != 2 {
			t.Fatalf("%d containers", len(m.Containers))
		}
		for _, c := range m.Containers {
			if got := c.Usage.Cpu().String() + " " + c.Usage.Memory().String(); got != test.cpu+" "+test.memory {
				t.Errorf("%v: %s uses %s", test.annotations, c.Name, got)
			}
		}
	}
	if _, err := usage(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"sim.test/cpu": "much"}}}, metav1.Now()); err == nil {
		t.Error("an amount that is none is taken")
	}
}
