package flow_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/kubectl-jina/kubectl-jina/internal/conformance"
	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

func compileSchema(t *testing.T, strict bool) *jsonschema.Schema {
	t.Helper()
	text, err := flow.Schema(strict)
	if err != nil {
		t.Fatal(err)
	}
	return compileText(t, string(text))
}

// compileAsDraft7 is the schema as an editor takes it that knows draft 7 of JSON Schema alone.
func compileAsDraft7(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := flow.Schema(false)
	if err != nil {
		t.Fatal(err)
	}
	return compileText(t, strings.Replace(string(text), "https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema", 1))
}

func compileText(t *testing.T, text string) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("flow.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("flow.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is a file for the validator; false when JSON cannot hold it.
func instance(data []byte) (any, bool) {
	text, ok := flow.InstanceJSON(data)
	if !ok {
		return nil, false
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	return v, err == nil
}

// corpus has the cases of the repository, and those of the shared folder beside the checkout where there is one.
func corpus(t *testing.T) []*conformance.Case {
	t.Helper()
	var cases []*conformance.Case
	seen := map[string]bool{}
	for _, dir := range []string{filepath.Join("..", "plan", "testdata", "corpus"), filepath.Join("..", "..", "..", "shared", "corpus")} {
		entries, err := os.ReadDir(dir)
		if err != nil && len(cases) == 0 {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !e.IsDir() || seen[e.Name()] {
				continue
			}
			seen[e.Name()] = true
			if c, err := conformance.Load(filepath.Join(dir, e.Name())); err == nil {
				cases = append(cases, c)
			}
		}
	}
	return cases
}

// TestSchemaAcceptsWhatTheParserAccepts holds every input of the corpus against the schemas.
func TestSchemaAcceptsWhatTheParserAccepts(t *testing.T) {
	lenient, strict, draft7 := compileSchema(t, false), compileSchema(t, true), compileAsDraft7(t)
	accepted, clean, refused, missed := 0, 0, 0, 0
	for _, c := range corpus(t) {
		problems := c.Export(false).Problems
		if problems.Err() != nil {
			problems = c.Export(true).Problems
		}
		v, ok := instance(c.Source.Data)
		switch {
		case problems.Err() != nil && ok && lenient.Validate(v) == nil:
			missed++ // what a schema cannot say
		case problems.Err() != nil:
			refused++
		case !ok:
			if text, _ := flow.InstanceJSON(c.Source.Data); !strings.Contains(text, "NaN") && !strings.Contains(text, "Infinity") {
				t.Errorf("%s: no JSON", c.Name)
			}
		default:
			accepted++
			if err := lenient.Validate(v); err != nil {
				t.Errorf("%s: the schema refuses what the parser accepts: %v", c.Name, err)
			}
			if err := draft7.Validate(v); err != nil {
				t.Errorf("%s: as draft 7 the schema refuses what the parser accepts: %v", c.Name, err)
			}
			if len(problems) > 0 {
				continue
			}
			clean++
			if err := strict.Validate(v); err != nil {
				t.Errorf("%s: the strict schema refuses what has no warning: %v", c.Name, err)
			}
		}
	}
	if accepted < 150 || clean < 100 || refused < 20 {
		t.Errorf("only %d files accepted, %d without warnings, %d refused by both", accepted, clean, refused)
	}
	t.Logf("%d files accepted by both, %d of them clean in the strict schema; %d refused by both, %d by the parser alone", accepted, clean, refused, missed)
}

// TestSchemaRefusesWhatTheParserRefuses has files that are broken in ways that a schema can see.
func TestSchemaRefusesWhatTheParserRefuses(t *testing.T) {
	schema, draft7 := compileSchema(t, false), compileAsDraft7(t)
	const executor = "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, "
	for name, text := range map[string]string{
		"no jtype":             "executors: []",
		"jtype in small":       "jtype: flow\nexecutors: []",
		"no executors":         "jtype: Flow",
		"executors nothing":    "jtype: Flow\nexecutors:",
		"executors a mapping":  "jtype: Flow\nexecutors: {a: b}",
		"executor a number":    "jtype: Flow\nexecutors: [1]",
		"executor nothing":     "jtype: Flow\nexecutors: [null]",
		"with a list":          "jtype: Flow\nwith: [a]\nexecutors: []",
		"with nothing":         "jtype: Flow\nwith:\nexecutors: []",
		"gateway a text":       "jtype: Flow\ngateway: grpc\nexecutors: []",
		"pods":                 "jtype: Flow\npods: []",
		"version 2":            "jtype: Flow\nversion: '2'\nexecutors: []",
		"replicas a word":      executor + "replicas: two}]",
		"replicas none":        executor + "replicas: 0}]",
		"replicas a fraction":  executor + "replicas: 1.5}]",
		"replicas true":        executor + "replicas: true}]",
		"shards too many":      executor + "shards: 2000000}]",
		"hyphens, wrong":       executor + "timeout-send: soon}]",
		"alias, wrong":         executor + "protocols: ftp}]",
		"protocol":             executor + "protocol: ftp}]",
		"compression in small": executor + "compression: gzip}]",
		"env a number":         executor + "env: 5}]",
		"env a text":           executor + "env: nothing}]",
		"secret without key":   executor + "env_from_secret: {A: {name: s}}}]",
		"uses a mapping":       "jtype: Flow\nexecutors: [{name: e, uses: {jtype: E}}]",
		"needs a number":       executor + "needs: 5}]",
		"name with a hyphen":   "jtype: Flow\nexecutors: [{name: a-b, uses: docker://e:1}]",
		"name a number":        "jtype: Flow\nexecutors: [{name: 5, uses: docker://e:1}]",
		"name gateway":         "jtype: Flow\nexecutors: [{name: gateway, uses: docker://e:1}]",
		"jtype inside":         executor + "jtype: Deployment}]",
		"word with a hyphen":   executor + "workspace: -x}]",
		"gateway's name":       "jtype: Flow\ngateway: {name: door}\nexecutors: []",
		"with.args":            "jtype: Flow\nwith: {args: [a]}\nexecutors: []",
		"Deployment alone":     "jtype: Deployment",
		"Deployment's list":    "jtype: Deployment\nwith: {uses: docker://e:1}\nexecutors: []",
		"Deployment's version": "jtype: Deployment\nversion: '1'\nwith: {uses: docker://e:1}",
		"Deployment, flat":     "jtype: Deployment\nname: e\nuses: docker://e:1",
		"a list":               "- a",
		"a text":               "hello",
	} {
		if _, problems := flow.Parse(flow.Source{Name: "f.yml", Data: []byte(text)}); problems.Err() == nil {
			t.Errorf("%s: the parser accepts it", name)
		}
		if v, ok := instance([]byte(text)); !ok || schema.Validate(v) == nil || draft7.Validate(v) == nil {
			t.Errorf("%s: the schema accepts it", name)
		}
	}
}

func TestStrictSchemaRefusesWhatHasNoEffect(t *testing.T) {
	lenient, strict := compileSchema(t, false), compileSchema(t, true)
	for name, text := range map[string]string{
		"protocol":         "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, protocol: [grpc, http], provider: azure}]",
		"misspelt":         "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, replica_count: 2}]",
		"at the top":       "jtype: Flow\nmonitoring: true\nexecutors: []",
		"in gateway":       "jtype: Flow\ngateway: {shards: 2}\nexecutors: []",
		"not a boolean":    "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, monitoring: 0}]",
		"several for one":  "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, retries: [1, 2]}]",
		"beginning of one": "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, timeout_rea: 5}]",
	} {
		parsed, problems := flow.Parse(flow.Source{Name: "f.yml", Data: []byte(text)})
		if parsed == nil || len(problems) == 0 {
			t.Errorf("%s: no warning, but %v", name, problems)
		}
		v, _ := instance([]byte(text))
		if lenient.Validate(v) != nil || strict.Validate(v) == nil {
			t.Errorf("%s: lenient says %v, strict %v", name, lenient.Validate(v), strict.Validate(v))
		}
	}
}
