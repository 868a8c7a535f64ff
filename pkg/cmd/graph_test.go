package cmd

import (
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

func TestRecordedGraphNamesExecutorsAsTheirObjects(t *testing.T) {
	const deployment = "jtype: Deployment\nwith: {name: inc, uses: docker://a/inc:1}"
	f, problems := flow.Parse(flow.Source{
		Name: "flow.yml",
		Data: []byte("jtype: Flow\nexecutors:\n- inc.yml\n- {name: b, uses: docker://a/b:1, needs: [executor0, gateway]}\n- {name: look, method: inspect, uses: docker://a/l:1}\n"),
		ReadFile: func(string) (flow.File, error) {
			return flow.File{Name: "inc.yml", Data: []byte(deployment)}, nil
		},
	})
	if f == nil {
		t.Fatal(problems)
	}
	want := `{"inc":["gateway"],"b":["inc","gateway"],"look":["b"],"gather_inspect":["b","look"]}`
	if got := graphOf(f.WithoutHelpers()); got != want {
		t.Errorf("the graph is %s, not %s", got, want)
	}
}
