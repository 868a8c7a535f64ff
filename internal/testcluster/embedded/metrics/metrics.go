// Package metrics serves metrics.k8s.io, which the horizontal pod autoscaler asks. What a container uses is said by
// annotations on its pod: sim.test/cpu (default 10m) and sim.test/memory (default 64Mi).
package metrics

import (
	"context"
	"crypto/tls"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/manifest"
	"github.com/kubectl-jina/kubectl-jina/internal/testcluster/embedded/pki"
)

//go:embed metrics.yaml
var objects string

const (
	annotationCPU    = "sim.test/cpu"
	annotationMemory = "sim.test/memory"

	groupVersion = "metrics.k8s.io/v1beta1"
	root         = "/apis/" + groupVersion

	installTimeout = time.Minute
)

// Server answers the API server's aggregation layer.
type Server struct {
	listener net.Listener
	server   *http.Server
	store    *pki.Store
}

// Listen takes the listener on which the API server will call. Nobody else may: the client's certificate must be the
// aggregation layer's.
func Listen(listener net.Listener, store *pki.Store, config *rest.Config) (*Server, error) {
	certificate, err := store.Serving("metrics-server.kube-system.svc", "localhost")
	if err != nil {
		return nil, err
	}
	clients, err := store.FrontProxyClients()
	if err != nil {
		return nil, err
	}
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Server{
		listener: tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
		}),
		server: &http.Server{Handler: handler(typed), ReadHeaderTimeout: 5 * time.Second},
		store:  store,
	}, nil
}

// Serve answers until Close.
func (s *Server) Serve() error {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// Close ends Serve.
func (s *Server) Close() error { return s.server.Close() }

// Install registers the API and waits until the API server passes requests on: while it does not, discovery fails for
// every client.
func (s *Server) Install(ctx context.Context, config *rest.Config) error {
	values := strings.NewReplacer(
		"CA_BUNDLE", base64.StdEncoding.EncodeToString(s.store.CA()),
		"METRICS_PORT", strconv.Itoa(s.listener.Addr().(*net.TCPAddr).Port),
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
	for {
		_, err := clients.Discovery().ServerResourcesForGroupVersion(groupVersion)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not served: %w: %w", groupVersion, context.Cause(ctx), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func handler(clients kubernetes.Interface) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root, func(w http.ResponseWriter, _ *http.Request) {
		write(w, metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: groupVersion,
			APIResources: []metav1.APIResource{{Name: "pods", Kind: "PodMetrics", Namespaced: true, Verbs: []string{"get", "list"}}},
		})
	})
	list := func(w http.ResponseWriter, r *http.Request) {
		pods, err := clients.CoreV1().Pods(r.PathValue("namespace")).List(r.Context(), metav1.ListOptions{
			LabelSelector: r.URL.Query().Get("labelSelector"), ResourceVersion: "0"})
		if err != nil {
			fail(w, err)
			return
		}
		out := metricsv1beta1.PodMetricsList{TypeMeta: metav1.TypeMeta{Kind: "PodMetricsList", APIVersion: groupVersion}, Items: []metricsv1beta1.PodMetrics{}}
		for i := range pods.Items {
			if pods.Items[i].Status.Phase != corev1.PodRunning {
				continue
			}
			m, err := usage(&pods.Items[i], metav1.Now())
			if err != nil {
				fail(w, err)
				return
			}
			out.Items = append(out.Items, *m)
		}
		write(w, out)
	}
	mux.HandleFunc("GET "+root+"/pods", list)
	mux.HandleFunc("GET "+root+"/namespaces/{namespace}/pods", list)
	mux.HandleFunc("GET "+root+"/namespaces/{namespace}/pods/{name}", func(w http.ResponseWriter, r *http.Request) {
		pod, err := clients.CoreV1().Pods(r.PathValue("namespace")).Get(r.Context(), r.PathValue("name"), metav1.GetOptions{})
		if err != nil {
			fail(w, err)
			return
		}
		m, err := usage(pod, metav1.Now())
		if err != nil {
			fail(w, err)
			return
		}
		write(w, m)
	})
	return mux
}

// usage is what the annotations say, for each container.
func usage(pod *corev1.Pod, now metav1.Time) (*metricsv1beta1.PodMetrics, error) {
	amounts := corev1.ResourceList{}
	for _, a := range []struct {
		name                corev1.ResourceName
		annotation, neutral string
	}{
		{corev1.ResourceCPU, annotationCPU, "10m"},
		{corev1.ResourceMemory, annotationMemory, "64Mi"},
	} {
		text, ok := pod.Annotations[a.annotation]
		if !ok {
			text = a.neutral
		}
		q, err := resource.ParseQuantity(text)
		if err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("annotation %s of pod %s: %v", a.annotation, pod.Name, err))
		}
		amounts[a.name] = q
	}
	m := &metricsv1beta1.PodMetrics{
		TypeMeta:   metav1.TypeMeta{Kind: "PodMetrics", APIVersion: groupVersion},
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels, CreationTimestamp: now},
		Timestamp:  now, Window: metav1.Duration{Duration: 10 * time.Second},
	}
	for _, c := range pod.Spec.Containers {
		m.Containers = append(m.Containers, metricsv1beta1.ContainerMetrics{Name: c.Name, Usage: amounts})
	}
	return m, nil
}

func write(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	// An error here means that the API server has gone away: nobody is left to tell.
	_ = json.NewEncoder(w).Encode(object)
}

// fail passes the API server's own status on.
func fail(w http.ResponseWriter, err error) {
	status := metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: err.Error()}
	if s := apierrors.APIStatus(nil); errors.As(err, &s) {
		status = s.Status()
	}
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(status.Code))
	_ = json.NewEncoder(w).Encode(status)
}
