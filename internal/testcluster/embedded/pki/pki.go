// Package pki keeps the certificates and keys of one embedded cluster in a directory. They are made once; a cluster
// that starts again on its state directory finds the same ones, so kubeconfigs handed out before stay good.
package pki

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Names of the files that the components are given, without .crt and .key.
const (
	ClusterCA     = "ca"
	FrontProxyCA  = "front-proxy-ca"
	LinkerdRoot   = "linkerd-trust-root"
	APIServer     = "apiserver"
	Kubelet       = "kubelet"
	KubeletClient = "apiserver-kubelet-client"
	FrontProxy    = "front-proxy-client"
	// ServiceAccount has a key only: it signs and verifies service-account tokens.
	ServiceAccount = "sa"
)

// clusterName is the name of the cluster and of the context in every kubeconfig.
const clusterName = "jina-testcluster"

// Store is the directory with a cluster's certificates and keys.
type Store struct {
	dir string
	ca  *authority
}

// LoadOrCreate reads the store in dir, or makes it when dir does not exist.
func LoadOrCreate(dir string) (*Store, error) {
	s, err := Load(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	// Made beside and renamed, so that a killed start leaves no half of a store behind.
	next := dir + ".new"
	if err := os.RemoveAll(next); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	if err := create(next); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	if err := os.Rename(next, dir); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	return Load(dir)
}

// Load reads the store in dir; the error is fs.ErrNotExist when there is none.
func Load(dir string) (*Store, error) {
	ca, err := loadAuthority(filepath.Join(dir, ClusterCA))
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	return &Store{dir: dir, ca: ca}, nil
}

func create(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca, err := createAuthority(filepath.Join(dir, ClusterCA), "kubernetes")
	if err != nil {
		return err
	}
	frontProxy, err := createAuthority(filepath.Join(dir, FrontProxyCA), "front-proxy-ca")
	if err != nil {
		return err
	}
	if _, err := createAuthority(filepath.Join(dir, LinkerdRoot), "root.linkerd.cluster.local"); err != nil {
		return err
	}
	leaves := []struct {
		name    string
		by      *authority
		subject pkix.Name
		hosts   []string
	}{
		{APIServer, ca, pkix.Name{CommonName: "kube-apiserver"}, []string{
			"127.0.0.1", "localhost", "10.96.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}},
		{Kubelet, ca, pkix.Name{CommonName: "kubelet"}, []string{"127.0.0.1", "localhost"}},
		{KubeletClient, ca, pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}}, nil},
		{FrontProxy, frontProxy, pkix.Name{CommonName: "front-proxy-client"}, nil},
	}
	for _, l := range leaves {
		p, err := l.by.sign(l.subject, l.hosts)
		if err != nil {
			return err
		}
		if err := p.write(filepath.Join(dir, l.name)); err != nil {
			return err
		}
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, ServiceAccount), key)
}

// Cert is the path of a certificate's PEM file.
func (s *Store) Cert(name string) string { return filepath.Join(s.dir, name+".crt") }

// Key is the path of a key's PEM file.
func (s *Store) Key(name string) string { return filepath.Join(s.dir, name+".key") }

// CA is the cluster CA's certificate as PEM: what clients and webhook configurations trust.
func (s *Store) CA() []byte { return s.ca.pem }

// TrustRoot is the certificate that the stand-in for Linkerd shows as its trust anchor, as PEM.
func (s *Store) TrustRoot() ([]byte, error) { return os.ReadFile(s.Cert(LinkerdRoot)) }

// Serving is a new serving certificate for hosts, signed by the cluster CA.
func (s *Store) Serving(hosts ...string) (tls.Certificate, error) {
	p, err := s.ca.sign(pkix.Name{CommonName: hosts[0]}, hosts)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("serving certificate for %s: %w", hosts[0], err)
	}
	return tls.X509KeyPair(p.cert, p.key)
}

// FrontProxyClients is what a server trusts that only the API server's aggregation layer may call.
func (s *Store) FrontProxyClients() (*x509.CertPool, error) {
	b, err := os.ReadFile(s.Cert(FrontProxyCA))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: no certificate", s.Cert(FrontProxyCA))
	}
	return pool, nil
}

// Kubeconfig is a kubeconfig with a new client certificate: its common name is the user, its organizations the groups
// (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates).
func (s *Store) Kubeconfig(server, user string, groups ...string) ([]byte, error) {
	p, err := s.ca.sign(pkix.Name{CommonName: user, Organization: groups}, nil)
	if err != nil {
		return nil, fmt.Errorf("client certificate of %s: %w", user, err)
	}
	c := clientcmdapi.NewConfig()
	c.Clusters[clusterName] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: s.ca.pem}
	c.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: p.cert, ClientKeyData: p.key}
	c.Contexts[clusterName] = &clientcmdapi.Context{Cluster: clusterName, AuthInfo: user, Namespace: "default"}
	c.CurrentContext = clusterName
	return clientcmd.Write(*c)
}
