package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

const (
	flowName    = "bench"
	releaseName = "bench"
)

// material is a Flow in the form that each program takes.
type material struct {
	// flow is the Flow's file.
	flow string
	// manifest has the objects as YAML, list as JSON, one a line, chart is a folder for Helm.
	manifest, list, chart string
	objects               []*unstructured.Unstructured
}

// flowYAML is a chain of executors with the arguments that most have. The first one's image is of that release.
func flowYAML(executors, release int) string {
	var b strings.Builder
	b.WriteString("jtype: Flow\nexecutors:\n")
	for i := range executors {
		version := 1
		if i == 0 {
			version = release
		}
		fmt.Fprintf(&b, "  - name: e%d\n    uses: docker://registry.example/e%d:%d\n    env: {A: x, B: y}\n    uses_with: {dim: 3}\n", i, i, version)
	}
	return b.String()
}

// imageOf is what flowYAML says of the first executor.
func imageOf(release int) string { return fmt.Sprintf("registry.example/e0:%d", release) }

// newMaterial writes a Flow into dir, and what the plugin exports of it.
func newMaterial(ctx context.Context, plugin, dir, namespace string, executors, release int) (*material, error) {
	m := &material{
		flow:     filepath.Join(dir, "flow.yml"),
		manifest: filepath.Join(dir, "objects.yaml"),
		list:     filepath.Join(dir, "objects.jsonl"),
		chart:    filepath.Join(dir, "chart"),
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(m.flow, []byte(flowYAML(executors, release)), 0o644); err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, plugin, "export", "-f", m.flow, "--name", flowName, "-n", namespace)
	var problems strings.Builder
	c.Stderr = &problems
	b, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("export: %w: %s", err, problems.String())
	}
	if m.objects, err = readObjects(b); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	id := apply.Set{Flow: flowName, Namespace: namespace}.ID()
	for _, o := range m.objects {
		labels := o.GetLabels()
		labels[plan.LabelPartOfSet] = id
		o.SetLabels(labels)
	}
	return m, errors.Join(m.writeManifest(), m.writeList(), m.writeChart())
}

func readObjects(b []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	d := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(b), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := d.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
}

func (m *material) writeManifest() error {
	b, err := documents(m.objects)
	if err != nil {
		return err
	}
	return os.WriteFile(m.manifest, b, 0o644)
}

func documents(objects []*unstructured.Unstructured) ([]byte, error) {
	var out bytes.Buffer
	for _, o := range objects {
		b, err := yaml.Marshal(o.Object)
		if err != nil {
			return nil, err
		}
		out.WriteString("---\n")
		out.Write(b)
	}
	return out.Bytes(), nil
}

func (m *material) writeList() error {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	for _, o := range m.objects {
		if err := encoder.Encode(o.Object); err != nil {
			return err
		}
	}
	return os.WriteFile(m.list, out.Bytes(), 0o644)
}

// writeChart makes a chart of constant templates, a few objects a file: Helm limits how large one may be.
func (m *material) writeChart() error {
	const perFile = 90
	templates := filepath.Join(m.chart, "templates")
	if err := os.MkdirAll(templates, 0o755); err != nil {
		return err
	}
	about := "apiVersion: v2\nname: " + releaseName + "\nversion: 0.1.0\n"
	if err := os.WriteFile(filepath.Join(m.chart, "Chart.yaml"), []byte(about), 0o644); err != nil {
		return err
	}
	for i := 0; i < len(m.objects); i += perFile {
		b, err := documents(m.objects[i:min(i+perFile, len(m.objects))])
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte("{{")) {
			return errors.New("an object has text that Helm would take for a template")
		}
		name := filepath.Join(templates, fmt.Sprintf("objects-%04d.yaml", i/perFile))
		if err := os.WriteFile(name, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
