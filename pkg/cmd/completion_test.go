package cmd

import (
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func TestTheProgramAnswersKubectlUnderItsOtherName(t *testing.T) {
	for _, c := range []struct{ argv, want []string }{
		{nil, nil},
		{[]string{"kubectl-jina"}, nil},
		{[]string{"/usr/bin/kubectl-jina", "status", "-n", "x"}, []string{"status", "-n", "x"}},
		{[]string{"kubectl_complete-jina", "scale", ""}, []string{"__complete", "scale", ""}},
		{[]string{"/opt/bin/kubectl_complete-jina", ""}, []string{"__complete", ""}},
		{[]string{`C:\bin\kubectl_complete-jina.exe`, "st"}, []string{"__complete", "st"}},
		{[]string{"/opt/kubectl_complete-jina/kubectl-jina", "list"}, []string{"list"}},
	} {
		if got := Arguments(c.argv); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.argv, got, c.want)
		}
	}
}

func TestEveryShellHasItsCompletion(t *testing.T) {
	for shell, want := range map[string]string{
		"bash": "complete -o default", "zsh": "#compdef kubectl-jina", "fish": "complete -c kubectl-jina",
		"powershell": "Register-ArgumentCompleter", "kubectl": "#!/bin/sh\n",
	} {
		if r := must(t, codeOK, "completion", shell); !strings.Contains(r.out, want) {
			t.Errorf("%s: %.300s", shell, r.out)
		}
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		if r := must(t, codeUsage, args...); !strings.Contains(r.errOut, "bash, zsh, fish, powershell or kubectl") {
			t.Errorf("%v: %s", args, r.errOut)
		}
	}
}

// completed are the words that may come next, without their descriptions.
func completed(t *testing.T, args ...string) []string {
	t.Helper()
	var words []string
	for line := range strings.Lines(must(t, codeOK, append([]string{"__complete"}, args...)...).out) {
		if word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); !strings.HasPrefix(word, ":") {
			words = append(words, word)
		}
	}
	return words
}

// TestOutputFormatsCompleteAsTheHelpHasThem holds that all formats that the help of --output names complete, each once, and nothing
// else.
func TestOutputFormatsCompleteAsTheHelpHasThem(t *testing.T) {
	word := regexp.MustCompile(`[a-z]+`)
	formats := []string{"tree", "wide", "text", "lines", "plain", "jsonl", "json", "yaml", "name", "mermaid", "dot"}
	// What the words of the help mean otherwise.
	other := map[string][]string{"up": {"lines"}}
	for _, c := range New(genericiooptions.NewTestIOStreamsDiscard()).Commands() {
		o := c.Flags().Lookup("output")
		if o == nil {
			continue
		}
		var want []string
		for _, w := range word.FindAllString(o.Usage, -1) {
			if slices.Contains(formats, w) && !slices.Contains(want, w) && !slices.Contains(other[c.Name()], w) {
				want = append(want, w)
			}
		}
		if got := completed(t, c.Name(), "-o", ""); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.Name(), got, want)
		}
	}
	if got := completed(t, "status", "-o", "m"); !slices.Equal(got, []string{outputMermaid}) {
		t.Errorf("of m: %v", got)
	}
	if got := completed(t, "status", "--watch", "--for", ""); !slices.Equal(got, []string{"healthy", "ready"}) {
		t.Errorf("--for: %v", got)
	}
}

// TestNoCommandCompletesFilesForItsArguments holds that each has its completion: none takes a file but by a flag.
func TestNoCommandCompletesFilesForItsArguments(t *testing.T) {
	root := New(genericiooptions.NewTestIOStreamsDiscard())
	for _, c := range root.Commands() {
		if c.ValidArgsFunction == nil && len(c.ValidArgs) == 0 {
			t.Errorf("%s completes files", c.Name())
		}
		for _, flag := range []string{"flow", "output", "container", "for"} {
			if c.Flag(flag) == nil {
				continue
			}
			if _, has := c.GetFlagCompletionFunc(flag); !has {
				t.Errorf("%s --%s does not complete", c.Name(), flag)
			}
		}
	}
	for _, flag := range []string{"namespace", "context", "cluster", "user"} {
		if _, has := root.GetFlagCompletionFunc(flag); !has {
			t.Errorf("--%s does not complete", flag)
		}
	}
}

func TestNamesThatAreNoWordsAreNotCompleted(t *testing.T) {
	names := []string{"encoder", "en\x1b[2Jcoder", "en\ncoder", "indexer"}
	if got := startingWith(names, "en"); !slices.Equal(got, []string{"encoder"}) {
		t.Errorf("got %q", got)
	}
}

func TestContextsCompleteWithoutACluster(t *testing.T) {
	kubeconfig := flowFileIn(t, `apiVersion: v1
kind: Config
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: ann, user: {}}]
contexts:
- {name: prod, context: {cluster: nowhere, user: ann, namespace: search}}
- {name: preview, context: {cluster: nowhere, user: ann, namespace: search}}
- {name: test, context: {cluster: nowhere, user: ann}}
current-context: prod
`)
	for _, c := range []struct {
		args, want []string
	}{
		{[]string{"--context", "pr"}, []string{"preview", "prod"}},
		{[]string{"--cluster", ""}, []string{"nowhere"}},
		{[]string{"--user", ""}, []string{"ann"}},
		{[]string{"-n", ""}, []string{"search"}},
		{[]string{"--flow", ""}, nil},
	} {
		if got := completed(t, append([]string{"status", "--kubeconfig", kubeconfig}, c.args...)...); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.args, got, c.want)
		}
	}
}

// TestAKeyPressWaitsForNobody holds that completion ends though the cluster, or a program that the kubeconfig asks for credentials,
// does not answer. Either would take a minute and more.
func TestAKeyPressWaitsForNobody(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sh")
	}
	server := silentServer(t)
	// The program outlives the question; it ends with the test's folder.
	waits := fmt.Sprintf("exec >/dev/null 2>&1; while [ -d '%s' ]; do sleep 1; done", t.TempDir())
	for name, user := range map[string]string{
		"a silent cluster": "{}",
		"a program":        fmt.Sprintf(`{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: [-c, %q], interactiveMode: Never}}`, waits),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kubeconfig := kubeconfigOf(t, server, user)
			began := time.Now()
			for _, c := range []struct {
				args, want []string
			}{{[]string{"scale", ""}, nil}, {[]string{"status", "-n", ""}, []string{"search"}}} {
				if got := completed(t, append([]string{c.args[0], "--kubeconfig", kubeconfig}, c.args[1:]...)...); !slices.Equal(got, c.want) {
					t.Errorf("%v: %v", c.args, got)
				}
			}
			if took := time.Since(began); took > 50*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}
