package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// AnnotationPaused is on the apply set's parent while the Flow is paused: a JSON object, "KIND/NAME" of a workload → its
// [PausedReplicas]. plan.PauseFieldManager owns it, so that an up, which applies the parent, does not take it away.
const AnnotationPaused = "jina.ai/paused"

// PausedReplicas are what a workload had when it was paused.
type PausedReplicas struct {
	// Replicas that it had, and gets back.
	Replicas int32 `json:"replicas"`
	// File is what the file said then (plan.AnnotationReplicas); when it has another value by the time of resume, that is newer
	// than Replicas. Empty where nobody recorded it.
	File string `json:"file,omitempty"`
}

// Paused is the record of a paused Flow: what each workload had. It is nil while the Flow is not paused.
type Paused map[string]PausedReplicas

// ParsePaused reads the annotation AnnotationPaused. Empty text is a Flow that is not paused.
func ParsePaused(text string) (Paused, error) {
	if text == "" {
		return nil, nil
	}
	paused := Paused{}
	err := json.Unmarshal([]byte(text), &paused)
	if err == nil && paused == nil {
		err = errors.New("null is no record")
	}
	for _, before := range paused {
		if before.Replicas < 0 {
			err = errors.New("it has negative replicas")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("annotation %s, the replicas from before the pause, cannot be read: %w; restore it, or take it away and scale each part yourself", AnnotationPaused, err)
	}
	return paused, nil
}

// IsPaused tells whether the Flow is paused, also of a parent that is nil.
func (p *Parent) IsPaused() bool {
	return p != nil && p.Object.GetAnnotations()[AnnotationPaused] != ""
}

// Paused reads the record of the parent.
func (p *Parent) Paused() (Paused, error) {
	paused, err := ParsePaused(p.Object.GetAnnotations()[AnnotationPaused])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", plan.RefOf(p.Object), err)
	}
	return paused, nil
}

// With is the record with the workloads as they are. A count is never overwritten by 0: a workload that has none and is in the
// record was stopped by the pause, which was interrupted and goes on. One that has some was not stopped yet, or was scaled since:
// what it has is then what it is to get back.
func (p Paused) With(workloads []*unstructured.Unstructured) Paused {
	all := make(Paused, len(p)+len(workloads))
	for name, replicas := range p {
		all[name] = replicas
	}
	for _, w := range workloads {
		name, now := plan.RefOf(w).String(), LiveReplicas(w)
		if _, recorded := all[name]; now > 0 || !recorded {
			all[name] = PausedReplicas{Replicas: now, File: w.GetAnnotations()[plan.AnnotationReplicas]}
		}
	}
	return all
}

// Before are the replicas that a workload gets back. What the file says counts where it has changed during the pause, and for a
// workload that is new since.
func (p Paused) Before(workload *unstructured.Unstructured) int32 {
	before, recorded := p[plan.RefOf(workload).String()]
	file := workload.GetAnnotations()[plan.AnnotationReplicas]
	if recorded && file == before.File {
		return before.Replicas
	}
	if n, err := strconv.ParseInt(file, 10, 32); err == nil && n >= 0 {
		return int32(n)
	}
	if recorded {
		return before.Replicas
	}
	return 1 // the API's default, of a file that does not say how many
}

// LiveReplicas are the replicas that a live workload is to have.
func LiveReplicas(workload *unstructured.Unstructured) int32 {
	n, has, err := unstructured.NestedInt64(workload.Object, "spec", "replicas")
	if !has || err != nil {
		return 1 // which the API server would have written
	}
	return int32(n) //nolint:gosec // the API server has checked that it is one
}

// WritePaused records on the parent that the Flow is paused. It writes only to the parent given, by its UID.
func (c *Client) WritePaused(ctx context.Context, parent *Parent, paused Paused) error {
	ref, uid := plan.RefOf(parent.Object), parent.Object.GetUID()
	text, err := json.Marshal(paused)
	if err != nil {
		return err
	}
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": ref.Version, "kind": ref.Kind, "metadata": map[string]any{
		"name": ref.Name, "namespace": ref.Namespace, "uid": string(uid), "annotations": map[string]any{AnnotationPaused: string(text)},
	}}}
	_, err = c.apply(ctx, o, applyOptions{manager: plan.PauseFieldManager, force: true})
	return replaced(plan.Change{Ref: ref, UID: uid}, err)
}

// RemovePaused takes the record of a pause away, whoever has written it: an apply without it would leave what somebody has
// restored or edited, and the Flow paused. It writes only to the parent given, by its UID.
func (c *Client) RemovePaused(ctx context.Context, parent *Parent) error {
	ref, uid := plan.RefOf(parent.Object), parent.Object.GetUID()
	r, err := c.resource(ref)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": uid, "annotations": map[string]any{AnnotationPaused: nil}}})
	if err != nil {
		return err
	}
	_, err = r.Patch(ctx, ref.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: plan.PauseFieldManager})
	if apierrors.IsNotFound(err) {
		return &ReplacedError{Ref: ref}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", ref, err)
	}
	return replaced(plan.Change{Ref: ref, UID: uid}, err)
}
