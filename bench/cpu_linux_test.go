package main

import (
	"os"
	"testing"
	"time"
)

func TestCPUTimeGrowsWithWork(t *testing.T) {
	t.Parallel()
	before, ok := cpuTime(os.Getpid())
	if !ok {
		t.Fatal("this process has no CPU time")
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if after, _ := cpuTime(os.Getpid()); after > before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a minute of work cost nothing")
		}
	}
}
