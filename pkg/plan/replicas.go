package plan

import (
	"fmt"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// AnnotationReplicas is on a workload: the replicas that the file said at the last up. Where somebody else has set the
// replicas since, it tells a file that has changed from one that has not.
const AnnotationReplicas = "jina.ai/replicas"

// replicasDecision is what is done about the replicas of a workload.
type replicasDecision struct {
	// object is what is applied: with replicas, or without where they are left to others.
	object Object
	// replicas are the steps besides applying it.
	replicas Replicas
	// note says for people which replicas it has and why; empty where they are the file's.
	note string
	// force asks for the object with force, because the file's replicas take the place of somebody else's.
	force bool
	// keeps are the replicas after it, where they are not in what is applied.
	keeps *int64
}

// decideReplicas decides about a workload's replicas. Writing through the scale subresource moves the ownership of the field to
// who writes (apimachinery's managedfields/scalehandler.go), so managedFields tell who has set them last; a field that we
// own and leave out falls back to 1 unless somebody else takes part in owning it. The rows, first match wins:
//
//	there is no such workload      the file's
//	an autoscaler targets it       the live ones; what we own is handed over
//	the Flow is paused             the live ones; those of a new workload are 0
//	the file says none             the live ones; what we own is handed over
//	--reset-replicas               the file's, and they become ours
//	ours, by a recreation that     the live ones, handed over
//	kept those of somebody else
//	ours                           the file's
//	nobody's, and as the file      the file's
//	says, as after pause and resume
//	nobody's, and no up has ever   the file's: the default of a workload without
//	said how many, and it is 1
//	taken by scale, kubectl scale, the live ones; the file's through the scale subresource when the file has changed
//	an edit, a former autoscaler   since the last up, or where nobody owns them as ours
//	applied by somebody            the live ones
func decideReplicas(o Object, live *unstructured.Unstructured, scaler *Autoscaler, opts CompareOptions) replicasDecision {
	wanted, has, err := unstructured.NestedInt64(o.Object, "spec", "replicas")
	if !isWorkload(o.Unstructured) || err != nil {
		return replicasDecision{object: o}
	}
	if has {
		o = withAnnotation(o, AnnotationReplicas, strconv.FormatInt(wanted, 10))
	}
	if live == nil && opts.Paused {
		return replicasDecision{object: withReplicas(o, 0), note: "it starts with 0 replicas: the Flow is paused"}
	}
	if live == nil {
		return replicasDecision{object: o}
	}
	r := replicasState{object: o, live: live, wanted: wanted, has: has, owners: ReplicasOwners(live)}
	r.current, _, _ = unstructured.NestedInt64(live.Object, "spec", "replicas")
	for _, m := range r.owners {
		switch {
		case isOurs(m):
			r.ours = true
		case m.Manager == ScaleFieldManager && m.Subresource == "scale":
			// The scale command, which applies a Scale where nobody owned the replicas.
		case m.Manager == ScaleFieldManager && m.Operation == metav1.ManagedFieldsOperationApply:
			r.handedOver = true
		case m.Operation == metav1.ManagedFieldsOperationApply:
			r.applied = true
		}
	}
	switch {
	case scaler != nil:
		return r.leaveToAutoscaler(*scaler, opts.ResetReplicas)
	case opts.Paused:
		return r.leavePaused(opts.ResetReplicas)
	case !has:
		return r.leaveUnsaid()
	case opts.ResetReplicas:
		return replicasDecision{object: o, force: len(r.owners) > 0 && !r.onlyOurs()}
	case r.ours && !r.handedOver && r.recorded() && r.current != wanted:
		d := r.leave(fmt.Sprintf("replicas stay %d, which it had before it was recreated%s", r.current, r.fileSays()))
		d.replicas.Handover = r.currentReplicas()
		return d
	case r.ours && !r.handedOver:
		return replicasDecision{object: o, force: r.current != wanted && !r.onlyOurs() && !r.applied}
	case len(r.owners) == 0 && r.current == wanted:
		return replicasDecision{object: o}
	case len(r.owners) == 0 && r.current == 1 && live.GetAnnotations()[AnnotationReplicas] == "":
		return replicasDecision{object: o}
	default:
		return r.taken()
	}
}

// replicasState is what is known of a live workload's replicas.
type replicasState struct {
	object          Object
	live            *unstructured.Unstructured
	wanted, current int64
	has             bool
	owners          []metav1.ManagedFieldsEntry
	// ours: we own them; handedOver: the scale manager does since we let go for an autoscaler; applied: another tool applies them.
	ours, handedOver, applied bool
}

func (r replicasState) onlyOurs() bool { return r.ours && len(r.owners) == 1 }

// recorded tells whether the file says what it said at the last up.
func (r replicasState) recorded() bool {
	return r.live.GetAnnotations()[AnnotationReplicas] == strconv.FormatInt(r.wanted, 10)
}

// fileChanged tells whether the file says something else than at the last up; of an object that an older version made, nobody knows.
func (r replicasState) fileChanged() bool {
	return r.live.GetAnnotations()[AnnotationReplicas] != "" && !r.recorded()
}

func (r replicasState) currentReplicas() *int32 {
	n := int32(r.current)
	return &n
}

// fileSays is the end of a note where the file says something else.
func (r replicasState) fileSays() string {
	if !r.has || r.wanted == r.current {
		return ""
	}
	return fmt.Sprintf(" (the file says %d)", r.wanted)
}

// leave takes the replicas out of what is applied.
func (r replicasState) leave(note string) replicasDecision {
	current := r.current
	return replicasDecision{object: withoutReplicas(r.object), note: note, keeps: &current}
}

func (r replicasState) leaveToAutoscaler(scaler Autoscaler, reset bool) replicasDecision {
	note := fmt.Sprintf("replicas stay %d: %s/%s scales it%s", r.current, scaler.Kind, scaler.Name, r.fileSays())
	if reset {
		note += "; --reset-replicas leaves what an autoscaler scales"
	}
	d := r.leave(note)
	if r.ours {
		d.replicas.Handover = r.currentReplicas()
	}
	return d
}

// leavePaused leaves the replicas to resume, which gives back what was there before, or what the file has said since.
func (r replicasState) leavePaused(reset bool) replicasDecision {
	note := fmt.Sprintf("replicas stay %d: the Flow is paused%s", r.current, r.fileSays())
	if reset {
		note += "; --reset-replicas leaves a paused Flow's"
	}
	if r.ours && !r.applied {
		return replicasDecision{object: withReplicas(r.object, r.current), note: note}
	}
	return r.leave(note)
}

func (r replicasState) leaveUnsaid() replicasDecision {
	if !r.ours {
		return replicasDecision{object: r.object}
	}
	d := r.leave(fmt.Sprintf("replicas stay %d: the file no longer says how many", r.current))
	d.replicas.Handover = r.currentReplicas()
	return d
}

// taken are replicas that somebody else has set.
func (r replicasState) taken() replicasDecision {
	who := r.who()
	if r.fileChanged() && r.wanted != r.current && !r.applied {
		note := fmt.Sprintf("replicas go from %d to %d: %s since the last up, but the file has changed, too", r.current, r.wanted, who)
		if len(r.owners) == 0 {
			return replicasDecision{object: r.object, note: note} // nobody minds
		}
		d := r.leave(note)
		n := int32(r.wanted)
		wanted := r.wanted
		d.replicas.Scale, d.keeps = &n, &wanted
		return d
	}
	note := fmt.Sprintf("replicas stay %d, %s", r.current, who)
	if r.wanted != r.current {
		note += r.fileSays()
	}
	return r.leave(note)
}

// who says who has set the replicas.
func (r replicasState) who() string {
	if len(r.owners) == 0 {
		// They were in what we created, so they were taken from us since: a Scale with 0 replicas has no such field, and leaves no
		// owner; and whoever scales from there gets none but by applying, since the API server follows the owners of a Scale that has
		// some only (apimachinery's managedfields/internal/skipnonapplied.go).
		return "scaled by somebody"
	}
	var names []string
	autoscaled := false
	for _, m := range r.owners {
		if !isOurs(m) {
			names = append(names, m.Manager)
			autoscaled = autoscaled || IsAutoscaler(m)
		}
	}
	switch {
	case autoscaled:
		return fmt.Sprintf("set by %s for an autoscaler that is gone", strings.Join(names, ", "))
	case r.handedOver:
		return "which an earlier up left to an autoscaler or to whoever had set them"
	default:
		return "set by " + strings.Join(names, ", ")
	}
}

// IsAutoscaler recognises those who write the scale subresource for a HorizontalPodAutoscaler, as the controller manager names
// itself, and for KEDA.
func IsAutoscaler(m metav1.ManagedFieldsEntry) bool {
	return m.Subresource == "scale" && (m.Manager == "kube-controller-manager" || strings.HasPrefix(m.Manager, "keda"))
}

// withAnnotation is the object with an annotation; the given one stays as it is.
func withAnnotation(o Object, key, text string) Object {
	return edited(o, "metadata", "annotations", func(annotations map[string]any) { annotations[key] = text })
}

// WithLabel is the object with a label; the given one stays as it is, and shares all else with it.
func WithLabel(o Object, key, text string) Object {
	return edited(o, "metadata", "labels", func(labels map[string]any) { labels[key] = text })
}

// withReplicas is the object with other replicas.
func withReplicas(o Object, replicas int64) Object {
	return edited(o, "spec", "", func(spec map[string]any) { spec["replicas"] = replicas })
}

// withoutReplicas is the object without replicas.
func withoutReplicas(o Object) Object {
	return edited(o, "spec", "", func(spec map[string]any) { delete(spec, "replicas") })
}

// edited copies as much of an object as is changed: of a Flow with a thousand executors, everything else is shared.
func edited(o Object, field, below string, change func(map[string]any)) Object {
	content := copyOf(o.Object)
	target := copyOf(content[field])
	content[field] = target
	if below != "" {
		inner := copyOf(target[below])
		target[below] = inner
		target = inner
	}
	change(target)
	o.Unstructured = &unstructured.Unstructured{Object: content}
	return o
}

func copyOf(v any) map[string]any {
	m, _ := v.(map[string]any)
	out := make(map[string]any, len(m)+1)
	for key, item := range m {
		out[key] = item
	}
	return out
}
