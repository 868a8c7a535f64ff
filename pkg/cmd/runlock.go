package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// alone runs do while this run has the Flow's Lease, so that no other up or down changes the Flow meanwhile. It waits for the
// Lease as long as given. Where Leases are forbidden do runs without, and that is said.
func (s *session) alone(ctx context.Context, command string, set apply.Set, wait time.Duration, say func(string), do func(context.Context, *apply.Lock) error) error {
	defer outliveReaders()()
	lock, err := s.client.Lock(ctx, set, apply.LockOptions{
		Holder: holderName(command),
		Wait:   wait,
		Waiting: func(h apply.Holder) {
			say(fmt.Sprintf("waiting for %s to end, which has been changing this Flow since %s", rollout.PlainText(h.Identity), h.Since.Local().Format(time.TimeOnly)))
		},
	})
	var none *apply.NoLeaseError
	switch {
	case errors.As(err, &none):
		say("warning: " + none.Error())
		return do(ctx, nil)
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return &exitError{code: codeTimeout, err: fmt.Errorf("timed out after %s: %w", wait, err)}
	case err != nil:
		return explain(err)
	}
	defer lock.Release()
	err = do(lock.Context(), lock)
	var lost *apply.LostError
	if err != nil && errors.As(context.Cause(lock.Context()), &lost) {
		return &exitError{code: codeConflict, err: fmt.Errorf("%w\n%w", lost, err)}
	}
	return err
}

// holderName is what a run is called in the messages of others.
func holderName(command string) string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return fmt.Sprintf("%s by %s on %s (process %d)", command, name, host, os.Getpid())
}
