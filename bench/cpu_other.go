//go:build !linux

package main

import "time"

// cpuTime of another process is not known here.
func cpuTime(int) (time.Duration, bool) { return 0, false }
