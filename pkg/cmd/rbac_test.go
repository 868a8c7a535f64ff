package cmd

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
)

// rolesIn reads what --print-rbac prints, as strictly as the API server would.
func rolesIn(t *testing.T, text string) []rbacv1.Role {
	t.Helper()
	var roles []rbacv1.Role
	for _, document := range strings.Split(text, "\n---\n") {
		var role rbacv1.Role
		if err := yaml.UnmarshalStrict([]byte(document), &role); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		roles = append(roles, role)
	}
	return roles
}

// printRoles runs check --print-rbac where there is no kubeconfig.
func printRoles(t *testing.T, args ...string) string {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	r := must(t, codeOK, append([]string{"check"}, args...)...)
	if r.errOut != "" {
		t.Errorf("on standard error: %s", r.errOut)
	}
	return r.out
}

const monitoredFlow = `jtype: Flow
with: {name: shop, monitoring: true}
executors:
  - name: encoder
    uses: docker://registry.example/enc:1
`

func TestPrintedRolesAreStable(t *testing.T) {
	for name, args := range map[string][]string{
		"rbac-all.yaml":       {"--print-rbac"},
		"rbac-up.yaml":        {"--print-rbac=up", "-n", "shop"},
		"rbac-scale.yaml":     {"--print-rbac=scale", "-n", "shop"},
		"rbac-restart.yaml":   {"--print-rbac=restart", "-n", "shop"},
		"rbac-pause.yaml":     {"--print-rbac=pause", "-n", "shop"},
		"rbac-resume.yaml":    {"--print-rbac=resume", "-n", "shop"},
		"rbac-ping.yaml":      {"--print-rbac=ping,port-forward", "-n", "shop"},
		"rbac-status.yaml":    {"--print-rbac=status", "-n", "shop"},
		"rbac-logs.yaml":      {"--print-rbac=list,logs", "-n", "shop"},
		"rbac-down.yaml":      {"--print-rbac=down", "-n", "shop"},
		"rbac-monitored.yaml": {"--print-rbac=up,down", "-n", "1e3", "-f", flowFileIn(t, monitoredFlow)},
	} {
		t.Run(name, func(t *testing.T) {
			text := printRoles(t, args...)
			golden(t, name, text)
			for _, role := range rolesIn(t, text) {
				if role.Kind != "Role" || role.APIVersion != "rbac.authorization.k8s.io/v1" || len(role.Rules) == 0 {
					t.Errorf("not a Role: %+v", role)
				}
			}
		})
	}
}

func TestPrintedRolesOfTheSameCommandsAreTheSame(t *testing.T) {
	all := printRoles(t, "--print-rbac")
	names := commandNames(meshcheck.RoleCommands())
	backwards := slices.Clone(names)
	slices.Reverse(backwards)
	for _, value := range []string{"all", strings.Join(names, ","), strings.Join(append(backwards, names[0]), ","), "up,all"} {
		if got := printRoles(t, "--print-rbac="+value); got != all {
			t.Errorf("--print-rbac=%s prints\n%s", value, got)
		}
	}
}

func TestPrintedRolesAreOfTheFlowsOwnKinds(t *testing.T) {
	for _, tt := range []struct {
		flow      string
		has, lack []string
	}{
		{shopFlow, []string{"deployments"}, []string{"statefulsets/scale", "servicemonitors"}},
		{flowOfVolumes, []string{"deployments", "statefulsets/scale"}, []string{"servicemonitors"}},
		{monitoredFlow, []string{"servicemonitors"}, []string{"statefulsets/scale"}},
	} {
		text := printRoles(t, "--print-rbac", "-f", flowFileIn(t, tt.flow))
		for _, want := range tt.has {
			if !strings.Contains(text, want) {
				t.Errorf("no %s for\n%s", want, tt.flow)
			}
		}
		for _, extra := range tt.lack {
			if strings.Contains(text, extra) {
				t.Errorf("%s for\n%s", extra, tt.flow)
			}
		}
	}
}

// TestRulesGiveExactlyThePermissions holds the grouping of rules to what is grouped.
func TestRulesGiveExactlyThePermissions(t *testing.T) {
	kinds := append(usualKinds(), schema.GroupKind{Group: "monitoring.coreos.com", Kind: "ServiceMonitor"})
	ps := meshcheck.RolePermissions(meshcheck.RoleCommands(), kinds)
	var want, got []string
	for _, p := range ps {
		want = append(want, p.Verb+" "+p.Target())
	}
	for _, r := range rulesFor(ps) {
		for _, resource := range r.resources {
			for _, verb := range r.verbs {
				name, subresource, _ := strings.Cut(resource, "/")
				got = append(got, verb+" "+meshcheck.Permission{Group: r.group, Resource: name, Subresource: subresource}.Target())
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the rules give\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWrongPrintRBACIsWrongUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"--print-rbac=plan"}, `"plan" is not known; it can be all, or some of up, scale, restart, `},
		{[]string{"--print-rbac=up,,down"}, `"" is not known`},
		{[]string{"--print-rbac="}, "it is empty"},
		{[]string{"--print-rbac", "up"}, "--print-rbac=up"},
		{[]string{"--print-rbac", "-o", "json"}, "--output"},
		{[]string{"--print-rbac", "--strict"}, "--strict"},
		{[]string{"--print-rbac", "-n", "a\"b"}, "is not legal"},
		{[]string{"--print-rbac", "-f", "no-such-file.yml"}, "does not exist"},
	} {
		r := must(t, codeUsage, append([]string{"check"}, tt.args...)...)
		if !strings.Contains(r.errOut, tt.says) || strings.Count(r.errOut, "\n") != 1 || r.out != "" {
			t.Errorf("%q: got %s%s", tt.args, r.out, r.errOut)
		}
	}
}
