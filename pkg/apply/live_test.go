package apply

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

func TestPlannedStateKeepsOnlyWhatIsStillGoing(t *testing.T) {
	there, going := &unstructured.Unstructured{}, &unstructured.Unstructured{}
	now := metav1.Now()
	going.SetDeletionTimestamp(&now)
	parent := &Parent{}
	s := State{Parent: parent, Live: plan.Live{
		Members:   map[plan.Ref]*unstructured.Unstructured{{Name: "there"}: there, {Name: "going"}: going},
		Strangers: map[plan.Ref]*unstructured.Unstructured{{Name: "stranger"}: there},
	}}
	s.Planned()
	if len(s.Members) != 1 || s.Members[plan.Ref{Name: "going"}] != going || len(s.Strangers) != 0 || s.Parent != parent {
		t.Errorf("state %v", s)
	}
}
