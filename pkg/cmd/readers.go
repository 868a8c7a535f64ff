package cmd

import (
	"os"
	"os/signal"
	"syscall"
)

// outliveReaders lets writes to a pipe that nobody reads any more fail, until the function that it returns is called. Otherwise the
// first one to standard output or standard error ends the process, with a Flow half applied, nothing brought back and the Lease
// held: `up | head` is not meant like that.
func outliveReaders() (end func()) {
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	return func() { signal.Stop(broken) }
}
