package cmd

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// TestMain makes the command line available to the scripts as kubectl-jina: the scripts run it as a process of its own, with
// the exit codes that users see.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kubectl-jina": func() {
			streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
			os.Exit(Main(context.Background(), os.Args[1:], streams))
		},
	})
}

// TestScripts runs testdata/script: what needs no cluster.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("KUBECONFIG", filepath.Join(e.WorkDir, "no-kubeconfig"))
			return os.WriteFile(filepath.Join(e.WorkDir, "binary.yml"), []byte("\x7fELF\x02\x01\x00\x00\xff\xfe"), 0o600)
		},
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "oneline": oneLine, "hostile": hostileFiles},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// TestClusterScripts runs testdata/cluster, each script in a namespace of its own on the embedded cluster: $NS, and $NOMESH
// for one where no mesh is injected.
func TestClusterScripts(t *testing.T) {
	c := testcluster.Start(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "cluster"),
		Setup: func(e *testscript.Env) error {
			tb := e.T().(testing.TB)
			e.Setenv("KUBECONFIG", c.Kubeconfig())
			e.Setenv("NS", c.Namespace(tb))
			e.Setenv("NOMESH", c.NamespaceWithoutMesh(tb))
			e.Setenv("STRANGER", c.User(tb, "stranger"))
			return writeExpired(e, c.Kubeconfig())
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "oneline": oneLine},
	})
}

// writeExpired makes $EXPIRED, a kubeconfig of the cluster whose token the API server does not know (any more).
func writeExpired(e *testscript.Env, kubeconfig string) error {
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return err
	}
	for _, user := range config.AuthInfos {
		*user = clientcmdapi.AuthInfo{Token: "expired"}
	}
	path := filepath.Join(e.WorkDir, "expired.kubeconfig")
	e.Setenv("EXPIRED", path)
	return clientcmd.WriteToFile(*config, path)
}
