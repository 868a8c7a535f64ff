package plan

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// edit replaces a text of a file once; with an empty old text the new one is appended.
type edit struct{ file, old, new string }

// editedFolder is the reference's export of a case of the corpus with edits. A file that the export does not have is added.
func editedFolder(t *testing.T, name string, edits ...edit) []FolderFile {
	t.Helper()
	dir := filepath.Join("testdata", "corpus", name, "expected")
	texts := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		texts[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		switch {
		case e.old == "":
			texts[e.file] += e.new
		case !strings.Contains(texts[e.file], e.old):
			t.Fatalf("%s has no %q", e.file, e.old)
		default:
			texts[e.file] = strings.Replace(texts[e.file], e.old, e.new, 1)
		}
	}
	var files []FolderFile
	for file, text := range texts {
		files = append(files, FolderFile{Name: file, Data: []byte(text)})
	}
	slices.SortFunc(files, func(a, b FolderFile) int { return strings.Compare(a.Name, b.Name) })
	return files
}

// withoutFile takes a file away.
func withoutFile(files []FolderFile, name string) []FolderFile {
	return slices.DeleteFunc(files, func(f FolderFile) bool { return f.Name == name })
}

func mustReadFolder(t *testing.T, files []FolderFile, o FolderOptions) *Folder {
	t.Helper()
	folder, problems := ReadFolder(files, o)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return folder
}

func objectOf(t *testing.T, folder *Folder, ref string) Object {
	t.Helper()
	for _, o := range folder.Objects {
		if o.Ref().String() == ref {
			return o
		}
	}
	t.Fatalf("no %s", ref)
	return Object{}
}

func fieldOf(t *testing.T, o Object, path ...string) any {
	t.Helper()
	v, has, err := unstructured.NestedFieldNoCopy(o.Object, path...)
	if err != nil || !has {
		t.Fatalf("%s has no %v: %v", o.Ref(), path, err)
	}
	return v
}

const (
	gatewayFile = "gateway/gateway.yml"
	encoderFile = "encoder/encoder.yml"
	afterImage  = "        imagePullPolicy: IfNotPresent\n"
)

