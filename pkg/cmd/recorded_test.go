package cmd

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// recordOf is the record of a run with a Jina version, images, names of context variables and an environment.
func recordOf(t *testing.T, version string, images []flow.Image, context map[string]string, environment map[string]string) string {
	t.Helper()
	o := flowFlags{JinaVersion: version, getenv: func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	}}
	text, err := o.recorded(flow.Source{Images: images, Context: context})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestOptionsThatALaterRunForgetsAreNamed(t *testing.T) {
	image := []flow.Image{{Key: "encoder", Image: "r.example/enc:1"}, {Key: "a", Image: "r.example/a:1"}}
	token := map[string]string{"token": "s3cret"}
	all := recordOf(t, "3.33.0", image, token, map[string]string{"JINA_K8S_STORAGE_CAPACITY": "1G", "HOME": "/x"})
	none := recordOf(t, plan.JinaVersion, nil, nil, nil)
	for _, tc := range []struct {
		name, before, now string
		want              []string
	}{
		{"nothing was given", none, none, nil},
		{"nothing was recorded", "", all, nil},
		{"all given again", all, all, nil},
		{"all forgotten", all, none, []string{
			"--image a=r.example/a:1", "--image encoder=r.example/enc:1", "--jina-version 3.33.0", "--context-var token=…", "JINA_K8S_STORAGE_CAPACITY=1G in the environment"}},
		{"another value is a wish", recordOf(t, plan.JinaVersion, image[:1], nil, nil),
			recordOf(t, plan.JinaVersion, []flow.Image{{Key: "encoder", Image: "other:2"}}, nil, nil), nil},
		{"one of two forgotten", recordOf(t, plan.JinaVersion, image, nil, nil), recordOf(t, plan.JinaVersion, image[:1], nil, nil), []string{"--image a=r.example/a:1"}},
		{"a record of another version", `{"images":["a"]}`, none, nil},
		{"no record at all", "nonsense", none, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, droppedOptions(tc.before, tc.now)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRecordHasNoSecretsAndNothingWhereNothingWasGiven(t *testing.T) {
	if r := recordOf(t, plan.JinaVersion, nil, nil, map[string]string{"HOME": "/x", "JINA_GATEWAY_IMAGE": ""}); r != "" {
		t.Errorf("record %s", r)
	}
	want := `{"contextVars":["token"]}`
	if r := recordOf(t, plan.JinaVersion, nil, map[string]string{"token": "s3cret"}, nil); r != want {
		t.Errorf("record %s, want %s", r, want)
	}
}
