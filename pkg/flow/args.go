package flow

import (
	"slices"
	"strconv"
)

// Args are the arguments of a gateway, executor or Flow, each at most once. The zero value has none; what is not set
// has its default.
type Args struct {
	settings []Setting
	defaults map[string]Argument
	// wrong are the arguments that the file writes in a way that cannot be read.
	wrong []string
}

// Setting is an argument that a file sets.
type Setting struct {
	Argument Argument
	// Inherited from the with of a Flow.
	Inherited bool
	// Key is where its name stands, Position where its value does.
	Key      Position
	Position Position
	// values of the argument, at least one; a mapping argument has one mapping, a flag one boolean.
	values []*Value
}

// Lookup returns a setting of the file.
func (a Args) Lookup(name string) (Setting, bool) {
	i := slices.IndexFunc(a.settings, func(s Setting) bool { return s.Argument.Name == name })
	if i < 0 {
		return Setting{}, false
	}
	return a.settings[i], true
}

// Has tells whether the file sets an argument.
func (a Args) Has(name string) bool {
	_, ok := a.Lookup(name)
	return ok
}

// Written tells whether the file says something about an argument, be it wrong: whoever looks on after an error asks it
// before missing something.
func (a Args) Written(name string) bool { return a.Has(name) || a.isWrong(name) }

// isWrong tells that the file writes an argument in a way that cannot be read.
func (a Args) isWrong(name string) bool { return slices.Contains(a.wrong, name) }

// Flag tells whether a flag is on.
func (a Args) Flag(name string) bool { return a.Has(name) }

// Text is the value of an argument, else its default.
func (a Args) Text(name string, form Form) string {
	if s, ok := a.Lookup(name); ok {
		return s.Texts(form)[0]
	}
	return a.defaults[name].Default
}

// Int is the value of a whole number, else its default, else 0.
func (a Args) Int(name string) int {
	n, err := strconv.Atoi(a.Text(name, Coerced))
	if err != nil {
		return 0
	}
	return n
}

// Texts are the values of an argument of several, else its default.
func (a Args) Texts(name string, form Form) []string {
	if s, ok := a.Lookup(name); ok {
		return s.Texts(form)
	}
	if d := a.defaults[name].Default; d != "" {
		return []string{d}
	}
	return nil
}

// Mapping is the value of a mapping argument; nil when it is not set.
func (a Args) Mapping(name string) *Value {
	if s, ok := a.Lookup(name); ok && s.Argument.Type == MappingArgument {
		return s.values[0]
	}
	return nil
}

// Position is where the value of an argument stands, else the fallback.
func (a Args) Position(name string, fallback Position) Position {
	if s, ok := a.Lookup(name); ok {
		return s.Position
	}
	return fallback
}

// Texts are the words of the argument's values on a command line.
func (s Setting) Texts(form Form) []string {
	texts := make([]string, len(s.values))
	for i, v := range s.values {
		switch {
		case s.Argument.Type == MappingArgument, v.Kind == Mapping:
			texts[i] = v.JSON(form)
		case s.Argument.Type == IntArgument:
			texts[i] = v.Text
		default:
			texts[i] = v.PlainText(form)
		}
	}
	return texts
}

// CommandLine is what the setting adds to a command line: nothing when it is the default.
func (s Setting) CommandLine(form Form) []string {
	flag := FlagName(s.Argument.Name)
	if s.Argument.Type == FlagArgument {
		return []string{flag}
	}
	if coerced := s.Texts(Coerced); len(coerced) == 1 && coerced[0] == s.Argument.Default && s.Argument.Type != MappingArgument {
		return nil
	}
	return append([]string{flag}, s.Texts(form)...)
}

// FlagName is the word of a command line that names an argument.
func FlagName(argument string) string {
	b := []byte("--" + argument)
	for i := range b {
		if b[i] == '_' {
			b[i] = '-'
		}
	}
	return string(b)
}

// All are the settings in the order of the file, the inherited ones last.
func (a Args) All() []Setting { return slices.Clone(a.settings) }
