package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// Client reads and writes the objects of Flows.
type Client struct {
	// Dynamic reads and writes whole objects.
	Dynamic dynamic.Interface
	// REST lists the objects of a set as text; any of the API server's clients will do.
	REST rest.Interface
	// Leases keep two runs on one Flow apart.
	Leases coordinationclient.LeasesGetter
}

// resources of the kinds that a Flow may have: a fixed table instead of a discovery of the whole API. PersistentVolumeClaims
// are found, where a set has some, and never pruned.
var resources = map[schema.GroupKind]schema.GroupVersionResource{
	{Kind: "ConfigMap"}:                  {Version: "v1", Resource: "configmaps"},
	{Kind: "PersistentVolumeClaim"}:      {Version: "v1", Resource: "persistentvolumeclaims"},
	{Kind: "Service"}:                    {Version: "v1", Resource: "services"},
	{Group: "apps", Kind: "Deployment"}:  {Group: "apps", Version: "v1", Resource: "deployments"},
	{Group: "apps", Kind: "StatefulSet"}: {Group: "apps", Version: "v1", Resource: "statefulsets"},
	serviceMonitor:                       {Group: serviceMonitor.Group, Version: "v1", Resource: "servicemonitors"},
}

// serviceMonitor is what Jina makes of monitoring; it is a custom resource of the Prometheus operator.
var serviceMonitor = schema.GroupKind{Group: "monitoring.coreos.com", Kind: "ServiceMonitor"}

// Namespaces are never written. A set that has one keeps it, and needs no right to list those of the cluster.
var (
	namespaceKind = schema.GroupKind{Kind: "Namespace"}
	namespaces    = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
)

func resourceOf(k schema.GroupKind) (schema.GroupVersionResource, error) {
	r, ok := resources[k]
	if !ok {
		return r, fmt.Errorf("kind %s is not one that this version of kubectl jina handles; use the version that applied it", k)
	}
	return r, nil
}

// MissingKindError says that the cluster does not know a kind that the Flow has.
type MissingKindError struct {
	Kind schema.GroupKind
	// Before anything was applied.
	Before bool
}

// Error says what brings the kind, as far as it is known.
func (e *MissingKindError) Error() string {
	text := fmt.Sprintf("the cluster has no kind %s", e.Kind)
	if e.Kind == serviceMonitor {
		text = "the cluster has no ServiceMonitors (monitoring.coreos.com), which monitoring in the file makes: install the Prometheus operator, or take monitoring out"
	}
	if e.Before {
		text += "; nothing was applied"
	}
	return text
}

func (c *Client) resource(r plan.Ref) (dynamic.ResourceInterface, error) {
	gvr, err := resourceOf(r.GroupVersionKind().GroupKind())
	if err != nil {
		return nil, err
	}
	return c.Dynamic.Resource(gvr).Namespace(r.Namespace), nil
}

// applyOptions of one request.
type applyOptions struct {
	manager string
	force   bool
	dryRun  bool
}

// apply sends one server-side apply and returns the object as it is, or would be, stored. A conflict with other field
// managers is a *ConflictError; every other error names the object.
func (c *Client) apply(ctx context.Context, o *unstructured.Unstructured, opts applyOptions) (*unstructured.Unstructured, error) {
	ref := plan.RefOf(o)
	r, err := c.resource(ref)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(o.Object)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	po := metav1.PatchOptions{FieldManager: opts.manager, Force: &opts.force}
	if scheme.Scheme.Recognizes(o.GroupVersionKind()) {
		// A server-side apply of a built-in kind is refused for an unknown field anyway. Left out, this second look at each object
		// saves the API server a fifth of its work.
		po.FieldValidation = metav1.FieldValidationIgnore
	}
	if opts.dryRun {
		po.DryRun = []string{metav1.DryRunAll}
	}
	out, err := r.Patch(ctx, ref.Name, types.ApplyPatchType, body, po)
	if conflicts := fieldConflicts(ref, err); conflicts != nil {
		return nil, &ConflictError{Conflicts: conflicts}
	}
	// An object that is not found is named; what is not found here is the path.
	if apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		err = &MissingKindError{Kind: ref.GroupVersionKind().GroupKind()}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	return out, nil
}

// ConflictError says that objects or fields belong to somebody else. Nothing was written because of it.
type ConflictError struct{ Conflicts []plan.Conflict }

// Error has one line a conflict.
func (e *ConflictError) Error() string {
	lines := make([]string, len(e.Conflicts))
	for i, c := range e.Conflicts {
		if c.Field == "" {
			lines[i] = fmt.Sprintf("%s in namespace %s exists already and belongs to %s", c.Ref, c.Ref.Namespace, c.Owner.Manager)
			continue
		}
		lines[i] = fmt.Sprintf("%s: %s is owned by %s", c.Ref, c.Field, c.Owner.Manager)
		if c.Detail != "" {
			lines[i] += " (" + c.Detail + ")"
		}
	}
	return strings.Join(lines, "\n")
}

// fieldConflicts reads the conflicts out of the API server's answer (apimachinery's managedfields/internal/conflict.go
// writes one cause a field: field ".spec.x", message `conflict with "MANAGER" [with subresource "S"] using V at TIME`).
func fieldConflicts(ref plan.Ref, err error) []plan.Conflict {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var out []plan.Conflict
	for _, cause := range status.Status().Details.Causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		conflict := plan.Conflict{Ref: ref, Field: strings.TrimPrefix(cause.Field, "."), Owner: plan.Owner{Manager: cause.Message}}
		if rest, ok := strings.CutPrefix(cause.Message, `conflict with "`); ok {
			conflict.Owner.Manager, conflict.Detail, _ = strings.Cut(rest, `"`)
			conflict.Detail = strings.TrimSpace(conflict.Detail)
		}
		if !slices.Contains(out, conflict) {
			out = append(out, conflict)
		}
	}
	return out
}
