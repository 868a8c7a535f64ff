package logs

import (
	"bufio"
	"io"
	"strings"
	"time"
)

// longestPiece is the most bytes of a line that are held at once: a line without an end is given in pieces of that length.
const longestPiece = 1 << 20

// lineReader takes a stream apart into lines.
type lineReader struct{ in *bufio.Reader }

func newLineReader(r io.Reader) *lineReader { return &lineReader{bufio.NewReaderSize(r, 64<<10)} }

// next is the next line without its end. whole is false for the rest after the last line end, and for a piece of a line that is
// longer than longestPiece. It returns io.EOF, with whatever is left, at the end of the stream.
func (l *lineReader) next() (text string, whole bool, err error) {
	var b strings.Builder
	for {
		part, err := l.in.ReadSlice('\n')
		b.Write(part)
		switch {
		case err == nil:
			return strings.TrimSuffix(strings.TrimSuffix(b.String(), "\n"), "\r"), true, nil
		case err != bufio.ErrBufferFull:
			return b.String(), false, err
		case b.Len() >= longestPiece:
			return b.String(), true, nil
		}
	}
}

// splitStamp takes the time off a line that the server was asked to write one on. A line without has none.
func splitStamp(line string) (time.Time, string) {
	stamp, rest, found := strings.Cut(line, " ")
	if !found {
		stamp, rest = line, ""
	}
	t, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return time.Time{}, line
	}
	return t, rest
}
