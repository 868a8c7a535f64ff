package plan

import (
	"fmt"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// gatewayRepository has Jina's own images, one a version.
const gatewayRepository = "jinaai/jina"

// gatewayImage runs gateways, heads and executors without an image of their own.
func (o Options) gatewayImage() string {
	if o.GatewayImage != "" {
		return o.GatewayImage
	}
	return gatewayRepository + ":" + o.jinaVersion()
}

func (o Options) jinaVersion() string {
	if o.JinaVersion != "" {
		return o.JinaVersion
	}
	return JinaVersion
}

func (b *builder) image(u flow.Uses) string {
	if u.Image != "" {
		return u.Image
	}
	return b.options.gatewayImage()
}

// checkImages refuses an executor that says nothing of what it runs, unless it only joins others. The reference runs
// BaseExecutor there, which passes documents on as they are: seldom what was meant.
func checkImages(f *flow.Flow, o Options) flow.Problems {
	var problems flow.Problems
	for _, e := range f.Executors {
		if o.Compat || e.External || e.Helper || e.Args.Written("uses") || len(e.Needs) > 1 {
			continue
		}
		problems = append(problems, flow.Problem{
			Position: e.Position, Severity: flow.Error, ID: flow.IDImage,
			Message:  fmt.Sprintf("executor %s has no image", e.Name),
			Hint:     "write uses: docker://IMAGE, or uses: BaseExecutor for one that passes documents on as they are, or give one with --image " + e.Name + "=IMAGE",
			ImageKey: e.Name,
		})
	}
	return problems
}
