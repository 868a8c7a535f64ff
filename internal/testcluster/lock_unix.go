//go:build !windows

package testcluster

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the file unless another process has it; the end of the process gives it back too.
func tryLock(path string) (unlock func() error, ok bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case err == nil:
		return f.Close, true, nil
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
		return nil, false, f.Close()
	}
	return nil, false, errors.Join(&os.PathError{Op: "lock", Path: path, Err: err}, f.Close())
}
