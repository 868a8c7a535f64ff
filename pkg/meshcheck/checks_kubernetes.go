package meshcheck

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/version"
)

// minimumVersion of Kubernetes. gRPC probes are stable since 1.27
// (https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates-removed/, GRPCContainerProbe).
const minimumVersion = "1.27"

func checkReachable(f Facts) Outcome {
	if err := f.unreachable(); err != nil {
		return fail("%s", err.what()).remedies(err.remedy)
	}
	return pass("%s", f.Server)
}

func checkVersion(f Facts) Outcome {
	if f.Version.Err != nil {
		return unknown("the server's version cannot be read: %v", f.Version.Err).
			remedies("ask the cluster's administrator for GET /version (the ClusterRole system:public-info-viewer)")
	}
	text := f.Version.Value.GitVersion
	v, err := version.ParseGeneric(text)
	switch {
	case err != nil, v.Major() == 0: // a build without a version calls itself v0.0.0-master
		return unknown("the server says that it is version %q, which is no release of Kubernetes", text)
	case !v.AtLeast(version.MustParseGeneric(minimumVersion)):
		return fail("the server is %s, and %s is the oldest that is supported", text, minimumVersion)
	default:
		return pass("%s", text)
	}
}

func checkNamespace(f Facts) Outcome {
	ns, dry := f.Request.Namespace, classify(f.DryRun)
	missing := fail("there is no namespace %s", ns).
		remedies("make it: kubectl create namespace "+ns+", or up --create-namespace", "or choose another one: -n NAMESPACE")
	terminating := fail("namespace %s is being deleted", ns).
		remedies("wait until it is gone and make it again: kubectl create namespace "+ns, "or choose another one: -n NAMESPACE")
	switch err := f.Namespace.Err; {
	case err == nil && f.Namespace.Value.DeletionTimestamp != nil,
		err == nil && f.Namespace.Value.Status.Phase == corev1.NamespaceTerminating:
		return terminating
	case err == nil:
		return pass("%s", ns)
	case apierrors.IsNotFound(err):
		return missing
	case dry == namespaceGone && apierrors.IsNotFound(f.DryRun.Err):
		return missing
	case dry == namespaceGone:
		return terminating
	case dry != notAsked && dry != forbidden && dry != unanswered:
		// Admission looks at the namespace before anything else, so whatever else it said, the namespace is there.
		return pass("%s (seen by a dry run: it may not be read)", ns)
	case apierrors.IsForbidden(err):
		return unknown("it may not be read (needs get namespaces)").
			remedies("ask for the ClusterRole view in the namespace, or go on: a missing namespace stops the first write")
	default:
		return unknown("it cannot be read: %v", err)
	}
}

func checkPermissions(f Facts) Outcome {
	if len(f.Access) == 0 {
		return skip("nothing is needed")
	}
	var denied, reduced, unanswered []Access
	granted := 0
	for _, a := range f.Access {
		switch {
		case a.Permission.OnlyWith != "" && !f.offers(a.Permission.OnlyWith):
		case a.Err != nil:
			unanswered = append(unanswered, a)
		case a.Allowed:
			granted++
		case a.Permission.Optional:
			reduced = append(reduced, a)
		default:
			denied = append(denied, a)
		}
	}
	ns := f.Request.Namespace
	ask := []string{
		"ask for a Role with exactly the rights that are needed; this prints it: kubectl jina check --print-rbac -n " + ns,
		"or for the ClusterRole edit, which has them for Kubernetes' own kinds: kubectl create rolebinding jina -n " + ns + " --clusterrole=edit --user=USER",
	}
	switch {
	case len(denied) > 0:
		return fail("in namespace %s the user may not %s%s", ns, verbs(denied), reason(denied)).remedies(ask...)
	case len(unanswered) > 0:
		return unknown("the API server does not tell whether the user may %s in namespace %s: %v",
			verbs(unanswered), ns, unanswered[0].Err).
			remedies("access reviews need create selfsubjectrulesreviews and selfsubjectaccessreviews.authorization.k8s.io, which every user has by default; or go on: a missing right stops the write that needs it")
	case len(reduced) > 0:
		return warn("in namespace %s the user may not %s (%s)", ns, verbs(reduced), purposes(reduced)).remedies(ask...)
	default:
		return pass("all %d rights in namespace %s", granted, ns)
	}
}

// verbs lists what is denied, the verbs of a resource together and in the order of the request:
// "create, patch configmaps; patch deployments.apps/scale".
func verbs(list []Access) string {
	var targets []string
	byTarget := map[string][]string{}
	for _, a := range list {
		t := a.Permission.Target()
		if byTarget[t] == nil {
			targets = append(targets, t)
		}
		byTarget[t] = append(byTarget[t], a.Permission.Verb)
	}
	parts := make([]string, 0, len(targets))
	for _, t := range targets {
		parts = append(parts, strings.Join(byTarget[t], ", ")+" "+t)
	}
	return strings.Join(parts, "; ")
}

// purposes lists what the permissions are for and what happens without, each once.
func purposes(list []Access) string {
	var parts []string
	for _, a := range list {
		part := a.Permission.For
		if a.Permission.Without != "" {
			part += ", else " + a.Permission.Without
		}
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return "needed " + strings.Join(parts, "; ")
}

// reason is the authorizer's own, where it gave one.
func reason(list []Access) string {
	for _, a := range list {
		if a.Reason != "" {
			return " (" + a.Reason + ")"
		}
	}
	return ""
}
