// Package testcluster gives tests a real Kubernetes API server: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler in one child process, with nodes and pods that are simulated. It needs Go and nothing else.
//
//	func TestScaledReplicasSurviveUp(t *testing.T) {
//		cluster := testcluster.Start(t)
//		namespace := cluster.Namespace(t)
//		...
//	}
//
// All tests of a run share one cluster, each in namespaces of its own. `make test` starts it once, through
// cmd/testenv; a test binary that is run without starts one for itself, which ends with it. The program that is the
// cluster, the nested module in embedded/, is built once and kept in the user's cache directory: that takes up to ten
// minutes the first time, so a first `go test` without cmd/testenv wants -timeout 30m.
//
// # What is real and what is not
//
// Requests, validation, defaulting, field ownership, admission, RBAC, priority and fairness, controllers, scheduling,
// garbage collection and autoscaling are real. Containers, images, probes, traffic and DNS do not exist. A pod becomes
// Ready at once, unless its annotations say otherwise; on a workload they belong on the pod template:
//
//	sim.test/ready-after: 3s       Ready after this time, ContainerCreating until then
//	sim.test/terminate-after: 3s   stays Terminating this long
//	sim.test/answers: "false"      what stands for Jina in it refuses connections (see below)
//	sim.test/cpu: 200m             what metrics.k8s.io says a container of it uses (sim.test/memory likewise)
//
// # Jina
//
// Behind the ports of pods that run Jina's gateway or executors a stand-in answers whoever comes by a port-forward: dry runs,
// questions about versions and endpoints, health. It goes along the addresses on the command lines, through the Services, to
// pods that are ready, so that a dry run fails when an executor is gone. More of its annotations are in the package standin of
// the nested module. Cluster.Serve puts a server of the test in its place, for one pod.
//
// # Linkerd
//
// The shared cluster has a stand-in for Linkerd: the API groups and objects that a client can see, and an injector that
// decides as Linkerd's does, by the annotation linkerd.io/inject on the pod or the namespace. There is no proxy behind
// it. The cluster is one for all, so a test that needs a cluster without a mesh uses NamespaceWithoutMesh: its label
// config.linkerd.io/admission-webhooks=disabled keeps the injector away, as it does with Linkerd itself; the API groups
// are still there.
//
// # Environment
//
// KUBECTL_JINA_TESTCLUSTER is the path of the shared cluster's kubeconfig. To keep one cluster over many runs:
//
//	$(go run ./internal/testcluster/cmd/testenv -build) start --dir /tmp/c --detach --linkerd --metrics --audit-log audit.log
//	KUBECTL_JINA_TESTCLUSTER=/tmp/c/admin.kubeconfig go test ./...
//
// The kubeconfig has to be the one in the cluster's state directory: the audit log and the certificates are beside it.
package testcluster
