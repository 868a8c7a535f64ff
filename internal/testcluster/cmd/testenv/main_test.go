//go:build !windows

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

func TestCommandsCodeIsPassedOn(t *testing.T) {
	// A cluster that is there already is neither started nor stopped: the path is all that is needed here.
	t.Setenv(testcluster.EnvKubeconfig, "/somewhere/admin.kubeconfig")
	for _, test := range []struct {
		args         []string
		code         int
		out, problem string
	}{
		{args: []string{"--", "sh", "-c", "echo $KUBECTL_JINA_TESTCLUSTER; exit 7"}, code: 7, out: "/somewhere/admin.kubeconfig\n"},
		{args: []string{"true"}, code: 0},
		{args: []string{"sh", "-c", "kill -9 $$"}, code: 128 + 9},
		{args: []string{"no-such-command-here"}, code: codeFailed, problem: "executable file not found"},
		{args: nil, code: codeUsage, problem: "usage: testenv"},
		{args: []string{"-build", "true"}, code: codeUsage, problem: "usage: testenv"},
		{args: []string{"-nonsense"}, code: codeUsage, problem: "-nonsense"},
	} {
		var out, errOut strings.Builder
		if code := run(t.Context(), test.args, &out, &errOut); code != test.code {
			t.Errorf("%q: code %d, want %d (%s)", test.args, code, test.code, errOut.String())
		}
		if out.String() != test.out || !strings.Contains(errOut.String(), test.problem) {
			t.Errorf("%q says %q and %q, want %q and %q", test.args, out.String(), errOut.String(), test.out, test.problem)
		}
	}
}

// reader cancels when the command has said something.
type reader struct{ cancel context.CancelFunc }

func (r reader) Write(b []byte) (int, error) { r.cancel(); return len(b), nil }

func TestInterruptReachesWhatTheCommandHasStarted(t *testing.T) {
	t.Setenv(testcluster.EnvKubeconfig, "/somewhere/admin.kubeconfig")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var errOut strings.Builder
	said := filepath.Join(t.TempDir(), "said")
	// The inner shell is the test binary of a `go test`: it holds the output open, so run returns when it has ended.
	script := `sh -c 'trap "echo interrupted > $0; exit" INT; echo ready; while :; do sleep 0.05; done' ` + said
	if code := run(ctx, []string{"sh", "-c", script + "; exit 3"}, reader{cancel}, &errOut); code != codeInterrupted {
		t.Errorf("code %d, want %d: %s", code, codeInterrupted, errOut.String())
	}
	if b, err := os.ReadFile(said); err != nil || string(b) != "interrupted\n" {
		t.Errorf("the inner command says %q, %v", b, err)
	}
}

func TestClusterLivesAsLongAsTheCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short no cluster is started")
	}
	t.Setenv(testcluster.EnvKubeconfig, "")
	var out, errOut strings.Builder
	script := `test -s "$KUBECTL_JINA_TESTCLUSTER" && test -e "$(dirname "$KUBECTL_JINA_TESTCLUSTER")/audit.log" && echo "$KUBECTL_JINA_TESTCLUSTER"; exit 5`
	if code := run(t.Context(), []string{"sh", "-c", script}, &out, &errOut); code != 5 {
		t.Fatalf("code %d, want 5: %s", code, errOut.String())
	}
	kubeconfig := strings.TrimSpace(out.String())
	if kubeconfig == "" {
		t.Fatalf("the command found no cluster: %s", errOut.String())
	}
	if _, err := os.Stat(filepath.Dir(kubeconfig)); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", filepath.Dir(kubeconfig), err)
	}
}
