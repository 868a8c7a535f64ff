package plan

import (
	"cmp"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// FolderFile is a YAML or JSON file of a folder that Jina exported.
type FolderFile struct {
	// Name is shown in positions; Data is the whole text.
	Name string
	Data []byte
}

// FolderOptions are what is known of a folder besides its files.
type FolderOptions struct {
	// FlowName is the name that the user gave to the Flow. When it is empty the objects' own label has it, or else the
	// first of Names that leaves something as a DNS label.
	FlowName string
	Names    []string
	// Namespace for objects that name none. With NamespaceGiven the user chose it, and objects of another are refused.
	Namespace      string
	NamespaceGiven bool
}

// Folder is a Flow or a Deployment as Jina exported it.
type Folder struct {
	// Name of the Flow, a DNS label; empty when there is none.
	Name      string
	Namespace string
	// Flow has the kind, which is a Deployment's without a gateway, and the names of the executors and what they need, in the
	// order of the Flow; executors that run elsewhere (external ones) are not among them. The arguments are not known.
	Flow *flow.Flow
	// Objects as they are applied, in the order that [Objects] gives them.
	Objects []Object
}

// ReadFolder reads the objects of a folder that Jina's own export, or that of this plugin, has written. They stay as they are,
// edited by hand or not, but for labels that the plugin finds its objects by, and for what no cluster takes: that is repaired as
// the deviation of that name does, and the object's Note says so. The folder is nil when one of the problems is an error.
func ReadFolder(files []FolderFile, o FolderOptions) (*Folder, flow.Problems) {
	r := &folderReader{options: o, fields: map[reflect.Type]map[string]reflect.Type{}, scalars: map[string]any{}, counts: map[flow.Severity]int{}}
	for _, f := range files {
		nodes, problems := flow.Documents(flow.Source{Name: f.Name, Data: f.Data})
		r.problems = append(r.problems, problems...)
		for _, n := range nodes {
			r.read(f.Name, n)
		}
	}
	if len(r.objects) == 0 && r.problems.Err() == nil {
		r.errorf(flow.Position{File: commonFolder(files)}, flow.IDFolderKind, "take the folder that `jina export kubernetes` or flow.to_kubernetes_yaml() wrote",
			"the folder has no Kubernetes objects")
	}
	folder := r.folder()
	r.finish()
	if r.problems.Err() != nil {
		return nil, r.problems
	}
	return folder, r.problems
}

// commonFolder is where the files are, for a problem of all of them.
func commonFolder(files []FolderFile) string {
	if len(files) == 0 {
		return "folder"
	}
	return path.Dir(files[0].Name)
}

// folderReader collects the objects of a folder and what is wrong with them.
type folderReader struct {
	options  FolderOptions
	objects  []*folderObject
	problems flow.Problems
	counts   map[flow.Severity]int
	// defects are the warnings that are told once.
	defects []folderDefect
	// fields of the Go types that were looked at.
	fields map[reflect.Type]map[string]reflect.Type
	// scalars are what Kubernetes' library makes of plain texts.
	scalars map[string]any
	values  int
	tooMuch bool
}

// folderObject is an object, where it was written, and what the others need to know of it.
type folderObject struct {
	Object
	file                   string
	start, name, namespace flow.Position
	// repaired are the deviations that were applied to it.
	repaired []string
	// pod is nil for what is no workload.
	pod *folderPod
	// grouped tells that Part is known.
	grouped bool
}

// maxFolderProblems bounds the errors and the warnings that are reported of one folder.
const maxFolderProblems = 200

// maxFolderMessage is the longest message, in letters.
const maxFolderMessage = 600

func (r *folderReader) add(severity flow.Severity, pos flow.Position, id, hint, format string, args ...any) bool {
	if r.counts[severity]++; r.counts[severity] > maxFolderProblems {
		return false
	}
	message := []rune(fmt.Sprintf(format, args...))
	if len(message) > maxFolderMessage { // a value of the file may be of any length
		message = append(message[:maxFolderMessage-1], '…')
	}
	r.problems = append(r.problems, flow.Problem{Position: pos, Severity: severity, ID: id, Message: string(message), Hint: hint})
	return true
}

func (r *folderReader) errorf(pos flow.Position, id, hint, format string, args ...any) {
	r.add(flow.Error, pos, id, hint, format, args...)
}

func (r *folderReader) warnf(pos flow.Position, id, hint, format string, args ...any) {
	r.add(flow.Warning, pos, id, hint, format, args...)
}

// folderDefect is a warning that stands for several.
type folderDefect struct {
	deviation string
	// at is its place among the problems, more how often it was found again.
	at, more int
}

// defect warns of something that each export has many times: the first one is told, the others are counted. The deviation
// that the export lacks tells them apart.
func (r *folderReader) defect(pos flow.Position, id, deviation, hint, format string, args ...any) {
	for i := range r.defects {
		if r.defects[i].deviation == deviation {
			r.defects[i].more++
			return
		}
	}
	if r.add(flow.Warning, pos, id, hint, format, args...) {
		r.defects = append(r.defects, folderDefect{deviation: deviation, at: len(r.problems) - 1})
	}
}

// finish sorts the problems, and says of those that stand for several how many there are.
func (r *folderReader) finish() {
	for _, d := range r.defects {
		if d.more > 0 {
			r.problems[d.at].Message += fmt.Sprintf(" (and %d more like it)", d.more)
		}
	}
	r.problems.Sort()
	for _, severity := range []flow.Severity{flow.Error, flow.Warning} {
		if more := r.counts[severity] - maxFolderProblems; more > 0 {
			r.problems = append(r.problems, flow.Problem{
				Position: r.problems[len(r.problems)-1].Position, Severity: severity, ID: flow.IDTooMany,
				Message: fmt.Sprintf("%d more %ss are not shown", more, severity), Hint: "repair these first",
			})
		}
	}
}

// read takes a document as an object.
func (r *folderReader) read(file string, n *yaml.Node) {
	d := &objectDecoder{folderReader: r, file: file, open: map[*yaml.Node]bool{}}
	apiVersion, kind := textAt(n, "apiVersion"), textAt(n, "kind")
	t, ok := d.typeOf(n, apiVersion, kind)
	if !ok {
		return
	}
	before := r.counts[flow.Error]
	content, _ := d.value(n, t, "", 0).(map[string]any)
	if content == nil || r.counts[flow.Error] > before {
		return
	}
	o := &folderObject{
		Object: Object{Unstructured: &unstructured.Unstructured{Object: content}}, file: file, start: d.position(n),
		name: d.placeOf(n, "metadata", "name"), namespace: d.placeOf(n, "metadata", "namespace"),
	}
	d.serverFields(n, o)
	d.checkName(o)
	d.inspect(n, o)
	o.repaired = d.repaired
	r.objects = append(r.objects, o)
}

// typeOf is the Go type of a kind, nil for a custom resource; false when the object is refused.
func (d *objectDecoder) typeOf(n *yaml.Node, apiVersion, kind string) (reflect.Type, bool) {
	kinds := []struct {
		apiVersion, kind string
		t                reflect.Type
	}{
		{"v1", "ConfigMap", reflect.TypeFor[corev1.ConfigMap]()},
		{"v1", "Service", reflect.TypeFor[corev1.Service]()},
		{"apps/v1", "Deployment", reflect.TypeFor[appsv1.Deployment]()},
		{"apps/v1", "StatefulSet", reflect.TypeFor[appsv1.StatefulSet]()},
		{"monitoring.coreos.com/v1", "ServiceMonitor", nil},
	}
	var names []string
	for _, k := range kinds {
		names = append(names, k.kind)
		switch {
		case k.kind != kind:
		case k.apiVersion == apiVersion:
			return k.t, true
		default:
			d.errorf(d.placeOf(n, "apiVersion"), flow.IDFolderKind, "", "a %s has apiVersion %s here, not %q", kind, k.apiVersion, apiVersion)
			return nil, false
		}
	}
	switch {
	case kind != "":
		hint := kindHint(kind)
		if best := flow.Nearest(kind, names); best != "" && best != kind {
			hint = "did you mean " + best + "?"
		}
		d.errorf(d.placeOf(n, "kind"), flow.IDFolderKind, hint, "a Flow has no %q: Jina exports %s", kind, strings.Join(names, ", "))
	case textAt(n, "jtype") != "":
		d.errorf(d.position(n), flow.IDFolderKind, "give the file alone: -f "+d.file, "this is a Flow file, not what Jina exported of one")
	default:
		d.errorf(d.position(n), flow.IDFolderKind, "take the file out of the folder", "this is no Kubernetes object: it has no kind")
	}
	return nil, false
}

// kindHint says what to do with an object that is not handled.
func kindHint(kind string) string {
	switch kind {
	case "Secret":
		return "take it out of the folder and create it with kubectl before up: workloads find it by its name"
	case "Namespace":
		return "take it out of the folder; `kubectl create namespace NAME` makes one"
	case "List":
		return "write each of its items as a document of its own"
	case "Kustomization":
		return "render it with `kubectl kustomize DIR > OTHER/all.yml`, and give that folder"
	default:
		return "take it out of the folder and apply it with kubectl"
	}
}

// serverFields takes away what the API server writes: objects read back from a cluster have it, and it cannot be applied.
func (d *objectDecoder) serverFields(n *yaml.Node, o *folderObject) {
	metadata, _ := o.Object.Object["metadata"].(map[string]any)
	drop := func(m map[string]any, path ...string) {
		key := path[len(path)-1]
		v, has := m[key]
		delete(m, key)
		if child, isMap := v.(map[string]any); has && (!isMap || len(child) > 0) {
			d.defect(d.placeOf(n, path...), flow.IDFolderServer, "", "delete it", "%s.%s is written by the API server; it is left out", o.Ref(), strings.Join(path, "."))
		}
	}
	drop(o.Object.Object, "status")
	for _, key := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"} {
		drop(metadata, "metadata", key)
	}
}

