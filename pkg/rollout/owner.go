package rollout

import (
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// The owners of a workload's replicas that have a name of their own.
const (
	// OwnerFile: the Flow file's value, applied by up.
	OwnerFile = "file"
	// OwnerScale: the scale command.
	OwnerScale = "scale"
	// OwnerAutoscaler: a HorizontalPodAutoscaler, KEDA's among them.
	OwnerAutoscaler = "autoscaler"
)

// ReplicasOwner tells who owns spec.replicas of a workload according to its managed fields: one of the owners above or
// the field manager's own name, several with a comma between them; "nobody" when no manager does. What nobody owns and the file
// says is the file's, as after a pause: the next up makes it so.
func ReplicasOwner(o metav1.Object) string {
	if o == nil {
		return "nobody"
	}
	var owners []string
	for _, m := range plan.ReplicasOwners(o) {
		owner := ownerName(m)
		if !slices.Contains(owners, owner) {
			owners = append(owners, owner)
		}
	}
	if len(owners) == 0 && o.GetAnnotations()[plan.AnnotationReplicas] == wantedText(o) {
		return OwnerFile
	}
	if len(owners) == 0 {
		return "nobody"
	}
	slices.Sort(owners)
	return strings.Join(owners, ", ")
}

// wantedText is spec.replicas of a Deployment or a StatefulSet.
func wantedText(o metav1.Object) string {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return strconv.Itoa(int(replicasOf(o.Spec.Replicas)))
	case *appsv1.StatefulSet:
		return strconv.Itoa(int(replicasOf(o.Spec.Replicas)))
	}
	return "?" // which no file says
}

func ownerName(m metav1.ManagedFieldsEntry) string {
	switch {
	case m.Manager == plan.FieldManager:
		return OwnerFile
	case m.Manager == plan.ScaleFieldManager:
		return OwnerScale
	case plan.IsAutoscaler(m):
		return OwnerAutoscaler
	default:
		return PlainText(m.Manager)
	}
}
