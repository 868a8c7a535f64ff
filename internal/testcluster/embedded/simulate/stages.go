package simulate

import (
	"embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	nodelease "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/apis/v1alpha1"
	"sigs.k8s.io/yaml"
)

//go:embed stages/*.yaml fragments/*.txt
var stageFiles embed.FS

// fragmentLine is a line of a stage that stands for the lines of a file, at its indentation: what several stages say of a pod.
var fragmentLine = regexp.MustCompile(`(?m)^( *)FRAGMENT (\S+)\n`)

// stages are KWOK's own for nodes and Jobs, and those of this package for the rest, by the kind they act on. readyDelay
// is the time until a pod is Ready that has no annotation sim.test/ready-after.
func stages(readyDelay time.Duration) (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	docs := []string{nodefast.DefaultNodeInit, nodelease.DefaultNodeHeartbeatWithLease, podfast.DefaultPodComplete}
	files, err := stageFiles.ReadDir("stages")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		b, err := stageFiles.ReadFile("stages/" + f.Name())
		if err != nil {
			return nil, err
		}
		text, err := withFragments(string(b))
		if err != nil {
			return nil, fmt.Errorf("stages/%s: %w", f.Name(), err)
		}
		text = strings.ReplaceAll(text, "READY_DELAY_MS", strconv.FormatInt(readyDelay.Milliseconds(), 10))
		docs = append(docs, strings.Split(text, "\n---\n")...)
	}
	byKind := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, d := range docs {
		external := &v1alpha1.Stage{}
		if err := yaml.UnmarshalStrict([]byte(d), external); err != nil {
			return nil, fmt.Errorf("stage: %w in\n%s", err, d)
		}
		s, err := internalversion.ConvertToInternalStage(external)
		if err != nil {
			return nil, fmt.Errorf("stage %s: %w", external.Name, err)
		}
		if s.Spec.ResourceRef.APIGroup == "" {
			s.Spec.ResourceRef.APIGroup = "v1"
		}
		byKind[s.Spec.ResourceRef] = append(byKind[s.Spec.ResourceRef], s)
	}
	return byKind, nil
}

// withFragments puts in the fragments that a stage file names.
func withFragments(text string) (string, error) {
	var failed error
	text = fragmentLine.ReplaceAllStringFunc(text, func(line string) string {
		m := fragmentLine.FindStringSubmatch(line)
		b, err := stageFiles.ReadFile("fragments/" + m[2] + ".txt")
		if err != nil {
			failed = err
			return ""
		}
		var indented strings.Builder
		for l := range strings.Lines(string(b)) {
			indented.WriteString(m[1] + l)
		}
		return indented.String()
	})
	return text, failed
}
