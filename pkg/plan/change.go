package plan

import (
	"k8s.io/apimachinery/pkg/types"
)

// Action is what happens to an object.
type Action string

// The actions of a plan.
const (
	Create Action = "create"
	Update Action = "update"
	Keep   Action = "keep"
	Prune  Action = "prune"
	// Unknown says that the cluster did not tell what would happen; Change.Reason says why. The object is applied.
	Unknown Action = "unknown"
)

// FieldChange is one field that an update changes. Values are text for people: scalars as they are, everything else as
// JSON, the values of environment variables and ConfigMaps masked.
type FieldChange struct {
	Path string `json:"path"`
	Live string `json:"live,omitempty"`
	Ours string `json:"ours,omitempty"`
}

// Change is what happens to one object, and why.
type Change struct {
	Ref    Ref
	Part   Part
	Action Action
	// Fields of an update, in the order of their paths.
	Fields []FieldChange
	// Reason is for people; empty where the action says it all.
	Reason string
	// Object is what is applied; nil for a prune.
	Object *Object
	// UID and Generation of the live object; empty when there is none.
	UID        types.UID
	Generation int64
}

// Conflict is an object, or a field of one, that belongs to somebody else.
type Conflict struct {
	Ref Ref `json:"-"`
	// Field is empty when the whole object is somebody else's.
	Field string `json:"field,omitempty"`
	// Owner is a field manager, or for an object the Flow or tool that it belongs to.
	Owner string `json:"owner"`
	// Detail says how and when the owner wrote, as far as it is known.
	Detail string `json:"detail,omitempty"`
}

// Plan is what `up` would do: one change an object in the order of the Flow, prunes last.
type Plan struct {
	Changes   []Change
	Conflicts []Conflict
}

// Count of the changes with one of the actions.
func (p Plan) Count(actions ...Action) int {
	n := 0
	for _, c := range p.Changes {
		for _, a := range actions {
			if c.Action == a {
				n++
			}
		}
	}
	return n
}

// Changed tells whether carrying out the plan would write anything.
func (p Plan) Changed() bool { return p.Count(Create, Update, Prune, Unknown) > 0 }
