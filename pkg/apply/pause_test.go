package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

func workloadWith(name string, replicas int64, file string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": name}, "spec": map[string]any{"replicas": replicas}}}
	if file != "" {
		o.SetAnnotations(map[string]string{plan.AnnotationReplicas: file})
	}
	return o
}

func TestACountIsNeverOverwrittenByZero(t *testing.T) {
	first := Paused(nil).With([]*unstructured.Unstructured{workloadWith("a", 2, "2"), workloadWith("b", 0, "1"), workloadWith("c", 3, "")})
	if diff := cmp.Diff(Paused{"Deployment/a": {2, "2"}, "Deployment/b": {0, "1"}, "Deployment/c": {3, ""}}, first); diff != "" {
		t.Error(diff)
	}
	again := first.With([]*unstructured.Unstructured{workloadWith("a", 0, "2"), workloadWith("b", 0, "1"), workloadWith("c", 5, ""), workloadWith("d", 1, "1")})
	if diff := cmp.Diff(Paused{"Deployment/a": {2, "2"}, "Deployment/b": {0, "1"}, "Deployment/c": {5, ""}, "Deployment/d": {1, "1"}}, again); diff != "" {
		t.Error(diff)
	}
	if len(first) != 3 || first["Deployment/c"].Replicas != 3 {
		t.Error("the given record was changed")
	}
}

func TestWorkloadGetsBackWhatItHadOrWhatTheFileHasSaidSince(t *testing.T) {
	paused := Paused{"Deployment/scaled": {5, "2"}, "Deployment/stopped": {0, "1"}, "Deployment/unsaid": {4, ""}}
	for name, c := range map[string]struct {
		workload *unstructured.Unstructured
		want     int32
	}{
		"scaled, the file as it was":          {workloadWith("scaled", 0, "2"), 5},
		"the file has changed during it":      {workloadWith("scaled", 0, "3"), 3},
		"the file says none any more":         {workloadWith("scaled", 0, ""), 5},
		"had none before":                     {workloadWith("stopped", 0, "1"), 0},
		"nobody knows what the file said":     {workloadWith("unsaid", 0, ""), 4},
		"new, as the file says":               {workloadWith("new", 0, "3"), 3},
		"new, and the file does not say":      {workloadWith("new", 0, ""), 1},
		"new, and the record was overwritten": {workloadWith("new", 0, "many"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := paused.Before(c.workload); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

func TestRecordOfAPauseThatCannotBeReadIsAnError(t *testing.T) {
	if paused, err := ParsePaused(""); paused != nil || err != nil {
		t.Errorf("%v, %v", paused, err)
	}
	if paused, err := ParsePaused(`{"Deployment/a":{"replicas":2}}`); err != nil || paused["Deployment/a"].Replicas != 2 {
		t.Errorf("%v, %v", paused, err)
	}
	for _, text := range []string{"yes", `{"Deployment/a":2}`, `{"Deployment/a":{"replicas":99999999999}}`, `{"Deployment/a":{"replicas":-1}}`, "null"} {
		if paused, err := ParsePaused(text); err == nil {
			t.Errorf("%s is read as %v", text, paused)
		}
	}
}