func TestEditsOfAFolderStay(t *testing.T) {
	files := editedFolder(t, "flow-one",
		edit{encoderFile, afterImage, afterImage + "        resources:\n          limits: {memory: 2Gi, cpu: 1}\n"},
		edit{encoderFile, "        - name: POD_UID\n", "        - {name: TOKEN, value: \"007\"}\n        - name: POD_UID\n"},
		edit{encoderFile, "  replicas: 1\n", "  replicas: 3\n  minReadySeconds: 7\n"},
		edit{encoderFile, "      annotations:\n", "      annotations:\n        team: search\n"},
		edit{encoderFile, "        app: encoder\n        jina", "        app: encoder\n        app.kubernetes.io/name: our-encoder\n        jina"},
		edit{encoderFile, "", "---\napiVersion: v1\nkind: Service\nmetadata: {name: encoder-extra, annotations: {a: b}}\nspec:\n  type: NodePort\n  selector: {app: encoder}\n  ports: [{port: 80, targetPort: 8080}]\n"},
	)
	folder := mustReadFolder(t, files, FolderOptions{Names: []string{"My Shop"}, Namespace: "elsewhere"})
	if folder.Name != "my-shop" || folder.Namespace != "default" || folder.Flow.Kind != flow.KindFlow {
		t.Errorf("%s %q in %q", folder.Flow.Kind, folder.Name, folder.Namespace)
	}
	encoder := objectOf(t, folder, "Deployment/encoder")
	container := containersOf(encoder)[0]
	for _, c := range []struct{ got, want any }{
		{fieldOf(t, encoder, "spec", "replicas"), int64(3)},
		{fieldOf(t, encoder, "spec", "minReadySeconds"), int64(7)},
		{fieldOf(t, encoder, "spec", "template", "metadata", "annotations", "team"), "search"},
		{fieldOf(t, encoder, "spec", "template", "metadata", "labels", "app.kubernetes.io/name"), "our-encoder"},
		{fieldOf(t, encoder, "spec", "template", "metadata", "labels", LabelFlow), "my-shop"},
		{fieldOf(t, encoder, "metadata", "labels", LabelComponent), "executor"},
		{fmt.Sprint(container["resources"]), "map[limits:map[cpu:1 memory:2Gi]]"},
		{fmt.Sprint(container["env"].([]any)[0]), "map[name:TOKEN value:007]"},
	} {
		if c.got != c.want {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
	extra := objectOf(t, folder, "Service/encoder-extra")
	if extra.Part != encoder.Part || extra.GetNamespace() != "default" || extra.Note == "" {
		t.Errorf("the added Service is of %s in %q, note %q", extra.Part, extra.GetNamespace(), extra.Note)
	}
	if want := "repaired, as docs/deviations.md says: protocol-tcp"; encoder.Note != want {
		t.Errorf("note %q, want %q", encoder.Note, want)
	}
}

func TestFolderHasTheOrderOfTheFlow(t *testing.T) {
	var got []string
	for _, o := range mustReadFolder(t, editedFolder(t, "shards-2-r2"), FolderOptions{FlowName: "f"}).Objects {
		got = append(got, o.Part.String()+" "+o.GetKind())
	}
	want := []string{
		"idx/head ConfigMap", "idx/head Service", "idx/head Deployment", "idx/0 ConfigMap", "idx/0 Service", "idx/0 Deployment",
		"idx/1 ConfigMap", "idx/1 Service", "idx/1 Deployment", "gateway ConfigMap", "gateway Service", "gateway Deployment",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestFolderTakesAnyLayout puts everything into one file, with the objects in another order, an alias and a merged mapping.
func TestFolderTakesAnyLayout(t *testing.T) {
	files := editedFolder(t, "flow-one", edit{encoderFile, "  labels:\n    app: encoder\n  name: encoder\n", "  labels: &l {<<: {app: encoder}}\n  name: encoder\n"},
		edit{encoderFile, "  selector:\n    app: encoder\n", "  selector: *l\n"})
	want := mustReadFolder(t, editedFolder(t, "flow-one"), FolderOptions{FlowName: "f"})
	var documents []string
	for _, f := range files {
		// An alias ends with its document, so that the documents may be turned around.
		documents = append(documents, strings.Split(string(f.Data), "\n---\n")...)
	}
	slices.Reverse(documents)
	one := FolderFile{Name: "all.yaml", Data: []byte("# all of it\n---\n" + strings.Join(documents, "\n---\n---\n") + "\n---\n")}
	got := mustReadFolder(t, []FolderFile{one}, FolderOptions{FlowName: "f"})
	if len(got.Objects) != len(want.Objects) {
		t.Fatalf("%d objects, want %d", len(got.Objects), len(want.Objects))
	}
	for i := range want.Objects {
		if diff := cmp.Diff(want.Objects[i].Object, got.Objects[i].Object); diff != "" {
			t.Errorf("%s: %s", want.Objects[i].Ref(), diff)
		}
	}
}

// TestFolderReadsYAMLAsKubernetesDoes holds scalars against what Kubernetes' own library makes of them.
func TestFolderReadsYAMLAsKubernetesDoes(t *testing.T) {
	for text, want := range map[string]any{
		"yes": true, "Off": false, "n": false, "0x1F": int64(31), "010": int64(8), "1_000": int64(1000), "1e3": int64(1000), "1.5": 1.5,
		"-12": int64(-12), "~": nil, "\"yes\"": "yes", "'1'": "1", "!!str 12": "12", "2024-01-01": "2024-01-01", "12:30": "12:30",
		"word": "word", "|\n  a\n  b": "a\nb\n",
	} {
		nodes, problems := flow.Documents(flow.Source{Name: "x", Data: []byte("v: " + text + "\n")})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		r := &folderReader{counts: map[flow.Severity]int{}, scalars: map[string]any{}}
		d := &objectDecoder{folderReader: r}
		got := d.asKubernetes(nodes[0].Content[1])
		if got != want || len(r.problems) > 0 {
			t.Errorf("%s is read as %#v, want %#v %v", text, got, want, r.problems)
		}
	}
}

func TestTextWithoutQuotesStaysText(t *testing.T) {
	for _, name := range []string{"name-07", "name-08", "env-on-off"} {
		folder := mustReadFolder(t, editedFolder(t, name), FolderOptions{FlowName: "f"})
		switch name {
		case "env-on-off":
			data := fieldOf(t, objectOf(t, folder, "ConfigMap/encoder-configmap"), "data").(map[string]any)
			if data["DEBUG"] != "on" || data["ANSWER"] != "y" || data["MODE"] != "0o644" {
				t.Errorf("%v", data)
			}
		case "name-07":
			if o := objectOf(t, folder, "Deployment/null"); !strings.Contains(o.Note, "text-intact") || o.Part.Executor != "null" {
				t.Errorf("%s, note %q", o.Part, o.Note)
			}
		case "name-08":
			objectOf(t, folder, "Service/on")
		}
	}
}

func TestEditedConfigMapRollsPodsOfOurOwnExport(t *testing.T) {
	checksum := func(edits ...edit) (string, string) {
		annotation := edit{encoderFile, "      annotations:\n", "      annotations:\n        " + AnnotationConfigChecksum + ": \"00\"\n"}
		folder := mustReadFolder(t, editedFolder(t, "flow-one", append(edits, annotation)...), FolderOptions{FlowName: "f"})
		o := objectOf(t, folder, "Deployment/encoder")
		return fieldOf(t, o, "spec", "template", "metadata", "annotations", AnnotationConfigChecksum).(string), o.Note
	}
	before, note := checksum()
	after, _ := checksum(edit{encoderFile, "data:\n", "data:\n  A: b\n"})
	if before == "00" || before == after || !strings.Contains(note, "config-checksum") {
		t.Errorf("%s → %s, note %q", before, after, note)
	}
}

func TestNameOfAFolder(t *testing.T) {
	for dir, want := range map[string]string{
		"/home/me/search/k8s": "search", "/home/me/search/Kubernetes/": "search", "/home/me/search": "search",
		"/src/shop/out/export": "shop", "/k8s": "k8s", `C:\flows\shop\manifests`: "shop",
	} {
		if got := NameFromFolder(dir); got != want {
			t.Errorf("%s: %q, want %q", dir, got, want)
		}
	}
}

func TestOwnExportKeepsItsName(t *testing.T) {
	label := edit{encoderFile, "metadata:\n", "metadata:\n  labels: {jina.ai/flow: shop, app.kubernetes.io/instance: shop}\n"}
	files := editedFolder(t, "flow-one", label)
	for i := range files {
		text := strings.ReplaceAll(string(files[i].Data), "  labels:\n    app:", "  labels:\n    jina.ai/flow: shop\n    app:")
		text = strings.ReplaceAll(text, "metadata:\n  name:", "metadata:\n  labels: {jina.ai/flow: shop, app.kubernetes.io/instance: shop}\n  name:")
		files[i].Data = []byte(text)
	}
	folder := mustReadFolder(t, files, FolderOptions{Names: []string{"folder"}})
	if folder.Name != "shop" {
		t.Errorf("named %q, want what its labels say", folder.Name)
	}
	folder = mustReadFolder(t, files, FolderOptions{FlowName: "other"})
	o := objectOf(t, folder, "ConfigMap/encoder-configmap")
	if folder.Name != "other" || o.GetLabels()[LabelFlow] != "other" || o.GetLabels()[LabelInstance] != "other" {
		t.Errorf("named %q, labels %v", folder.Name, o.GetLabels())
	}
}

func TestNamespaceOfAFolder(t *testing.T) {
	stripped := editedFolder(t, "flow-one")
	for i := range stripped {
		stripped[i].Data = []byte(strings.ReplaceAll(string(stripped[i].Data), "  namespace: default\n", ""))
	}
	noAddress := withoutFile(slices.Clone(stripped), gatewayFile)
	for _, c := range []struct {
		name  string
		files []FolderFile
		given bool
		want  string // empty: refused
	}{
		{"the objects' own wins over the kubeconfig's", editedFolder(t, "flow-one"), false, "default"},
		{"another one than the objects' own is refused", editedFolder(t, "flow-one"), true, ""},
		{"the addresses have one", stripped, false, "default"},
		{"another one than that of the addresses is refused", stripped, true, ""},
		{"without both it is the command's", noAddress, true, "prod"},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder, problems := ReadFolder(c.files, FolderOptions{FlowName: "f", Namespace: "prod", NamespaceGiven: c.given})
			if c.want == "" {
				if folder != nil || !slices.ContainsFunc(problems, func(p flow.Problem) bool { return p.ID == flow.IDNamespace && p.Position.Line > 0 }) {
					t.Errorf("not refused: %v", problems)
				}
				return
			}
			if err := problems.Err(); err != nil {
				t.Fatal(err)
			}
			for _, o := range folder.Objects {
				if o.GetNamespace() != c.want {
					t.Errorf("%s in %q, want %q", o.Ref(), o.GetNamespace(), c.want)
				}
			}
		})
	}
}

func TestDeviationsThatAFolderNamesExist(t *testing.T) {
	var ids []string
	for _, d := range Deviations() {
		ids = append(ids, d.ID)
	}
	for _, id := range []string{deviationText, deviationProtocol, deviationStatefulSet, deviationProbes, deviationChecksum} {
		if !slices.Contains(ids, id) {
			t.Errorf("there is no deviation %s", id)
		}
	}
}