func (d *objectDecoder) checkName(o *folderObject) {
	reasons := validation.IsDNS1123Subdomain(o.GetName())
	if o.GetKind() == "Service" {
		reasons = validation.IsDNS1035Label(o.GetName())
	}
	switch {
	case o.GetName() == "":
		d.errorf(o.start, flow.IDName, "write metadata.name", "the %s has no name", o.GetKind())
	case len(reasons) > 0:
		d.errorf(o.name, flow.IDName, "name the executor with small letters, digits and underscores, a letter first and no underscore last, and export again",
			"%s name %q is one that no cluster accepts: %s", o.GetKind(), o.GetName(), inShort(reasons))
	}
}

// folder makes the folder of the objects.
func (r *folderReader) folder() *Folder {
	if len(r.objects) == 0 {
		return nil
	}
	f := &Folder{Name: r.flowName(), Flow: &flow.Flow{Kind: flow.KindDeployment, Position: r.objects[0].start}}
	r.duplicates(f.Name)
	executors := r.group()
	if r.gateway() != nil {
		f.Flow.Kind = flow.KindFlow
	}
	graph := r.graph()
	f.Namespace = r.namespace(graph)
	if r.counts[flow.Error] == 0 { // or else what is missing is there, and broken
		r.checkCalls(f.Namespace, graph, executors)
	}
	f.Flow.Executors = graph.executors(r.services(), executors)
	r.sort(f.Flow.Executors)
	r.refreshChecksums()
	for _, o := range r.objects {
		o.SetNamespace(f.Namespace)
		r.label(f.Name, o)
		o.Note = note(o.repaired)
		f.Objects = append(f.Objects, o.Object)
	}
	return f
}

