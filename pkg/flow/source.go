package flow

// Source is the text of a Flow file.
type Source struct {
	// Name of the file as it is shown in positions; "-" for standard input.
	Name string
	// Data is the whole text.
	Data []byte
	// Env looks up a variable that the file names. Nil means that none is set.
	Env func(name string) (string, bool)
	// Context has the values of ${{ CONTEXT.NAME }}. Nil means that none is set.
	Context map[string]string
	// KeepContext leaves a context variable without a value in the text as the reference does, $$NAME; else it is an error.
	KeepContext bool
	// Images replace what the executors use; of two with one key the later counts.
	Images []Image
	// ReadFile reads a file that stands in the place of an executor, by the text that names it. Nil means that there are
	// no other files.
	ReadFile func(name string) (File, error)
}

// File is a file that a Flow file names.
type File struct {
	// Name as it is shown in positions.
	Name string
	Data []byte
	// Other is another file of the same name that was not taken; empty when there is none.
	Other string
}

// MaxSize is the size in bytes above which a file is refused.
const MaxSize = 1 << 20

// MaxPods is the number of workloads above which a Flow is refused: each executor is one, each shard and each head. The
// largest clusters that Kubernetes is tested with have 5,000 nodes.
const MaxPods = 10_000
