package meshcheck

import (
	"strings"
	"unicode"
)

// maxText is the longest text, in runes, that a result has: a message of the cluster can be as long as an object, while what
// all of the optional rights are for takes a thousand.
const maxText = 2000

// oneLine makes text from the cluster fit for a terminal: one line, without control or formatting characters (an
// annotation may hold escape sequences), of bounded length.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		default:
			return r
		}
	}, s)
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > maxText {
		return string(runes[:maxText]) + " …"
	}
	return string(runes)
}
