package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBuildKeyFollowsTheSources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "go.mod"), "module example.test/m\n\ngo 1.26.0\n")
	writeFile(t, filepath.Join(dir, "main.go"), "package main\n")
	key := func() string {
		t.Helper()
		k, err := buildKey(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	before := key()
	if again := key(); again != before {
		t.Errorf("the key of the same sources is %s, then %s", before, again)
	}
	writeFile(t, filepath.Join(dir, "main_test.go"), "package main\n")
	if got := key(); got != before {
		t.Error("a test changes the key: it is no part of the program")
	}
	writeFile(t, filepath.Join(dir, "stages", "pods.yaml"), "kind: Stage\n")
	after := key()
	if after == before {
		t.Error("a new file does not change the key")
	}
	writeFile(t, filepath.Join(dir, "stages", "pods.yaml"), "kind: Stag\ne")
	if key() == after {
		t.Error("a changed file does not change the key")
	}
}

func TestLinkerFlagsSayTheVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "go.mod"), "module example.test/m\n\nrequire (\n\tk8s.io/kubernetes v1.37.2\n)\n")
	version, err := kubernetesVersion(dir)
	if err != nil {
		t.Fatal(err)
	}
	flags := linkerFlags(version)
	for _, want := range []string{"version.gitVersion=v1.37.2", "version.gitMajor=1 ", "version.gitMinor=37 "} {
		if !strings.Contains(flags, want) {
			t.Errorf("no %q in %s", want, flags)
		}
	}
	writeFile(t, filepath.Join(dir, "go.mod"), "module example.test/m\n")
	if _, err := kubernetesVersion(dir); err == nil {
		t.Error("a module that requires no Kubernetes has a version")
	}
}

func TestOneHoldsTheLockAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a second lock: %v, want to wait", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = lock(t.Context(), path)
	if err != nil {
		t.Fatalf("after the first was given back: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestCacheKeepsTheBuildsUsedLast(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	writeFile(t, filepath.Join(cache, "build.lock"), "")
	now := time.Now()
	for i := range kept + 2 {
		dir := filepath.Join(cache, fmt.Sprintf("%d", i))
		writeFile(t, filepath.Join(dir, "jina-testcluster"), "")
		used := now.Add(-time.Duration(i) * time.Hour)
		if err := os.Chtimes(dir, used, used); err != nil {
			t.Fatal(err)
		}
	}
	if !use(filepath.Join(cache, fmt.Sprint(kept+1), "jina-testcluster")) {
		t.Fatal("the oldest build is not there")
	}
	if err := removeOld(cache); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got, want := strings.Join(left, " "), "0 1 4 build.lock"; got != want {
		t.Errorf("left are %s, want %s", got, want)
	}
}

// lines is a writer that says when it was written to.
type lines struct {
	mu      sync.Mutex
	text    string
	written chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	l.text += string(b)
	l.mu.Unlock()
	l.written <- struct{}{}
	return len(b), nil
}

func TestLongBuildIsReportedAgainAndAgain(t *testing.T) {
	t.Parallel()
	w := &lines{written: make(chan struct{})}
	stop := reportEvery(time.Millisecond, w, "building")
	<-w.written
	<-w.written
	done := make(chan struct{})
	go func() { stop(); close(done) }()
	for open := true; open; {
		select {
		case <-w.written:
		case <-done:
			open = false
		}
	}
	if !strings.HasPrefix(w.text, "building (1s)\nbuilding (") {
		t.Errorf("got %q", w.text)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	t.Parallel()
	w := &tail{}
	for range 1000 {
		fmt.Fprintln(w, "not this line")
	}
	fmt.Fprintln(w, "error: the last one")
	if got := w.String(); len(got) > tailSize || !strings.HasSuffix(got, "\nerror: the last one") {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
}
