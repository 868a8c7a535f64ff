package cmd

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// createNamespace makes the session's namespace when there is none. It is nobody's afterwards: neither up nor down deletes it.
func (s *session) createNamespace(ctx context.Context, say func(string)) error {
	namespaces := s.typed.CoreV1().Namespaces()
	_, err := namespaces.Get(ctx, s.namespace, metav1.GetOptions{})
	if err == nil {
		return nil
	}
	if !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return explain(err)
	}
	// Who may not read namespaces may still be allowed to make one.
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	_, err = namespaces.Create(ctx, object, metav1.CreateOptions{FieldManager: plan.FieldManager})
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil
	case err != nil:
		return explain(fmt.Errorf("namespace %s: %w", s.namespace, err))
	}
	say(fmt.Sprintf("created namespace %s; down leaves it there", s.namespace))
	return nil
}
