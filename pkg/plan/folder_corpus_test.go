package plan_test

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/internal/conformance"
	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// readFolderFiles reads a folder as the command does.
func readFolderFiles(t *testing.T, dir string) []plan.FolderFile {
	t.Helper()
	var files []plan.FolderFile
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files = append(files, plan.FolderFile{Name: filepath.ToSlash(name), Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// refusedFolders are exports that the reference makes without an error and no cluster could run, and the id of the refusal.
func refusedFolders() map[string]string {
	refused := map[string]string{
		"shards-volumes-before": flow.IDFolderGraph, // a head without the container that it calls (D4)
		"arg-gpus-device":       flow.IDValue,       // a limit that is no quantity (D19)
		"dep-context":           flow.IDImage,       // $$tag in an image (D39)
	}
	for _, name := range []string{
		"graph-inspect-hang", "graph-inspect-hang-last", "graph-inspect-needs-all", "graph-method-gather-inspect",
		"graph-method-gather-without-last", "graph-method-inspect", "graph-method-inspect-floating", "graph-method-inspect-gateway",
		"graph-method-inspect-name-taken", "graph-method-inspect-two", "hard-inspect-shards",
	} {
		refused[name] = flow.IDName // -aux-look (D10)
	}
	for _, number := range []string{"04", "08", "09", "12", "18", "19", "24", "26", "32", "35"} {
		refused["pair-"+number] = flow.IDFolderGraph // a head without the containers that it calls (D4)
	}
	return refused
}

// TestFoldersOfTheCorpusAreTakenAsTheyAre reads back every folder that the reference has written: the objects are its own but for
// the declared repairs, in the parts and the order that the Flow file itself gives.
func TestFoldersOfTheCorpusAreTakenAsTheyAre(t *testing.T) {
	read, refused := 0, refusedFolders()
	for _, e := range readEntries(t) {
		if e.Verdict != conformance.Equal {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			c := loadCase(t, e.Name)
			if c == nil {
				missing(t, e)
			}
			if len(c.Expected) == 0 {
				t.Skip("the reference writes nothing")
			}
			export := c.Export(true)
			if err := export.Problems.Err(); err != nil {
				t.Fatal(err)
			}
			files := readFolderFiles(t, filepath.Join(c.Dir, "expected"))
			folder, problems := plan.ReadFolder(files, plan.FolderOptions{FlowName: "shop", Namespace: "elsewhere"})
			if id := refused[e.Name]; id != "" {
				delete(refused, e.Name)
				if folder != nil || !slices.ContainsFunc(problems, func(p flow.Problem) bool { return p.ID == id && p.Severity == flow.Error }) {
					t.Errorf("not refused with %s:\n%v", id, problems)
				}
				return
			}
			if err := problems.Err(); err != nil {
				t.Fatal(err)
			}
			compareFolder(t, c, export, folder)
			read++
		})
	}
	for name := range refused {
		t.Errorf("%s is to be refused, but is no equal case", name)
	}
	t.Logf("%d folders", read)
}

func compareFolder(t *testing.T, c *conformance.Case, export *conformance.Export, folder *plan.Folder) {
	t.Helper()
	if folder.Flow.Kind != export.Flow.Kind || folder.Namespace != export.Options.Namespace {
		t.Errorf("a %s in namespace %s, want a %s in %s", folder.Flow.Kind, folder.Namespace, export.Flow.Kind, export.Options.Namespace)
	}
	if len(folder.Objects) != len(export.Objects) {
		t.Fatalf("%d objects, want %d", len(folder.Objects), len(export.Objects))
	}
	got := conformance.Tree{}
	for i, o := range folder.Objects {
		if want := export.Objects[i]; o.Part != want.Part || o.Ref() != want.Ref() {
			t.Errorf("object %d is %s of %s, want %s of %s", i, o.Ref(), o.Part, want.Ref(), want.Part)
		}
		file := plan.File(folder.Flow, o.Part)
		got[file] = append(got[file], o.Unstructured)
	}
	parts := map[plan.Ref]plan.Part{}
	for _, o := range export.Objects {
		parts[o.Ref()] = o.Part
	}
	for _, objects := range c.Expected {
		for _, o := range objects {
			repairAsDeclared(o, parts[plan.RefOf(o)])
		}
	}
	if lines, _ := conformance.Differences(c.Expected, got); len(lines) > 0 {
		t.Errorf("%d leaves differ:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	compareExecutors(t, export.Flow, folder.Flow.Executors)
}

// compareExecutors holds the graph of the gateway's arguments against the Flow's own.
func compareExecutors(t *testing.T, f *flow.Flow, got []*flow.Executor) {
	t.Helper()
	var want []*flow.Executor
	names := map[string]string{}
	for _, e := range f.Executors {
		if !e.External { // else nothing in the folder has its own name
			names[e.Node] = e.Name
			want = append(want, e)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d executors, want %d", len(got), len(want))
	}
	for i, e := range want {
		var needs []string
		for _, need := range e.Needs {
			needs = append(needs, cmp.Or(names[need], need))
		}
		slices.Sort(needs)
		if got[i].Name != e.Name || f.Kind == flow.KindFlow && !slices.Equal(got[i].Needs, needs) {
			t.Errorf("executor %d is %s, which needs %q; want %s, which needs %q", i, got[i].Name, got[i].Needs, e.Name, needs)
		}
	}
}

// repairAsDeclared does to the reference's object what docs/folder.md says is done to it.
func repairAsDeclared(o *unstructured.Unstructured, part plan.Part) {
	labels := map[string]any{
		"app.kubernetes.io/name": "jina", "app.kubernetes.io/instance": "shop", "app.kubernetes.io/part-of": "shop",
		"app.kubernetes.io/managed-by": "kubectl-jina", "app.kubernetes.io/component": string(part.Role), "jina.ai/flow": "shop",
	}
	if part.Executor != "" {
		labels["jina.ai/executor"] = plan.DNSName(part.Executor)
	}
	if part.Role == plan.RoleShard {
		labels["jina.ai/shard"] = strings.Split(part.String(), "/")[1]
	}
	addTo := func(path ...string) {
		for key, value := range labels {
			_ = unstructured.SetNestedField(o.Object, value, append(slices.Clone(path), key)...)
		}
	}
	addTo("metadata", "labels")
	if o.GetKind() != "Deployment" && o.GetKind() != "StatefulSet" {
		return
	}
	addTo("spec", "template", "metadata", "labels")
	if o.GetKind() == "StatefulSet" {
		unstructured.RemoveNestedField(o.Object, "spec", "strategy")
		_ = unstructured.SetNestedField(o.Object, "RollingUpdate", "spec", "updateStrategy", "type")
		_ = unstructured.SetNestedField(o.Object, o.GetName(), "spec", "serviceName")
	}
	containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	for _, item := range containers {
		c := item.(map[string]any)
		for _, port := range c["ports"].([]any) {
			port.(map[string]any)["protocol"] = "TCP"
		}
		command, _, _ := unstructured.NestedStringSlice(c, "startupProbe", "exec", "command")
		if len(command) == 4 && strings.Contains(command[3], "{port_uses}") {
			// The same time to start: so many seconds as the reference's probe allows.
			asked, _, _ := unstructured.NestedInt64(c, "startupProbe", "failureThreshold")
			c["startupProbe"] = map[string]any{
				"grpc": map[string]any{"port": int64(8080), "service": ""}, "periodSeconds": int64(1), "timeoutSeconds": int64(1),
				"failureThreshold": 5 + 5*asked,
			}
		}
	}
	_ = unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers")
}
