package simulate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/kwok/pkg/apis/internalversion"
)

func TestEveryStageIsReadWithItsFragments(t *testing.T) {
	byKind, err := stages(1500 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range byKind[internalversion.StageResourceRef{APIGroup: "v1", Kind: "Pod"}] {
		names = append(names, s.Name)
		for _, step := range s.Spec.Steps {
			if step.Patch != nil && strings.Contains(step.Patch.Template, "FRAGMENT") {
				t.Errorf("%s has a fragment that was not put in:\n%s", s.Name, step.Patch.Template)
			}
		}
	}
	for _, want := range []string{"pod-ready", "pod-creating", "pod-loading", "pod-delete", "pod-crash-run", "pod-crash-exit", "pod-startup-killed",
		"pod-init-crash", "pod-image-pull", "pod-image-backoff", "pod-waiting", "pod-mount-failed", "pod-unready", "pod-failed"} {
		if !slices.Contains(names, want) {
			t.Errorf("there is no stage %s among %v", want, names)
		}
	}
}

func TestAFragmentTakesTheIndentationOfItsLine(t *testing.T) {
	got, err := withFragments("    a\n      FRAGMENT not-ready\n    b\n")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(got, "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[1], "      - {type: Ready") || lines[3] != "    b" {
		t.Errorf("got\n%s", got)
	}
	if _, err := withFragments("FRAGMENT none-such\n"); err == nil {
		t.Error("a fragment that there is not is no error")
	}
}
