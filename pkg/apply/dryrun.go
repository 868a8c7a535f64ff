package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// DryRun asks the API server what applying each object would do. Nothing is stored. An object that the server refuses for
// another reason than a conflict or a field that cannot be changed is an error; all of them are named.
func (c *Client) DryRun(ctx context.Context, questions []plan.Question) (map[plan.Ref]plan.Answer, error) {
	answers := make(map[plan.Ref]plan.Answer, len(questions))
	var mu sync.Mutex
	var refused []error
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, q := range questions {
		g.Go(func() error {
			answer, err := c.dryRun(gctx, q.Object, q.Force)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				answers[q.Object.Ref()] = answer
			case gctx.Err() != nil:
				return gctx.Err()
			default:
				refused = append(refused, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(refused, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return answers, errors.Join(refused...)
}

func (c *Client) dryRun(ctx context.Context, o plan.Object, force bool) (plan.Answer, error) {
	var answer plan.Answer
	var conflict *ConflictError
	ask := func(o *unstructured.Unstructured, force bool) (*unstructured.Unstructured, error) {
		return c.apply(ctx, o, applyOptions{manager: plan.FieldManager, dryRun: true, force: force})
	}
	applied, err := ask(o.Unstructured, false)
	if errors.As(err, &conflict) {
		answer.Conflicts, err = conflict.Conflicts, nil
		if force {
			applied, err = ask(o.Unstructured, true)
		}
	}
	if fields := immutableFields(err); fields != nil {
		// What is refused at the same time for its own sake would be refused after a deletion too.
		standIn := underAnotherName(o.Unstructured)
		_, invalid := ask(standIn, false)
		switch {
		case invalid == nil, isQuota(invalid):
			answer.Immutable, err = fields, nil
		default:
			err = aboutItself(o.Unstructured, standIn, invalid)
		}
	}
	if unknown := unknowable(err); unknown != "" {
		return plan.Answer{Unknown: unknown}, nil
	}
	if err == nil && staysHeadless(o.Unstructured, applied) {
		answer.Immutable, applied = []string{"spec.clusterIP"}, nil
	}
	answer.Object = applied
	return answer, err
}

// staysHeadless tells whether a Service that is to have an address does not get one: the API server keeps a headless one as it is, and
// says nothing (k8s.io/kubernetes v1.37, pkg/registry/core/service/storage/storage.go, patchAllocatedValues). A Service that
// somebody else wants headless is theirs.
func staysHeadless(wanted, applied *unstructured.Unstructured) bool {
	if wanted.GetKind() != "Service" || applied == nil {
		return false
	}
	_, said, _ := unstructured.NestedString(wanted.Object, "spec", "clusterIP")
	ip, _, _ := unstructured.NestedString(applied.Object, "spec", "clusterIP")
	if said || ip != corev1.ClusterIPNone {
		return false
	}
	owner := csaupgrade.FindFieldsOwners(applied.GetManagedFields(), metav1.ManagedFieldsOperationApply, clusterIP)
	writer := csaupgrade.FindFieldsOwners(applied.GetManagedFields(), metav1.ManagedFieldsOperationUpdate, clusterIP)
	return len(owner)+len(writer) == 0
}

var clusterIP = fieldpath.NewSet(fieldpath.MakePathOrDie("spec", "clusterIP"))

// standInError is what the API server says of an object that was tried under another name, about the object itself.
type standInError struct {
	err  error
	text string
}

func (e *standInError) Error() string { return e.text }
func (e *standInError) Unwrap() error { return e.err }

func aboutItself(o, standIn *unstructured.Unstructured, err error) error {
	return &standInError{err, strings.ReplaceAll(err.Error(), standIn.GetName(), o.GetName())}
}

// underAnotherName is a new object like the given one. What can be there only once in a cluster, addresses and node ports, is
// left to the API server.
func underAnotherName(o *unstructured.Unstructured) *unstructured.Unstructured {
	sum := sha256.Sum256([]byte(o.GetKind() + "/" + o.GetName()))
	c := o.DeepCopy()
	c.SetName("jina-try-" + hex.EncodeToString(sum[:8]))
	if ip, _, _ := unstructured.NestedString(c.Object, "spec", "clusterIP"); ip != corev1.ClusterIPNone {
		unstructured.RemoveNestedField(c.Object, "spec", "clusterIP")
		unstructured.RemoveNestedField(c.Object, "spec", "clusterIPs")
	}
	ports, _, _ := unstructured.NestedSlice(c.Object, "spec", "ports")
	for _, p := range ports {
		if port, ok := p.(map[string]any); ok {
			delete(port, "nodePort")
		}
	}
	if len(ports) > 0 {
		c.Object["spec"].(map[string]any)["ports"] = ports
	}
	return c
}

// unchangeable are the fields that nobody may change, as the causes of the API server's refusal name them, each with the end of its
// message. All of a refusal's causes have to be among them: a refusal has one for each thing that is wrong, and what is wrong
// for another reason is no better in a new object.
//
// Sources in k8s.io/kubernetes v1.37: pkg/apis/apps/validation/validation.go (ValidateDeploymentUpdate,
// ValidateStatefulSetUpdate; up to v1.36 the latter had one cause for all but a list of fields), and
// pkg/apis/core/validation/validation.go (validateUpgradeDowngradeClusterIPs, validateUpgradeDowngradeIPFamilies,
// validateLoadBalancerClassField, ValidateConfigMapUpdate).
var unchangeable = []struct{ kind, field, message string }{
	{"Deployment", "spec.selector", "field is immutable"},
	{"StatefulSet", "spec.selector", "field is immutable"},
	{"StatefulSet", "spec.serviceName", "field is immutable"},
	{"StatefulSet", "spec.volumeClaimTemplates", "field is immutable"},
	{"StatefulSet", "spec.podManagementPolicy", "field is immutable"},
	{"StatefulSet", "spec", "are forbidden"},
	{"Service", "spec.clusterIPs[0]", "may not change once set"},
	{"Service", "spec.clusterIPs[1]", "may not change once set"},
	{"Service", "spec.clusterIPs[0]", "primary clusterIP can not be unset"},
	{"Service", "spec.ipFamilies[0]", "may not change once set"},
	{"Service", "spec.ipFamilies[0]", "primary ipFamily can not be unset"},
	{"Service", "spec.loadBalancerClass", "may not change once set"},
	{"ConfigMap", "data", "field is immutable when `immutable` is set"},
	{"ConfigMap", "binaryData", "field is immutable when `immutable` is set"},
	{"ConfigMap", "immutable", "field is immutable when `immutable` is set"},
}

// statefulSetUpdates is how the message about a StatefulSet's whole spec begins, up to Kubernetes v1.36.
const statefulSetUpdates = "updates to statefulset spec for fields other than"

// immutableFields are the fields that an update was refused for, if it was refused for nothing else.
func immutableFields(err error) []string {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	details := status.Status().Details
	var fields []string
	for _, cause := range details.Causes {
		known := false
		for _, u := range unchangeable {
			known = known || u.kind == details.Kind && u.field == cause.Field && strings.HasSuffix(cause.Message, u.message) &&
				(u.field != "spec" || strings.Contains(cause.Message, statefulSetUpdates))
		}
		if !known {
			return nil
		}
		if !slices.Contains(fields, cause.Field) {
			fields = append(fields, cause.Field)
		}
	}
	slices.Sort(fields)
	return fields
}

// unknowable says why the API server could not tell; empty when it told.
func unknowable(err error) string {
	switch {
	case isNoDryRun(err):
		return webhookOf(err) + " does not support dry runs"
	case isNoNamespace(err):
		return "the namespace does not exist yet"
	default:
		return ""
	}
}

// isNoDryRun recognises the API server's refusal of a dry run that would call a webhook with side effects
// (k8s.io/apiserver/pkg/admission/plugin/webhook/errors/statuserror.go, NewDryRunUnsupportedErr).
func isNoDryRun(err error) bool {
	return apierrors.IsBadRequest(err) && strings.Contains(err.Error(), "does not support dry run")
}

// webhookOf is the admission webhook that a refusal names, between quotes.
func webhookOf(err error) string {
	const before = `admission webhook "`
	text := err.Error()
	if i := strings.Index(text, before); i >= 0 {
		if name, _, ok := strings.Cut(text[i+len(before):], `"`); ok {
			return "the admission webhook " + name
		}
	}
	return "an admission webhook"
}

func isNoNamespace(err error) bool {
	var status apierrors.APIStatus
	return apierrors.IsNotFound(err) && errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
}

// isQuota tells whether only a quota stands against a second object beside the one that it would replace
// (k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go).
func isQuota(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota")
}
