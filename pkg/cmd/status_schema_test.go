package cmd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// fullStatus has every property that a status can have.
func fullStatus(t *testing.T) rollout.FlowStatus {
	t.Helper()
	status := variedStatus(t)
	status.Paused, status.Unreadable = true, []string{"events"}
	w := status.Executors[0].Single
	w.Old, w.Phase, w.Healthy, w.Reason = 1, rollout.PhaseFailed, false, "why"
	w.Cause = &rollout.Cause{
		Kind: rollout.CauseCrash, Summary: "why", Container: "executor", Image: "img", Pods: 2, Pod: "encoder-1a-a", Restarts: 3, ExitCode: 137, Limit: "1Gi",
		Message: "said", Since: time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC), Logs: []string{"  line"}, LogNote: "none", Remedy: "do",
	}
	return status
}

func TestStatusAsJSONIsAsItsSchemaSays(t *testing.T) {
	schema, _ := docSchema(t, "status.schema.json")
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "status_*.json"))
	if err != nil || len(files) < 6 {
		t.Fatalf("%d statuses, %v", len(files), err)
	}
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	full, err := json.Marshal(fullStatus(t))
	if err != nil {
		t.Fatal(err)
	}
	texts["full"] = string(full)
	for name, text := range texts {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, wrong := range []string{`{}`, strings.Replace(string(full), `"phase":"failed"`, `"phase":"odd"`, 1), strings.Replace(string(full), `"flow":`, `"flaw":`, 1)} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(wrong))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(v) == nil {
			t.Errorf("the schema takes %.100s", wrong)
		}
	}
}

// TestEveryPropertyOfTheStatusIsDocumented holds docs/status.md, docs/status.schema.json and a status together.
func TestEveryPropertyOfTheStatusIsDocumented(t *testing.T) {
	_, document := docSchema(t, "status.schema.json")
	var declared, used []string
	propertiesOf(document, &declared)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "status.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "### JSON")
	section, _, _ = strings.Cut(section, "## `list`")
	full, err := json.Marshal(fullStatus(t))
	if err != nil {
		t.Fatal(err)
	}
	var shown any
	if err := json.Unmarshal(full, &shown); err != nil {
		t.Fatal(err)
	}
	keysOf(shown, &used)
	for _, property := range declared {
		if !regexp.MustCompile("`" + property + "(?:\\[\\])?`").MatchString(section) {
			t.Errorf("docs/status.md does not have %s", property)
		}
		if !slices.Contains(used, property) {
			t.Errorf("no status has %s", property)
		}
	}
	for _, key := range used {
		if !slices.Contains(declared, key) {
			t.Errorf("the schema does not have %s", key)
		}
	}
}
