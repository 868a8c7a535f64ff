package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// BenchmarkObjects makes the objects of Flows of several sizes, reading included.
func BenchmarkObjects(b *testing.B) {
	for _, n := range []int{3, 1000} {
		var text strings.Builder
		text.WriteString("jtype: Flow\nexecutors:\n")
		for i := range n {
			fmt.Fprintf(&text, "  - name: e%d\n    uses: docker://registry.example/e:%d\n    env: {A: x, B: y}\n    uses_with: {dim: 3}\n", i, i)
		}
		b.Run(fmt.Sprintf("%d executors", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, problems := flow.Parse(flow.Source{Name: "f.yml", Data: []byte(text.String())})
				if err := problems.Err(); err != nil {
					b.Fatal(err)
				}
				if _, problems := Objects(f, Options{FlowName: "f", Namespace: "default"}); problems.Err() != nil {
					b.Fatal(problems)
				}
			}
		})
	}
}
