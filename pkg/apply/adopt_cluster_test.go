package apply

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// jinaExport is a Flow file of the corpus and what Jina's own export made of it, for the fixture's namespace.
func (f fixture) jinaExport(t *testing.T) (flowFile, exported string) {
	t.Helper()
	const corpusCase = "../plan/testdata/corpus/arg-env"
	read := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	files, err := filepath.Glob(filepath.Join(corpusCase, "expected", "*", "*.yml"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	var all []string
	for _, file := range files {
		all = append(all, read(file))
	}
	exported = strings.Join(all, "\n---\n")
	for _, probe := range []string{"exec:", "- ping"} {
		if !strings.Contains(exported, probe) {
			t.Fatalf("the export has no %s", probe)
		}
	}
	return read(filepath.Join(corpusCase, "input.yml")), replaceIn(t, exported, "default", f.set.Namespace)
}

// TestJinasObjectsAreAdopted shows C3, C4 and C2: objects that a user has made of Jina's export, in each of kubectl's ways, become ours,
// as if they had been applied by us from the start.
func TestJinasObjectsAreAdopted(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, f fixture, exported string) (former string){
		"kubectl apply": func(t *testing.T, f fixture, exported string) string {
			f.mustKubectl(t, exported, "apply", "-f", "-")
			return "kubectl-client-side-apply"
		},
		"kubectl apply --server-side": func(t *testing.T, f fixture, exported string) string {
			f.mustKubectl(t, exported, "apply", "--server-side", "-f", "-")
			return "kubectl"
		},
		"kubectl create": func(t *testing.T, f fixture, exported string) string {
			f.mustKubectl(t, exported, "create", "-f", "-")
			return "kubectl-create"
		},
		"kubectl create, and kubectl apply later": func(t *testing.T, f fixture, exported string) string {
			f.mustKubectl(t, exported, "create", "-f", "-")
			f.mustKubectl(t, replaceIn(t, exported, "sleep 2", "sleep 3"), "apply", "-f", "-")
			return "kubectl-client-side-apply"
		},
		"before there were managed fields": func(t *testing.T, f fixture, exported string) string {
			f.mustKubectl(t, exported, "apply", "-f", "-")
			f.emptyManagedFields(t)
			return "before-first-apply"
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			flowFile, exported := f.jinaExport(t)
			former := make(t, f, exported)
			before := f.live(t, "Deployment", "encoder")
			objects := f.flowObjects(t, flowFile)
			state, p := f.planWith(t, objects, plan.CompareOptions{})
			for _, c := range p.Changes {
				if c.Action != plan.Adopt && (c.Action != plan.Create || state.Strangers[c.Ref] != nil) || c.Action == plan.Adopt && !slices.Contains(c.Migrate, former) {
					t.Errorf("%s %s, migrating %v: %s", c.Action, c.Ref, c.Migrate, c.Reason)
				}
			}
			if len(p.Conflicts) > 0 || p.Count(plan.Adopt) < 6 {
				t.Fatalf("%d to adopt, conflicts %v", p.Count(plan.Adopt), p.Conflicts)
			}
			if _, err := f.Run(t.Context(), f.set, state, p, Options{}, func(Event) {}); err != nil {
				t.Fatal(err)
			}
			f.ours(t, p)
			after := f.live(t, "Deployment", "encoder")
			if after.GetUID() != before.GetUID() {
				t.Error("it was replaced")
			}
			f.probesReplaced(t, before, after)
			f.unchanged(t, objects)
		})
	}
}

// ours fails unless every adopted object is only ours, but for what controllers have written.
func (f fixture) ours(t *testing.T, p plan.Plan) {
	t.Helper()
	for _, c := range p.Changes {
		o := f.live(t, c.Ref.Kind, c.Ref.Name)
		if o.GetAnnotations()["kubectl.kubernetes.io/last-applied-configuration"] != "" {
			t.Errorf("%s still has what kubectl applied last", c.Ref)
		}
		for _, m := range o.GetManagedFields() {
			controller := m.Manager == "kube-controller-manager" || strings.HasPrefix(m.Manager, "kwok")
			if !controller && (m.Manager != plan.FieldManager || m.Operation != metav1.ManagedFieldsOperationApply) {
				t.Errorf("%s: %s %s still owns %s", c.Ref, m.Manager, m.Operation, m.FieldsV1.GetRawString())
			}
		}
	}
}

