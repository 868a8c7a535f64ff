package plan

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Action is what happens to an object.
type Action string

// The actions of a plan.
const (
	Create Action = "create"
	Update Action = "update"
	// Recreate deletes an object and creates it again, because a field changes that the API server lets nobody change.
	Recreate Action = "recreate"
	// Adopt takes over an object that is provably Jina's and that no set has yet: what its former tool owns becomes ours.
	Adopt Action = "adopt"
	Keep  Action = "keep"
	Prune Action = "prune"
	// Unknown says that the cluster did not tell what would happen; Change.Reason says why. The object is applied.
	Unknown Action = "unknown"
)

// Owner is who wrote a live value, as the object's managedFields have it.
type Owner struct {
	// Manager is the field manager. Several that own the same field are one text, with a comma between them.
	Manager string `json:"manager"`
	// Operation is Apply or Update.
	Operation string `json:"operation,omitempty"`
	// Subresource through which it was written, for instance scale; empty for the object itself.
	Subresource string `json:"subresource,omitempty"`
	// Time of the last write; the zero time where it is not known.
	Time time.Time `json:"time,omitzero"`
}

// FieldChange is one field that a change writes. Values are text for people: scalars as they are, everything else as
// JSON, the values of environment variables and ConfigMaps masked.
type FieldChange struct {
	Path string `json:"path"`
	Live string `json:"live,omitempty"`
	Ours string `json:"ours,omitempty"`
	// Owner of the live value; nil when nobody owns it, as what the API server or a webhook has set.
	Owner *Owner `json:"owner,omitempty"`
	// Reason why the field changes.
	Reason string `json:"reason,omitempty"`
}

// Replicas is what is done about a workload's replicas besides applying the object. See the rules in replicas.go.
type Replicas struct {
	// Handover is the live value that the scale manager takes part in owning before the field is left out of what is
	// applied, so that it does not fall back to 1. Nil: none.
	Handover *int32
	// Scale is the value that is written through the scale subresource before the object is applied. Nil: none.
	Scale *int32
	// Reset says that the object is applied with force: the only conflict is about its replicas.
	Reset bool
}

// Change is what happens to one object, and why.
type Change struct {
	Ref    Ref
	Part   Part
	Action Action
	// Fields that the change writes, in the order of their paths.
	Fields []FieldChange
	// Reason is for people; empty where the action says it all.
	Reason string
	// Object is what is applied; nil for a prune.
	Object *Object
	// Live is the object as the plan saw it; nil when there is none, and when nothing is written.
	Live *unstructured.Unstructured
	// UID and Generation of the live object; empty when there is none.
	UID        types.UID
	Generation int64
	// Replicas of a workload, where more is to do than to apply the object.
	Replicas Replicas
	// Migrate are the field managers whose fields become ours when the object is adopted.
	Migrate []string
	// RepairPods are broken pods of a StatefulSet that are in the way of the change. They are deleted after it.
	RepairPods []Pod
	// KeepPods says that a StatefulSet is recreated under its running pods.
	KeepPods bool

	// writes are digests of what the change writes, each of one field with its two unmasked values; see [Plan.Beyond].
	writes []string
}

// Conflict is an object, or a field of one, that belongs to somebody else.
type Conflict struct {
	Ref Ref `json:"-"`
	// Field is empty when the whole object is somebody else's.
	Field string `json:"field,omitempty"`
	// Live and Ours are the two values of the field, masked as those of a FieldChange.
	Live string `json:"live,omitempty"`
	Ours string `json:"ours,omitempty"`
	// Owner of the field; of a whole object its Manager says the Flow, tool or field manager that it belongs to.
	Owner Owner `json:"owner"`
	// Detail says more about a whole object: why it cannot be taken over. For a field it is the API server's own text
	// where managedFields did not tell whose it is.
	Detail string `json:"detail,omitempty"`
}

// Plan is what `up` would do: one change an object in the order of the Flow, prunes last.
type Plan struct {
	Changes   []Change
	Conflicts []Conflict
	// Notes say what could not be read and what follows from that, a line each.
	Notes []string
}

// Count of the changes with one of the actions.
func (p Plan) Count(actions ...Action) int {
	n := 0
	for _, c := range p.Changes {
		if slices.Contains(actions, c.Action) {
			n++
		}
	}
	return n
}

// Changed tells whether carrying out the plan would write anything.
func (p Plan) Changed() bool {
	return p.Count(Create, Update, Recreate, Adopt, Prune, Unknown) > 0
}
