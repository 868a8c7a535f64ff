package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

// explained is an error in words for the user: one line that says what is wrong and what to do.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// explain says what an error of the kubeconfig or the API server means and what to do about it. Errors that it does not
// know, and those that were explained already, are returned as they are.
func explain(err error) error {
	var done *explained
	if err == nil || errors.As(err, &done) || errors.Is(err, context.Canceled) {
		return err
	}
	var partial *apply.PartialError
	if errors.As(err, &partial) { // the cause in words, and what was applied below it
		said := *partial
		said.Err = explain(partial.Err)
		return &said
	}
	say := func(format string, args ...any) error { return &explained{fmt.Sprintf(format, args...), err} }
	var status apierrors.APIStatus
	var path *fs.PathError
	var failed *rollout.FailedError
	var timeout *rollout.TimeoutError
	switch {
	case errors.As(err, &failed):
		return say("%s", explainFailed(failed))
	case errors.As(err, &timeout):
		return say("%s", explainTimeout(timeout))
	case clientcmd.IsEmptyConfig(err):
		return say("no cluster: there is no kubeconfig, or it is empty; set KUBECONFIG or pass --kubeconfig FILE (a local cluster to try: make demo)")
	case errors.As(err, &path):
		return say("the kubeconfig %s cannot be read: %v; set KUBECONFIG or pass --kubeconfig FILE", path.Path, path.Err)
	case clientcmd.IsContextNotFound(err), strings.HasPrefix(err.Error(), "context ") && strings.Contains(err.Error(), "does not exist"):
		return say("%s in the kubeconfig; `kubectl config get-contexts` lists those that do", firstLine(err))
	case clientcmd.IsConfigurationInvalid(err):
		return say("the kubeconfig is not usable: %s", firstLine(err))
	case apierrors.IsForbidden(err) && errors.As(err, &status) && strings.Contains(status.Status().Message, "User "):
		return say("not allowed: %s; `kubectl jina check` lists the permissions that are needed", status.Status().Message)
	case apierrors.IsNotFound(err) && errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces":
		return say("%s; create it with `kubectl create namespace %s`, or pick another with -n", status.Status().Message, status.Status().Details.Name)
	}
	if unreachable := meshcheck.Diagnose(serverOf(err), err); unreachable != nil {
		return unreachable
	}
	return err
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// serverOf is the address of the API server that a request failed at, as far as the error has it.
func serverOf(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		if u, err := url.Parse(request.URL); err == nil && u.Host != "" {
			return u.Scheme + "://" + u.Host
		}
	}
	return "the API server"
}
