package plan

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// beforeFirstApply is the field manager that the API server makes up for what was there before managedFields were.
const beforeFirstApply = "before-first-apply"

// formerManagers write whole objects for their user, so what they own was in the files that this Flow takes the place of. Those
// that write single fields (kubectl-edit, kubectl-patch, kubectl-label) are not among them: somebody wanted that field so.
var formerManagers = []string{"kubectl-client-side-apply", beforeFirstApply, "kubectl", "kubectl-create", "kubectl-replace"}

// Migrated tells whether an entry of managedFields is one of those that [Change.Migrate] names. kubectl is the manager of
// `kubectl apply --server-side`, and that of `kubectl scale`, which is none.
func Migrated(m metav1.ManagedFieldsEntry, names []string) bool {
	if m.Subresource != "" || !slices.Contains(names, m.Manager) {
		return false
	}
	return m.Manager != "kubectl" || m.Operation == metav1.ManagedFieldsOperationApply || ownsLastApplied(m)
}

// lastApplied is the annotation of `kubectl apply`.
var lastApplied = fieldpath.NewSet(fieldpath.MakePathOrDie("metadata", "annotations", annotationLastApplied))

func ownsLastApplied(m metav1.ManagedFieldsEntry) bool {
	set, err := fieldSet(m)
	return err == nil && !set.Intersection(lastApplied).Empty()
}

// editsFields tells whether a manager is one of kubectl's commands for single fields. Some of them, kubectl edit for one, write the
// annotation anew as well: whoever else owns it has applied the whole object.
func editsFields(manager string) bool {
	return strings.HasPrefix(manager, "kubectl-") && !slices.Contains(formerManagers, manager)
}

// managersToMigrate of an object that is adopted, each once.
func managersToMigrate(o *unstructured.Unstructured) []string {
	managed := o.GetManagedFields()
	if len(managed) == 0 {
		return []string{beforeFirstApply}
	}
	var out []string
	for _, m := range managed {
		former := Migrated(m, formerManagers) || m.Subresource == "" && !isOurs(m) && !editsFields(m.Manager) && ownsLastApplied(m)
		if former && !slices.Contains(out, m.Manager) {
			out = append(out, m.Manager)
		}
	}
	return out
}

// adoption is an object that becomes ours.
type adoption struct {
	// found is the object as it is.
	found   *unstructured.Unstructured
	migrate []string
	// fields counts what the migrated managers own.
	fields int
}

// MigrateFields are the managedFields of an object that is adopted: what the managers of [Change.Migrate] own is FieldManager's,
// as if it had applied it, and the annotation of `kubectl apply`, whoever owns it. Of an object without managedFields it is
// everything. What it then does not apply goes, as long as nobody else owns it.
func MigrateFields(o *unstructured.Unstructured, managers []string) ([]metav1.ManagedFieldsEntry, error) {
	managed := o.GetManagedFields()
	set := &fieldpath.Set{}
	var out []metav1.ManagedFieldsEntry
	for _, m := range managed {
		fields, err := fieldSet(m)
		if err != nil {
			return nil, err
		}
		if Migrated(m, managers) || isOurs(m) {
			set = set.Union(fields)
			continue
		}
		if shared := fields.Intersection(lastApplied); !shared.Empty() {
			set = set.Union(shared)
			if m.FieldsV1, err = fieldsOf(fields.Difference(lastApplied)); err != nil {
				return nil, err
			}
		}
		out = append(out, m)
	}
	if len(managed) == 0 {
		all, err := allFields(newConverter(), o)
		if err != nil {
			return nil, err
		}
		set = all
	}
	fields, err := fieldsOf(set)
	if err != nil {
		return nil, err
	}
	return append(out, metav1.ManagedFieldsEntry{
		Manager: FieldManager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: o.GetAPIVersion(), FieldsType: "FieldsV1", FieldsV1: fields,
	}), nil
}

