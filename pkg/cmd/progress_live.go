package cmd

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// The control sequences in use (ECMA-48): nothing that touches the screen above our own lines or the scrollback.
const (
	cursorUp    = "\x1b[%dA"
	eraseRight  = "\x1b[K"
	eraseBelow  = "\x1b[J"
	hideCursor  = "\x1b[?25l"
	showCursor  = "\x1b[?25h"
	colourReset = "\x1b[0m"
)

// liveArea is the lines at the end of the output that are drawn again and again. Each picture is one write, which
// hides the cursor at its beginning and shows it at its end: whenever the process dies, the terminal is as it was.
type liveArea struct {
	out  io.Writer
	size func() (columns, rows int, ok bool)
	// colourless: its user wants no colours.
	colourless bool

	title string
	lines []string
	// columns of the terminal when lines were drawn.
	columns int
}

// draw replaces the area by a picture of the states that fits the terminal, below lines that stay.
func (a *liveArea) draw(title string, now time.Time, states []rollout.State, above []string) {
	columns, rows, ok := a.size()
	if !ok || columns < 1 || rows < 2 {
		columns, rows = 80, 24
	}
	a.title = title
	// The line that the cursor stands on after the picture is the terminal's last.
	next := fitStates(states, now, rows-2)
	lines := make([]string, 0, len(next)+1)
	for _, line := range append([]string{title}, next...) {
		// One cell less than there are: a full line makes some terminals wrap.
		lines = append(lines, cutText(line, columns-1))
	}
	before := a.back(columns)
	if len(above) > 0 {
		before += eraseBelow + strings.Join(above, "\n") + "\n"
	}
	a.write(before, lines, columns)
}

// printAbove prints text that stays, and the area again below it.
func (a *liveArea) printAbove(text string) {
	columns, _, ok := a.size()
	if !ok {
		columns = a.columns
	}
	above := text + eraseRight + "\n"
	if len(a.lines) == 0 {
		fmt.Fprint(a.out, text+"\n")
		return
	}
	lines := make([]string, 0, len(a.lines))
	for _, line := range a.lines {
		lines = append(lines, cutText(line, columns-1))
	}
	a.write(a.back(columns)+eraseBelow+above, lines, columns)
}

// isDrawn tells whether there is a picture that will be drawn again.
func (a *liveArea) isDrawn() bool { return len(a.lines) > 0 }

// back moves to the area's first line. After the terminal became narrower its lines may or may not have been wrapped, and
// nobody can tell how many rows they take now: the old picture is left behind rather than somebody else's line erased.
func (a *liveArea) back(columns int) string {
	if len(a.lines) == 0 {
		return ""
	}
	if columns < a.columns {
		return "\r"
	}
	return "\r" + fmt.Sprintf(cursorUp, len(a.lines))
}

func (a *liveArea) write(before string, lines []string, columns int) {
	var b strings.Builder
	b.WriteString(hideCursor + before)
	for _, line := range lines {
		if !a.colourless {
			line = coloured(line)
		}
		b.WriteString(line + eraseRight + "\n")
	}
	b.WriteString(eraseBelow + showCursor)
	a.lines, a.columns = lines, columns
	fmt.Fprint(a.out, b.String())
}

// release leaves the picture where it is; the next one starts below.
func (a *liveArea) release() { a.lines = nil }

// coloured gives the first mark of a line its colour.
func coloured(line string) string {
	for _, c := range []struct{ mark, colour string }{{" ✓ ", "\x1b[32m"}, {" ✗ ", "\x1b[31m"}, {" ! ", "\x1b[33m"}} {
		if before, after, found := strings.Cut(line, c.mark); found {
			return before + c.colour + c.mark + colourReset + after
		}
	}
	return line
}

// fitStates draws the states as a tree if it fits into so many lines, else as a list: what is wrong first, then what is not
// ready, then the ready ones, and how many are not shown.
func fitStates(states []rollout.State, now time.Time, rows int) []string {
	if lines := treeLines(nil, stateTree(states, now)); len(lines) <= rows {
		return lines
	}
	ordered := slices.Clone(states)
	slices.SortStableFunc(ordered, func(a, b rollout.State) int { return urgency(a) - urgency(b) })
	shown := min(max(rows-1, 0), len(ordered))
	var nodes []treeNode
	for _, s := range ordered[:shown] {
		nodes = append(nodes, treeNode{cells: append([]string{s.Part.String()}, stateCells(s, now)...)})
	}
	return append(treeLines(nil, nodes), moreText(ordered[shown:]))
}

func urgency(s rollout.State) int {
	switch {
	case s.Failure != "":
		return 0
	case s.Trouble:
		return 1
	case !s.Done:
		return 2
	default:
		return 3
	}
}

func moreText(hidden []rollout.State) string {
	ready := 0
	for _, s := range hidden {
		if s.Done {
			ready++
		}
	}
	switch ready {
	case len(hidden):
		return fmt.Sprintf("… and %d more ready", ready)
	case 0:
		return fmt.Sprintf("… and %d more not ready", len(hidden))
	default:
		return fmt.Sprintf("… and %d more not ready, %d more ready", len(hidden)-ready, ready)
	}
}

// stateTree puts heads and shards below their executor, in the order of the states.
func stateTree(states []rollout.State, now time.Time) []treeNode {
	var roots []treeNode
	group := map[string]int{} // executor → its place in roots
	for _, s := range states {
		if s.Part.Role != plan.RoleHead && s.Part.Role != plan.RoleShard {
			roots = append(roots, treeNode{cells: append([]string{s.Part.String()}, stateCells(s, now)...)})
			continue
		}
		i, ok := group[s.Part.Executor]
		if !ok {
			i = len(roots)
			group[s.Part.Executor] = i
			roots = append(roots, treeNode{cells: []string{s.Part.Executor}})
		}
		name := string(plan.RoleHead)
		if s.Part.Role == plan.RoleShard {
			name = fmt.Sprintf("shard %d", s.Part.Shard)
		}
		roots[i].children = append(roots[i].children, treeNode{cells: append([]string{name}, stateCells(s, now)...)})
	}
	return roots
}
