package cmd

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-jina/kubectl-jina/internal/hostile"
)

// TestHostileFilesCostLittle exports every file, from reading it to writing the YAML of its objects. The bound is far above
// what is needed; what grows with the square of a file is far above it.
func TestHostileFilesCostLittle(t *testing.T) {
	const most = 2 << 30
	dir := t.TempDir()
	t.Setenv("KUBECONFIG", filepath.Join(dir, "no-kubeconfig"))
	for _, f := range hostile.Files() {
		t.Run(f.Name, func(t *testing.T) {
			path := filepath.Join(dir, f.Name+".yml")
			if err := os.WriteFile(path, f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			var out, errOut bytes.Buffer
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			code := Main(context.Background(), []string{"export", "-n", "default", "-f", path}, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			allocated := after.TotalAlloc - before.TotalAlloc
			t.Logf("%s, %d MB allocated", took.Round(time.Millisecond), allocated>>20)
			if hostile.MemoryIsMeasured && allocated > most {
				t.Error("too much")
			}
			switch want := f.Problem; {
			case want == "" && code != codeOK:
				t.Errorf("exit code %d: %.500s", code, errOut.String())
			case want != "" && (code != codeUsage || !strings.Contains(errOut.String(), want)):
				t.Errorf("exit code %d, not %q: %.500s", code, want, errOut.String())
			}
			for line := range strings.Lines(errOut.String()) {
				if len(line) > 2000 || strings.Contains(line, "panic") {
					t.Errorf("a line of %d bytes: %.200s", len(line), line)
				}
			}
		})
	}
}
