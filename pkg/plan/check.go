package plan

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// Check finds what is wrong with a Flow for a cluster before an object is made of it: names, images, environment variables,
// and sizes that no cluster takes. The Flow may be one that [flow.Read] has read in part: then what is broken already is
// not missed a second time.
func Check(f *flow.Flow, o Options) flow.Problems {
	if problems := checkSize(f); len(problems) > 0 {
		return problems // the rest would be many problems, and take long
	}
	problems := checkNames(f, o)
	problems = append(problems, checkImages(f, o)...)
	problems = append(problems, checkObjectNames(f)...)
	problems = append(problems, checkEnvironment(f)...)
	problems = append(problems, checkExecutors(f, o)...)
	problems = append(problems, checkTimes(f, o)...)
	problems.Sort()
	return problems.Limit()
}

// claim is a name that a part of the Flow takes. ConfigMaps have names of their own kind; workloads and ServiceMonitors
// have the names of their Services, so that these need no claim.
type claim struct {
	kind, name string
	part       Part
}

// claims are the names that an executor's objects take, in the order of the objects.
func claims(e *flow.Executor) []claim {
	if e.External {
		return nil
	}
	name, protocols := DNSName(e.Name), e.Args.Texts("protocol", flow.Coerced)
	if e.Shards() < 2 {
		return claimsOf(Part{Role: RoleExecutor, Executor: e.Name}, name, protocols)
	}
	all := claimsOf(Part{Role: RoleHead, Executor: e.Name}, name+"-head", nil)
	for i := range e.Shards() {
		all = append(all, claimsOf(Part{Role: RoleShard, Executor: e.Name, Shard: i}, name+"-"+strconv.Itoa(i), protocols)...)
	}
	return all
}

func claimsOf(part Part, name string, protocols []string) []claim {
	all := []claim{{"ConfigMap", name + "-configmap", part}, {"Service", name, part}}
	for i := 1; i < len(protocols); i++ {
		all = append(all, claim{"Service", serviceName(name, i, protocols[i]), part})
	}
	return all
}

// serviceName is the Service of a further protocol.
func serviceName(name string, i int, protocol string) string {
	return name + "-" + strconv.Itoa(i) + "-" + strings.ToLower(protocol)
}

// checkObjectNames refuses two objects of one name, of which the second would replace the first (semantics D11).
func checkObjectNames(f *flow.Flow) flow.Problems {
	var problems flow.Problems
	owners := map[[2]string]Part{}
	reported := map[[2]string]bool{}
	take := func(all []claim) {
		for _, c := range all {
			key := [2]string{c.kind, c.name}
			other, taken := owners[key]
			owners[key] = c.part
			if pair := [2]string{other.Executor, c.part.Executor}; taken && !reported[pair] {
				reported[pair] = true
				problems = append(problems, collision(f, other, c))
			}
		}
	}
	for _, e := range f.Executors {
		take(claims(e))
	}
	if g := f.Gateway; g != nil {
		take(claimsOf(Part{Role: RoleGateway}, "gateway", g.Args.Texts("protocol", flow.Coerced)))
	}
	return problems
}

func collision(f *flow.Flow, first Part, c claim) flow.Problem {
	pos, second := f.Position, c.part
	if e := f.Executor(second.Executor); e != nil {
		pos = e.NamePosition
	} else if e := f.Executor(first.Executor); e != nil {
		pos, second, first = e.NamePosition, first, second
	}
	return flow.Problem{
		Position: pos, Severity: flow.Error, ID: flow.IDDuplicateName,
		Message: fmt.Sprintf("%s and %s would both be %s/%s", first, second, c.kind, c.name), Hint: "choose another name for the executor",
	}
}

// checkEnvironment refuses environment variables that no pod can have.
func checkEnvironment(f *flow.Flow) flow.Problems {
	var problems flow.Problems
	check := func(env *flow.Value) {
		for i := 0; env != nil && i < len(env.Entries); i++ {
			e := env.Entries[i]
			if reasons := append(validation.IsConfigMapKey(e.Key), validation.IsEnvVarName(e.Key)...); len(reasons) > 0 {
				problems = append(problems, flow.Problem{
					Position: e.Position, Severity: flow.Error, ID: flow.IDEnvName,
					Message: fmt.Sprintf("environment variable %.80q is not legal: %s", e.Key, inShort(reasons)),
					Hint:    "use letters, digits and underscores, a letter first",
				})
			}
			if strings.ContainsRune(e.Value.PlainText(flow.Kept), 0) {
				problems = append(problems, flow.Problem{
					Position: e.Value.Position, Severity: flow.Error, ID: flow.IDValue,
					Message: fmt.Sprintf("environment variable %.80q has a NUL character, which no process can be given", e.Key), Hint: "take it away",
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
		if !e.External {
			check(e.Args.Mapping("env"))
			check(e.Args.Mapping("env_from_secret"))
		}
	}
	return problems
}

// countPods counts the workloads of a Flow.
func countPods(f *flow.Flow) int {
	pods := 0
	for _, e := range f.Executors {
		if e.External {
			continue
		}
		pods++
		if e.Shards() > 1 {
			pods += e.Shards()
		}
	}
	return pods
}

// maxText bounds the text of all arguments and environment variables in bytes, each counted as often as it is written: an
// argument that every executor inherits makes a small file large. The objects of a thousand executors have 1 MB of it.
const maxText = 64 << 20

// checkSize refuses what would fill the memory of whoever makes the objects, long before it would fill a cluster.
func checkSize(f *flow.Flow) flow.Problems {
	refuse := func(pos flow.Position, format string, args ...any) flow.Problems {
		return flow.Problems{{
			Position: pos, Severity: flow.Error, ID: flow.IDRange, Message: fmt.Sprintf(format, args...), Hint: "make several Flows of it",
		}}
	}
	if pods := countPods(f); pods > flow.MaxPods {
		return refuse(largest(f), "the Flow would have %d workloads, the most is %d", pods, flow.MaxPods)
	}
	sizes := map[flow.Position]int{} // of settings that many executors share
	text := 0
	for _, e := range f.Executors {
		copies := max(1, e.Shards())
		for _, s := range append(e.Args.All(), f.Args.All()...) {
			size, known := sizes[s.Position]
			if !known {
				for _, word := range s.Texts(flow.Kept) {
					size += len(word)
				}
				sizes[s.Position] = size
			}
			if text += size * copies; text > maxText {
				return refuse(s.Position, "the arguments of all executors together are longer than %d MiB; %s has %d bytes", maxText>>20, s.Argument.Name, size)
			}
		}
	}
	return nil
}

// largest is where the executor of most shards has their number.
func largest(f *flow.Flow) flow.Position {
	pos, most := f.Position, 1
	for _, e := range f.Executors {
		if n := e.Shards(); n > most {
			pos, most = e.Args.Position("shards", e.Position), n
		}
	}
	return pos
}
