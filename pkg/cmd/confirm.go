package cmd

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// confirm asks before something is destroyed. Where nobody can answer (standard input is no terminal) it refuses, saying which
// flag answers instead.
func confirm(ctx context.Context, streams genericiooptions.IOStreams, yes bool, question, instead string) error {
	if yes {
		return nil
	}
	in, ok := streams.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return usageErrorf("%s Nobody can be asked here: pass %s", question, instead)
	}
	fmt.Fprintf(streams.ErrOut, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(streams.ErrOut)
		return ctx.Err()
	case a := <-answer:
		if a == "y" || a == "yes" {
			return nil
		}
		return &exitError{code: codeError, err: fmt.Errorf("not confirmed: nothing was changed")}
	}
}