// fieldsOf writes a set as managedFields have it.
func fieldsOf(set *fieldpath.Set) (*metav1.FieldsV1, error) {
	raw, err := set.ToJSON()
	if err != nil {
		return nil, err
	}
	fields := &metav1.FieldsV1{}
	fields.SetRawBytes(raw)
	return fields, nil
}

// controllersOwn is what Kubernetes' controllers write on objects outside of their status.
var controllersOwn = fieldpath.NewSet(fieldpath.MakePathOrDie("metadata", "annotations", "deployment.kubernetes.io/revision"))

// migrated is the object with other managedFields.
func migrated(o *unstructured.Unstructured, managers []string) (*unstructured.Unstructured, error) {
	managed, err := MigrateFields(o, managers)
	if err != nil {
		return nil, err
	}
	return withManagedFields(o, managed), nil
}

func withManagedFields(o *unstructured.Unstructured, managed []metav1.ManagedFieldsEntry) *unstructured.Unstructured {
	out := &unstructured.Unstructured{Object: copyOf(o.Object)}
	out.Object["metadata"] = copyOf(o.Object["metadata"])
	out.SetManagedFields(managed)
	return out
}

// allFields are the fields of a live object that somebody has written: all but its identity, and what the server and Kubernetes'
// controllers write by themselves.
func allFields(c converter, o *unstructured.Unstructured) (*fieldpath.Set, error) {
	whole, err := c.typedLive(o)
	if err != nil {
		return nil, err
	}
	return whole.RemoveItems(serverSet.Union(identity).Union(controllersOwn)).ToFieldSet()
}

// mark is what a tool leaves on an object that it manages.
type mark struct {
	label, annotation string
	// tool names it; %s is the value of the mark.
	tool string
}

// marks are those that mean one thing only. app.kubernetes.io/instance and managed-by are everybody's.
var marks = []mark{
	{annotation: "meta.helm.sh/release-name", tool: "the Helm release %q"},
	{label: "kapp.k14s.io/app", tool: "the kapp app %q"},
	{annotation: "config.k8s.io/owning-inventory", tool: "the inventory %q (config.k8s.io/owning-inventory)"},
	{label: "kustomize.toolkit.fluxcd.io/name", tool: "the Flux Kustomization %q"},
	{label: "helm.toolkit.fluxcd.io/name", tool: "the Flux HelmRelease %q"},
	{annotation: "argocd.argoproj.io/tracking-id", tool: "the Argo CD application %q"},
	{label: "argocd.argoproj.io/instance", tool: "the Argo CD application %q"},
}

// toolOf names the Flow, set, tool or controller that an object says it belongs to; empty where it names none.
func toolOf(o *unstructured.Unstructured) string {
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	switch {
	case labels[LabelPartOfSet] != "" && labels[LabelFlow] != "":
		return fmt.Sprintf("the Flow %q", labels[LabelFlow])
	case labels[LabelPartOfSet] != "":
		return "the apply set " + labels[LabelPartOfSet]
	}
	for _, m := range marks {
		if v := labels[m.label]; m.label != "" && v != "" {
			return fmt.Sprintf(m.tool, v)
		}
		if v := annotations[m.annotation]; m.annotation != "" && v != "" {
			v, _, _ = strings.Cut(v, ":") // Argo CD's has the whole object behind the application
			return fmt.Sprintf(m.tool, v)
		}
	}
	for _, ref := range o.GetOwnerReferences() {
		if ref.Controller != nil && *ref.Controller {
			return ref.Kind + "/" + ref.Name + ", its controller"
		}
	}
	return ""
}

// provenance tells which of the objects that are in the way are Jina's.
type provenance struct {
	// workloads and services are Jina's: members of the set, and strangers that are provably so.
	workloads, services []*unstructured.Unstructured
}

