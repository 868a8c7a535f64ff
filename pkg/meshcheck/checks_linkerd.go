package meshcheck

import (
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/kubectl/pkg/util/podutils"
)

// linkerdGroups are the API groups of Linkerd's CRDs, which any authenticated user can see.
var linkerdGroups = [...]string{"linkerd.io", "policy.linkerd.io"}

// linkerdComponents without which no meshed pod starts as it should.
var linkerdComponents = [...]string{"destination", "identity", "proxy-injector"}

func withoutMesh() Outcome { return skip("--mesh none: not asked") }

// linkerdMissing tells that the cluster was asked and has no Linkerd. An injected pod is a stronger proof than the
// list of groups.
func (f Facts) linkerdMissing() bool {
	return f.Groups.Known() && len(f.linkerdGroups()) == 0 && classify(f.DryRun) != injected
}

func (f Facts) linkerdGroups() []string {
	var found []string
	for _, g := range linkerdGroups {
		if slices.Contains(f.Groups.Value, g) {
			found = append(found, g)
		}
	}
	return found
}

func checkInstalled(f Facts) Outcome {
	groups := f.linkerdGroups()
	switch {
	case f.Request.Mesh == MeshNone:
		return withoutMesh()
	case f.Groups.Known() && len(groups) > 0:
		return pass("API groups %s", strings.Join(groups, ", "))
	case classify(f.DryRun) == injected:
		return pass("its injector answers")
	case !f.Groups.Known():
		return unknown("the API groups cannot be read: %v", f.Groups.Err).
			remedies("every authenticated user can read them by default (the ClusterRole system:discovery)")
	default:
		return fail("the cluster has none of the API groups %s", strings.Join(linkerdGroups[:], ", "))
	}
}

func checkInjection(f Facts) Outcome {
	if f.Request.Mesh == MeshNone {
		return withoutMesh()
	}
	ns := f.Request.Namespace
	switch classify(f.DryRun) {
	case injected:
		return pass("%s", describeProxy(f.DryRun.Value))
	case notInjected:
		if f.linkerdMissing() {
			return skip("Linkerd is not installed")
		}
		return explainNotInjected(f)
	case namespaceGone:
		return skip("the namespace is not there")
	case forbidden:
		return unknown("forbidden: needs create pods in namespace %s, for a dry run", ns).
			remedies("ask for create on pods there; without it the real pods show it after the rollout")
	case noDryRun:
		return unknown("a webhook of the cluster allows no dry runs: %v", f.DryRun.Err).
			remedies("the real pods show it after the rollout")
	case quotaExceeded:
		return warn("a quota left no room for the dry-run pod, so it is not known: %v", f.DryRun.Err).
			remedies("make room: kubectl describe quota -n " + ns)
	case quotaDemands:
		return explainQuota(f)
	case injectorDown:
		return fail("Linkerd's injector does not answer, and no pod can be made until it does: %v", f.DryRun.Err).
			remedies(injectorRemedy(f), goOnWithout)
	case otherWebhookDown:
		return warn("a webhook of the cluster does not answer, so it is not known: %v", f.DryRun.Err).
			remedies("no pod can be made until it does: ask the cluster's administrator")
	case rejected:
		return explainRejected(f)
	default:
		return unknown("the dry run of a pod was not answered: %v", f.DryRun.Err).remedies("try again")
	}
}

func describeProxy(pod *corev1.Pod) string {
	form := "an ordinary container"
	if isNativeSidecar(pod, proxyContainer) {
		form = "a native sidecar"
	}
	edition := pod.Annotations[proxyVersionAnnotation]
	if edition == "" {
		edition = "of a version that it does not tell"
	}
	return fmt.Sprintf("proxy %s, as %s", edition, form)
}

// explainQuota: a quota on requests or limits refuses every pod that does not name them. Linkerd's containers name
// none by default.
func explainQuota(f Facts) Outcome {
	o := fail("a quota refuses every pod of this shape: %v", f.DryRun.Err)
	if strings.Contains(f.DryRun.Err.Error(), proxyContainer) {
		return o.remedies(
			"give Linkerd's containers requests and limits, by annotations of the namespace: "+
				"config.linkerd.io/proxy-cpu-request, proxy-cpu-limit, proxy-memory-request, proxy-memory-limit",
			goOnWithout)
	}
	return o.remedies("give the Flow's containers requests and limits, or the namespace a LimitRange with defaults")
}

