package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// replaceIn edits a file.
func replaceIn(t *testing.T, path, old, replacement string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s has no %q", path, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), old, replacement, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// exported is a folder with the reference's own objects of a Flow for a namespace, and where the cluster is: the folder
// alone says which namespace.
func exported(t *testing.T, flow string) (c *testcluster.Cluster, typed kubernetes.Interface, ns, dir string, at []string) {
	t.Helper()
	c, typed, ns, at = clusterForTest(t)
	dir = filepath.Join(t.TempDir(), "shop", "k8s")
	must(t, codeOK, "export", "-f", flowFileIn(t, flow), "--compat", "-n", ns, "--output-dir", dir)
	return c, typed, ns, dir, at[:2]
}

// TestExportedFolderComesUp takes a folder that Jina exported through its life.
func TestExportedFolderComesUp(t *testing.T) {
	c, typed, ns, dir, at := exported(t, shopFlow)
	with := func(command string, more ...string) []string {
		return append(append([]string{command, "-f", dir}, at...), more...)
	}
	written := func() []testcluster.Event { return writesIn(t, c, ns) }

	r := must(t, codeChanges, with("plan", "--exit-code")...)
	if !strings.Contains(r.out, "+ create Deployment/encoder  (repaired, as docs/deviations.md says: protocol-tcp)") {
		t.Errorf("the plan does not say what is repaired:\n%s", r.out)
	}
	r = must(t, codeOK, with("up")...)
	if !strings.Contains(r.out, "Flow shop is running in namespace "+ns) {
		t.Errorf("up says:\n%s", r.out)
	}
	first := written()
	if want := 5*3 + 1; len(first) != want {
		t.Errorf("the first up wrote %d times, want %d:\n%v", len(first), want, first)
	}
	r = must(t, codeOK, with("up")...)
	if again := written(); len(again) != len(first) {
		t.Errorf("up of an unchanged folder wrote: %v\n%s", again[len(first):], r.errOut)
	}

	r = must(t, codeOK, with("status", "--exit-code")...)
	for _, want := range []string{"Flow shop in namespace " + ns + ": healthy, 5 of 5 workloads", "indexer", "shard 1", "gateway", "encoder"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("status does not show %q:\n%s", want, r.out)
		}
	}
	for _, line := range strings.Split(r.out, "\n") {
		if strings.Contains(line, "─ indexer ") && !strings.Contains(line, " encoder") {
			t.Errorf("status does not show what the indexer needs: %s", line)
		}
	}

	replaceIn(t, filepath.Join(dir, "encoder", "encoder.yml"), "registry.example/enc:1", "registry.example/enc:2")
	r = must(t, codeChanges, with("plan", "--exit-code")...)
	if !strings.Contains(r.out, "registry.example/enc:1 → registry.example/enc:2") || !strings.Contains(r.out, "Plan: 1 to update, 14 unchanged") {
		t.Errorf("the plan of an edited folder:\n%s", r.out)
	}

	must(t, codeOK, with("scale", "encoder", "--replicas", "3")...)
	must(t, codeOK, with("up")...)
	if d := deployment(t, typed, ns, "encoder"); *d.Spec.Replicas != 3 || d.Spec.Template.Spec.Containers[0].Image != "registry.example/enc:2" {
		t.Errorf("%d replicas of %s", *d.Spec.Replicas, d.Spec.Template.Spec.Containers[0].Image)
	}

	// An executor leaves the folder, and so the cluster.
	if err := os.RemoveAll(filepath.Join(dir, "indexer")); err != nil {
		t.Fatal(err)
	}
	r = must(t, codeOK, with("up", "--yes")...)
	if !strings.Contains(r.errOut, "the folder has no Service") || !strings.Contains(r.errOut, "deleted Deployment/indexer-head") {
		t.Errorf("up of a folder without the indexer:\n%s", r.errOut)
	}
	must(t, codeOK, with("down", "--yes")...)
	if list, err := typed.AppsV1().Deployments(ns).List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) > 0 {
		t.Errorf("%d Deployments are left, %v", len(list.Items), err)
	}
}

