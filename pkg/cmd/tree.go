package cmd

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// treeNode is a line of a tree and the lines below it.
type treeNode struct {
	// cells are the columns; the first stands behind the branches.
	cells    []string
	children []treeNode
}

// treeLines draws the tree with its columns aligned, under the header if there is one. No line ends in a space.
func treeLines(header []string, roots []treeNode) []string {
	var table [][]string
	if header != nil {
		table = append(table, header)
	}
	for _, r := range roots {
		table = r.appendTo(table, "", "")
	}
	return alignColumns(table, columnGap)
}

// appendTo adds the node's line, whose own branch is lead, and its children's, which follow behind below.
func (n treeNode) appendTo(table [][]string, lead, below string) [][]string {
	cells := append([]string{}, n.cells...)
	if len(cells) == 0 {
		cells = []string{""}
	}
	cells[0] = lead + cells[0]
	table = append(table, cells)
	for i, c := range n.children {
		if i == len(n.children)-1 {
			table = c.appendTo(table, below+"└─ ", below+"   ")
		} else {
			table = c.appendTo(table, below+"├─ ", below+"│  ")
		}
	}
	return table
}

// columnGap is the space between two columns, as kubectl's tables have it.
const columnGap = 3

// alignColumns sets the cells of the rows below one another, so many spaces apart. No line ends in a space.
func alignColumns(table [][]string, gap int) []string {
	var widths []int
	for _, row := range table {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], textWidth(cell))
		}
	}
	lines := make([]string, 0, len(table))
	for _, row := range table {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			b.WriteString(strings.Repeat(" ", widths[i]-textWidth(cell)+gap))
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// textWidth is the number of terminal cells that a text without control characters takes.
func textWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cutText shortens a text to so many terminal cells, with an ellipsis where something is missing.
func cutText(s string, cells int) string {
	if textWidth(s) <= cells {
		return s
	}
	var b strings.Builder
	n := 1 // the ellipsis
	for _, r := range s {
		if n += runeWidth(r); n > cells {
			break
		}
		b.WriteRune(r)
	}
	if cells < 1 {
		return ""
	}
	return b.String() + "…"
}
