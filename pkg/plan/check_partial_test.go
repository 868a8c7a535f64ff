package plan

import (
	"strings"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// TestOneBrokenExecutorHidesNothing looks at Flows of which a part cannot be read: the rest is checked as if it were whole, and
// what is broken is not missed a second time.
func TestOneBrokenExecutorHidesNothing(t *testing.T) {
	for name, c := range map[string]struct{ executors, want string }{
		"a wrong value hides no missing image": {
			"\n- {name: a, uses: docker://a:1, replicas: two}\n- {name: b}", "f.yml:3:43 wrong-type, f.yml:4:3 no-image",
		},
		"a wrong image is not a missing one": {
			"\n- {name: a, uses: {b: c}}", "f.yml:3:19 wrong-type",
		},
		"an ambiguous key may be the missing one": {
			"\n- {name: a, use: docker://a:1}", "f.yml:3:13 ambiguous-key",
		},
		"names collide in spite of an error elsewhere": {
			"\n- {name: a_b, uses: docker://a:1}\n- {name: A_b, uses: docker://a:1}\n- {name: c, uses: docker://a:1, shards: none}",
			"f.yml:4:10 duplicate-name, f.yml:5:41 wrong-type",
		},
		"who needs a refused executor makes no mistake": {
			"\n- {name: a-b, uses: docker://a:1}\n- {name: c, uses: docker://a:1, needs: a-b}", "f.yml:3:10 executor-name",
		},
		"a Flow without executors is looked at": {" 5", "f.yml:2:12 wrong-type"},
	} {
		text := "jtype: Flow\nexecutors:" + c.executors + "\n"
		f, problems := flow.Read(flow.Source{Name: "f.yml", Data: []byte(text)})
		problems = append(problems, Check(f, Options{Namespace: "default"})...)
		problems.Sort()
		var got []string
		for _, p := range problems {
			got = append(got, p.Position.String()+" "+p.ID)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: problems are\n%v\nnot at %s", name, problems, c.want)
		}
	}
}

func TestFlowsOfTooManyWorkloadsAreRefused(t *testing.T) {
	f, problems := flow.Parse(flow.Source{Name: "f.yml", Data: []byte("jtype: Flow\nexecutors:\n- {name: a, uses: docker://a:1, shards: 9999}\n- {name: b, uses: docker://a:1, shards: 2}\n")})
	if problems.Err() != nil {
		t.Fatal(problems.Err())
	}
	objects, problems := Objects(f, Options{Namespace: "default"})
	if len(objects) > 0 || len(problems) != 1 || problems[0].ID != flow.IDRange || problems[0].Position.Line != 3 {
		t.Errorf("%d objects, problems are %v", len(objects), problems)
	}
}
