// Package linkerd is a stand-in for Linkerd: the objects of a control plane that a client can see, and an injector that
// decides and changes pods as Linkerd's does (measured with edge-26.8.3). There is no proxy behind it, and nothing is
// balanced, encrypted or authorized: who needs that needs the real thing.
//
// A namespace with the label config.linkerd.io/admission-webhooks=disabled is out of its reach.
package linkerd

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/manifest"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/pki"
)

//go:embed linkerd.yaml
var objects string

const (
	version              = "edge-26.8.3"
	controlPlane         = "linkerd"
	defaultInboundPolicy = "all-unauthenticated"
	// defaultOpaquePorts are Linkerd's: protocols in which the server speaks first.
	defaultOpaquePorts = "25,587,3306,4444,5432,6379,9300,11211"
	// maxReview is more than the API server lets an object have.
	maxReview = 8 << 20

	installTimeout = time.Minute
)

// Injector answers the API server's admission reviews.
type Injector struct {
	listener net.Listener
	server   *http.Server
	store    *pki.Store
	root     []byte
}

// Listen takes the listener on which the API server will call. It is made before the API server, so that one that
// starts again on old state never misses the injector that its webhook configuration names. config is used at the
// first review.
func Listen(listener net.Listener, store *pki.Store, config *rest.Config) (*Injector, error) {
	certificate, err := store.Serving("linkerd-proxy-injector.linkerd.svc", "localhost")
	if err != nil {
		return nil, err
	}
	root, err := store.TrustRoot()
	if err != nil {
		return nil, err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	namespace := func(ctx context.Context, name string) (*corev1.Namespace, error) {
		return clients.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	}
	return &Injector{
		listener: tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}),
		server:   &http.Server{Handler: handler(namespace, newProxy(root)), ReadHeaderTimeout: 5 * time.Second},
		store:    store,
		root:     root,
	}, nil
}

// Serve answers until Close.
func (i *Injector) Serve() error {
	if err := i.server.Serve(i.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("stand-in injector: %w", err)
	}
	return nil
}

// Close ends Serve.
func (i *Injector) Close() error { return i.server.Close() }

// Install brings the control plane's objects to the API server, and waits until it asks the injector about new pods.
func (i *Injector) Install(ctx context.Context, config *rest.Config) error {
	port := i.listener.Addr().(*net.TCPAddr).Port
	values := strings.NewReplacer(
		"CA_BUNDLE", base64.StdEncoding.EncodeToString(i.store.CA()),
		"WEBHOOK_PORT", strconv.Itoa(port),
		"TRUST_ROOT", strconv.Quote(trustBundle(i.root)),
		"DEFAULT_POLICY", defaultInboundPolicy,
		"OPAQUE_PORTS", strconv.Quote(defaultOpaquePorts),
		"VERSION", version,
	)
	if err := manifest.Apply(ctx, config, values.Replace(objects)); err != nil {
		return err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	if err := waitForInjection(ctx, clients); err != nil {
		return fmt.Errorf("stand-in injector: %w", err)
	}
	if err := waitForControlPlane(ctx, clients); err != nil {
		return fmt.Errorf("stand-in control plane: %w", err)
	}
	return nil
}

// waitForInjection returns when a pod that asks for a proxy would get one. The API server learns of the webhook a moment
// after it was applied, and of the namespace's account after its controller has made it.
func waitForInjection(ctx context.Context, clients kubernetes.Interface) error {
	probe := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "injector-probe", Annotations: map[string]string{annotationInject: "enabled"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "probe", Image: "example.test/probe"}}},
	}
	return eventually(ctx, func() error {
		pod, err := clients.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && pod.Annotations[annotationCreatedBy] == "" {
			err = errors.New("a pod that asks for a proxy gets none")
		}
		return err
	})
}

// waitForControlPlane returns when every Deployment of the control plane is available.
func waitForControlPlane(ctx context.Context, clients kubernetes.Interface) error {
	return eventually(ctx, func() error {
		deployments, err := clients.AppsV1().Deployments(controlPlane).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, d := range deployments.Items {
			if d.Status.AvailableReplicas == 0 {
				return fmt.Errorf("%s is not available", d.Name)
			}
		}
		return nil
	})
}

func eventually(ctx context.Context, check func() error) error {
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// trustBundle is the trust anchor as the ConfigMap linkerd-identity-trust-roots has it: without a newline at its end.
func trustBundle(root []byte) string { return strings.TrimRight(string(root), "\n") }

// newProxy is how the proxies of this control plane are.
func newProxy(root []byte) proxy {
	bundle := trustBundle(root)
	sum := sha256.Sum256([]byte(bundle))
	return proxy{anchors: bundle, anchorsHash: hex.EncodeToString(sum[:])}
}

type getNamespace func(ctx context.Context, name string) (*corev1.Namespace, error)

func handler(namespace getNamespace, p proxy) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxReview))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review := admissionv1.AdmissionReview{}
		if err := json.Unmarshal(body, &review); err != nil || review.Request == nil {
			http.Error(w, "not an AdmissionReview", http.StatusBadRequest)
			return
		}
		response, err := answer(r.Context(), review.Request, namespace, p)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		review.Request, review.Response = nil, response
		w.Header().Set("Content-Type", "application/json")
		// An error here means that the API server has gone away: nobody is left to tell.
		_ = json.NewEncoder(w).Encode(review)
	})
}

func answer(ctx context.Context, request *admissionv1.AdmissionRequest, namespace getNamespace, p proxy) (*admissionv1.AdmissionResponse, error) {
	ns, err := namespace(ctx, request.Namespace)
	if err != nil {
		return nil, err
	}
	var ops []operation
	switch request.Kind.Kind {
	case "Pod":
		var pod corev1.Pod
		if err := json.Unmarshal(request.Object.Raw, &pod); err != nil {
			return nil, fmt.Errorf("pod: %w", err)
		}
		// A pod of a template has no namespace of its own yet.
		pod.Namespace = request.Namespace
		if injects(ns, &pod) {
			if ops, err = p.inject(ns, &pod); err != nil {
				return nil, err
			}
		}
	case "Service":
		var service corev1.Service
		if err := json.Unmarshal(request.Object.Raw, &service); err != nil {
			return nil, fmt.Errorf("service: %w", err)
		}
		ops = inheritOpaquePorts(ns, &service)
	}
	response := &admissionv1.AdmissionResponse{UID: request.UID, Allowed: true}
	if len(ops) == 0 {
		return response, nil
	}
	if response.Patch, err = json.Marshal(ops); err != nil {
		return nil, err
	}
	patchType := admissionv1.PatchTypeJSONPatch
	response.PatchType = &patchType
	return response, nil
}