func newProvenance(live Live) *provenance {
	p := &provenance{}
	for _, o := range live.Members {
		p.add(o)
	}
	for _, o := range live.Strangers {
		if isWorkload(o) && toolOf(o) == "" && isJinasWorkload(o) {
			p.add(o)
		}
	}
	for _, o := range live.Strangers {
		if o.GetKind() == "Service" && toolOf(o) == "" && p.selectsWorkload(o) {
			p.add(o)
		}
	}
	return p
}

func (p *provenance) add(o *unstructured.Unstructured) {
	switch {
	case isWorkload(o):
		p.workloads = append(p.workloads, o)
	case o.GetKind() == "Service":
		p.services = append(p.services, o)
	}
}

// isJinasWorkload recognises the workloads of Jina's export: by the labels of their pods, which nobody else writes, or by
// the command jina in the pods of the workload's own name.
func isJinasWorkload(o *unstructured.Unstructured) bool {
	labels, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
	if labels[LabelJinaDeployment] != "" && labels["ns"] != "" {
		return true
	}
	containers, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "template", "spec", "containers")
	list := mapsOf(containers)
	if len(list) == 0 || labels["app"] != o.GetName() {
		return false
	}
	command, ok := asStrings(list[0]["command"])
	return ok && slices.Equal(command, []string{"jina"})
}

func (p *provenance) selectsWorkload(service *unstructured.Unstructured) bool {
	selector, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
	return slices.ContainsFunc(p.workloads, func(w *unstructured.Unstructured) bool {
		labels, _, _ := unstructured.NestedStringMap(w.Object, "spec", "template", "metadata", "labels")
		return len(selector) > 0 && selects(selector, labels)
	})
}

func (p *provenance) selectsService(monitor *unstructured.Unstructured) bool {
	selector, _, _ := unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
	return slices.ContainsFunc(p.services, func(s *unstructured.Unstructured) bool { return len(selector) > 0 && selects(selector, s.GetLabels()) })
}

func (p *provenance) configures(configMap *unstructured.Unstructured) bool {
	name := configMap.GetName()
	return strings.HasSuffix(name, "-configmap") && slices.ContainsFunc(p.workloads, func(w *unstructured.Unstructured) bool {
		return slices.ContainsFunc(podContainers(w), func(container map[string]any) bool {
			return slices.ContainsFunc(mapsOf(container["envFrom"]), func(source map[string]any) bool {
				ref, _, _ := unstructured.NestedString(source, "configMapRef", "name")
				return ref == name
			})
		})
	})
}

// unproved says why an object cannot be taken for Jina's; empty where it is.
func (p *provenance) unproved(o *unstructured.Unstructured) string {
	switch {
	case isWorkload(o):
		if !isJinasWorkload(o) {
			return "its pods have neither Jina's labels (" + LabelJinaDeployment + ", ns) nor the command jina"
		}
	case o.GetKind() == "Service":
		if !p.selectsWorkload(o) {
			return "it selects the pods of no workload of Jina's"
		}
	case o.GetKind() == "ConfigMap":
		if !p.configures(o) {
			return "no workload of Jina's takes its environment from it"
		}
	case o.GetKind() == "ServiceMonitor":
		if !p.selectsService(o) {
			return "it selects no Service of Jina's"
		}
	default:
		return "nothing shows that it is Jina's"
	}
	return ""
}

// isLost tells whether an object that is in the way is ours, with the label of the set taken away.
func isLost(o Object, found *unstructured.Unstructured) bool {
	labels := found.GetLabels()
	return !ownedFields(found).Empty() && toolOf(found) == "" && labels[LabelFlow] != "" && labels[LabelFlow] == o.GetLabels()[LabelFlow]
}

// strangerConflict is the conflict about an object that is in the way and may not be adopted; nil where it may.
func strangerConflict(ref Ref, o *unstructured.Unstructured, p *provenance) *Conflict {
	if tool := toolOf(o); tool != "" {
		return &Conflict{Ref: ref, Owner: Owner{Manager: tool}}
	}
	detail := p.unproved(o)
	if detail == "" && o.GetDeletionTimestamp() != nil {
		detail = "it is being deleted; run the command again when it is gone"
	}
	if detail == "" {
		return nil
	}
	return &Conflict{Ref: ref, Owner: Owner{Manager: ownersName(o)}, Detail: detail}
}

