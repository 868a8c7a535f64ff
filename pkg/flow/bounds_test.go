package flow

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-jina/kubectl-jina/internal/hostile"
)

// TestHostileFilesAreReadInBounds reads each file, which has at most a megabyte (of more, only a megabyte is read), and
// holds what is said of it, and that it took not much memory. The bound is far above what is needed:
// something that grows with the square of the size is far above it.
func TestHostileFilesAreReadInBounds(t *testing.T) {
	const most = 1 << 30
	var worst time.Duration
	for _, file := range hostile.Files() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		f, problems := Read(Source{Name: "f.yml", Data: file.Data, Env: env("SET", "value")})
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; hostile.MemoryIsMeasured && allocated > most {
			t.Errorf("%s: took %s and %d MB", file.Name, took, allocated>>20)
		} else {
			t.Logf("%-20s %8s %5d MB", file.Name, took.Round(time.Millisecond), allocated>>20)
		}
		worst = max(worst, took)
		text := ""
		for _, p := range problems {
			if line := p.String(); len(line) > 2000 || strings.ContainsAny(line, "\n\r\x00\x1b") {
				t.Errorf("%s: a problem is no line: %.100q", file.Name, line)
			}
			text += p.String() + "\n"
		}
		if len(problems) > 2*(maxProblems+1) {
			t.Errorf("%s has %d problems", file.Name, len(problems))
		}
		switch {
		case file.Problem == "" && problems.Err() != nil:
			t.Errorf("%s is refused: %.500s", file.Name, text)
		case file.Problem != "" && problems.Err() == nil && f == nil:
			t.Errorf("%s has no Flow and no error", file.Name)
		case file.Problem != "" && problems.Err() != nil && !strings.Contains(text, file.Problem):
			t.Errorf("%s: problems are %.500s", file.Name, text)
		}
	}
}