// note says in the plan what is not as in the folder.
func note(repaired []string) string {
	if len(repaired) == 0 {
		return ""
	}
	return "repaired, as docs/deviations.md says: " + strings.Join(repaired, ", ")
}

// flowName is the given one, else what the objects are labelled with by this plugin's export, else the folder's.
func (r *folderReader) flowName() string {
	if r.options.FlowName != "" {
		return r.options.FlowName
	}
	label := r.objects[0].GetLabels()[LabelFlow]
	for _, o := range r.objects {
		if o.GetLabels()[LabelFlow] != label {
			label = ""
		}
	}
	return NameFlow(append([]string{label}, r.options.Names...)...)
}

// duplicates refuses two objects of one name, of which the second would replace the first (semantics D9, D11), and the name of
// the apply set's own record.
func (r *folderReader) duplicates(flowName string) {
	first := map[string]*folderObject{}
	for _, o := range r.objects {
		ref := o.Ref().String()
		other := first[ref]
		switch {
		case other != nil:
			r.errorf(o.name, flow.IDDuplicateName, "keep one of them; two executors need names that differ in more than case, _ and -",
				"%s stands here a second time, the first is at %s", ref, other.name)
		case ref == "ConfigMap/jina-"+flowName:
			r.errorf(o.name, flow.IDDuplicateName, "rename it, or name the Flow with --name", "%s is the name of the record that kubectl jina keeps of the Flow", ref)
		default:
			first[ref] = o
		}
	}
}

