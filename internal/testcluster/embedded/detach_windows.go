package main

import "syscall"

// ownSession keeps the terminal's signals from a detached cluster.
func ownSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