// probesReplaced fails unless Jina's exec probes are gone, and ours are there: with both the API server would have refused it.
func (f fixture) probesReplaced(t *testing.T, before, after *unstructured.Unstructured) {
	t.Helper()
	for _, o := range []*unstructured.Unstructured{before, after} {
		containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
		container, _ := containers[0].(map[string]any)
		_, exec, _ := unstructured.NestedMap(container, "startupProbe", "exec")
		_, grpc, _ := unstructured.NestedMap(container, "startupProbe", "grpc")
		if exec != (o == before) || grpc != (o == after) {
			t.Errorf("startup probe: %v", container["startupProbe"])
		}
	}
}

// emptyManagedFields takes the owners of all fields away, as an API server from before them left objects.
func (f fixture) emptyManagedFields(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"ConfigMap", "Service", "Deployment"} {
		for _, name := range []string{"encoder", "gateway"} {
			if kind == "ConfigMap" {
				name += "-configmap"
			}
			o := f.live(t, kind, name)
			r, err := f.resource(plan.RefOf(o))
			if err != nil {
				t.Fatal(err)
			}
			testcluster.Eventually(t, func() error {
				o, err := r.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"managedFields":[{}]}}`), metav1.PatchOptions{})
				if err == nil && len(o.GetManagedFields()) > 0 {
					err = errors.New("it still has managed fields")
				}
				return err
			})
		}
	}
}

// TestAdoptionThatIsKilledIsContinued stops after the owners are migrated and before anything is applied.
func TestAdoptionThatIsKilledIsContinued(t *testing.T) {
	f := newFixture(t)
	flowFile, exported := f.jinaExport(t)
	f.mustKubectl(t, exported, "apply", "-f", "-")
	objects := f.flowObjects(t, flowFile)
	_, p := f.planWith(t, objects, plan.CompareOptions{})
	if err := f.migrate(t.Context(), changeOf(t, p, "Deployment", "encoder")); err != nil {
		t.Fatal(err)
	}
	p = f.up(t, objects, plan.CompareOptions{})
	f.ours(t, p)
	f.unchanged(t, objects)
}

// TestFieldThatSomebodyHasEditedIsAConflict shows C5: by its name, with both values and its owner, of an object of ours and of one that
// is to be adopted. Nothing is written.
func TestFieldThatSomebodyHasEditedIsAConflict(t *testing.T) {
	for _, name := range []string{"ours", "to be adopted"} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			flowFile, exported := f.jinaExport(t)
			objects := f.flowObjects(t, flowFile)
			if name == "ours" {
				f.up(t, objects, plan.CompareOptions{})
			} else {
				f.mustKubectl(t, exported, "apply", "-f", "-")
			}
			out, err := f.kubectl(t, "", []string{"KUBE_EDITOR=sed -i s,encoder:1.0,encoder:edited,"}, "edit", "deployment/encoder")
			if err != nil {
				t.Fatal(err, out)
			}
			before := f.live(t, "Deployment", "encoder").GetGeneration()
			state, p := f.planWith(t, objects, plan.CompareOptions{})
			if len(p.Conflicts) != 1 {
				t.Fatalf("conflicts %+v", p.Conflicts)
			}
			c := p.Conflicts[0]
			c.Owner.Time = c.Owner.Time.Truncate(0)
			if c.Owner.Time.IsZero() {
				t.Error("it does not say since when")
			}
			want := plan.Conflict{
				Ref: c.Ref, Field: "spec.template.spec.containers[executor].image", Live: "registry.example/encoder:edited", Ours: "registry.example/encoder:1.0",
				Owner: plan.Owner{Manager: "kubectl-edit", Operation: "Update", Time: c.Owner.Time},
			}
			if d := cmp.Diff(want, c); d != "" || c.Ref.Name != "encoder" {
				t.Error(d)
			}
			_, err = f.Run(t.Context(), f.set, state, p, Options{}, func(Event) {})
			var conflict *ConflictError
			if !errors.As(err, &conflict) || f.live(t, "Deployment", "encoder").GetGeneration() != before {
				t.Errorf("generation %d, was %d; error %v", f.live(t, "Deployment", "encoder").GetGeneration(), before, err)
			}
			f.up(t, objects, plan.CompareOptions{Force: true})
			image := f.imageOf(t, "encoder")
			if image != "registry.example/encoder:1.0" {
				t.Errorf("with force the image is %s", image)
			}
			f.unchanged(t, objects)
		})
	}
}

func (f fixture) imageOf(t *testing.T, deployment string) string {
	t.Helper()
	containers, _, _ := unstructured.NestedSlice(f.live(t, "Deployment", deployment).Object, "spec", "template", "spec", "containers")
	container, _ := containers[0].(map[string]any)
	image, _ := container["image"].(string)
	return image
}

func TestStrangersServiceIsNotAdopted(t *testing.T) {
	f := newFixture(t)
	f.create(t, "{apiVersion: v1, kind: Service, metadata: {name: gateway}, spec: {selector: {app: shop}, ports: [{port: 80}]}}", "the-shop")
	flowFile, _ := f.jinaExport(t)
	state, p := f.planWith(t, f.flowObjects(t, flowFile), plan.CompareOptions{Force: true})
	if len(p.Conflicts) != 1 || p.Conflicts[0].Field != "" || p.Conflicts[0].Owner.Manager != "the-shop" {
		t.Fatalf("conflicts %+v", p.Conflicts)
	}
	if _, err := f.Run(t.Context(), f.set, state, p, Options{Force: true}, func(Event) { t.Error("something was written") }); err == nil {
		t.Error("no error")
	}
	if now, err := f.Read(t.Context(), f.set, nil, plan.CompareOptions{}); err != nil || now.Parent != nil {
		t.Errorf("there is a parent, %v", err)
	}
}

// meddler does something before each change of managed fields.
type meddler struct {
	f    fixture
	do   func()
	seen atomic.Int64
}

func (m *meddler) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPatch && r.Header.Get("Content-Type") == string(types.JSONPatchType) {
			m.seen.Add(1)
			m.do()
		}
		return next.RoundTrip(r)
	})
}

// TestAdoptionMeetsOtherWriters shows C14: a write at the same time is looked at again, five times; an object that was replaced is left.
func TestAdoptionMeetsOtherWriters(t *testing.T) {
	for name, tc := range map[string]struct {
		writes int64 // of the other writer
		check  func(t *testing.T, m *meddler, err error)
	}{
		"one write": {1, func(t *testing.T, m *meddler, err error) {
			if err != nil || m.seen.Load() < 2 { // more, where a controller writes as well
				t.Errorf("%d tries: %v", m.seen.Load(), err)
			}
		}},
		"writes without end": {1000, func(t *testing.T, m *meddler, err error) {
			if err == nil || m.seen.Load() != migrateTries || !strings.Contains(err.Error(), "Deployment/encoder: the owners of its fields cannot be changed") {
				t.Errorf("%d tries: %v", m.seen.Load(), err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			flowFile, exported := f.jinaExport(t)
			f.mustKubectl(t, exported, "apply", "-f", "-")
			_, p := f.planWith(t, f.flowObjects(t, flowFile), plan.CompareOptions{})
			m := &meddler{f: f}
			m.do = func() {
				if n := m.seen.Load(); n <= tc.writes {
					f.annotate(t, "Deployment", "encoder", "written", strings.Repeat("i", int(n)))
				}
			}
			config := testcluster.Start(t).Config()
			config.Wrap(m.wrap)
			tc.check(t, m, clientFor(t, config).migrate(t.Context(), changeOf(t, p, "Deployment", "encoder")))
		})
	}
	t.Run("replaced", func(t *testing.T) {
		f := newFixture(t)
		flowFile, exported := f.jinaExport(t)
		f.mustKubectl(t, exported, "apply", "-f", "-")
		_, p := f.planWith(t, f.flowObjects(t, flowFile), plan.CompareOptions{})
		f.deleteNow(t, "Deployment", "encoder")
		f.create(t, replaceIn(t, deploymentYAML, "name: d", "name: encoder"), "somebody")
		var replaced *ReplacedError
		if err := f.migrate(t.Context(), changeOf(t, p, "Deployment", "encoder")); !errors.As(err, &replaced) {
			t.Errorf("error %v", err)
		}
		if owners := ownersOf(t, f.live(t, "Deployment", "encoder"), "spec", "replicas"); !slices.Equal(owners, []string{"somebody Update"}) {
			t.Errorf("owners %v", owners)
		}
	})
}

func (f fixture) annotate(t *testing.T, kind, name, key, text string) {
	t.Helper()
	r, err := f.resource(plan.RefOf(f.live(t, kind, name)))
	if err != nil {
		t.Fatal(err)
	}
	patch := []byte(`{"metadata":{"annotations":{"` + key + `":"` + text + `"}}}`)
	if _, err := r.Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
		t.Fatal(err)
	}
}
