//go:build unix

// cost runs a command to its end and writes what it cost to a file:
//
//	cost FILE COMMAND [ARGUMENT]...
//
// It is small on purpose: on Linux the most memory that a process is said to have had is at least that of the one that
// started it, which for the benchmark itself would be more than some of the measured programs have.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// codeUsage, codeNotRun: what is not the command's own exit code.
const (
	codeUsage  = 64
	codeNotRun = 127
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: cost FILE COMMAND [ARGUMENT]...")
		os.Exit(codeUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, os.Args[1], os.Args[2], os.Args[3:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(codeNotRun)
	}
	os.Exit(code)
}

func run(ctx context.Context, file, name string, args []string) (code int, err error) {
	c := exec.CommandContext(ctx, name, args...)
	// Who ends this program ends the command.
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	begin := time.Now()
	err = c.Run()
	end := time.Now()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if e := (*exec.ExitError)(nil); err != nil && !errors.As(err, &e) {
		return 0, err
	}
	usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, errors.New("this system does not say what a process has used")
	}
	b, err := json.Marshal(map[string]any{
		"begin": begin, "end": end,
		"cpu":    c.ProcessState.UserTime() + c.ProcessState.SystemTime(),
		"memory": int64(usage.Maxrss) * unitOfMaxrss(),
	})
	if err != nil {
		return 0, err
	}
	return c.ProcessState.ExitCode(), os.WriteFile(file, b, 0o600)
}

// unitOfMaxrss is in bytes; see getrusage(2) of each.
func unitOfMaxrss() int64 {
	if runtime.GOOS == "darwin" {
		return 1
	}
	return 1024
}
