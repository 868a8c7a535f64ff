package apply

import (
	"bufio"
	"errors"
	"io"
)

// errNoList says that what came is not the JSON of a list.
var errNoList = errors.New("the API server's answer is not a list in JSON")

// readItems hands over the items of a list one by one, as they stand in its JSON. Whoever decodes an item checks it: of what is
// around the items only strings and brackets are looked at. It is here so that a list of thousands of objects is never decoded as
// a whole, which takes ten times the memory of its text.
func readItems(from io.Reader, use func([]byte)) error {
	s := itemScanner{from: bufio.NewReaderSize(from, 64<<10), use: use}
	for {
		b, err := s.from.ReadByte()
		switch {
		case errors.Is(err, io.EOF) && s.began && s.depth == 0:
			return nil
		case errors.Is(err, io.EOF):
			return errNoList
		case err != nil:
			return err
		}
		if err := s.scan(b); err != nil {
			return err
		}
	}
}

// itemScanner is where in a list readItems is.
type itemScanner struct {
	from *bufio.Reader
	use  func([]byte)
	// depth of brackets; from 3 on inside an item, if it is below the key "items".
	depth   int
	began   bool
	isItems bool
	// key is the last string of the list's own.
	key []byte
	// item is what has been read of an item.
	item []byte
}

func (s *itemScanner) inItem() bool { return s.isItems && s.depth > 2 }

func (s *itemScanner) scan(b byte) error {
	switch b {
	case '"':
		return s.scanString()
	case '{', '[':
		s.began = true
		s.depth++
		if s.depth == 2 {
			s.isItems = b == '[' && string(s.key) == "items"
		}
	}
	if s.inItem() {
		s.item = append(s.item, b)
	}
	if b == '}' || b == ']' {
		if s.inItem() && s.depth == 3 {
			s.use(s.item)
			s.item = make([]byte, 0, len(s.item)+len(s.item)/8) // the next one is about as long
		}
		if s.depth--; s.depth < 0 {
			return errNoList
		}
	}
	return nil
}

// scanString reads on behind a quote, up to the one that ends the string.
func (s *itemScanner) scanString() error {
	if s.inItem() {
		s.item = append(s.item, '"')
	} else {
		s.key = s.key[:0]
	}
	for {
		part, err := s.from.ReadSlice('"')
		switch {
		case errors.Is(err, io.EOF):
			return errNoList
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
		text := &s.key
		if s.inItem() {
			text = &s.item
		}
		*text = append(*text, part...)
		if err == nil && !endsEscaped(*text) {
			break
		}
	}
	if !s.inItem() {
		s.key = s.key[:len(s.key)-1]
	}
	return nil
}

// endsEscaped tells whether the quote at the end of a text is part of the string before it.
func endsEscaped(text []byte) bool {
	n := 0
	for i := len(text) - 2; i >= 0 && text[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}