// ownersName is who has written an object that no mark names an owner of.
func ownersName(o *unstructured.Unstructured) string {
	var names []string
	for _, m := range o.GetManagedFields() {
		if m.Subresource == "" && !slices.Contains(names, m.Manager) {
			names = append(names, m.Manager)
		}
	}
	if len(names) == 0 {
		return "nobody that it names"
	}
	return strings.Join(names, ", ")
}

// adopt makes the entry of an object that is provably Jina's. What follows is decided as if it were ours already.
func (c *Comparison) adopt(e entry, found *unstructured.Unstructured) entry {
	a := &adoption{found: found, migrate: managersToMigrate(found)}
	live, err := migrated(found, a.migrate)
	if err != nil {
		e.stranger = unreadable(found, err)
		return e
	}
	a.fields, e.adoption, e.live = ownedFields(live).Leaves().Size(), a, live
	return e
}

// origin says where the object is from.
func (a *adoption) origin() string {
	if len(a.migrate) == 0 {
		return "Jina's, and in no set yet"
	}
	return "made by " + strings.Join(a.migrate, " and ")
}

// unreadable is the conflict about an object that is Jina's and cannot be adopted all the same.
func unreadable(o *unstructured.Unstructured, err error) *Conflict {
	return &Conflict{Ref: RefOf(o), Owner: Owner{Manager: ownersName(o)}, Detail: "what adopting it would change cannot be told: " + err.Error()}
}

// reason is what a plan says about an adoption.
func (a *adoption) reason() string {
	if len(a.migrate) == 0 {
		return a.origin()
	}
	return fmt.Sprintf("%s, whose %d fields become ours", a.origin(), a.fields)
}

// decideAdoption predicts what adopting does: a dry run cannot tell, for it cannot follow on the migration that it builds on.
func (c *Comparison) decideAdoption(e entry, change Change) (Change, []Conflict) {
	wanted := canonical(e.object.Unstructured)
	predicted, lost, err := c.types.predict(e.live, wanted)
	if err != nil {
		change.Action, change.Reason = Unknown, "what adopting it changes cannot be told"
		return change, []Conflict{*unreadable(e.adoption.found, err)}
	}
	var conflicts []Conflict
	for _, t := range lost {
		conflicts = append(conflicts, c.types.fieldConflict(change.Ref, e.live, wanted, t))
	}
	diffs, err := c.types.differences(e.adoption.found, e.afterwards(predicted))
	if err != nil {
		change.Action, change.Reason = Unknown, "what adopting it changes cannot be told"
		return change, []Conflict{*unreadable(e.adoption.found, err)}
	}
	diffs = withDefaults(e.object.Unstructured, diffs)
	change.Action, change.Migrate = Adopt, e.adoption.migrate
	conflicts = e.settle(&change, conflicts)
	change.write(diffs, e.formerOwners(), e.object.Unstructured)
	if immutable := immutableOf(e.live, wanted, diffs); len(immutable) > 0 {
		change.Migrate = nil
		change = e.recreate(change, immutable)
		change.Reason = joined(change.Reason, e.adoption.origin())
		return change, nil
	}
	change.Reason = joined(e.adoption.reason(), change.Reason)
	return change, conflicts
}

// formerOwners are the owners of an object before it is adopted.
func (e entry) formerOwners() []fieldOwner {
	owners := fieldOwners(e.adoption.found)
	if len(owners) == 0 {
		owners = fieldOwners(e.live)
		for i := range owners {
			owners[i].entry.Manager, owners[i].entry.Operation = beforeFirstApply, metav1.ManagedFieldsOperationUpdate
		}
	}
	return owners
}
