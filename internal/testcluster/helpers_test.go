package testcluster

import (
	"fmt"
	"maps"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func pod(name string, annotations map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}, Annotations: annotations},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "executor", Image: "example.test/executor:1", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}},
	}
}

func deployment(name string, replicas int32, annotations map[string]string) *appsv1.Deployment {
	p := pod(name, annotations)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: p.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(p.Labels), Annotations: annotations}, Spec: p.Spec},
		},
	}
}

func createPod(t *testing.T, c *Cluster, namespace string, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	p, err := c.clients.CoreV1().Pods(namespace).Create(t.Context(), p, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func podCondition(p *corev1.Pod, kind corev1.PodConditionType) corev1.ConditionStatus {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c.Status
		}
	}
	return corev1.ConditionUnknown
}

func waitForPod(t *testing.T, c *Cluster, namespace, name string) *corev1.Pod {
	t.Helper()
	var p *corev1.Pod
	Eventually(t, func() error {
		var err error
		if p, err = c.clients.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			return err
		}
		if podCondition(p, corev1.PodReady) != corev1.ConditionTrue {
			return fmt.Errorf("pod %s is not ready: %+v", name, p.Status)
		}
		return nil
	})
	return p
}

func waitForDeployment(t *testing.T, c *Cluster, namespace, name string, available int32) {
	t.Helper()
	Eventually(t, func() error {
		d, err := c.clients.AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.ObservedGeneration != d.Generation || d.Status.AvailableReplicas != available {
			return fmt.Errorf("deployment %s has %d available replicas, want %d", name, d.Status.AvailableReplicas, available)
		}
		return nil
	})
}

func clientsOf(t *testing.T, kubeconfig string) kubernetes.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}
