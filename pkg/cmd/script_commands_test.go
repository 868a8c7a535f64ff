package cmd

import (
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kubectl-jina/kubectl-jina/internal/hostile"
)

// exits runs a command and holds its exit code: exits CODE COMMAND [ARG...]. Output is there for stdout, stderr and oneline.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := err.(*exec.ExitError); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// oneLine holds that the last command's standard error is a single line, and no panic or usage text.
func oneLine(ts *testscript.TestScript, neg bool, args []string) {
	text := strings.TrimRight(ts.ReadFile("stderr"), "\n")
	if text == "" || strings.Contains(text, "\n") {
		ts.Fatalf("standard error is not one line:\n%s", text)
	}
	for _, bad := range []string{"panic", "goroutine", "Usage:"} {
		if strings.Contains(text, bad) {
			ts.Fatalf("standard error has %q:\n%s", bad, text)
		}
	}
}

// hostileFiles writes the files of internal/hostile, NAME.yml each, into the script's folder.
func hostileFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: hostile")
	}
	for _, f := range hostile.Files() {
		ts.Check(os.WriteFile(ts.MkAbs(f.Name+".yml"), f.Data, 0o600))
	}
}
