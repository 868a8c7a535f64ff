package cmd

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// recordedOptions are what a Flow was brought up with that changes its objects and stands not in its file. They are recorded
// on the apply set's parent, so that a later run that forgets one is not taken for a wish.
type recordedOptions struct {
	Images      map[string]string `json:"images,omitempty"`
	JinaVersion string            `json:"jinaVersion,omitempty"`
	// ContextVars are names only: the values may be secrets.
	ContextVars []string          `json:"contextVars,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
}

// environmentOptions are the variables, all of Jina's own, that the objects depend on.
var environmentOptions = []string{"JINA_GATEWAY_IMAGE", "JINA_K8S_ACCESS_MODES", "JINA_K8S_STORAGE_CLASS_NAME", "JINA_K8S_STORAGE_CAPACITY"}

// recorded are the options of this run, as text for the parent; empty when there are none.
func (o *flowFlags) recorded(src flow.Source) (string, error) {
	r := recordedOptions{ContextVars: slices.Sorted(maps.Keys(src.Context))}
	for _, i := range src.Images {
		if r.Images == nil {
			r.Images = map[string]string{}
		}
		r.Images[i.Key] = i.Image
	}
	if o.JinaVersion != plan.JinaVersion {
		r.JinaVersion = o.JinaVersion
	}
	for _, name := range environmentOptions {
		if value, ok := o.getenv(name); ok && value != "" {
			if r.Environment == nil {
				r.Environment = map[string]string{}
			}
			r.Environment[name] = value
		}
	}
	text, err := json.Marshal(r)
	if string(text) == "{}" {
		return "", err
	}
	return string(text), err
}

// droppedOptions are those of the last run that this one has not, as one would write them, sorted. A record that cannot be
// read, as one of a newer version, has none.
func droppedOptions(before, now string) []string {
	var old, current recordedOptions
	if before == "" || json.Unmarshal([]byte(before), &old) != nil {
		return nil
	}
	if now != "" && json.Unmarshal([]byte(now), &current) != nil {
		return nil
	}
	var dropped []string
	for _, key := range slices.Sorted(maps.Keys(old.Images)) {
		if _, given := current.Images[key]; !given {
			dropped = append(dropped, fmt.Sprintf("--image %s=%s", key, old.Images[key]))
		}
	}
	if old.JinaVersion != "" && current.JinaVersion == "" {
		dropped = append(dropped, "--jina-version "+old.JinaVersion)
	}
	for _, name := range old.ContextVars {
		if !slices.Contains(current.ContextVars, name) {
			dropped = append(dropped, "--context-var "+name+"=…")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old.Environment)) {
		if _, given := current.Environment[name]; !given {
			dropped = append(dropped, fmt.Sprintf("%s=%s in the environment", name, old.Environment[name]))
		}
	}
	return dropped
}
