package meshcheck

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func kinds(names ...string) []schema.GroupKind {
	var ks []schema.GroupKind
	for _, n := range names {
		ks = append(ks, schema.ParseGroupKind(n))
	}
	return ks
}

// describe writes permissions as a table does: target, verbs, optional ones in brackets.
func describe(ps []Permission) []string {
	var lines []string
	at := map[string]int{}
	for _, p := range ps {
		i, there := at[p.Target()]
		if !there {
			i = len(lines)
			at[p.Target()] = i
			lines = append(lines, p.Target()+":")
		}
		verb := p.Verb
		if p.Optional {
			verb = "[" + verb + "]"
		}
		lines[i] += " " + verb
	}
	return lines
}

func TestAPermissionThatIsRequiredOnceIsRequired(t *testing.T) {
	get := Permission{Verb: "get", Resource: "pods", For: "to look"}
	optional := get
	optional.Optional = true
	for _, order := range [][]Permission{{get, optional}, {optional, get}} {
		var ps permissions
		for _, p := range order {
			ps.insert(p)
		}
		if len(ps) != 1 || ps[0].Optional {
			t.Errorf("%v became %v", order, ps)
		}
	}
}

func TestPermissionsOfCommands(t *testing.T) {
	flow := kinds("ConfigMap", "Service", "Deployment.apps")
	for _, tt := range []struct {
		command string
		got     []Permission
		want    []string
	}{
		{"up", UpPermissions(flow), []string{
			"configmaps: get list create patch",
			"services: list create patch",
			"deployments.apps: list create patch [watch]",
			"leases.coordination.k8s.io: get create update",
			"horizontalpodautoscalers.autoscaling: [list]",
			"scaledobjects.keda.sh: [list]",
			"pods: list [watch] [create]",
			"replicasets.apps: [list] [watch]",
			"events: [list] [watch]",
			"pods/log: [get]",
			"pods/portforward: [create]",
		}},
		{"up that prunes", PrunePermissions(kinds("StatefulSet.apps", "Service")), []string{
			"statefulsets.apps: delete", "services: delete",
		}},
		{"up that recreates", RecreatePermissions(kinds("Service", "Deployment.apps")), []string{
			"services: delete", "deployments.apps: delete",
		}},
		{"up that scales", ReplicasPermissions(kinds("StatefulSet.apps", "Service", "Deployment.apps")), []string{
			"statefulsets.apps/scale: patch", "deployments.apps/scale: patch",
		}},
		{"ping", ChangePermissions(CommandPing, flow), []string{
			"configmaps: get list", "deployments.apps: list", "pods: list", "pods/portforward: create",
		}},
		{"scale", ChangePermissions(CommandScale, flow), []string{
			"configmaps: get list",
			"deployments.apps: list [watch]",
			"deployments.apps/scale: patch",
			"horizontalpodautoscalers.autoscaling: [list]",
			"scaledobjects.keda.sh: [list]",
			"pods: list [watch]",
			"replicasets.apps: [list] [watch]",
			"events: [list] [watch]",
			"pods/log: [get]",
		}},
		{"restart", ChangePermissions(CommandRestart, flow), []string{
			"configmaps: get list",
			"deployments.apps: list patch [watch]",
			"pods: list [watch]",
			"replicasets.apps: [list] [watch]",
			"events: [list] [watch]",
			"pods/log: [get]",
		}},
		{"pause", ChangePermissions(CommandPause, flow), []string{
			"configmaps: get list patch",
			"deployments.apps: list",
			"leases.coordination.k8s.io: get create update",
			"deployments.apps/scale: patch",
			"horizontalpodautoscalers.autoscaling: [list]",
			"scaledobjects.keda.sh: [list]",
			"pods: list [watch]",
		}},
		{"resume", ChangePermissions(CommandResume, flow), []string{
			"configmaps: get list patch",
			"deployments.apps: list [watch]",
			"leases.coordination.k8s.io: get create update",
			"deployments.apps/scale: patch",
			"horizontalpodautoscalers.autoscaling: [list]",
			"scaledobjects.keda.sh: [list]",
			"pods: list [watch]",
			"replicasets.apps: [list] [watch]",
			"events: [list] [watch]",
			"pods/log: [get]",
		}},
		{"down", DownPermissions(flow), []string{
			"configmaps: get list delete", "services: list delete", "deployments.apps: list delete",
			"leases.coordination.k8s.io: get create update delete",
		}},
		{"check", CheckPermissions(flow), []string{
			"configmaps: get list create patch [delete]",
			"services: list create patch [delete]",
			"deployments.apps: list create patch [watch] [delete]",
			"leases.coordination.k8s.io: get create update [delete]",
			"horizontalpodautoscalers.autoscaling: [list]",
			"scaledobjects.keda.sh: [list]",
			"pods: list [watch] [create] [delete]",
			"replicasets.apps: [list] [watch]",
			"events: [list] [watch]",
			"pods/log: [get]",
			"pods/portforward: [create]",
			"deployments.apps/scale: [patch]",
			"statefulsets.apps: [list]",
		}},
		{"other kinds", UpPermissions(kinds("PodDisruptionBudget.policy", "ServiceAccount")), []string{
			"configmaps: get list create patch",
			"poddisruptionbudgets.policy: list create patch",
			"serviceaccounts: list create patch",
			"leases.coordination.k8s.io: get create update",
			"horizontalpodautoscalers.autoscaling: [list]",
			"scaledobjects.keda.sh: [list]",
			"pods: list [watch] [create]",
			"replicasets.apps: [list] [watch]",
			"events: [list] [watch]",
			"pods/log: [get]",
			"pods/portforward: [create]",
		}},
		{"a Role for status", RolePermissions([]Command{CommandStatus}, flow), []string{
			"configmaps: get list",
			"deployments.apps: list [watch]",
			"statefulsets.apps: list",
			"horizontalpodautoscalers.autoscaling: [list]",
			"scaledobjects.keda.sh: [list]",
			"pods: [list] [watch]",
			"replicasets.apps: [list] [watch]",
			"events: [list] [watch]",
			"pods/log: [get]",
		}},
		{"a Role for list", RolePermissions([]Command{CommandList}, flow), []string{
			"configmaps: list",
			"deployments.apps: list",
			"statefulsets.apps: list",
			"pods: [list]",
			"replicasets.apps: [list]",
		}},
		{"a Role for logs", RolePermissions([]Command{CommandLogs}, flow), []string{
			"configmaps: get list",
			"deployments.apps: list",
			"pods: list [watch]",
			"pods/log: get",
		}},
		{"a Role for status and scale", RolePermissions([]Command{CommandStatus, CommandScale}, flow), []string{
			"configmaps: get list",
			"deployments.apps: list [watch]",
			"statefulsets.apps: list",
			"horizontalpodautoscalers.autoscaling: [list]",
			"scaledobjects.keda.sh: [list]",
			"pods: list [watch]",
			"replicasets.apps: [list] [watch]",
			"events: [list] [watch]",
			"pods/log: [get]",
			"deployments.apps/scale: patch",
		}},
	} {
		if got := describe(tt.got); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.command, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
		for _, p := range tt.got {
			if !strings.HasPrefix(p.For, "to ") {
				t.Errorf("%s: %s %s does not say what it is for", tt.command, p.Verb, p.Target())
			}
			if p.Optional && tt.command != "check" && p.Without == "" {
				t.Errorf("%s: %s %s is optional and does not say what happens without", tt.command, p.Verb, p.Target())
			}
		}
	}
}

