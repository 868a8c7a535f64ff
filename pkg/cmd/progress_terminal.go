package cmd

import (
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/term"
)

// terminalEnv is what the progress printer needs to know of its surroundings, handed in so that tests need no terminal.
type terminalEnv struct {
	getenv func(string) string
	goos   string
	// size of the terminal that a writer is; ok is false for anything else.
	size func(io.Writer) (columns, rows int, ok bool)
	now  func() time.Time
	// every starts a ticker; the function stops it.
	every func(time.Duration) (<-chan time.Time, func())
}

// processTerminal is the process's own surroundings.
func processTerminal() terminalEnv {
	return terminalEnv{
		getenv: os.Getenv,
		goos:   runtime.GOOS,
		size: func(w io.Writer) (columns, rows int, ok bool) {
			f, isFile := w.(*os.File)
			if !isFile || !term.IsTerminal(int(f.Fd())) {
				return 0, 0, false
			}
			columns, rows, err := term.GetSize(int(f.Fd()))
			return columns, rows, err == nil
		},
		now: time.Now,
		every: func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(d)
			return t.C, t.Stop
		},
	}
}

// terminal is the surroundings that commands print their progress in.
func (f *factory) terminal() terminalEnv { return processTerminal() }

// live tells whether the writer is a terminal whose lines are drawn again unasked: not in CI, and not with NO_COLOR
// (https://no-color.org), whose users want plain text.
func (e terminalEnv) live(w io.Writer) bool {
	if e.getenv("NO_COLOR") != "" {
		return false
	}
	if ci := e.getenv("CI"); ci != "" && ci != "false" && ci != "0" {
		return false
	}
	return e.canDraw(w)
}

// canDraw tells whether the writer is a terminal whose lines can be drawn again. Some say that they can do nothing, and the Windows
// console understands control sequences only under hosts that announce themselves.
func (e terminalEnv) canDraw(w io.Writer) bool {
	if _, _, ok := e.size(w); !ok {
		return false
	}
	name := e.getenv("TERM")
	if e.goos == "windows" {
		return name != "dumb" && (name != "" || e.getenv("WT_SESSION") != "" || e.getenv("ConEmuANSI") == "ON")
	}
	return name != "" && name != "dumb"
}
