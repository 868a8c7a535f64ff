package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

// group may do everything, but it is none whose requests are exempt from priority and fairness, as an administrator's of
// a new cluster are.
const group = "bench"

// patience is for what is waited for between measurements. It is many times what that takes.
const patience = 10 * time.Minute

// cluster is the one that all programs are measured on.
type cluster struct {
	process *testcluster.Process
	mode    mode
	clients kubernetes.Interface
	proxy   *proxy
	dir     string
}

func startCluster(ctx context.Context, dir string, m mode) (*cluster, error) {
	binary, err := testcluster.Build(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	p, err := testcluster.Run(ctx, binary, testcluster.Options{Audit: true, Linkerd: m == withControllers, NoControllers: m == halted})
	if err != nil {
		return nil, err
	}
	c := &cluster{process: p, mode: m, dir: dir}
	if err := c.connect(ctx); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (c *cluster) connect(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", c.process.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.ContentType = -1, "application/vnd.kubernetes.protobuf"
	if c.clients, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		return err
	}
	if c.proxy, err = newProxy(server.Host); err != nil {
		return err
	}
	_, err = c.clients.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: group},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: group}},
	}, metav1.CreateOptions{})
	return err
}

func (c *cluster) stop() error {
	var err error
	if c.proxy != nil {
		err = c.proxy.close()
	}
	return errors.Join(err, c.process.Stop())
}

// user makes a kubeconfig for a user of that name, which leads through the proxy.
func (c *cluster) user(ctx context.Context, name string) (kubeconfig string, err error) {
	kubeconfig = filepath.Join(c.dir, name+".kubeconfig")
	if err := c.process.User(ctx, kubeconfig, name, group); err != nil {
		return "", err
	}
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return "", err
	}
	for _, cluster := range config.Clusters {
		cluster.Server = "https://" + c.proxy.address()
	}
	return kubeconfig, clientcmd.WriteToFile(*config, kubeconfig)
}

// namespace makes one in which pods can be created.
func (c *cluster) namespace(ctx context.Context, name string) error {
	_, err := c.clients.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	accounts := c.clients.CoreV1().ServiceAccounts(name)
	if c.mode == halted {
		// There is no controller that makes it.
		_, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
		return err
	}
	return eventually(ctx, func(ctx context.Context) error {
		_, err := accounts.Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// empty removes the namespace with all that is in it. Without controllers a namespace is never gone; what is in it is.
func (c *cluster) empty(ctx context.Context, namespace string) error {
	if c.mode == halted {
		background := metav1.DeletePropagationBackground
		var errs []error
		for _, r := range []struct {
			client   rest.Interface
			resource string
		}{
			{c.clients.AppsV1().RESTClient(), "deployments"},
			{c.clients.CoreV1().RESTClient(), "services"},
			{c.clients.CoreV1().RESTClient(), "configmaps"},
			{c.clients.CoreV1().RESTClient(), "secrets"},
		} {
			errs = append(errs, r.client.Delete().Namespace(namespace).Resource(r.resource).
				Body(&metav1.DeleteOptions{PropagationPolicy: &background}).Do(ctx).Error())
		}
		return errors.Join(errs...)
	}
	if err := c.clients.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}); err != nil {
		return err
	}
	return eventually(ctx, func(ctx context.Context) error {
		_, err := c.clients.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, fmt.Errorf("namespace %s is still there", namespace))
	})
}

// available waits until every Deployment of the namespace is.
func (c *cluster) available(ctx context.Context, namespace string) error {
	return eventually(ctx, func(ctx context.Context) error {
		list, err := c.clients.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		for _, d := range list.Items {
			if d.Status.ObservedGeneration != d.Generation || d.Status.UpdatedReplicas != *d.Spec.Replicas || d.Status.AvailableReplicas != *d.Spec.Replicas {
				return fmt.Errorf("Deployment %s is not available", d.Name)
			}
		}
		return nil
	})
}

// settle waits until the cluster has nothing left to do: it uses little time in a short while, twice.
func (c *cluster) settle(ctx context.Context) error {
	const while, idle = 500 * time.Millisecond, 80 * time.Millisecond
	quiet := 0
	return eventually(ctx, func(ctx context.Context) error {
		before, known := cpuTime(c.process.PID())
		if err := sleep(ctx, while); err != nil {
			return err
		}
		after, _ := cpuTime(c.process.PID())
		quiet++
		if known && after-before > idle {
			quiet = 0
		}
		if quiet < 2 {
			return fmt.Errorf("the cluster is at work: %s of CPU time in %s", after-before, while)
		}
		return nil
	})
}

// eventually asks until check has no error, at first often.
func eventually(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if sleep(ctx, pause) != nil {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
