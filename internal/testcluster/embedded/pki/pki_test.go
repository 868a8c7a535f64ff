package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"
)

func TestStoreIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pki")
	if _, err := Load(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("load of nothing: %v", err)
	}
	first, err := LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	files := []string{first.Cert(APIServer), first.Key(APIServer), first.Key(ServiceAccount), first.Cert(LinkerdRoot), first.Key(ClusterCA)}
	var before [][]byte
	for _, f := range files {
		before = append(before, read(f))
	}
	second, err := LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if !bytes.Equal(before[i], read(f)) {
			t.Errorf("%s was made again", f)
		}
	}
	if !bytes.Equal(first.CA(), second.CA()) {
		t.Error("the CA is another one")
	}
}

func TestUsersCertificateSaysNameAndGroups(t *testing.T) {
	t.Parallel()
	s, err := LoadOrCreate(filepath.Join(t.TempDir(), "pki"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Kubeconfig("https://127.0.0.1:6443", "alice", "devs", "ops")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(b)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := cert.ParseCertsPEM(config.CertData)
	if err != nil {
		t.Fatal(err)
	}
	c := certs[0]
	if c.Subject.CommonName != "alice" || len(c.Subject.Organization) != 2 || config.Host != "https://127.0.0.1:6443" {
		t.Errorf("subject is %s, host %s", c.Subject, config.Host)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA())
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err == nil {
		t.Error("a user's certificate may serve")
	}
}
