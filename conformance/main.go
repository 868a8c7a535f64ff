// conformance compares the plugin with the real Jina:
//
//	go run ./conformance corpus   every stored case, made again by the real program
//	go run ./conformance soak     random Flows until enough of them agree
//	go run ./conformance sample   stores random Flows with what the real program makes of them
//	go run ./conformance bench    the time and the memory of both programs' export
//
// The Python that it runs must have the packages of requirements.txt; `make conformance` and its siblings see to that.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

// tool has what every command needs.
type tool struct {
	root   string // of the repository
	python string
	out    io.Writer
}

func (t *tool) path(elements ...string) string {
	return filepath.Join(append([]string{t.root}, elements...)...)
}

func (t *tool) start(ctx context.Context) (*reference, error) {
	return startReference(ctx, t.python, t.path("conformance", "reference.py"))
}

// errDifferent ends a command that has found what nothing documents; the table has said it.
var errDifferent = errors.New("there are differences that nothing documents")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("say what to do: corpus, soak, sample or bench")
	}
	t := &tool{out: out}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&t.root, "root", ".", "folder of the repository")
	flags.StringVar(&t.python, "python", filepath.Join(".cache", "conformance", "venv", "bin", "python"), "a Python that has jina")
	var command func(context.Context) error
	switch args[0] {
	case "corpus":
		match := flags.String("k", "", "only cases whose names have this")
		update := flags.Bool("update", false, "rewrite what is stored in the repository")
		command = func(ctx context.Context) error { return t.corpus(ctx, *match, *update) }
	case "soak":
		var s soak
		flags.Uint64Var(&s.seed, "seed", 1, "seed of the first Flow; each further one has the next")
		flags.IntVar(&s.count, "n", 2000, "Flows that have to agree")
		flags.StringVar(&s.keep, "keep", filepath.Join(".cache", "conformance", "found"), "folder for differences, as cases")
		command = func(ctx context.Context) error { return t.soak(ctx, s) }
	case "sample":
		seed := flags.Uint64("seed", 1, "seed of the first Flow")
		count := flags.Int("n", 64, "Flows to store")
		command = func(ctx context.Context) error { return t.sample(ctx, *seed, *count) }
	case "bench":
		plugin := flags.String("plugin", filepath.Join("bin", "kubectl-jina"), "the plugin")
		command = func(ctx context.Context) error { return t.bench(ctx, *plugin) }
	default:
		return fmt.Errorf("%q is none of corpus, soak, sample, bench", args[0])
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	for _, path := range []*string{&t.root, &t.python} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = absolute
	}
	return command(ctx)
}
