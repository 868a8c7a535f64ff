package meshcheck

// The IDs of the checks.
const (
	apiReachable        = "api-reachable"
	apiVersion          = "api-version"
	namespace           = "namespace"
	permissionsCheck    = "permissions"
	linkerdInstalled    = "linkerd-installed"
	linkerdInjection    = "linkerd-injection"
	linkerdControlPlane = "linkerd-control-plane"
	replicasBalanced    = "replicas-balanced"
)

// goOnWithout is the way on that needs no mesh.
const goOnWithout = "or go on without a mesh, at the price that the replicas of a part do not share its load: --mesh none"

// installLinkerd are the remedies for a cluster without Linkerd. The two commands are Linkerd's own
// (https://linkerd.io/2/getting-started/); since 2.18 the installer wants the Gateway API's CRDs first.
func installLinkerd() []string {
	return []string{
		"install Linkerd (an administrator does this once): linkerd install --crds | kubectl apply -f -",
		"and then: linkerd install | kubectl apply -f -",
		"recent editions of Linkerd need the CRDs of the Gateway API before that, and say so: https://gateway-api.sigs.k8s.io/guides/",
		goOnWithout,
	}
}

// Checks is the table of all checks, in the order in which they are shown.
func Checks() []Check {
	return []Check{
		{
			ID: apiReachable, Group: groupKubernetes, Decides: true,
			Title: "the API server answers and knows the user",
			Why:   "Nothing can be said about a cluster that does not answer.",
			run:   checkReachable,
		}, {
			ID: apiVersion, Group: groupKubernetes, Decides: true,
			Title:  "Kubernetes is 1.27 or later",
			Why:    "The objects of a Flow use fields that older servers drop or refuse: gRPC probes are stable since 1.27.",
			Remedy: []string{"upgrade the cluster to Kubernetes 1.27 or later"},
			run:    checkVersion,
		}, {
			ID: namespace, Group: groupKubernetes, Decides: true,
			Title: "the namespace exists",
			Why:   "A Flow is written into one namespace, which has to be there and to stay.",
			run:   checkNamespace,
		}, {
			ID: permissionsCheck, Group: groupKubernetes, Decides: true,
			Title: "the user may do what is needed",
			Why:   "A right that is missing would stop the command half way, with a part of the Flow written.",
			run:   checkPermissions,
		}, {
			ID: linkerdInstalled, Group: groupMesh, Decides: true,
			Title:  "Linkerd is installed",
			Why:    "Jina speaks gRPC, whose requests all go over one connection: without a mesh one replica of a part gets them all.",
			Remedy: installLinkerd(),
			run:    checkInstalled,
		}, {
			ID: linkerdInjection, Group: groupMesh, Decides: true,
			Title:  "Linkerd injects its proxy into the Flow's pods",
			Why:    "Linkerd leaves pods without its proxy without a word, and then nothing balances between replicas.",
			Remedy: []string{goOnWithout},
			run:    checkInjection,
		}, {
			ID: linkerdControlPlane, Group: groupMesh,
			Title:  "Linkerd's control plane is ready",
			Why:    "The proxies take endpoints, certificates and policies from it: new pods hang or do without where it is down.",
			Remedy: []string{"linkerd check tells what is wrong with it"},
			run:    checkControlPlane,
		}, {
			ID: replicasBalanced, Group: groupMesh,
			Title:  "the replicas of a part share its load",
			Why:    "Without a mesh they do not: 1,322 of 1,322 requests went to one replica of three.",
			Remedy: []string{"run it with Linkerd: --mesh linkerd"},
			run:    checkBalanced,
		},
	}
}