// namespace is the one that all objects are for: their own, else that of the addresses in the arguments, else the
// command's. The addresses hold it, so that objects cannot go to another one.
func (r *folderReader) namespace(g *folderGraph) string {
	found, at, what := "", flow.Position{}, ""
	for _, o := range r.objects {
		ns := o.GetNamespace()
		switch {
		case ns == "":
		case found == "":
			found, at, what = ns, o.namespace, "metadata.namespace"
		case ns != found:
			r.errorf(o.namespace, flow.IDNamespace, "export the Flow again, for one namespace", "%s is for namespace %q, the objects before it are for %q: a Flow has one", o.Ref(), ns, found)
			return found
		}
	}
	if found == "" {
		found, at = g.namespace(r)
		what = "an address in the arguments"
	}
	switch {
	case found == "":
		return r.options.Namespace
	case len(validation.IsDNS1123Label(found)) > 0:
		r.errorf(at, flow.IDNamespace, "export the Flow again: `jina export kubernetes FILE DIR --k8s-namespace NAMESPACE`",
			"namespace %q is not legal: %s", found, inShort(validation.IsDNS1123Label(found)))
	case r.options.NamespaceGiven && r.options.Namespace != found:
		r.errorf(at, flow.IDNamespace, "leave -n out, or export the Flow again with --k8s-namespace "+r.options.Namespace,
			"the folder is for namespace %q (%s), not for %q: addresses such as NAME.%s.svc in the arguments lead to it", found, what, r.options.Namespace, found)
	}
	return found
}

// sort puts the objects into the order that [Objects] has: the executors as the Flow has them, the gateway last; of each
// part the ConfigMaps first, then the Services, the workload, and what watches it.
func (r *folderReader) sort(executors []*flow.Executor) {
	rank := map[string]int{}
	for i, e := range executors {
		rank[e.Name] = i
	}
	roles := []Role{RoleExecutor, RoleHead, RoleShard, RoleGateway}
	kinds := []string{"ConfigMap", "Service", "Deployment", "StatefulSet", "ServiceMonitor"}
	executor := func(o *folderObject) int {
		if o.Part.Role == RoleGateway {
			return len(executors)
		}
		return rank[o.Part.Executor]
	}
	slices.SortStableFunc(r.objects, func(a, b *folderObject) int {
		return cmp.Or(
			cmp.Compare(executor(a), executor(b)),
			cmp.Compare(slices.Index(roles, a.Part.Role), slices.Index(roles, b.Part.Role)),
			cmp.Compare(a.Part.Shard, b.Part.Shard),
			cmp.Compare(slices.Index(kinds, a.GetKind()), slices.Index(kinds, b.GetKind())),
		)
	})
}

// NameFromFolder is the candidate for a Flow's name that a folder's path has: its base name, unless that says nothing, then
// that of the folder around it.
func NameFromFolder(dir string) string {
	for dir = path.Clean(strings.ReplaceAll(dir, `\`, "/")); ; dir = path.Dir(dir) {
		base := path.Base(dir)
		switch strings.ToLower(base) {
		case "kubernetes", "k8s", "out", "output", "export", "exported", "manifests", "yaml", "deploy", "flow", "deployment", "jina":
			if parent := path.Base(path.Dir(dir)); parent != "." && parent != "/" && parent != ".." {
				continue
			}
		}
		return base
	}
}

// textAt is a text at the top of a document.
func textAt(n *yaml.Node, key string) string {
	if _, v := find(n, key); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

// find follows keys and returns the last key and its value; nil when there is none. Merged mappings are not looked into.
func find(n *yaml.Node, path ...string) (key, value *yaml.Node) {
	value = n
	for _, p := range path {
		value = follow(value)
		n, value = value, nil
		if n == nil || n.Kind != yaml.MappingNode {
			return nil, nil
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == p {
				key, value = n.Content[i], n.Content[i+1]
			}
		}
		if value == nil {
			return nil, nil
		}
	}
	return key, follow(value)
}

func follow(n *yaml.Node) *yaml.Node {
	for i := 0; n != nil && n.Kind == yaml.AliasNode && i < maxFolderDepth; i++ {
		n = n.Alias
	}
	return n
}

// placeOf is where a field stands; of one that is not there, or merged in, where its nearest parent stands.
func (d *objectDecoder) placeOf(n *yaml.Node, path ...string) flow.Position {
	for ; len(path) > 0; path = path[:len(path)-1] {
		if key, value := find(n, path...); value != nil {
			if value.Kind == yaml.ScalarNode {
				return d.position(value)
			}
			return d.position(key)
		}
	}
	return d.position(n)
}
