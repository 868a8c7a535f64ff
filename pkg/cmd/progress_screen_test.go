package cmd

import (
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is a terminal for tests: it understands the control sequences that progress uses and fails the test at any
// other. Lines that leave it at the top are kept in scrollback, and nothing can change them any more.
type screen struct {
	t             *testing.T
	mu            sync.Mutex
	columns, rows int
	scrollback    []string
	lines         []string // always rows of them
	row, column   int
	hidden        bool
	writes        int
}

// wideRest is in the second cell of a letter that takes two.
const wideRest = '\uFFFE'

func newScreen(t *testing.T, columns, rows int) *screen {
	return &screen{t: t, columns: columns, rows: rows, lines: make([]string, rows)}
}

var controlSequence = regexp.MustCompile("^\x1b\\[(\\??[0-9]*)([A-Za-z])")

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	text := string(p)
	for text != "" {
		if m := controlSequence.FindStringSubmatch(text); m != nil {
			s.control(m[1], m[2])
			text = text[len(m[0]):]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		s.put(r)
	}
	return len(p), nil
}

func (s *screen) put(r rune) {
	switch {
	case r == '\r':
		s.column = 0
	case r == '\n':
		s.column = 0
		s.down()
	case r < ' ' || r == 0x7f:
		s.t.Errorf("control character %q", r)
	default:
		cells := runeWidth(r)
		if cells == 0 {
			return // it changes the letter before it
		}
		if s.column+cells > s.columns {
			s.t.Errorf("line %q is as long as the terminal is wide: it wraps", s.lines[s.row])
			s.column = 0
			s.down()
		}
		line := []rune(s.lines[s.row])
		for len(line) <= s.column {
			line = append(line, ' ')
		}
		line[s.column] = r
		if cells == 2 {
			if len(line) == s.column+1 {
				line = append(line, wideRest)
			}
			line[s.column+1] = wideRest
		}
		s.lines[s.row] = string(line)
		s.column += cells
	}
}

func (s *screen) down() {
	if s.row < s.rows-1 {
		s.row++
		return
	}
	s.scrollback = append(s.scrollback, s.lines[0])
	s.lines = append(s.lines[1:], "")
}

func (s *screen) control(parameter, letter string) {
	switch letter {
	case "A":
		n, err := strconv.Atoi(parameter)
		if err != nil || n < 1 {
			s.t.Errorf("cursor up %q", parameter)
		}
		s.row = max(0, s.row-n)
	case "K":
		if line := []rune(s.lines[s.row]); len(line) > s.column {
			s.lines[s.row] = string(line[:s.column])
		}
	case "J":
		if parameter != "" && parameter != "0" {
			s.t.Errorf("erases above the cursor: %qJ", parameter)
		}
		if line := []rune(s.lines[s.row]); len(line) > s.column {
			s.lines[s.row] = string(line[:s.column])
		}
		for i := s.row + 1; i < s.rows; i++ {
			s.lines[i] = ""
		}
	case "l", "h":
		if parameter != "?25" {
			s.t.Errorf("mode %q", parameter)
		}
		s.hidden = letter == "l"
	case "m":
	default:
		s.t.Errorf("control sequence %s%s", parameter, letter)
	}
}

// text is everything that one can see or scroll back to.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := append(append([]string{}, s.scrollback...), s.lines...)
	text := strings.ReplaceAll(strings.Join(lines, "\n"), string(wideRest), "")
	return strings.TrimRight(text, "\n") + "\n"
}

// resize changes the size as a terminal does that wraps lines which became too long, the hard case.
func (s *screen) resize(columns, rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var wrapped []string
	for _, line := range s.lines[:s.row] {
		r := []rune(line)
		for len(r) > columns {
			wrapped = append(wrapped, string(r[:columns]))
			r = r[columns:]
		}
		wrapped = append(wrapped, string(r))
	}
	for len(wrapped) > rows-1 {
		s.scrollback = append(s.scrollback, wrapped[0])
		wrapped = wrapped[1:]
	}
	s.row, s.columns, s.rows = len(wrapped), columns, rows
	s.lines = append(wrapped, make([]string, rows-len(wrapped))...)
}

// env is a terminal's environment with a clock and a ticker in the test's hands.
type testEnv struct {
	terminalEnv
	clock time.Time
	ticks chan time.Time
}

func newTestEnv(variables map[string]string) *testEnv {
	e := &testEnv{clock: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), ticks: make(chan time.Time)}
	e.terminalEnv = terminalEnv{
		getenv: func(name string) string { return variables[name] },
		goos:   "linux",
		size: func(w io.Writer) (int, int, bool) {
			s, ok := w.(*screen)
			if !ok {
				return 0, 0, false
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.columns, s.rows, true
		},
		now:   func() time.Time { return e.clock },
		every: func(time.Duration) (<-chan time.Time, func()) { return e.ticks, func() {} },
	}
	return e
}
