//go:build unix

package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"github.com/kubectl-jina/kubectl-jina/internal/conformance"
)

// lockCorpusDir claims the folder in which stored cases are exported: its name is part of their output, so two runs at a
// time would disturb each other. The lock ends with the process.
func lockCorpusDir() (unlock func() error, err error) {
	f, err := os.OpenFile(conformance.CorpusDir+".lock", os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another run is at work: %s is locked: %w", f.Name(), err)
	}
	return f.Close, nil
}

// peakMemory is the most memory that a process has had at a time, in bytes; 0 where nobody counts.
func peakMemory(s *os.ProcessState) int64 {
	usage, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) * 1024
}