// explainRejected: what admission says of this pod it will say of the workload's.
func explainRejected(f Facts) Outcome {
	text := f.DryRun.Err.Error()
	o := fail("the pod is refused: %s", text)
	if !strings.Contains(text, "PodSecurity") {
		return o.remedies("the Flow's own pods would be refused too: change what the message names")
	}
	ns := f.Request.Namespace
	relax := fmt.Sprintf("lower the level of the namespace: kubectl label namespace %s pod-security.kubernetes.io/enforce=privileged --overwrite", ns)
	if !strings.Contains(text, proxyInitContainer) {
		return o.remedies("give the pods the security context that the message names", "or "+relax)
	}
	return o.remedies(
		"install Linkerd with its CNI plugin, which needs no privileged init container: https://linkerd.io/2/features/cni/",
		"or "+relax, goOnWithout)
}

// cause is a reason why the injector left a pod alone, and what to do about it.
type cause struct{ what, remedy string }

// explainNotInjected: Linkerd never says why it leaves a pod alone (measured on edge-26.8: no warning, no event), so
// the reasons are looked for in what can be read.
func explainNotInjected(f Facts) Outcome {
	causes := slices.Concat(podCauses(f), namespaceCauses(f), injectorCauses(f))
	ns := f.Request.Namespace
	if len(causes) == 0 {
		text := fmt.Sprintf("a pod in namespace %s gets no proxy: the injector does not answer, and the API server goes on without it (failurePolicy Ignore)", ns)
		if f.Namespace.Err != nil {
			text += "; or the namespace forbids it, which may not be read (needs get namespaces)"
		}
		return fail("%s", text).remedies(injectorRemedy(f), goOnWithout)
	}
	var what, remedy []string
	for _, c := range causes {
		what = append(what, c.what)
		if !slices.Contains(remedy, c.remedy) {
			remedy = append(remedy, c.remedy)
		}
	}
	return fail("a pod in namespace %s gets no proxy: %s", ns, strings.Join(what, "; ")).
		remedies(append(remedy, goOnWithout)...)
}

// asksForProxy tells whether a value of linkerd.io/inject does. An empty value is as good as none.
func asksForProxy(value string) bool { return value == "enabled" || value == "ingress" }

// podCauses are in the pod's own template.
func podCauses(f Facts) []cause {
	var causes []cause
	pod := f.DryRun.Value
	value := pod.Annotations[injectAnnotation]
	annotate := "annotate the pod template: " + injectAnnotation + ": enabled"
	switch {
	case value == "" && f.Namespace.Known() && !asksForProxy(f.Namespace.Value.Annotations[injectAnnotation]):
		causes = append(causes, cause{"neither the pod nor the namespace is annotated " + injectAnnotation + ": enabled", annotate})
	case value == "disabled":
		causes = append(causes, cause{"the pod template is annotated " + injectAnnotation + ": disabled", annotate})
	case value != "" && !asksForProxy(value):
		causes = append(causes, cause{fmt.Sprintf("the pod template is annotated %s: %s, which is no valid value", injectAnnotation, value), annotate})
	}
	if pod.Spec.HostNetwork {
		causes = append(causes, cause{"the pod uses the host's network, which Linkerd leaves alone", "take hostNetwork out of the pod template"})
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.Name == istioContainer {
			causes = append(causes, cause{"the pod has a proxy of Istio already (container istio-proxy)", "let one mesh alone inject into the namespace"})
		}
	}
	return causes
}

// namespaceCauses are in the namespace, where it can be read.
func namespaceCauses(f Facts) []cause {
	name := f.Request.Namespace
	if name == "kube-system" || name == "cert-manager" {
		return []cause{{"Linkerd leaves the namespace " + name + " alone", "choose another namespace: -n NAMESPACE"}}
	}
	if !f.Namespace.Known() {
		return nil
	}
	var causes []cause
	ns := f.Namespace.Value
	if ns.Labels[webhooksLabel] == "disabled" {
		causes = append(causes, cause{
			"the namespace is labelled " + webhooksLabel + "=disabled",
			fmt.Sprintf("take the label away: kubectl label namespace %s %s-", name, webhooksLabel),
		})
	}
	// An invalid value on the namespace disables a valid one on the pod; a valid "disabled" does not.
	if value := ns.Annotations[injectAnnotation]; value != "" && value != "disabled" && !asksForProxy(value) {
		causes = append(causes, cause{
			fmt.Sprintf("the namespace is annotated %s: %s, which is no valid value and disables injection", injectAnnotation, value),
			fmt.Sprintf("correct it: kubectl annotate namespace %s %s=enabled --overwrite", name, injectAnnotation),
		})
	}
	return causes
}

