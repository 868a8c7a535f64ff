package meshcheck

import "k8s.io/apimachinery/pkg/runtime/schema"

// Command is a command of the plugin that sends requests to a cluster.
type Command string

// The commands. What CommandPlan needs is a part of what CommandUp needs.
const (
	CommandUp    Command = "up"
	CommandPlan  Command = "plan"
	CommandScale Command = "scale"
	// CommandRestart, CommandPause and CommandResume change running workloads, as CommandScale does.
	CommandRestart Command = "restart"
	CommandPause   Command = "pause"
	CommandResume  Command = "resume"
	CommandStatus  Command = "status"
	CommandList    Command = "list"
	CommandLogs    Command = "logs"
	// CommandPing and CommandPortForward reach pods through the API server.
	CommandPing        Command = "ping"
	CommandPortForward Command = "port-forward"
	CommandDown        Command = "down"
	CommandCheck       Command = "check"
)

// Scope is where a right is granted.
type Scope string

const (
	// ScopeNamespace: in the Flow's namespace, by a Role.
	ScopeNamespace Scope = "the Flow's namespace"
	// ScopeMesh: in the namespace of Linkerd's control plane.
	ScopeMesh Scope = "Linkerd's namespace"
	// ScopeCluster: in the whole cluster, by a ClusterRole.
	ScopeCluster Scope = "the cluster"
	// ScopeEveryone: every authenticated user has it by default, by the ClusterRole system:basic-user.
	ScopeEveryone Scope = "everyone"
)

// Need is how much a command needs a right. A need that depends on what the command is to do is required for doing that.
type Need string

const (
	// NeedAlways: the command does nothing without.
	NeedAlways Need = "required"
	// NeedPrune: up deletes what the file no longer has.
	NeedPrune Need = "when the plan deletes"
	// NeedRecreate: up deletes and creates what cannot be changed in place.
	NeedRecreate Need = "when the plan recreates"
	// NeedReplicas: up sets the replicas of a workload that somebody else has scaled.
	NeedReplicas Need = "when the file's replicas of a scaled workload changed"
	// NeedRepair: up deletes a broken pod that a StatefulSet's update waits for.
	NeedRepair Need = "when a broken pod is in a StatefulSet's way"
	// NeedNamespace: up is to create the namespace.
	NeedNamespace Need = "with --create-namespace"
	// NeedOptional: the command goes on without, with less.
	NeedOptional Need = "optional"
)

// Right is a row of the table of what the commands need: everything that one of them asks of an API server, but for
// GET /version and GET /apis, which every authenticated user may send.
type Right struct {
	// Verbs on Resources, which are named as in Kubernetes' API and for the kinds of the Flow at hand; Subresource of each.
	Verbs       []string
	Resources   []schema.GroupResource
	Subresource string
	Scope       Scope
	// For says what it is needed for, as the end of a sentence that starts with "to".
	For string
	// Without says what a command that goes on without does then, as the end of a sentence that starts with "else".
	Without string
	// Needs of the commands; one that is not in it never uses the right.
	Needs map[Command]Need
	// Group of the API that has to be offered for the right to matter; empty for Kubernetes' own.
	Group string

	// told: the checks send the very request, so that nothing has to be asked about it before.
	told bool
}

// Rights is the table of what the commands need for a Flow with objects of the given kinds. Kinds are those of Kubernetes itself
// or of custom resources whose resource is the regular plural of the kind. Everything else about rights follows from it.
func Rights(kinds []schema.GroupKind) []Right {
	members := resourcesOf(withRecord(kinds))
	workloads := resourcesOf(workloadsOf(kinds))
	rights := []Right{
		{Verbs: []string{"get"}, Resources: resourcesOf([]schema.GroupKind{record}), Scope: ScopeNamespace,
			For:   "to read the Flow's record",
			Needs: needs(NeedAlways, CommandUp, CommandPlan, CommandScale, CommandRestart, CommandPause, CommandResume, CommandStatus, CommandDown, CommandPing, CommandPortForward, CommandLogs)},
		{Verbs: []string{"list"}, Resources: resourcesOf([]schema.GroupKind{record}), Scope: ScopeNamespace,
			For:   "to find the Flow of the namespace",
			Needs: needs(NeedAlways, CommandScale, CommandRestart, CommandPause, CommandResume, CommandStatus, CommandDown, CommandPing, CommandPortForward, CommandLogs, CommandList)},
		{Verbs: []string{"patch"}, Resources: resourcesOf([]schema.GroupKind{record}), Scope: ScopeNamespace,
			For:   "to write down in the Flow's record that it is paused",
			Needs: needs(NeedAlways, CommandPause, CommandResume)},
	}
	rights = append(rights, memberRights(members, workloads)...)
	rights = append(rights, replicaRights(workloads)...)
	rights = append(rights, rolloutRights(workloads)...)
	rights = append(rights, repairRights()...)
	rights = append(rights, reachRights()...)
	return append(rights, aroundRights()...)
}

