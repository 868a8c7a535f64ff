package meshcheck

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"
	admissionregistrationclient "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// Names of Linkerd's objects; the same from stable-2.12 to edge-26.8.
const (
	injectorWebhook         = "linkerd-proxy-injector-webhook-config"
	componentLabel          = "linkerd.io/control-plane-component"
	controlPlaneLabel       = "linkerd.io/control-plane-ns"
	defaultLinkerdNamespace = "linkerd"
)

// A namespace's default service account is made by a controller a moment after the namespace, and a pod is refused
// until then. A namespace that was created just now gets this long.
const (
	serviceAccountTries = 12
	serviceAccountPause = 250 * time.Millisecond
)

// Server tells about the API server itself.
type Server interface {
	// Address is the server's URL.
	Address() string
	// Version answers GET /version.
	Version(context.Context) (version.Info, error)
	// Groups answers GET /apis with the names of the API groups.
	Groups(context.Context) ([]string, error)
}

// Clients are the parts of a cluster that the checks read.
type Clients struct {
	Server     Server
	Namespaces coreclient.NamespacesGetter
	Pods       coreclient.PodsGetter
	Reviews    Reviews
	Webhooks   admissionregistrationclient.MutatingWebhookConfigurationsGetter
}

// ClientsFor takes the parts from a clientset.
func ClientsFor(c kubernetes.Interface) Clients {
	return Clients{
		Server:     restServer{c.Discovery().RESTClient()},
		Namespaces: c.CoreV1(),
		Pods:       c.CoreV1(),
		Reviews:    c.AuthorizationV1(),
		Webhooks:   c.AdmissionregistrationV1(),
	}
}

// restServer is a Server over plain requests. The discovery client would do, but asks for the aggregated document
// with every resource of every group, and only the groups' names are wanted.
type restServer struct{ client rest.Interface }

func (s restServer) Address() string {
	u := s.client.Get().URL()
	return u.Scheme + "://" + u.Host
}

func (s restServer) Version(ctx context.Context) (version.Info, error) {
	var v version.Info
	err := s.get(ctx, "/version", &v)
	if err == nil && v.GitVersion == "" {
		err = errNotKubernetes
	}
	return v, err
}

func (s restServer) Groups(ctx context.Context) ([]string, error) {
	var list metav1.APIGroupList
	if err := s.get(ctx, "/apis", &list); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list.Groups))
	for _, g := range list.Groups {
		names = append(names, g.Name)
	}
	return names, nil
}

func (s restServer) get(ctx context.Context, path string, into any) error {
	body, err := s.client.Get().AbsPath(path).SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: GET %s: %w", errNotKubernetes, path, err)
	}
	return nil
}

// Collect asks the cluster all that the checks want to know. Requests run side by side, in two rounds: where
// Linkerd's control plane is can only be asked once it is known which namespace it is in. Every error is kept in its
// own fact. Collect ends early only when ctx does.
//
// Requests: 3, with MeshLinkerd 3 more, and for the permissions one, and where that leaves any open, one for each of those.
func Collect(ctx context.Context, c Clients, r Request) Facts {
	f := Facts{Request: r, Server: c.Server.Address()}
	var round sync.WaitGroup
	round.Go(func() { f.Version = asked(c.Server.Version(ctx)) })
	round.Go(func() { f.Groups = asked(c.Server.Groups(ctx)) })
	round.Go(func() { f.Namespace = asked(c.Namespaces.Namespaces().Get(ctx, r.Namespace, metav1.GetOptions{})) })
	round.Go(func() { f.Access = review(ctx, c.Reviews, r.Namespace, r.Permissions) })
	if r.Mesh == MeshLinkerd {
		round.Go(func() { f.DryRun = asked(dryRun(ctx, c.Pods, r)) })
		round.Go(func() {
			f.Webhook = asked(c.Webhooks.MutatingWebhookConfigurations().Get(ctx, injectorWebhook, metav1.GetOptions{}))
		})
	}
	round.Wait()

	if r.Mesh == MeshLinkerd && f.unreachable() == nil && !f.linkerdMissing() {
		f.ControlPlane = asked(controlPlane(ctx, c.Pods, controlPlaneNamespace(f)))
	}
	return f
}

// dryRun has the API server admit the probe pod without keeping it. All of admission runs: the injector, quotas, Pod
// Security. See https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run.
func dryRun(ctx context.Context, pods coreclient.PodsGetter, r Request) (*corev1.Pod, error) {
	for try := 1; ; try++ {
		pod, err := pods.Pods(r.Namespace).Create(ctx, probePod(r.Namespace, r.Pod), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if try == serviceAccountTries || !defaultServiceAccountMissing(err) {
			return pod, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(serviceAccountPause):
		}
	}
}

// defaultServiceAccountMissing recognises the answer of the ServiceAccount admission plugin in a new namespace.
func defaultServiceAccountMissing(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), `serviceaccount "default" not found`)
}

// controlPlaneNamespace is where the injector's webhook points, else what the injected pod says (a tenant may not
// read webhooks), else Linkerd's default. It is not taken from a namespace's labels: only the CLI sets those.
func controlPlaneNamespace(f Facts) string {
	if f.Webhook.Known() {
		for _, w := range f.Webhook.Value.Webhooks {
			if w.ClientConfig.Service != nil {
				return w.ClientConfig.Service.Namespace
			}
		}
	}
	if f.DryRun.Known() && f.DryRun.Value.Labels[controlPlaneLabel] != "" {
		return f.DryRun.Value.Labels[controlPlaneLabel]
	}
	return defaultLinkerdNamespace
}

func controlPlane(ctx context.Context, pods coreclient.PodsGetter, namespace string) (ControlPlane, error) {
	list, err := pods.Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: componentLabel})
	if err != nil {
		return ControlPlane{Namespace: namespace}, err
	}
	return ControlPlane{Namespace: namespace, Pods: list.Items}, nil
}

// failurePolicy of the injector's webhook, where it could be read.
func failurePolicy(w *admissionregistrationv1.MutatingWebhookConfiguration) admissionregistrationv1.FailurePolicyType {
	for _, hook := range w.Webhooks {
		if hook.FailurePolicy != nil {
			return *hook.FailurePolicy
		}
	}
	return admissionregistrationv1.Fail // the API's default
}
