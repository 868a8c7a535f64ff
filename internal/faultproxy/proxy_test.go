package faultproxy

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
)

func clientOf(t *testing.T, kubeconfig string) *kubernetes.Clientset {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return typed
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func TestFaultsHappenAsToldAndAreCounted(t *testing.T) {
	cluster := testcluster.Start(t)
	ns := cluster.Namespace(t)
	direct, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	there := func(name string) bool {
		_, err := direct.CoreV1().ConfigMaps(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		return err == nil
	}
	proxy := Start(t, cluster, 1)
	through := clientOf(t, proxy.Kubeconfig()).CoreV1().ConfigMaps(ns)
	create := func(name string, f Fault) error {
		proxy.Set(Rule{Match: Write, Fault: f})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := through.Create(ctx, configMap(name), metav1.CreateOptions{})
		return err
	}

	if err := create("none", Fault{}); err != nil || !there("none") {
		t.Errorf("forwarded: %v", err)
	}
	if err := create("answer", Fault{Kind: Answer, Status: 500, Message: "m"}); !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), "m") || there("answer") {
		t.Errorf("answer: %v", err)
	}
	if err := create("before", Fault{Kind: ResetBefore}); !errors.Is(err, syscall.ECONNRESET) || there("before") {
		t.Errorf("reset before: %v", err)
	}
	if err := create("after", Fault{Kind: ResetAfter}); !errors.Is(err, syscall.ECONNRESET) || !there("after") {
		t.Errorf("reset after: %v", err)
	}
	if err := create("delay", Fault{Kind: Delay, Delay: time.Millisecond}); err != nil || !there("delay") {
		t.Errorf("delay: %v", err)
	}
	proxy.Set(Rule{Match: Write, Fault: Fault{Kind: Drop}})
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := through.Create(short, configMap("drop"), metav1.CreateOptions{}); !errors.Is(err, context.DeadlineExceeded) || there("drop") {
		t.Errorf("drop: %v", err)
	}
	release := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- create("hold", Fault{Kind: Hold, Release: release}) }()
	testcluster.Eventually(t, func() error {
		if proxy.Counts()[Hold] == 0 {
			return errors.New("the request has not arrived")
		}
		return nil
	})
	if there("hold") {
		t.Error("a held request was forwarded")
	}
	close(release)
	if err := <-done; err != nil || !there("hold") {
		t.Errorf("hold: %v", err)
	}
	for _, k := range []Kind{None, Answer, ResetBefore, ResetAfter, Delay, Drop, Hold} {
		if n := proxy.Counts()[k]; n != 1 {
			t.Errorf("%d faults of kind %q", n, k)
		}
	}
}

func TestHooksAreCalledOnTheirRequestAndWhenItIsTime(t *testing.T) {
	cluster := testcluster.Start(t)
	ns := cluster.Namespace(t)
	direct, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	seen := func(name string, into *atomic.Int64) func() {
		return func() {
			_, err := direct.CoreV1().ConfigMaps(ns).Get(context.WithoutCancel(t.Context()), name, metav1.GetOptions{})
			if err == nil {
				into.Add(10)
			}
			into.Add(1)
		}
	}
	var before, after atomic.Int64
	proxy := Start(t, cluster, 1, Rule{Match: On(http.MethodPost, "/configmaps"), Nth: 2, Before: seen("c2", &before), After: seen("c2", &after)})
	through := clientOf(t, proxy.Kubeconfig()).CoreV1().ConfigMaps(ns)
	for _, name := range []string{"c1", "c2", "c3"} {
		if _, err := through.Create(t.Context(), configMap(name), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if before.Load() != 1 || after.Load() != 11 {
		t.Errorf("before %d (want 1: once, and no object), after %d (want 11: once, and the object)", before.Load(), after.Load())
	}
	if n := proxy.Requests(); n != 3 {
		t.Errorf("%d requests", n)
	}
}

func TestWatchesGoThrough(t *testing.T) {
	cluster := testcluster.Start(t)
	ns := cluster.Namespace(t)
	proxy := Start(t, cluster, 1)
	through := clientOf(t, proxy.Kubeconfig()).CoreV1().ConfigMaps(ns)
	w, err := through.Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=c"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if _, err := through.Create(t.Context(), configMap("c"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if e := <-w.ResultChan(); e.Object.(*corev1.ConfigMap).Name != "c" {
		t.Errorf("%v", e)
	}
}

func TestRequestWithATokenOfItsOwnIsNotTheAdministrators(t *testing.T) {
	cluster := testcluster.Start(t)
	proxy := Start(t, cluster, 1)
	typed := clientOf(t, proxy.KubeconfigFor(t, &clientcmdapi.AuthInfo{Token: "wrong"}))
	if _, err := typed.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("%v", err)
	}
}

// TestSharesAreTheSameForTheSameSeed needs no cluster: the decision does not depend on one.
func TestSharesAreTheSameForTheSameSeed(t *testing.T) {
	hits := func(seed uint64, reverse bool) (list []string) {
		p := &Proxy{seed: seed, counts: map[Kind]int{}, occurrences: map[string]int{}}
		p.Set(Rule{Share: 0.1, Fault: Fault{Kind: Drop}})
		found := map[int]bool{}
		for i := range 1000 {
			if reverse {
				i = 999 - i
			}
			r, err := http.NewRequest(http.MethodGet, "https://x/"+strings.Repeat("a", i), nil)
			if err != nil {
				t.Fatal(err)
			}
			found[i] = p.decide(r).Fault.Kind == Drop
		}
		for i := range 1000 {
			if found[i] {
				list = append(list, strings.Repeat("a", i))
			}
		}
		return list
	}
	one, again, other := hits(1, false), hits(1, true), hits(2, false)
	if len(one) < 60 || len(one) > 140 {
		t.Errorf("%d of 1000 requests were hit, about 100 should be", len(one))
	}
	if strings.Join(one, ",") != strings.Join(again, ",") {
		t.Error("the order of the requests decides")
	}
	if strings.Join(one, ",") == strings.Join(other, ",") {
		t.Error("the seed does not decide")
	}
}
