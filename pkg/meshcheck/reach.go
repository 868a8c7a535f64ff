package meshcheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// errNotKubernetes says that something answers at the server's address, and not as a Kubernetes API server does.
var errNotKubernetes = errors.New("not the answer of a Kubernetes API server")

// Cause is why the API server could not be used.
type Cause string

// The causes.
const (
	// CauseRefused: nothing listens at the address.
	CauseRefused Cause = "connection refused"
	// CauseName: the host's name does not resolve.
	CauseName Cause = "unknown host"
	// CauseTimeout: no answer in time.
	CauseTimeout Cause = "no answer"
	// CauseTLS: the certificate of the server is not accepted, or it speaks no TLS.
	CauseTLS Cause = "TLS"
	// CauseUnauthorized: the server does not accept the credentials.
	CauseUnauthorized Cause = "unauthorized"
	// CauseAnonymous: the kubeconfig has no credentials, and the server knows the user as anonymous.
	CauseAnonymous Cause = "no credentials"
	// CausePlugin: the kubeconfig's credential plugin failed.
	CausePlugin Cause = "credential plugin"
	// CauseOther: anything else.
	CauseOther Cause = "error"
)

// UnreachableError says that the API server cannot be reached or does not accept the user. It is not a failed check:
// nothing is known of the cluster.
type UnreachableError struct {
	// Server is its address.
	Server string
	Cause  Cause
	Err    error
	// remedy is what to do, one line.
	remedy string
}

// Error is one line: what is wrong and what to do.
func (e *UnreachableError) Error() string { return e.what() + ": " + e.remedy }

// Unwrap returns the client's error.
func (e *UnreachableError) Unwrap() error { return e.Err }

func (e *UnreachableError) what() string {
	switch e.Cause {
	case CauseRefused:
		return "nothing listens at " + e.Server
	case CauseName:
		return "the host of " + e.Server + " is not known"
	case CauseTimeout:
		return e.Server + " does not answer"
	case CauseTLS:
		return "no trusted connection to " + e.Server + " (" + oneLine(innermost(e.Err).Error()) + ")"
	case CauseUnauthorized:
		return e.Server + " does not accept the credentials (401 Unauthorized)"
	case CauseAnonymous:
		return e.Server + " takes the user for anonymous: no credentials were sent"
	case CausePlugin:
		return "the kubeconfig's credential plugin failed (" + oneLine(innermost(e.Err).Error()) + ")"
	default:
		return e.Server + " cannot be used (" + oneLine(e.Err.Error()) + ")"
	}
}

// Unreachable returns nil when the API server answers and accepts the user, else an *UnreachableError, or the
// context's error when the collection was interrupted.
func (f Facts) Unreachable() error {
	if err := f.unreachable(); err != nil {
		if errors.Is(err, context.Canceled) {
			return fmt.Errorf("the checks were interrupted: %w", context.Canceled)
		}
		return err
	}
	return nil
}

func (f Facts) unreachable() *UnreachableError {
	if err := f.Version.Err; err != nil && !apierrors.IsForbidden(err) {
		cause, remedy := diagnose(err)
		return &UnreachableError{Server: f.Server, Cause: cause, Err: err, remedy: remedy}
	}
	// GET /version is open to anonymous users; any other question shows that the user is one.
	errs := []error{f.Version.Err, f.Groups.Err, f.Namespace.Err}
	for _, a := range f.Access {
		errs = append(errs, a.Err)
	}
	for _, err := range errs {
		if apierrors.IsForbidden(err) && strings.Contains(err.Error(), `User "system:anonymous"`) {
			return &UnreachableError{Server: f.Server, Cause: CauseAnonymous, Err: err,
				remedy: "log in to the cluster, or give the context a user in the kubeconfig"}
		}
		if apierrors.IsUnauthorized(err) {
			_, remedy := diagnose(err)
			return &UnreachableError{Server: f.Server, Cause: CauseUnauthorized, Err: err, remedy: remedy}
		}
	}
	return nil
}

// Diagnose says in words why a request to a server failed before the server answered it, or because it did not accept the
// user; nil for every other error.
func Diagnose(server string, err error) *UnreachableError {
	var request *url.Error
	if !errors.As(err, &request) && !apierrors.IsUnauthorized(err) {
		return nil
	}
	cause, remedy := diagnose(err)
	return &UnreachableError{Server: server, Cause: cause, Err: err, remedy: remedy}
}

// diagnose tells a cause from a client's error, and what to do about it.
func diagnose(err error) (Cause, string) {
	const contexts = "kubectl config get-contexts shows what else there is"
	var dns *net.DNSError
	switch {
	case apierrors.IsUnauthorized(err):
		return CauseUnauthorized, "they may have expired or belong to another cluster: log in again, or choose another context; " + contexts
	case strings.Contains(err.Error(), "getting credentials:"):
		return CausePlugin, "install it or log in with it; kubectl get --raw /version shows the same"
	case isTLS(err):
		return CauseTLS, "certificate-authority and server in the kubeconfig must be those of the cluster; fetch the kubeconfig again"
	case utilnet.IsConnectionRefused(err):
		return CauseRefused, "start the cluster, or choose another context; " + contexts
	case errors.As(err, &dns):
		return CauseName, "connect to the cluster's network, or choose another context; " + contexts
	case utilnet.IsTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return CauseTimeout, "check network, VPN and proxy, or choose another context; " + contexts
	default:
		return CauseOther, "check the server's address, or choose another context; " + contexts
	}
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) ||
		// net/http has no type for these.
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") ||
		strings.Contains(err.Error(), "remote error: tls:")
}

// innermost is the cause at the end of a chain of errors, without "Get "https://…"" before it.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