// injectorCauses are in Linkerd itself, where it can be read.
func injectorCauses(f Facts) []cause {
	if f.Webhook.Asked && apierrors.IsNotFound(f.Webhook.Err) {
		return []cause{{
			"Linkerd's CRDs are there, but its injector is not (no MutatingWebhookConfiguration " + injectorWebhook + ")",
			"finish the installation of Linkerd: linkerd install | kubectl apply -f -",
		}}
	}
	if f.ControlPlane.Known() && slices.Contains(notReady(f.ControlPlane.Value), "proxy-injector") {
		policy := ""
		if f.Webhook.Known() && failurePolicy(f.Webhook.Value) == admissionregistrationv1.Ignore {
			policy = ", and the API server goes on without it (failurePolicy Ignore)"
		}
		return []cause{{
			"Linkerd's injector has no ready pod in namespace " + f.ControlPlane.Value.Namespace + policy,
			injectorRemedy(f),
		}}
	}
	return nil
}

func injectorRemedy(f Facts) string {
	ns := controlPlaneNamespace(f)
	return fmt.Sprintf("look at the injector, or ask the cluster's administrator to: kubectl get pods -n %s -l %s=proxy-injector", ns, componentLabel)
}

func checkControlPlane(f Facts) Outcome {
	switch {
	case f.Request.Mesh == MeshNone:
		return withoutMesh()
	case f.linkerdMissing():
		return skip("Linkerd is not installed")
	case !f.ControlPlane.Asked:
		return skip("not asked")
	}
	ns := f.ControlPlane.Value.Namespace
	switch err := f.ControlPlane.Err; {
	case apierrors.IsForbidden(err):
		return unknown("forbidden: needs list pods in namespace %s", ns).
			remedies("nothing to do: injection decides; an administrator can look with linkerd check")
	case err != nil:
		return unknown("Linkerd's pods in namespace %s cannot be listed: %v", ns, err)
	}
	missing := notReady(f.ControlPlane.Value)
	if len(missing) == 0 {
		return pass("%s are ready in namespace %s", strings.Join(linkerdComponents[:], ", "), ns)
	}
	o := warn("no ready pod of %s in namespace %s", strings.Join(missing, ", "), ns)
	if dry := classify(f.DryRun); dry == notInjected || dry == injectorDown {
		o.Status = StatusFail
	}
	return o.remedies(fmt.Sprintf("kubectl get pods -n %s -l %s", ns, componentLabel), "linkerd check tells what is wrong with it")
}

// notReady are the components without a ready pod, in the order of linkerdComponents.
func notReady(c ControlPlane) []string {
	var missing []string
	for _, component := range linkerdComponents {
		// The pod's own condition counts every container and native sidecar. (linkerd-init ends, so that "every init container is
		// started" would never hold.)
		if !slices.ContainsFunc(c.Pods, func(p corev1.Pod) bool {
			return p.Labels[componentLabel] == component && p.DeletionTimestamp == nil && podutils.IsPodReady(&p)
		}) {
			missing = append(missing, component)
		}
	}
	return missing
}

func checkBalanced(f Facts) Outcome {
	parts := f.Request.MultiReplicaParts
	switch {
	case f.Request.Mesh == MeshLinkerd:
		return skip("Linkerd does it where its proxy is injected: see %s", linkerdInjection)
	case len(parts) == 0:
		return pass("no part has more than one replica")
	default:
		return warn("--mesh none: the replicas of %s will not share the load (measured: 1,322 of 1,322 requests went to one replica of three)",
			enumerate(parts))
	}
}

// enumerate names the first few and counts the rest.
func enumerate(names []string) string {
	const shown = 5
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
