//go:build !windows

package main

import (
	"os"
	"syscall"
)

// ownGroup puts the command into a process group of its own, so that what it has started can be interrupted with it:
// `go test` does not pass a signal on.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func interruptGroup(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGINT) }

// exitCode is what a shell would say: 128 and the signal's number for a command that a signal has ended.
func exitCode(s *os.ProcessState) int {
	if s == nil {
		return codeFailed
	}
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}
