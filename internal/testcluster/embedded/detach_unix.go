//go:build unix

package main

import "syscall"

// ownSession keeps the terminal's signals from a detached cluster.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
