package apply

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	kubectlapply "k8s.io/kubectl/pkg/cmd/apply"
	kubectlcreate "k8s.io/kubectl/pkg/cmd/create"
	kubectldelete "k8s.io/kubectl/pkg/cmd/delete"
	kubectledit "k8s.io/kubectl/pkg/cmd/edit"
	kubectlget "k8s.io/kubectl/pkg/cmd/get"
	kubectlscale "k8s.io/kubectl/pkg/cmd/scale"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// envKubectl makes this test binary a kubectl.
const envKubectl = "KUBECTL_JINA_BE_KUBECTL"

// TestMain finds goroutines that a test has left behind. Connections that are kept for the next request, and what waits for the
// end of the cluster that this binary may have started, last as long as the binary.
func TestMain(m *testing.M) {
	if os.Getenv(envKubectl) != "" {
		runKubectl()
		return
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*ClientConn).readLoop"),
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*clientConnReadLoop).run"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("os/exec.(*Cmd).Start.func2"), // reads what the cluster prints
		goleak.IgnoreAnyFunction("github.com/kubectl-jina/kubectl-jina/internal/testcluster.Run.func1"),
		goleak.IgnoreAnyFunction("github.com/kubectl-jina/kubectl-jina/internal/testcluster.Run.func2"),
	)
}

// runKubectl is kubectl with the commands that the tests need: its own code, which ends the process at an error.
func runKubectl() {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	flags := genericclioptions.NewConfigFlags(true).WithWrapConfigFn(func(c *rest.Config) *rest.Config {
		// `kubectl scale` names no field manager: the API server takes it from here.
		c.UserAgent = "kubectl/v1.37.2 (linux/amd64) kubernetes/0000000"
		return c
	})
	f := cmdutil.NewFactory(cmdutil.NewMatchVersionFlags(flags))
	root := &cobra.Command{Use: "kubectl"}
	flags.AddFlags(root.PersistentFlags())
	root.AddCommand(
		kubectlapply.NewCmdApply("kubectl", f, streams), kubectlcreate.NewCmdCreate(f, streams), kubectldelete.NewCmdDelete(f, streams),
		kubectledit.NewCmdEdit(f, streams), kubectlget.NewCmdGet("kubectl", f, streams), kubectlscale.NewCmdScale(f, streams),
	)
	if err := root.Execute(); err != nil {
		os.Exit(1)
	}
}

// kubectl runs kubectl in the fixture's namespace.
func (f fixture) kubectl(t *testing.T, stdin string, env []string, args ...string) (output string, err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	at := []string{"--kubeconfig", testcluster.Start(t).Kubeconfig(), "-n", f.set.Namespace, "--cache-dir", t.TempDir()}
	c := exec.CommandContext(t.Context(), self, append(at, args...)...)
	c.Env = append(append(os.Environ(), envKubectl+"=1"), env...)
	c.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err = c.Run()
	return out.String(), err
}

func (f fixture) mustKubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := f.kubectl(t, stdin, nil, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}
