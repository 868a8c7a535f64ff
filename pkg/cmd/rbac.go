package cmd

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// roleName is the name of a Role for several commands; one for a single command has the command's name behind it.
const roleName = "kubectl-jina"

// allCommands is the value of --print-rbac that stands for every command.
const allCommands = "all"

// usualKinds are those of a Flow whose file is not at hand.
func usualKinds() []schema.GroupKind {
	return []schema.GroupKind{
		{Kind: "ConfigMap"}, {Kind: "Service"}, {Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "StatefulSet"},
	}
}

// parseCommands reads the value of --print-rbac. The commands come in the table's order, each once.
func parseCommands(names []string) ([]meshcheck.Command, error) {
	known := meshcheck.RoleCommands()
	values := fmt.Sprintf("it can be %s, or some of %s with commas between", allCommands, strings.Join(commandNames(known), ", "))
	if len(names) == 0 {
		return nil, fmt.Errorf("it is empty; %s", values)
	}
	for _, name := range names {
		if name != allCommands && !slices.Contains(known, meshcheck.Command(name)) {
			return nil, fmt.Errorf("%q is not known; %s", name, values)
		}
	}
	if slices.Contains(names, allCommands) {
		return known, nil
	}
	return slices.DeleteFunc(known, func(c meshcheck.Command) bool { return !slices.Contains(names, string(c)) }), nil
}

func commandNames(commands []meshcheck.Command) []string {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = string(c)
	}
	return names
}

// printRBAC prints the Roles for the commands. It asks no cluster; the namespace is that of the other commands.
func (o *checkOptions) printRBAC() error {
	kinds, namespace := usualKinds(), ""
	if o.Filename != "" {
		file, err := o.factory.read(&o.flowFlags, o.IOStreams)
		if err != nil {
			return err
		}
		kinds, namespace = plan.Kinds(file.Objects), file.Namespace
	} else {
		var err error
		if namespace, err = o.factory.namespace(); err != nil {
			return explain(err)
		}
	}
	if reasons := validation.ValidateNamespaceName(namespace, false); len(reasons) > 0 {
		return usageErrorf("namespace %q is not legal: %s", namespace, reasons[0])
	}
	_, err := io.WriteString(o.Out, rolesText(o.roles, kinds, namespace))
	return err
}

// rolesText is the YAML of a Role with what the commands require, and one with what they can do without.
func rolesText(commands []meshcheck.Command, kinds []schema.GroupKind, namespace string) string {
	name := roleName
	if len(commands) == 1 {
		name += "-" + string(commands[0])
	}
	var required, optional []meshcheck.Permission
	for _, p := range meshcheck.RolePermissions(commands, kinds) {
		if p.Optional {
			optional = append(optional, p)
		} else {
			required = append(required, p)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# What kubectl jina %s must be allowed to do in namespace %s.\n", joinAnd(commandNames(commands)), namespace)
	if slices.Contains(commands, meshcheck.CommandUp) {
		fmt.Fprintf(&b, "# up --create-namespace also needs the right to create namespaces, which only a ClusterRole gives.\n")
	}
	writeRole(&b, name, namespace, func() { writeRules(&b, required) })
	if len(optional) == 0 {
		return b.String()
	}
	fmt.Fprintf(&b, "---\n# Optional: without these the commands go on, and say what they could not know.\n")
	writeRole(&b, name+"-optional", namespace, func() { writeOptionalRules(&b, optional) })
	return b.String()
}

// writeRole writes a Role, whose rules are written by the caller. Names are quoted: a namespace may be called 1e3.
func writeRole(b *strings.Builder, name, namespace string, rules func()) {
	fmt.Fprintf(b, "# To grant it: kubectl create rolebinding %s -n %s --role=%s --user=USER\n", name, namespace, name)
	fmt.Fprintf(b, "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: %s\n  namespace: %s\nrules:\n",
		strconv.Quote(name), strconv.Quote(namespace))
	rules()
}

// writeOptionalRules says above the rules of each purpose what it is.
func writeOptionalRules(b *strings.Builder, ps []meshcheck.Permission) {
	for len(ps) > 0 {
		first := ps[0]
		text := strings.TrimPrefix(first.For, "to ")
		if first.OnlyWith != "" {
			text += ", where the cluster has " + first.OnlyWith
		}
		fmt.Fprintf(b, "# to %s; else %s\n", text, first.Without)
		other := func(p meshcheck.Permission) bool { return p.For != first.For }
		writeRules(b, slices.DeleteFunc(slices.Clone(ps), other))
		ps = slices.DeleteFunc(slices.Clone(ps), func(p meshcheck.Permission) bool { return !other(p) })
	}
}

// rbacRule gives verbs on resources of one API group.
type rbacRule struct {
	group     string
	resources []string
	verbs     []string
}

// writeRules writes the permissions as rules.
func writeRules(b *strings.Builder, ps []meshcheck.Permission) {
	for _, r := range rulesFor(ps) {
		fmt.Fprintf(b, "- apiGroups: [%s]\n  resources: [%s]\n  verbs: [%s]\n", quoteAll([]string{r.group}), quoteAll(r.resources), quoteAll(r.verbs))
	}
}

// rulesFor has the fewest rules that give exactly the permissions: one for all resources of a group that have the same
// verbs. They are sorted by group and resource.
func rulesFor(ps []meshcheck.Permission) []rbacRule {
	var each []rbacRule // a rule for each resource
	for _, p := range ps {
		resource := p.Resource
		if p.Subresource != "" {
			resource += "/" + p.Subresource
		}
		i := slices.IndexFunc(each, func(r rbacRule) bool { return r.group == p.Group && r.resources[0] == resource })
		if i < 0 {
			i = len(each)
			each = append(each, rbacRule{group: p.Group, resources: []string{resource}})
		}
		each[i].verbs = append(each[i].verbs, p.Verb)
	}
	slices.SortFunc(each, func(x, y rbacRule) int {
		return cmp.Or(strings.Compare(x.group, y.group), strings.Compare(x.resources[0], y.resources[0]))
	})
	var rules []rbacRule
	for _, r := range each {
		slices.SortFunc(r.verbs, func(x, y string) int { return cmp.Or(verbRank(x)-verbRank(y), strings.Compare(x, y)) })
		i := slices.IndexFunc(rules, func(q rbacRule) bool { return q.group == r.group && slices.Equal(q.verbs, r.verbs) })
		if i < 0 {
			rules = append(rules, r)
		} else {
			rules[i].resources = append(rules[i].resources, r.resources...)
		}
	}
	return rules
}

// verbRank is the order in which Kubernetes' own documents list verbs.
func verbRank(verb string) int {
	return slices.Index([]string{"get", "list", "watch", "create", "update", "patch", "delete"}, verb)
}

func quoteAll(texts []string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = strconv.Quote(t)
	}
	return strings.Join(quoted, ", ")
}