// TestExportedStatefulSetComesUp brings up what the API server refuses as the reference has exported it.
func TestExportedStatefulSetComesUp(t *testing.T) {
	t.Setenv("JINA_K8S_STORAGE_CLASS_NAME", "simulated")
	_, typed, ns, dir, at := exported(t, "{jtype: Flow, executors: [{name: store, uses: docker://registry.example/store:1, volumes: [/data]}]}")
	up := append([]string{"up", "-f", dir}, at...)
	r := must(t, codeOK, up...)
	if !strings.Contains(r.errOut, "create StatefulSet/store  (repaired, as docs/deviations.md says: legal-statefulset, protocol-tcp)") {
		t.Errorf("the plan does not say what is repaired:\n%s", r.errOut)
	}
	s, err := typed.AppsV1().StatefulSets(ns).Get(t.Context(), "store", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r = must(t, codeOK, up...); !strings.Contains(r.errOut, "Nothing to do") {
		t.Errorf("up of an unchanged folder:\n%s", r.errOut)
	}
	after, err := typed.AppsV1().StatefulSets(ns).Get(t.Context(), "store", metav1.GetOptions{})
	if err != nil || after.ResourceVersion != s.ResourceVersion {
		t.Errorf("resource version %s → %s, %v", s.ResourceVersion, after.ResourceVersion, err)
	}
	must(t, codeOK, append([]string{"down", "-f", dir, "--yes"}, at...)...)
}

func TestServiceOfNoWorkloadOfJinasIsNotTakenOver(t *testing.T) {
	_, typed, ns, dir, at := exported(t, "{jtype: Flow, executors: [{name: a, uses: docker://registry.example/a:1}]}")
	own := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 8080}}}}
	service, err := typed.CoreV1().Services(ns).Create(t.Context(), own, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"})
	if err != nil {
		t.Fatal(err)
	}
	r := must(t, codeConflict, append([]string{"up", "-f", dir, "--adopt", "--yes", "--force-conflicts"}, at...)...)
	if want := "Service/a in namespace " + ns + " exists already and belongs to kubectl-client-side-apply"; !strings.Contains(r.errOut, want) {
		t.Errorf("the conflict does not say %q:\n%s", want, r.errOut)
	}
	if after, err := typed.CoreV1().Services(ns).Get(t.Context(), "a", metav1.GetOptions{}); err != nil || after.ResourceVersion != service.ResourceVersion {
		t.Errorf("the stranger's Service was written: %v", err)
	}
}

// kubectlApply makes the objects of a folder as `kubectl apply -R -f` does.
func kubectlApply(t *testing.T, c *testcluster.Cluster, ns, dir string) {
	t.Helper()
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	files, err := readFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, text := range strings.Split(string(f.Data), "\n---\n") {
			o := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
				t.Fatal(err)
			}
			last, err := o.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			o.SetAnnotations(map[string]string{corev1.LastAppliedConfigAnnotation: string(last)})
			resource, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
			if _, err := client.Resource(resource).Namespace(ns).Create(t.Context(), o, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWhatKubectlAppliedIsTakenOverWhenAskedFor is the way of Jina's users so far: export, kubectl apply, and from then on up. The reference's
// exec probes stand beside our grpc ones until the fields of kubectl's are ours (anchor C3).
func TestWhatKubectlAppliedIsTakenOverWhenAskedFor(t *testing.T) {
	c, typed, ns, dir, at := exported(t, shopFlow)
	kubectlApply(t, c, ns, dir)
	up := append([]string{"up", "-n", ns, "-f", flowFileIn(t, shopFlow)}, at...)
	before := deployment(t, typed, ns, "encoder")

	r := must(t, codeUsage, up...)
	for _, want := range []string{"< adopt Deployment/encoder  (made by kubectl-client-side-apply", "takes over 15 objects that another tool has made", "pass --adopt"} {
		if !strings.Contains(r.errOut, want) {
			t.Errorf("up does not say %q:\n%s", want, r.errOut)
		}
	}
	if writes := writesIn(t, c, ns); len(writes) > 0 {
		t.Errorf("written unasked: %v", writes)
	}
	must(t, codeOK, append(up, "--adopt")...)
	after := deployment(t, typed, ns, "encoder")
	if after.UID != before.UID {
		t.Error("the Deployment was made anew")
	}
	for _, m := range after.ManagedFields {
		if strings.HasPrefix(m.Manager, "kubectl-client") {
			t.Errorf("%s still owns %s", m.Manager, m.FieldsV1)
		}
	}
	if probe := after.Spec.Template.Spec.Containers[0].StartupProbe; probe.Exec != nil || probe.GRPC == nil {
		t.Errorf("startup probe %v", probe)
	}
	if after.Annotations[corev1.LastAppliedConfigAnnotation] != "" {
		t.Error("kubectl's annotation is still there")
	}
	if r := must(t, codeOK, up...); !strings.Contains(r.errOut, "Nothing to do") {
		t.Errorf("the second up:\n%s", r.errOut)
	}
}