// memberRights are about the objects of the Flow.
func memberRights(members, workloads []schema.GroupResource) []Right {
	return []Right{
		{Verbs: []string{"list"}, Resources: members, Scope: ScopeNamespace,
			For:   "to see what the Flow has in the cluster",
			Needs: needs(NeedAlways, CommandUp, CommandPlan, CommandDown)},
		{Verbs: []string{"list"}, Resources: workloads, Scope: ScopeNamespace,
			For:   "to find the Flow's workloads, and to tell whether they are ready",
			Needs: needs(NeedAlways, CommandScale, CommandRestart, CommandPause, CommandResume, CommandPing, CommandPortForward, CommandLogs)},
		{Verbs: []string{"patch"}, Resources: workloads, Scope: ScopeNamespace,
			For:   "to restart pods by an annotation on their template",
			Needs: needs(NeedAlways, CommandRestart)},
		{Verbs: []string{"list"}, Resources: resourcesOf(allWorkloads()), Scope: ScopeNamespace,
			For:   "to tell whether the Flow's workloads are ready",
			Needs: needs(NeedAlways, CommandStatus, CommandList)},
		// create: the API server asks for it when a server-side apply, a patch, makes an object, and for a dry run as well.
		{Verbs: []string{"create", "patch"}, Resources: members, Scope: ScopeNamespace,
			For:   "to apply the Flow's objects; plan only asks by a dry run what that would change",
			Needs: needs(NeedAlways, CommandUp, CommandPlan)},
		{Verbs: []string{"delete"}, Resources: members, Scope: ScopeNamespace,
			For:   "to delete what the Flow no longer has",
			Needs: map[Command]Need{CommandUp: NeedPrune, CommandDown: NeedAlways}},
		{Verbs: []string{"delete"}, Resources: members, Scope: ScopeNamespace,
			For:   "to delete, and to create again, what cannot be changed in place",
			Needs: needs(NeedRecreate, CommandUp)},
		{Verbs: []string{"get", "create", "update"}, Resources: resourcesOf([]schema.GroupKind{lease}), Scope: ScopeNamespace,
			For:   "to keep two runs on one Flow apart",
			Needs: needs(NeedAlways, CommandUp, CommandPause, CommandResume, CommandDown)},
		{Verbs: []string{"delete"}, Resources: resourcesOf([]schema.GroupKind{lease}), Scope: ScopeNamespace,
			For:   "to leave nothing behind",
			Needs: needs(NeedAlways, CommandDown)},
	}
}

// replicaRights are about who decides on replicas.
func replicaRights(workloads []schema.GroupResource) []Right {
	return []Right{
		{Verbs: []string{"patch"}, Resources: workloads, Subresource: "scale", Scope: ScopeNamespace,
			For:   "to change replicas",
			Needs: map[Command]Need{CommandUp: NeedReplicas, CommandScale: NeedAlways, CommandPause: NeedAlways, CommandResume: NeedAlways}},
		{Verbs: []string{"list"}, Resources: []schema.GroupResource{{Group: "autoscaling", Resource: "horizontalpodautoscalers"}}, Scope: ScopeNamespace,
			For:     "to leave replicas to an autoscaler that has not changed them yet",
			Without: "only one that has is seen",
			Needs:   needs(NeedOptional, CommandUp, CommandPlan, CommandScale, CommandPause, CommandResume, CommandStatus)},
		{Verbs: []string{"list"}, Resources: []schema.GroupResource{{Group: kedaGroup, Resource: "scaledobjects"}}, Scope: ScopeNamespace, Group: kedaGroup,
			For:     "to leave replicas to KEDA",
			Without: "its HorizontalPodAutoscaler is seen a moment later",
			Needs:   needs(NeedOptional, CommandUp, CommandPlan, CommandScale, CommandPause, CommandResume, CommandStatus)},
	}
}

// repairRights are about pods that keep a StatefulSet from its newest revision.
func repairRights() []Right {
	pods := []schema.GroupResource{{Resource: "pods"}}
	return []Right{
		{Verbs: []string{"list"}, Resources: pods, Scope: ScopeNamespace,
			For:     "to see which broken pods a StatefulSet's update waits for",
			Without: "that is not known",
			Needs:   needs(NeedOptional, CommandUp, CommandPlan)},
		{Verbs: []string{"delete"}, Resources: pods, Scope: ScopeNamespace,
			For:   "to delete broken pods that a StatefulSet's update waits for",
			Needs: needs(NeedRepair, CommandUp)},
	}
}

