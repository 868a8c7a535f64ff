package plan

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// DNSName is the name of an executor's objects (jina 3.34.0: slashes and underscores become hyphens, letters lower
// case). Nothing makes the result legal; [Objects] refuses a name that no cluster accepts.
func DNSName(name string) string {
	return strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(name))
}

// NameFlow is the name of a Flow in labels: the first of the candidates that leaves something when it is made a DNS
// label; empty when none does.
func NameFlow(candidates ...string) string {
	for _, c := range candidates {
		if name := dnsLabel(c); name != "" {
			return name
		}
	}
	return ""
}

// dnsLabel makes a text a DNS label: letters in lower case, digits and hyphens, at most 63, no hyphen at either end.
func dnsLabel(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		default:
			b.WriteByte('-')
		}
	}
	name := strings.Trim(b.String(), "-")
	if len(name) > validation.DNS1123LabelMaxLength {
		name = strings.Trim(name[:validation.DNS1123LabelMaxLength], "-")
	}
	return name
}

// NameFromFile is the candidate for a Flow's name that a file's path has: its base name, unless that says nothing,
// then the folder's.
func NameFromFile(file string) string {
	file = strings.ReplaceAll(file, `\`, "/")
	base := path.Base(file)
	name := strings.TrimSuffix(base, path.Ext(base))
	switch strings.ToLower(name) {
	case "flow", "deployment", "jina", "":
		if dir := path.Base(path.Dir(file)); dir != "." && dir != "/" {
			return dir
		}
	}
	return name
}

// checkNames refuses names that no cluster accepts before anything is built from them: Jina exports them without a
// word (semantics D10, D34).
func checkNames(f *flow.Flow, o Options) flow.Problems {
	var problems flow.Problems
	if reasons := validation.IsDNS1123Label(o.Namespace); len(reasons) > 0 {
		problems = append(problems, flow.Problem{
			Position: flow.Position{File: f.Position.File}, Severity: flow.Error, ID: "namespace",
			Message: fmt.Sprintf("namespace %q is not legal: %s", o.Namespace, inShort(reasons)), Hint: "give another one with -n",
		})
	}
	for _, e := range f.Executors {
		longest := DNSName(e.Name)
		if e.Shards() > 1 {
			longest += "-" + strconv.Itoa(max(1000, e.Shards()-1)) // as long as -head
		}
		for i, protocol := range e.Args.Texts("protocol", flow.Coerced) {
			if i > 0 {
				longest = DNSName(e.Name) + "-" + strconv.Itoa(i) + "-" + strings.ToLower(protocol)
			}
		}
		reasons := validation.IsDNS1035Label(longest)
		if len(reasons) == 0 {
			reasons = validation.IsValidLabelValue(e.Name)
		}
		if len(reasons) > 0 {
			problems = append(problems, flow.Problem{
				Position: e.NamePosition, Severity: flow.Error, ID: flow.IDName,
				Message: fmt.Sprintf("executor name %q makes names that no cluster accepts: %s", e.Name, inShort(reasons)),
				Hint:    "use small letters, digits and underscores, a letter first and no underscore last",
			})
		}
	}
	return problems
}

// checkObjects refuses two objects of one name, of which the second would replace the first (semantics D11), and
// environment variables that no pod can have.
func checkObjects(f *flow.Flow, objects []Object) flow.Problems {
	var problems flow.Problems
	owners := map[Ref]Part{}
	reported := map[[2]string]bool{}
	for _, o := range objects {
		other, taken := owners[o.Ref()]
		owners[o.Ref()] = o.Part
		if pair := [2]string{other.Executor, o.Part.Executor}; taken && !reported[pair] {
			reported[pair] = true
			pos, second := f.Position, o.Part
			if e := f.Executor(second.Executor); e != nil {
				pos = e.NamePosition
			} else if e := f.Executor(other.Executor); e != nil {
				pos, second, other = e.NamePosition, other, second
			}
			problems = append(problems, flow.Problem{
				Position: pos, Severity: flow.Error, ID: flow.IDDuplicateName,
				Message: fmt.Sprintf("%s and %s would both be %s", other, second, o.Ref()), Hint: "choose another name for the executor",
			})
		}
	}
	check := func(env *flow.Value) {
		for i := 0; env != nil && i < len(env.Entries); i++ {
			e := env.Entries[i]
			if reasons := append(validation.IsConfigMapKey(e.Key), validation.IsEnvVarName(e.Key)...); len(reasons) > 0 {
				problems = append(problems, flow.Problem{
					Position: e.Position, Severity: flow.Error, ID: "env-name",
					Message: fmt.Sprintf("environment variable %q is not legal: %s", e.Key, inShort(reasons)),
				})
			}
		}
	}
	check(f.Args.Mapping("env"))
	if f.Gateway != nil {
		check(f.Gateway.Args.Mapping("env"))
		check(f.Gateway.Args.Mapping("env_from_secret"))
	}
	for _, e := range f.Executors {
		check(e.Args.Mapping("env"))
		check(e.Args.Mapping("env_from_secret"))
	}
	return problems
}

// labelValue makes a text a legal value of a label.
func labelValue(text string) string {
	legal := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '_'
	}, text)
	return strings.Trim(legal[:min(len(legal), validation.LabelValueMaxLength)], "-_.")
}

// inShort is the first of Kubernetes' reasons without its examples.
func inShort(reasons []string) string {
	text, _, _ := strings.Cut(reasons[0], " (e.g.")
	return text
}
