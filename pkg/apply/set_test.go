package apply

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta/testrestmapper"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	kubectlapply "k8s.io/kubectl/pkg/cmd/apply"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

func TestSetIDIsKubectls(t *testing.T) {
	for _, s := range []Set{{Flow: "search", Namespace: "prod"}, {Flow: "a", Namespace: "default"}} {
		mapping, err := testrestmapper.TestOnlyStaticRESTMapper(scheme.Scheme).RESTMapping(schema.GroupKind{Kind: "ConfigMap"}, "v1")
		if err != nil {
			t.Fatal(err)
		}
		theirs := kubectlapply.NewApplySet(&kubectlapply.ApplySetParentRef{Name: s.ParentRef().Name, Namespace: s.Namespace, RESTMapping: mapping}, kubectlapply.ApplySetTooling{}, nil, nil)
		if got, want := s.ID(), theirs.ID(); got != want {
			t.Errorf("%+v: %s, kubectl says %s", s, got, want)
		}
	}
	if labelSetID != kubectlapply.ApplySetParentIDLabel || plan.LabelPartOfSet != kubectlapply.ApplysetPartOfLabel ||
		AnnotationTooling != kubectlapply.ApplySetToolingAnnotation || annotationGroupKinds != kubectlapply.ApplySetGKsAnnotation {
		t.Error("a label or annotation is not kubectl's")
	}
}

func TestLabelLeavesTheGivenObjectsAndPodTemplatesAlone(t *testing.T) {
	given := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "x", "namespace": "ns", "labels": map[string]any{"a": "b"}},
		"spec":     map[string]any{"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": "x"}}}}}}
	s := Set{Flow: "f", Namespace: "ns"}
	out := s.Label([]plan.Object{{Unstructured: given}})[0]
	if out.GetLabels()[plan.LabelPartOfSet] != s.ID() || out.GetLabels()["a"] != "b" {
		t.Errorf("labels %v", out.GetLabels())
	}
	if len(given.GetLabels()) != 1 {
		t.Errorf("the given object has %v", given.GetLabels())
	}
	if l, _, _ := unstructured.NestedMap(out.Object, "spec", "template", "metadata", "labels"); len(l) != 1 {
		t.Errorf("the pod template has %v", l)
	}
}

func TestParentOfAnotherToolIsRefused(t *testing.T) {
	s := Set{Flow: "f", Namespace: "ns", Version: "v1"}
	own := s.parentObject([]schema.GroupKind{{Group: "apps", Kind: "Deployment"}, {Kind: "Service"}}, Record{Graph: `{"a":["gateway"]}`})
	p, err := s.parseParent(own)
	if err != nil {
		t.Fatal(err)
	}
	if got := joinKinds(p.Kinds); got != "Deployment.apps,Service" {
		t.Errorf("kinds %q", got)
	}
	for name, tooling := range map[string]string{"kubectl's": "kubectl/v1.37", "nobody's": ""} {
		t.Run(name, func(t *testing.T) {
			o := own.DeepCopy()
			o.SetAnnotations(map[string]string{AnnotationTooling: tooling})
			if _, err := s.parseParent(o); err == nil {
				t.Error("accepted")
			}
		})
	}
	o := own.DeepCopy()
	o.SetLabels(map[string]string{labelSetID: "other"})
	if _, err := s.parseParent(o); err == nil {
		t.Error("a parent with another set's id is accepted")
	}
}
