package testcluster

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func TestAuditTellsWritesFromDryRunsAndReads(t *testing.T) {
	t.Parallel()
	c := Start(t)
	ns := c.Namespace(t)
	config := c.Config()
	config.UserAgent = "audit-test/" + ns
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, pods, dry := t.Context(), clients.CoreV1().Pods(ns), []string{metav1.DryRunAll}
	steps := []struct {
		do        func() error
		want      string
		persisted bool
	}{
		{func() error { _, err := pods.List(ctx, metav1.ListOptions{}); return err }, "list pods ", false},
		{func() error { _, err := pods.Create(ctx, pod("p", nil), metav1.CreateOptions{DryRun: dry}); return err }, "create pods p", false},
		{func() error { _, err := pods.Create(ctx, pod("p", nil), metav1.CreateOptions{}); return err }, "create pods p", true},
		{func() error { return pods.Delete(ctx, "p", metav1.DeleteOptions{DryRun: dry}) }, "delete pods p", false},
		{func() error { return pods.Delete(ctx, "p", metav1.DeleteOptions{}) }, "delete pods p", true},
		{func() error {
			_, err := clients.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: ns, Verb: "get", Resource: "pods"}},
			}, metav1.CreateOptions{})
			return err
		}, "create selfsubjectaccessreviews ", false},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.want, err)
		}
	}
	events := c.AuditEvents(t, func(e Event) bool { return e.UserAgent == "audit-test/"+ns })
	if len(events) != len(steps) {
		t.Fatalf("got %d events, want %d: %v", len(events), len(steps), events)
	}
	for i, s := range steps {
		e := events[i]
		if got := e.Verb + " " + e.Resource + " " + e.Name; got != s.want || e.Persisted() != s.persisted {
			t.Errorf("request %d: got %s, persisted %v; want %s, %v (%s)", i, got, e.Persisted(), s.want, s.persisted, e)
		}
	}
	if e := events[2]; e.Namespace != ns || e.User != "kubernetes-admin" || e.Code != 201 || e.Time.IsZero() {
		t.Errorf("the create is %+v", e)
	}
}

func TestOnlySuccessfulWritesArePersisted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		event Event
		want  bool
	}{
		{Event{Verb: "create", Code: 201}, true},
		{Event{Verb: "patch", Code: 200}, true},
		{Event{Verb: "patch", Code: 200, Subresource: "scale"}, true},
		{Event{Verb: "patch", Code: 409}, false},
		{Event{Verb: "create", Code: 403}, false},
		{Event{Verb: "create", Code: 201, DryRun: true}, false},
		{Event{Verb: "watch", Code: 200}, false},
		{Event{Verb: "create", Code: 201, Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"}, false},
		{Event{Verb: "create", Code: 201, Resource: "serviceaccounts", Subresource: "token"}, false},
		{Event{Verb: "create", Code: 101, Resource: "pods", Subresource: "portforward"}, false},
		{Event{Verb: "create", Code: 201, Resource: "pods", Subresource: "eviction"}, true},
	} {
		if got := test.event.Persisted(); got != test.want {
			t.Errorf("%+v: got %v", test.event, got)
		}
	}
}
