package faults

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-jina/kubectl-jina/internal/faultproxy"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// tokens makes an account that may do everything in the lab's namespace, and two tokens for it.
func (l lab) tokens(t *testing.T) (first, second string) {
	t.Helper()
	const name = "deployer"
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := l.typed.CoreV1().ServiceAccounts(l.ns).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: l.ns}}}
	if _, err := l.typed.RbacV1().RoleBindings(l.ns).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token := func() string {
		r, err := l.typed.CoreV1().ServiceAccounts(l.ns).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return r.Status.Token
	}
	return token(), token()
}

// expires is a token that is no longer good once so many writes have been sent with it.
func expires(token string, after int) faultproxy.Rule {
	written := false
	writes := 0
	return faultproxy.Rule{
		Match: func(r *http.Request) bool {
			if r.Header.Get("Authorization") != "Bearer "+token {
				return false
			}
			if faultproxy.Write(r) {
				writes++
				written = written || writes > after
			}
			return written
		},
		Fault: faultproxy.Fault{Kind: faultproxy.Answer, Status: http.StatusUnauthorized, Message: "Unauthorized"},
	}
}

func TestTokenThatExpiresInTheMiddleIsRenewedByTheCredentialPlugin(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the credential plugin is a shell script")
	}
	c := testcluster.Start(t)
	l := newLab(t, c)
	path := file(t, flowOf(three...))
	first, second := l.tokens(t)
	proxy := faultproxy.Start(t, c, 1, expires(first, 5))
	dir := t.TempDir()
	script := filepath.Join(dir, "login")
	calls := filepath.Join(dir, "calls")
	text := fmt.Sprintf(`#!/bin/sh
token=%s
test -e %[3]s && token=%[2]s
echo call >> %[3]s
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "'$token'"}}'
`, first, second, calls)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	kubeconfig := proxy.KubeconfigFor(t, &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		Command: script, APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: clientcmdapi.NeverExecInteractiveMode}})
	r := run(t.Context(), append([]string{"up", "--mesh", "none", "-f", path}, l.at(kubeconfig)...)...)
	if r.code != exitDone {
		t.Fatal(r)
	}
	if n := proxy.Counts()[faultproxy.Answer]; n == 0 {
		t.Error("the token did not expire")
	}
	if b, err := os.ReadFile(calls); err != nil || strings.Count(string(b), "call") != 2 {
		t.Errorf("the credential plugin was called %d times, %v", strings.Count(string(b), "call"), err)
	}
	l.converged(t, path)
}

func TestTokenThatStaysExpiredIsAMatterOfLoggingIn(t *testing.T) {
	c := testcluster.Start(t)
	l := newLab(t, c)
	path := file(t, flowOf(three...))
	first, second := l.tokens(t)
	// The Lease and the set's parent are written, and some objects.
	proxy := faultproxy.Start(t, c, 1, expires(first, 6))
	up := func(token string) result {
		kubeconfig := proxy.KubeconfigFor(t, &clientcmdapi.AuthInfo{Token: token})
		return run(t.Context(), append([]string{"up", "--mesh", "none", "-f", path}, l.at(kubeconfig)...)...)
	}
	r := up(first)
	r.wants(t, "does not accept the credentials (401 Unauthorized)", "log in again", "objects were applied", "not applied: ", "run the same command again")
	if strings.Contains(r.errOut+r.out, first) {
		t.Error("the token is printed")
	}
	l.tracked(t)
	if r := up(second); r.code != exitDone {
		t.Fatal(r)
	}
	l.converged(t, path)
}
