// Package apply carries out a Plan: server-side apply, the Flow's apply set, prune, scale and delete.
package apply

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// The names of the apply set's labels and annotations, KEP-3659 in the form that kubectl's own code has
// (k8s.io/kubectl/pkg/cmd/apply/applyset.go), so that kubectl knows whose the objects are.
const (
	labelSetID           = "applyset.kubernetes.io/id"
	annotationGroupKinds = "applyset.kubernetes.io/contains-group-kinds"
)

// AnnotationTooling is on the apply set's parent: the tool that made the set, and its version (KEP-3659).
const AnnotationTooling = "applyset.kubernetes.io/tooling"

// AnnotationGraph is on the apply set's parent: a JSON object, executor → what it needs, in the order of the Flow; for an
// external executor, which has no workload, executor → {"needs": what it needs, "external": true}.
const AnnotationGraph = "jina.ai/graph"

// AnnotationOptions is on the apply set's parent: the options of the last up that changed objects and stand in no file, as
// text of the caller's own form. Absent when there were none.
const AnnotationOptions = "jina.ai/options"

// setFieldManager owns the apply set's parent; kubectl names its own TOOL-applyset too.
const setFieldManager = plan.FieldManager + "-applyset"

// tool is what stands before the version in the tooling annotation.
const tool = "kubectl-jina"

// Set is the apply set of a Flow: the objects that `up` made, found by a label, and a parent that lists their kinds.
// The parent is the ConfigMap jina-FLOW in the Flow's namespace.
type Set struct {
	Flow      string
	Namespace string
	// Version of the plugin, for the tooling annotation.
	Version string
}

// ParentRef is the set's parent.
func (s Set) ParentRef() plan.Ref {
	return plan.Ref{Version: "v1", Kind: "ConfigMap", Namespace: s.Namespace, Name: "jina-" + s.Flow}
}

// ID is what the parent's label id and the members' label part-of carry: a hash of the parent's name.
func (s Set) ID() string {
	p := s.ParentRef()
	sum := sha256.Sum256([]byte(strings.Join([]string{p.Name, p.Namespace, p.Kind, p.Group}, ".")))
	return "applyset-" + base64.RawURLEncoding.EncodeToString(sum[:]) + "-v1"
}

// Label returns the objects labelled as members of the set. The label is on the objects only, never in a pod template,
// and the given objects are left as they are: what is the same they share.
func (s Set) Label(objects []plan.Object) []plan.Object {
	id := s.ID()
	out := make([]plan.Object, len(objects))
	for i, o := range objects {
		out[i] = plan.WithLabel(o, plan.LabelPartOfSet, id)
	}
	return out
}

// Parent is a set's parent as it is in the cluster.
type Parent struct {
	Object *unstructured.Unstructured
	// Kinds that the set may contain.
	Kinds []schema.GroupKind
}

// Options that the last up recorded, see AnnotationOptions.
func (p *Parent) Options() string { return p.Object.GetAnnotations()[AnnotationOptions] }

// Record is what a run leaves on the parent for the next one.
type Record struct {
	// Graph of the Flow, see AnnotationGraph.
	Graph string
	// Options of the run, see AnnotationOptions.
	Options string
}

// parentObject is the parent to apply.
func (s Set) parentObject(kinds []schema.GroupKind, record Record) *unstructured.Unstructured {
	ref := s.ParentRef()
	annotations := map[string]any{
		AnnotationTooling:    tool + "/" + s.Version,
		annotationGroupKinds: joinKinds(kinds),
	}
	if record.Graph != "" {
		annotations[AnnotationGraph] = record.Graph
	}
	if record.Options != "" {
		annotations[AnnotationOptions] = record.Options
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": ref.Version,
		"kind":       ref.Kind,
		"metadata": map[string]any{
			"name":        ref.Name,
			"namespace":   ref.Namespace,
			"annotations": annotations,
			"labels": map[string]any{
				labelSetID:          s.ID(),
				plan.LabelFlow:      s.Flow,
				plan.LabelManagedBy: plan.FieldManager,
			},
		},
	}}
}

// parseParent reads a live parent, and refuses one that another tool, or nobody, made.
func (s Set) parseParent(o *unstructured.Unstructured) (*Parent, error) {
	tooling := o.GetAnnotations()[AnnotationTooling]
	name, _, _ := strings.Cut(tooling, "/")
	if name != tool {
		owner := "something else than an apply set"
		if tooling != "" {
			owner = "the apply set of " + tooling
		}
		return nil, &ConflictError{Conflicts: []plan.Conflict{{Ref: s.ParentRef(), Owner: plan.Owner{Manager: owner}}}}
	}
	if id := o.GetLabels()[labelSetID]; id != s.ID() {
		return nil, fmt.Errorf("ConfigMap/%s: label %s is %q where %q belongs; restore it, or delete the ConfigMap if the Flow is gone",
			o.GetName(), labelSetID, id, s.ID())
	}
	p := &Parent{Object: o}
	for _, text := range strings.Split(o.GetAnnotations()[annotationGroupKinds], ",") {
		if text = strings.TrimSpace(text); text != "" {
			p.Kinds = append(p.Kinds, schema.ParseGroupKind(text))
		}
	}
	return p, nil
}

// union of kinds, sorted, each once.
func union(a, b []schema.GroupKind) []schema.GroupKind {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y schema.GroupKind) int { return strings.Compare(x.String(), y.String()) })
	return slices.Compact(all)
}

func joinKinds(kinds []schema.GroupKind) string {
	texts := make([]string, len(kinds))
	for i, k := range kinds {
		texts[i] = k.String()
	}
	return strings.Join(texts, ",")
}
