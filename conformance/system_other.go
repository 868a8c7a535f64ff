//go:build !unix

package main

import (
	"errors"
	"os"
)

// lockCorpusDir refuses: the reference's server needs fork.
func lockCorpusDir() (unlock func() error, err error) {
	return nil, errors.New("the real Jina is run on Unix only")
}

// peakMemory is not known here.
func peakMemory(*os.ProcessState) int64 { return 0 }
