package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc; it is the same on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// cpuTime is what a process has used so far; see proc_pid_stat(5).
func cpuTime(pid int) (time.Duration, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The name of the program, in parentheses, may have spaces. What follows it begins with the third field.
	_, after, found := strings.Cut(string(b), ") ")
	fields := strings.Fields(after)
	if !found || len(fields) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, err1 == nil && err2 == nil
}
