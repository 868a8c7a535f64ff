package logs

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestLinesAreTakenApartAndKeepTheirLength(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	for _, c := range []struct {
		in    string
		lines []string
		rest  string
	}{
		{"", nil, ""},
		{"a\nb\n", []string{"a", "b"}, ""},
		{"a\r\n\nb", []string{"a", ""}, "b"},
		{long + "\nb\n", []string{long, "b"}, ""},
	} {
		for name, r := range map[string]io.Reader{"at once": strings.NewReader(c.in), "in halves": iotest.HalfReader(strings.NewReader(c.in))} {
			l := newLineReader(r)
			var got []string
			rest := ""
			for {
				text, whole, err := l.next()
				if whole {
					got = append(got, text)
				} else {
					rest = text
				}
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if strings.Join(got, "\n") != strings.Join(c.lines, "\n") || len(got) != len(c.lines) || rest != c.rest {
				t.Errorf("%s, %.20q: %d lines, rest %q", name, c.in, len(got), rest)
			}
		}
	}
}

func TestALineWithoutAnEndIsGivenInPieces(t *testing.T) {
	l := newLineReader(strings.NewReader(strings.Repeat("x", 3*longestPiece)))
	total, pieces := 0, 0
	for {
		text, _, err := l.next()
		if len(text) > longestPiece+64<<10 {
			t.Fatalf("a piece of %d bytes", len(text))
		}
		total, pieces = total+len(text), pieces+1
		if err != nil {
			break
		}
	}
	if total != 3*longestPiece || pieces < 3 {
		t.Errorf("%d bytes in %d pieces", total, pieces)
	}
}

func TestSplitStamp(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.UTC)
	for _, c := range []struct {
		in   string
		at   time.Time
		text string
	}{
		{"2026-11-24T12:00:00.123456789Z hello world", at, "hello world"},
		{"2026-11-24T13:00:00.123456789+01:00  two spaces", at, " two spaces"},
		{"2026-11-24T12:00:00.123456789Z ", at, ""},
		{"2026-11-24T12:00:00.123456789Z", at, ""},
		{"no time here", time.Time{}, "no time here"},
		{"", time.Time{}, ""},
	} {
		got, text := splitStamp(c.in)
		if !got.Equal(c.at) || text != c.text {
			t.Errorf("%q: %v %q", c.in, got, text)
		}
	}
}
