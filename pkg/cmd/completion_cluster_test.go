package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kubectlAndPlugin builds kubectl from its module, which the benchmark's module has, and the plugin, into a folder.
func kubectlAndPlugin(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the completion program is a script of sh")
	}
	dir := t.TempDir()
	build := func(name string, args ...string) ([]byte, error) {
		c := exec.CommandContext(t.Context(), "go", append(args, "-o", filepath.Join(dir, name), "./cmd/"+name)...)
		c.Dir = filepath.Join("..", "..")
		return c.CombinedOutput()
	}
	if out, err := build("kubectl", "build", "-C", "bench"); err != nil {
		t.Skipf("kubectl cannot be built from its module here: %v\n%s", err, out)
	}
	if out, err := build("kubectl-jina", "build"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// kubectlCompletes asks a kubectl what may come next, as its shell completion does.
func kubectlCompletes(t *testing.T, dir, kubeconfig string, args ...string) (words []string, directive string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join(dir, "kubectl"), append([]string{"__complete", "jina"}, args...)...)
	c.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), "KUBECONFIG="+kubeconfig)
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := len(lines) - 1
	for _, line := range lines[:last] {
		word, _, _ := strings.Cut(line, "\t")
		words = append(words, word)
	}
	return words, lines[last]
}

func TestARealKubectlCompletesThePlugin(t *testing.T) {
	dir := kubectlAndPlugin(t)
	c, client, ns, at := clusterForTest(t)
	must(t, codeOK, append([]string{"up", "-f", flowFileIn(t, logsFlow)}, at...)...)
	list, err := client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var namespaces []string
	for _, x := range list.Items {
		if strings.HasPrefix(x.Name, ns) {
			namespaces = append(namespaces, x.Name)
		}
	}
	program := filepath.Join(dir, completionProgram)
	if words, _ := kubectlCompletes(t, dir, c.Kubeconfig(), "scale", "-n", ns, ""); slices.Contains(words, "encoder") {
		t.Fatalf("kubectl completes without %s: %v", completionProgram, words)
	}
	for _, how := range []struct {
		name    string
		install func() error
	}{
		{"a script", func() error {
			return os.WriteFile(program, []byte(must(t, codeOK, "completion", "kubectl").out), 0o700)
		}},
		{"a link", func() error {
			if err := os.Remove(program); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(dir, "kubectl-jina"), program)
		}},
	} {
		if err := how.install(); err != nil {
			t.Fatal(err)
		}
		t.Run(how.name, func(t *testing.T) {
			for _, tt := range []struct{ args, want []string }{
				{[]string{"scale", "-n", ns, ""}, []string{"gateway", "encoder", "in_dexer", "in_dexer/head", "in_dexer/0", "in_dexer/1"}},
				{[]string{"scale", "-n", ns, "encoder", "in_dexer/"}, []string{"in_dexer/head", "in_dexer/0", "in_dexer/1"}},
				{[]string{"logs", "-n", ns, "en"}, []string{"encoder"}},
				{[]string{"restart", "--namespace=" + ns, "ga"}, []string{"gateway"}},
				{[]string{"status", "-n", ns, "--flow", ""}, []string{"shop"}},
				{[]string{"down", "-n", ns, "--flow", "sh"}, []string{"shop"}},
				{[]string{"status", "-n", ns}, namespaces},
				{[]string{"status", "-o", "m"}, []string{outputMermaid}},
				{[]string{"stat"}, []string{"status"}},
				{[]string{"down", ""}, nil},
			} {
				got, directive := kubectlCompletes(t, dir, c.Kubeconfig(), tt.args...)
				slices.Sort(got)
				slices.Sort(tt.want)
				if !slices.Equal(got, tt.want) || directive != ":4" {
					t.Errorf("%v: %v %s, want %v", tt.args, got, directive, tt.want)
				}
			}
			contexts, _ := kubectlCompletes(t, dir, c.Kubeconfig(), "status", "--context", "")
			if len(contexts) == 0 {
				t.Error("no context is completed")
			}
		})
	}
}
