package plan

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// DNSName is the name of an executor's objects (jina 3.34.0: slashes and underscores become hyphens, letters lower
// case). Nothing makes the result legal; [Objects] refuses a name that no cluster accepts.
func DNSName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '_' {
			return '-'
		}
		return unicode.ToLower(r)
	}, name)
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
			Position: flow.Position{File: f.Position.File}, Severity: flow.Error, ID: flow.IDNamespace,
			Message: fmt.Sprintf("namespace %.80q is not legal: %s", o.Namespace, inShort(reasons)), Hint: "give another one with -n",
		})
	}
	for _, e := range f.WithoutHelpers().Executors {
		if e.External {
			continue
		}
		longest := DNSName(e.Name)
		if e.Shards() > 1 {
			longest += "-" + strconv.Itoa(max(1000, e.Shards()-1)) // as long as -head
		}
		for i, protocol := range e.Args.Texts("protocol", flow.Coerced) {
			if i > 0 {
				longest = serviceName(DNSName(e.Name), i, protocol)
			}
		}
		reasons := validation.IsDNS1035Label(longest)
		if len(reasons) == 0 {
			reasons = validation.IsValidLabelValue(e.Name)
		}
		if len(reasons) > 0 {
			problems = append(problems, flow.Problem{
				Position: e.NamePosition, Severity: flow.Error, ID: flow.IDName,
				Message: fmt.Sprintf("executor name %.80q makes names that no cluster accepts: %s", e.Name, inShort(reasons)),
				Hint:    "use small letters, digits and underscores, a letter first and no underscore last",
			})
		}
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
