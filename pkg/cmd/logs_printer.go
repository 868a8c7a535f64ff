package cmd

import (
	"io"
	"strconv"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/logs"
)

// logPrinter prints lines as they come, in a colour for each pod on a terminal.
type logPrinter struct {
	out                          io.Writer
	parts                        *logParts
	prefix, timestamps, coloured bool
	// colours of the pods that have been seen.
	colours map[string]int
	// prefixes that have been made, by pod and container.
	prefixes map[[2]string]string
	// broken is called when the output cannot be written any more; err is why.
	broken func()
	err    error
}

// logColours are those that can be read on dark and on light.
func logColours() []int { return []int{36, 32, 33, 35, 34, 96, 92, 93, 95, 94} }

func (p *logPrinter) print(line logs.Line) {
	if p.err != nil {
		return
	}
	text := line.Text + "\n"
	if p.timestamps {
		at := "-"
		if !line.Time.IsZero() {
			at = line.Time.UTC().Format(time.RFC3339Nano)
		}
		text = at + " " + text
	}
	if p.prefix {
		text = p.start(line) + " " + text
	}
	if _, err := io.WriteString(p.out, text); err != nil {
		p.err = err
		p.broken()
	}
}

// start is what a line starts with.
func (p *logPrinter) start(line logs.Line) string {
	key := [2]string{line.Pod, line.Container}
	if text, known := p.prefixes[key]; known {
		return text
	}
	text := p.parts.prefixOf(line)
	if p.coloured {
		colour, known := p.colours[line.Pod]
		if !known {
			colours := logColours()
			colour = colours[len(p.colours)%len(colours)]
			p.colours[line.Pod] = colour
		}
		text = "\x1b[" + strconv.Itoa(colour) + "m" + text + colourReset
	}
	if p.prefixes == nil {
		p.prefixes = map[[2]string]string{}
	}
	p.prefixes[key] = text
	return text
}
