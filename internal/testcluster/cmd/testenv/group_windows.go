package main

import (
	"os"
	"syscall"
)

// ownGroup is nothing here: the console's Ctrl-C reaches the command and what it has started by itself.
func ownGroup() *syscall.SysProcAttr { return nil }

func interruptGroup(p *os.Process) error { return p.Kill() }

func exitCode(s *os.ProcessState) int {
	if s == nil {
		return codeFailed
	}
	return s.ExitCode()
}