// TestPlanNeedsAPartOfWhatUpNeeds holds what the type Command says.
func TestPlanNeedsAPartOfWhatUpNeeds(t *testing.T) {
	for _, r := range Rights(kinds("Service", "Deployment.apps", "StatefulSet.apps")) {
		if plan, needed := r.Needs[CommandPlan]; needed && r.Needs[CommandUp] != plan {
			t.Errorf("%v %v: plan %q, up %q", r.Verbs, r.Resources, plan, r.Needs[CommandUp])
		}
	}
}

func TestKEDAIsNotMissedWhereItIsNotInstalled(t *testing.T) {
	var scaledObjects Permission
	for _, p := range UpPermissions(kinds("Deployment.apps")) {
		if p.Group == kedaGroup {
			scaledObjects = p
		}
	}
	denied := func(f *Facts) { f.Access = append(f.Access, Access{Permission: scaledObjects}) }
	installed := func(f *Facts) { f.Groups.Value = append(f.Groups.Value, kedaGroup) }
	unknown := func(f *Facts) { f.Groups = asked[[]string](nil, serverError(500, "no")) }
	for _, tt := range []struct {
		name  string
		facts Facts
		want  Status
	}{
		{"not installed", healthy(denied), StatusPass},
		{"not known", healthy(denied, unknown), StatusPass},
		{"installed", healthy(denied, installed), StatusWarn},
	} {
		if got := resultOf(t, Evaluate(tt.facts), permissionsCheck); got.Status != tt.want {
			t.Errorf("%s: %s: %s", tt.name, got.Status, got.Detail)
		}
	}
}
