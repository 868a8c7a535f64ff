package meshcheck

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/permissions.md anew instead of comparing with it")

const permissionsDocs = "../../docs/permissions.md"

// The comments in docs/permissions.md that the generated tables stand between.
const (
	rightsBegin, rightsEnd = "<!-- rights: written by go test ./pkg/meshcheck -update -->\n", "<!-- rights: end -->\n"
	aroundBegin, aroundEnd = "<!-- around: written by go test ./pkg/meshcheck -update -->\n", "<!-- around: end -->\n"
)

// rightsTable is a table of the rows of some scopes, with a column for each of the commands.
func rightsTable(rights []Right, commands []Command, scopes ...Scope) string {
	var b strings.Builder
	scoped := !slices.Contains(scopes, ScopeNamespace)
	b.WriteString("| resources | verbs | for |")
	rule := "\n|---|---|---|"
	if scoped {
		b.WriteString(" in |")
		rule += "---|"
	}
	for _, c := range commands {
		fmt.Fprintf(&b, " `%s` |", c)
		rule += "---|"
	}
	b.WriteString(rule + "\n")
	for _, r := range rights {
		if !slices.Contains(scopes, r.Scope) {
			continue
		}
		var targets []string
		for _, resource := range r.Resources {
			targets = append(targets, Permission{Group: resource.Group, Resource: resource.Resource, Subresource: r.Subresource}.Target())
		}
		why := strings.TrimPrefix(r.For, "to ")
		if r.Without != "" {
			why += "; else " + r.Without
		}
		fmt.Fprintf(&b, "| %s | %s | %s |", strings.Join(targets, ", "), strings.Join(r.Verbs, ", "), why)
		if scoped {
			fmt.Fprintf(&b, " %s |", r.Scope)
		}
		for _, c := range commands {
			fmt.Fprintf(&b, " %s |", r.Needs[c])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestPermissionsAreDocumented holds docs/permissions.md to the table of rights; -update writes it.
func TestPermissionsAreDocumented(t *testing.T) {
	file, err := os.ReadFile(permissionsDocs)
	if err != nil {
		t.Fatal(err)
	}
	rights := Rights(kinds("ConfigMap", "Service", "Deployment.apps", "StatefulSet.apps"))
	text := string(file)
	for _, section := range []struct{ begin, end, table string }{
		{rightsBegin, rightsEnd, rightsTable(rights, []Command{CommandUp, CommandPlan, CommandScale, CommandRestart, CommandPause, CommandResume, CommandStatus, CommandList, CommandLogs, CommandPing, CommandPortForward, CommandDown}, ScopeNamespace)},
		{aroundBegin, aroundEnd, rightsTable(rights, []Command{CommandUp, CommandScale, CommandRestart, CommandPause, CommandResume, CommandPing, CommandPortForward, CommandDown, CommandCheck}, ScopeMesh, ScopeCluster, ScopeEveryone)},
	} {
		before, rest, begun := strings.Cut(text, section.begin)
		_, after, ended := strings.Cut(rest, section.end)
		if !begun || !ended {
			t.Fatalf("%s has no section between %q and %q", permissionsDocs, section.begin, section.end)
		}
		text = before + section.begin + section.table + section.end + after
	}
	if *update {
		if err := os.WriteFile(permissionsDocs, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text != string(file) {
		t.Errorf("%s differs from the table (go test ./pkg/meshcheck -update writes it); it should be\n%s", permissionsDocs, text)
	}
}
