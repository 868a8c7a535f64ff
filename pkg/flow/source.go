package flow

// Source is the text of a Flow file.
type Source struct {
	// Name of the file as it is shown in positions; "-" for standard input.
	Name string
	// Data is the whole text.
	Data []byte
	// Env looks up a variable that the file names. Nil means that none is set.
	Env func(name string) (string, bool)
}

// MaxSize is the size in bytes above which a file is refused.
const MaxSize = 1 << 20
