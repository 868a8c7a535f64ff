package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
	"github.com/kubectl-jina/kubectl-jina/pkg/verify"
)

func TestExitCodeTellsTheKindOfAnError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, codeOK},
		{errors.New("the API server refused it"), codeError},
		{&apply.NotFoundError{Flow: "shop"}, codeError},
		{&apply.ReplicasError{Want: 2, Got: 3}, codeError},
		{&apply.ConflictError{}, codeConflict},
		{&apply.ReplacedError{}, codeConflict},
		{&apply.ScaledMeanwhileError{Replicas: 3}, codeConflict},
		{&meshcheck.FailedError{}, codePreflight},
		{&rollout.FailedError{}, codeRollout},
		{&verify.FailedError{}, codeRollout},
		{&rollout.TimeoutError{}, codeTimeout},
		{usageErrorf("no such flag"), codeUsage},
		{context.Canceled, codeInterrupted},
	} {
		err := c.err
		for range 2 {
			if got := exitCode(err); got != c.want {
				t.Errorf("%T: exit code %d, want %d", c.err, got, c.want)
			}
			if c.err != nil {
				err = fmt.Errorf("wrapped: %w", c.err)
			}
		}
	}
}

// TestErrorsCannotControlTheTerminal has an API server whose answer would clear the screen and set the window's title.
func TestErrorsCannotControlTheTerminal(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,` +
			`"message":"denied \u001b[2Jby\u001b]0;owned\u0007 the\u202e webhook\nask the admin"}`))
	}))
	defer server.Close()
	r := run(t.Context(), "scale", "gateway", "--replicas", "2", "--flow", "shop", "-n", "x", "--server", server.URL)
	if r.code != codeError || !strings.HasSuffix(r.errOut, "denied by the webhook\nask the admin\n") {
		t.Errorf("exit code %d: %q", r.code, r.errOut)
	}
}
