// bench brings the same objects to the same cluster with kubectl jina, with a bare loop of requests, with kubectl and
// with Helm, and prints what each costs: `make bench`. docs/performance.md says what is measured, and holds the results.
//
// It is a module of its own, so that Helm stays out of the plugin's.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

const (
	codeFailed = 1
	codeUsage  = 64
)

// options of a run.
type options struct {
	// sizes are the numbers of executors.
	sizes []int
	// repeats is how often each is measured; the median counts. Sizes from once on are measured once.
	repeats, once int
	// modes are with and without controllers.
	modes []mode
	// plugin and tools are where the programs are.
	plugin, tools string
	// json is the file for the results; empty for none.
	json string
	// strict makes a missed bar an error.
	strict bool
}

// mode is what is at work in the cluster beside the API server.
type mode string

const (
	withControllers mode = "controllers"
	halted          mode = "halted"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(codeUsage)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(codeFailed)
	}
}

// usageError is a wrong command line.
type usageError struct{ text string }

// Error says what is wrong with it.
func (e *usageError) Error() string { return e.text }

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	results, err := measureAll(ctx, o, progress)
	if err != nil {
		return err
	}
	report := newReport(results)
	if o.json != "" {
		b, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(out, report.Markdown()); err != nil {
		return err
	}
	if missed := report.missed(); o.strict && missed > 0 {
		return fmt.Errorf("%d bars are missed", missed)
	}
	return nil
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	sizes := flags.String("n", "10,100", "numbers of executors, separated by commas")
	modes := flags.String("modes", string(withControllers)+","+string(halted), "clusters to measure on: with controllers at work, with them halted")
	flags.IntVar(&o.repeats, "repeats", 3, "how often each is measured; the median counts")
	flags.IntVar(&o.once, "once-from", 500, "from this number of executors on, each is measured once")
	flags.StringVar(&o.plugin, "plugin", "bin/kubectl-jina", "the plugin")
	flags.StringVar(&o.tools, "tools", ".cache/bench", "the folder with the other programs")
	flags.StringVar(&o.json, "json", "", "file to write all results to, as JSON")
	flags.BoolVar(&o.strict, "strict", false, "fail when a bar is missed that counts")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, &usageError{fmt.Sprintf("unknown argument %q", flags.Arg(0))}
	}
	for _, text := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return o, &usageError{fmt.Sprintf("-n: %q is not a number of executors", text)}
		}
		o.sizes = append(o.sizes, n)
	}
	for _, text := range strings.Split(*modes, ",") {
		m := mode(strings.TrimSpace(text))
		if m != withControllers && m != halted {
			return o, &usageError{fmt.Sprintf("-modes: %q is neither %s nor %s", text, withControllers, halted)}
		}
		o.modes = append(o.modes, m)
	}
	if o.repeats < 1 {
		return o, &usageError{"-repeats: at least one is needed"}
	}
	// The programs run in folders of their own.
	for _, path := range []*string{&o.plugin, &o.tools} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return o, err
		}
		*path = absolute
	}
	if _, err := os.Stat(o.plugin); err != nil {
		return o, fmt.Errorf("%w; make build makes it", err)
	}
	return o, nil
}

// measureAll runs every program on every cluster, and returns one result for each run.
func measureAll(ctx context.Context, o options, progress io.Writer) ([]result, error) {
	var results []result
	for _, m := range o.modes {
		some, err := measureMode(ctx, o, m, progress)
		if err != nil {
			return nil, err
		}
		results = append(results, some...)
	}
	return results, nil
}

func measureMode(ctx context.Context, o options, m mode, progress io.Writer) (results []result, err error) {
	dir, err := os.MkdirTemp("", "jina-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintf(progress, "starting a cluster: %s\n", m)
	c, err := startCluster(ctx, dir, m)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	b := &bench{options: o, mode: m, cluster: c, dir: dir, progress: progress}
	if b.programs, err = b.prepare(ctx); err != nil {
		return nil, err
	}
	// Nobody should pay for what is done once: discovery caches on disk, and the first requests of an API server.
	const warmUp = 3
	if _, err := b.round(ctx, warmUp, 0); err != nil {
		return nil, err
	}
	for _, n := range o.sizes {
		repeats := o.repeats
		if n >= o.once {
			repeats = 1
		}
		for i := range repeats {
			some, err := b.round(ctx, n, i)
			if err != nil {
				return nil, err
			}
			results = append(results, some...)
		}
	}
	return results, nil
}

func executable(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}
