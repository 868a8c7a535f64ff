package plan

import (
	"encoding/json"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// Storage is what the claims of volumes ask for. The zero value means the reference's own defaults with Compat, and the
// cluster's default class without.
type Storage struct {
	// AccessModes is a JSON list (JINA_K8S_ACCESS_MODES), by default ["ReadWriteOnce"].
	AccessModes string
	// Class is the name of a storage class (JINA_K8S_STORAGE_CLASS_NAME).
	Class string
	// Capacity is a quantity of bytes (JINA_K8S_STORAGE_CAPACITY), by default 10G.
	Capacity string
}

func (s Storage) accessModes() ([]string, error) {
	if s.AccessModes == "" {
		return []string{"ReadWriteOnce"}, nil
	}
	var modes []string
	err := json.Unmarshal([]byte(s.AccessModes), &modes)
	return modes, err
}

func (s Storage) capacity() string {
	if s.Capacity == "" {
		return "10G"
	}
	return s.Capacity
}

// class is the storage class; the reference's default is a name that some clusters have.
func (s Storage) class() string {
	if s.Class == "" {
		return "standard"
	}
	return s.Class
}

// claimName is the name of a workload's i-th claim, and of the volume in its pods. The first is the reference's.
func claimName(workload string, i int) string {
	name := workload + "-volume"
	if i > 0 {
		name += "-" + strconv.Itoa(i)
	}
	return name
}

// claimTemplate is an entry of a StatefulSet's volumeClaimTemplates.
func (s Storage) claimTemplate(name string) map[string]any {
	modes, _ := s.accessModes() // Check has refused what cannot be read
	return map[string]any{
		"metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"accessModes":      anys(modes),
			"storageClassName": s.class(),
			"resources":        map[string]any{"requests": map[string]any{"storage": s.capacity()}},
		},
	}
}

// workloadVariable is the environment variable that names the workload.
func workloadVariable(p pod) string {
	if len(p.volumes) > 0 {
		return "K8S_STATEFULSET_NAME"
	}
	return "K8S_DEPLOYMENT_NAME"
}

// workload makes a Deployment, or a StatefulSet of a pod with volumes. The StatefulSet has a Deployment's field, strategy
// (semantics D1).
func (b *builder) workload(p pod) {
	kind := "Deployment"
	if len(p.volumes) > 0 {
		kind = "StatefulSet"
		for i := range p.containers {
			p.containers[i].liveness = p.containers[i].startup // without the option that the Deployment's has
		}
	}
	spec := b.workloadSpec(p)
	if len(p.volumes) > 0 {
		spec["volumeClaimTemplates"] = []any{b.options.Storage.claimTemplate(claimName(p.name, 0))}
	}
	b.gpus(p, b.object(p.part, "apps/v1", kind, p.name, map[string]any{"spec": spec}))
}

// gpus asks for the GPUs of the file, in its own words: the reference writes whatever stands there (semantics D19). "all"
// is no count and asks for none.
func (b *builder) gpus(p pod, content map[string]any) {
	count := p.args.Text("gpus", flow.Coerced)
	if p.part.Role == RoleHead || count == "" || count == "all" {
		return
	}
	template := childOf(content, "spec", "template", "spec")
	if containers, _ := template["containers"].([]any); len(containers) > 0 {
		if main, ok := containers[0].(map[string]any); ok {
			childOf(main, "resources", "limits")["nvidia.com/gpu"] = count
		}
	}
}

// withClaimDefaults fills in what the server sets in a StatefulSet's claims (apps/v1 volumeClaimTemplates, listType atomic), and
// writes their sizes as it does.
func withClaimDefaults(o *unstructured.Unstructured) {
	if o.GetKind() != "StatefulSet" {
		return
	}
	set := func(m map[string]any, key string, value any) {
		if _, has := m[key]; !has {
			m[key] = value
		}
	}
	for _, claim := range claimTemplatesOf(Object{Unstructured: o}) {
		set(claim, "apiVersion", "v1")
		set(claim, "kind", "PersistentVolumeClaim")
		set(claim, "status", map[string]any{"phase": "Pending"})
		set(childOf(claim, "spec"), "volumeMode", "Filesystem")
		requests := childOf(claim, "spec", "resources", "requests")
		if text, ok := requests["storage"].(string); ok {
			if quantity, err := resource.ParseQuantity(text); err == nil {
				requests["storage"] = quantity.String()
			}
		}
	}
}
