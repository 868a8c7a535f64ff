package flow

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The forms that PyYAML reads in a plain scalar, which are YAML 1.1's with a stricter float and without on/off and
// y/n as booleans (jina 3.34.0 with PyYAML 6).
var (
	yamlInt   = regexp.MustCompile(`^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$`)
	yamlFloat = regexp.MustCompile(`^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$`)
	yamlDate  = regexp.MustCompile(`^(?:\d\d\d\d-\d\d-\d\d|\d\d\d\d-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)$`)

	pythonInt   = regexp.MustCompile(`^[-+]?[0-9]+(?:_[0-9]+)*$`)
	pythonFloat = regexp.MustCompile(`(?i)^[-+]?(?:(?:[0-9]+(?:_[0-9]+)*(?:\.(?:[0-9]+(?:_[0-9]+)*)?)?|\.[0-9]+(?:_[0-9]+)*)(?:e[-+]?[0-9]+(?:_[0-9]+)*)?|inf|infinity|nan)$`)
)

// plainScalar resolves an unquoted scalar. It reports false for a date, which Jina cannot use anywhere.
func plainScalar(text string) (ValueKind, string, bool) {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return Null, "", true
	case "yes", "Yes", "YES", "true", "True", "TRUE":
		return Bool, "true", true
	case "no", "No", "NO", "false", "False", "FALSE":
		return Bool, "false", true
	}
	switch {
	case len(text) > maxDigits:
		// No number that Python reads; the forms below take long then.
	case yamlInt.MatchString(text):
		if n, ok := readYAMLInt(text); ok {
			return Int, n, true
		}
	case yamlFloat.MatchString(text):
		if f, ok := readYAMLFloat(text); ok {
			return Float, f, true
		}
	case yamlDate.MatchString(text):
		return String, text, false
	}
	return String, text, true
}

// readYAMLInt is the canonical decimal form of a YAML 1.1 integer: 010 is octal, 1:30 is 90.
func readYAMLInt(text string) (string, bool) {
	text = strings.ReplaceAll(text, "_", "")
	negative := strings.HasPrefix(text, "-")
	digits := strings.TrimLeft(text, "+-")
	n := new(big.Int)
	ok := true
	switch {
	case digits == "0":
	case strings.HasPrefix(digits, "0b"):
		_, ok = n.SetString(digits[2:], 2)
	case strings.HasPrefix(digits, "0x"):
		_, ok = n.SetString(digits[2:], 16)
	case strings.HasPrefix(digits, "0"):
		_, ok = n.SetString(digits, 8)
	case strings.Contains(digits, ":"):
		for part := range strings.SplitSeq(digits, ":") {
			d, fine := new(big.Int).SetString(part, 10)
			if !fine {
				return "", false
			}
			n.Mul(n, big.NewInt(60)).Add(n, d)
		}
	default:
		_, ok = n.SetString(digits, 10)
	}
	if negative {
		n.Neg(n)
	}
	return n.String(), ok
}

func readYAMLFloat(text string) (string, bool) {
	text = strings.ToLower(strings.ReplaceAll(text, "_", ""))
	sign := 1.0
	if strings.HasPrefix(text, "-") {
		sign = -1
	}
	digits := strings.TrimLeft(text, "+-")
	switch {
	case digits == ".inf":
		return pythonFloatText(sign * math.Inf(1)), true
	case digits == ".nan":
		return "nan", true
	case strings.Contains(digits, ":"):
		total := 0.0
		for part := range strings.SplitSeq(digits, ":") {
			d, err := strconv.ParseFloat(part, 64)
			if err != nil {
				return "", false
			}
			total = total*60 + d
		}
		return pythonFloatText(sign * total), true
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil && !math.IsInf(f, 0) {
		return "", false
	}
	return pythonFloatText(sign * f), true
}

// pythonFloatText is how Python prints a float: the shortest text that reads back, with an exponent below 1e-4 and
// from 1e16 on.
func pythonFloatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// maxDigits bounds the digits of a whole number, as Python does.
const maxDigits = 4300

// convert is what Jina does to every text: a pair of quotes around all of it is taken off, [a, b] becomes a list,
// what Python reads as int or float becomes a number, true and false in any case a boolean, empty text nothing.
// Semantics 1.2.
func convert(v *Value) {
	// The reference converts in several rounds, so that what the quotes hid is converted by the next one.
	for range 4 {
		if v.Kind != String || !convertOnce(v) {
			return
		}
	}
}

func convertOnce(v *Value) bool {
	text := v.Text
	if text == "" {
		v.Kind = Null
		return true
	}
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		v.Text = text[1 : n-1]
		v.Written = v.Text
		return true
	}
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		v.Kind, v.Text, v.Items = List, "", convertList(v)
		return true
	}
	trimmed := asciiDigits(strings.TrimSpace(text))
	if pythonInt.MatchString(trimmed) && len(trimmed) <= maxDigits {
		if n, ok := new(big.Int).SetString(strings.ReplaceAll(trimmed, "_", ""), 10); ok {
			v.Kind, v.Text = Int, n.String()
			return true
		}
	}
	if pythonFloat.MatchString(trimmed) {
		if f, err := strconv.ParseFloat(strings.ReplaceAll(trimmed, "_", ""), 64); err == nil || math.IsInf(f, 0) {
			v.Kind, v.Text = Float, pythonFloatText(f)
			return true
		}
	}
	switch strings.ToLower(text) {
	case "true":
		v.Kind, v.Text = Bool, "true"
	case "false":
		v.Kind, v.Text = Bool, "false"
	default:
		return false
	}
	return true
}

// asciiDigits writes the decimal digits of all scripts as 0 to 9, as Python reads them in numbers.
func asciiDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf || !unicode.Is(unicode.Nd, r) {
			return r
		}
		// Scripts have their digits in blocks of ten, some blocks follow each other (unicodedata of Python 3.11 and later).
		n := rune(0)
		for unicode.Is(unicode.Nd, r-n-1) {
			n++
		}
		return '0' + n%10
	}, text)
}

// convertList splits a text like [a, b] at every comma; brackets inside are dropped.
func convertList(v *Value) []*Value {
	inner := strings.NewReplacer("[", "", "]", "").Replace(v.Text)
	if strings.TrimSpace(inner) == "" {
		return nil
	}
	var items []*Value
	for part := range strings.SplitSeq(inner, ",") {
		part = strings.TrimSpace(part)
		item := &Value{Position: v.Position, Kind: String, Text: part, Written: part}
		convert(item)
		items = append(items, item)
	}
	return items
}
