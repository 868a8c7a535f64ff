package testcluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	// moduleDir is the nested module, below the root of the repository.
	moduleDir = "internal/testcluster/embedded"
	// kept is how many builds stay in the cache: 140 MB each.
	kept = 3
	// progressEvery is short enough that a CI does not take a cold build for a hang.
	progressEvery = 30 * time.Second
)

// Build returns the path of the program that is the cluster, and builds it when no build of these sources is in the
// user's cache directory: up to ten minutes with an empty Go build cache, half a minute with a full one. Several
// processes may call it at once: one builds. A line about it goes to progress every half minute.
func Build(ctx context.Context, progress io.Writer) (binary string, err error) {
	source, err := findModule()
	if err != nil {
		return "", err
	}
	key, err := buildKey(ctx, source)
	if err != nil {
		return "", fmt.Errorf("embedded cluster: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("embedded cluster: %w", err)
	}
	cache = filepath.Join(cache, "kubectl-jina", "testcluster")
	binary = filepath.Join(cache, key, "jina-testcluster"+executableSuffix())
	if use(binary) {
		return binary, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	stop := reportEvery(progressEvery, progress, "building the embedded cluster: up to ten minutes the first time")
	defer stop()
	unlock, err := lock(ctx, filepath.Join(cache, "build.lock"))
	if err != nil {
		return "", fmt.Errorf("embedded cluster: waiting for another build: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	// Another process may have built it meanwhile.
	if use(binary) {
		return binary, nil
	}
	if err := build(ctx, source, binary); err != nil {
		return "", err
	}
	return binary, removeOld(cache)
}

func executableSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// use says whether the build is there, and marks it as used.
func use(binary string) bool {
	if _, err := os.Stat(binary); err != nil {
		return false
	}
	now := time.Now()
	// Without the mark it is only removed earlier than it should be.
	_ = os.Chtimes(filepath.Dir(binary), now, now)
	return true
}

// findModule looks for the repository above the working directory, which for a test is its package's.
func findModule() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; {
		source := filepath.Join(dir, filepath.FromSlash(moduleDir))
		if _, err := os.Stat(filepath.Join(source, "go.mod")); err == nil {
			return source, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("embedded cluster: no %s above %s", moduleDir, wd)
		}
		dir = parent
	}
}

// buildKey is a hash of all that makes the program: its sources and the toolchain.
func buildKey(ctx context.Context, source string) (string, error) {
	c := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH", "GOFLAGS", "CGO_ENABLED")
	c.Dir = source
	toolchain, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", withStderr(err))
	}
	sum := sha256.New()
	sum.Write(toolchain)
	// WalkDir goes in lexical order.
	err = filepath.WalkDir(source, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", filepath.ToSlash(relative), len(b))
		sum.Write(b)
		return nil
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

func withStderr(err error) error {
	if e := (*exec.ExitError)(nil); errors.As(err, &e) && len(e.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(e.Stderr))
	}
	return err
}

// build runs the compiler. No other flag must be set than those that a developer's `go build` has: they would make
// another, cold, entry for each of two and a half thousand packages in Go's build cache.
func build(ctx context.Context, source, binary string) error {
	version, err := kubernetesVersion(source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		return err
	}
	next := binary + ".new"
	c := exec.CommandContext(ctx, "go", "build", "-ldflags", linkerFlags(version), "-o", next, ".")
	c.Dir = source
	// A workspace would replace the module's own versions.
	c.Env = append(os.Environ(), "GOWORK=off")
	// Interrupted, go removes its temporary files; killed it would not.
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	output, err := c.CombinedOutput()
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("build of the embedded cluster: %w", context.Cause(ctx))
		}
		return fmt.Errorf("build of the embedded cluster: %w\n%s", err, bytes.TrimSpace(output))
	}
	// The name appears when the file is whole.
	return os.Rename(next, binary)
}

// linkerFlags make the API server report its version: in a release the linker sets it.
func linkerFlags(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	flags := []string{"-s", "-w"}
	for _, v := range [][2]string{
		{"gitVersion", version}, {"gitMajor", parts[0]}, {"gitMinor", parts[1]}, {"gitTreeState", "clean"}, {"gitCommit", "embedded"},
	} {
		flags = append(flags, "-X", "k8s.io/component-base/version."+v[0]+"="+v[1])
	}
	return strings.Join(flags, " ")
}

// kubernetesVersion is what the nested module requires.
func kubernetesVersion(source string) (string, error) {
	path := filepath.Join(source, "go.mod")
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 2 && f[0] == "k8s.io/kubernetes" && strings.Count(f[1], ".") == 2 {
			return f[1], nil
		}
	}
	return "", fmt.Errorf("%s requires no k8s.io/kubernetes", path)
}

// removeOld keeps the builds that were used last.
func removeOld(cache string) error {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return err
	}
	type old struct {
		path string
		used time.Time
	}
	var builds []old
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() {
			continue
		}
		builds = append(builds, old{filepath.Join(cache, e.Name()), info.ModTime()})
	}
	slices.SortFunc(builds, func(a, b old) int { return b.used.Compare(a.used) })
	for i := kept; i < len(builds); i++ {
		// One that cannot be removed, because it runs on Windows, goes another time.
		_ = os.RemoveAll(builds[i].path)
	}
	return nil
}

// reportEvery writes the line now and then, until stop is called. Nothing is written for what is done within a second.
func reportEvery(interval time.Duration, w io.Writer, line string) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	begin := time.Now()
	go func() {
		defer close(ended)
		next := time.Second
		for {
			select {
			case <-done:
				return
			case <-time.After(next):
				fmt.Fprintf(w, "%s (%s)\n", line, time.Since(begin).Round(time.Second))
				next = interval
			}
		}
	}()
	return func() { close(done); <-ended }
}

// lock waits for the file.
func lock(ctx context.Context, path string) (unlock func() error, err error) {
	for {
		unlock, ok, err := tryLock(path)
		if err != nil || ok {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