// rolloutRights are about following a rollout and saying why something is not ready.
func rolloutRights(workloads []schema.GroupResource) []Right {
	pods := []schema.GroupResource{{Resource: "pods"}}
	replicaSets := []schema.GroupResource{{Group: "apps", Resource: "replicasets"}}
	return []Right{
		{Verbs: []string{"list"}, Resources: pods, Scope: ScopeNamespace,
			For:     "to tell why a pod is not ready",
			Without: "reasons, restarts and crashes are not known",
			Needs:   map[Command]Need{CommandUp: NeedAlways, CommandScale: NeedAlways, CommandRestart: NeedAlways, CommandPause: NeedAlways, CommandResume: NeedAlways, CommandStatus: NeedOptional, CommandPing: NeedAlways, CommandPortForward: NeedAlways, CommandList: NeedOptional, CommandLogs: NeedAlways}},
		{Verbs: []string{"list"}, Resources: replicaSets, Scope: ScopeNamespace,
			For:     "to tell why pods are not made",
			Without: "such reasons are not known",
			Needs:   needs(NeedOptional, CommandUp, CommandScale, CommandRestart, CommandResume, CommandStatus, CommandList)},
		{Verbs: []string{"list", "watch"}, Resources: []schema.GroupResource{{Resource: "events"}}, Scope: ScopeNamespace,
			For:     "to tell what only events say: a volume, a probe",
			Without: "it is not known",
			Needs:   needs(NeedOptional, CommandUp, CommandScale, CommandRestart, CommandResume, CommandStatus)},
		{Verbs: []string{"get"}, Resources: pods, Subresource: "log", Scope: ScopeNamespace,
			For:     "to show why a container ends",
			Without: "its log is not shown",
			Needs:   needs(NeedOptional, CommandUp, CommandScale, CommandRestart, CommandResume, CommandStatus)},
		{Verbs: []string{"get"}, Resources: pods, Subresource: "log", Scope: ScopeNamespace,
			For:   "to print logs",
			Needs: needs(NeedAlways, CommandLogs)},
		{Verbs: []string{"watch"}, Resources: pods, Scope: ScopeNamespace,
			For:     "to follow the logs of new pods",
			Without: "they are looked for every two seconds",
			Needs:   needs(NeedOptional, CommandLogs)},
		{Verbs: []string{"watch"}, Resources: append(append([]schema.GroupResource{}, workloads...), append(pods, replicaSets...)...), Scope: ScopeNamespace,
			For:     "to follow a rollout",
			Without: "it is polled every two seconds",
			Needs:   needs(NeedOptional, CommandUp, CommandScale, CommandRestart, CommandResume, CommandStatus)},
		{Verbs: []string{"watch"}, Resources: pods, Scope: ScopeNamespace,
			For:     "to see the pods end",
			Without: "they are looked for every two seconds",
			Needs:   needs(NeedOptional, CommandPause)},
	}
}

// reachRights are about talking to what runs in the pods.
func reachRights() []Right {
	return []Right{
		{Verbs: []string{"create"}, Resources: []schema.GroupResource{{Resource: "pods"}}, Subresource: "portforward", Scope: ScopeNamespace,
			For:     "to ask the Flow whether it answers",
			Without: "that is not known",
			Needs:   map[Command]Need{CommandUp: NeedOptional, CommandPing: NeedAlways, CommandPortForward: NeedAlways}},
	}
}

// aroundRights are about the namespace, the mesh and the rights themselves.
func aroundRights() []Right {
	namespaces := []schema.GroupResource{{Resource: "namespaces"}}
	return []Right{
		{Verbs: []string{"create"}, Resources: []schema.GroupResource{{Resource: "pods"}}, Scope: ScopeNamespace,
			For:     "to prove by a dry run that the mesh injects its proxy",
			Without: "that is not known",
			Needs:   needs(NeedOptional, CommandUp, CommandCheck)},
		{Verbs: []string{"get"}, Resources: namespaces, Scope: ScopeNamespace, told: true,
			For:     "to tell a namespace that is not there from an empty one, and why the mesh injects nothing",
			Without: "the first write tells",
			Needs:   needs(NeedOptional, CommandUp, CommandPlan, CommandCheck)},
		{Verbs: []string{"create"}, Resources: namespaces, Scope: ScopeCluster, told: true,
			For:   "to create the namespace",
			Needs: needs(NeedNamespace, CommandUp)},
		{Verbs: []string{"get"}, Resources: []schema.GroupResource{{Group: "admissionregistration.k8s.io", Resource: "mutatingwebhookconfigurations"}}, Scope: ScopeCluster, told: true,
			For:     "to find Linkerd's control plane, and to tell why nothing is injected",
			Without: "it is looked for in the namespace linkerd",
			Needs:   needs(NeedOptional, CommandUp, CommandCheck)},
		{Verbs: []string{"list"}, Resources: []schema.GroupResource{{Resource: "pods"}}, Scope: ScopeMesh, told: true,
			For:     "to tell whether Linkerd's control plane is ready",
			Without: "that is not known",
			Needs:   needs(NeedOptional, CommandUp, CommandCheck)},
		{Verbs: []string{"create"}, Resources: []schema.GroupResource{
			{Group: "authorization.k8s.io", Resource: "selfsubjectrulesreviews"}, {Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"},
		}, Scope: ScopeEveryone, told: true,
			For:     "to know a missing right before anything is written",
			Without: "the request that needs it is refused",
			Needs:   needs(NeedOptional, CommandUp, CommandScale, CommandRestart, CommandPause, CommandResume, CommandDown, CommandCheck, CommandPing, CommandPortForward)},
	}
}

func needs(n Need, commands ...Command) map[Command]Need {
	m := make(map[Command]Need, len(commands))
	for _, c := range commands {
		m[c] = n
	}
	return m
}
