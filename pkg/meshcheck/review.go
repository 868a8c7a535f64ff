package meshcheck

import (
	"context"
	"slices"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
)

// Reviews is how one asks the API server what one may do.
type Reviews interface {
	authorizationclient.SelfSubjectRulesReviewsGetter
	authorizationclient.SelfSubjectAccessReviewsGetter
}

// Require asks whether the user has the permissions in a namespace, and returns a *FailedError that names those that are
// required and missing. Nil also stands for a question that the API server did not answer: the request that needs the
// right will tell. It sends one request as a rule; see review.
func Require(ctx context.Context, r Reviews, namespace string, ps []Permission) error {
	if len(ps) == 0 {
		return nil
	}
	f := Facts{Request: Request{Namespace: namespace, Permissions: ps}, Access: review(ctx, r, namespace, ps)}
	var results []Result
	for _, c := range Checks() {
		if c.ID == permissionsCheck {
			results = append(results, c.result(c.run(f)))
		}
	}
	return Failed(results)
}

// review asks for all of the user's rights in the namespace at once, and one by one for those that the answer leaves open.
// Where RBAC alone decides, that is one request. A cluster that also asks a webhook cannot list rights, and is asked
// for each: as many requests more as there are permissions, side by side.
func review(ctx context.Context, r Reviews, namespace string, ps []Permission) []Access {
	all := make([]Access, len(ps))
	if len(ps) == 0 {
		return all
	}
	known := rulesOf(ctx, r, namespace)
	var asking sync.WaitGroup
	for i, p := range ps {
		switch known.verdict(p) {
		case allowed:
			all[i] = Access{Permission: p, Allowed: true}
		case denied:
			all[i] = Access{Permission: p}
		default:
			asking.Go(func() { all[i] = reviewOne(ctx, r, namespace, p) })
		}
	}
	asking.Wait()
	return all
}

// rules are what a SelfSubjectRulesReview told.
type rules struct {
	list []authorizationv1.ResourceRule
	// more: there may be rights that are not in the list.
	more bool
	// open: even what is in the list may be decided otherwise, by an authorizer that cannot list rights and is asked first.
	open bool
}

func rulesOf(ctx context.Context, r authorizationclient.SelfSubjectRulesReviewsGetter, namespace string) rules {
	answer, err := r.SelfSubjectRulesReviews().Create(ctx, &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace},
	}, metav1.CreateOptions{})
	if err != nil {
		return rules{open: true}
	}
	status := answer.Status
	// The authorizers for webhooks and for nodes set Incomplete (apiserver's plugin/pkg/authorizer/webhook and kubernetes'
	// plugin/pkg/auth/authorizer/node); RBAC has an EvaluationError where a role that is bound does not exist.
	return rules{list: status.ResourceRules, more: status.EvaluationError != "", open: status.Incomplete}
}

type verdict int

const (
	open verdict = iota
	allowed
	denied
)

func (r rules) verdict(p Permission) verdict {
	if r.open {
		return open
	}
	limited := false
	for _, rule := range r.list {
		if !covers(rule, p) {
			continue
		}
		if len(rule.ResourceNames) == 0 {
			return allowed
		}
		limited = true
	}
	if limited || r.more {
		return open
	}
	return denied
}

// covers is RBAC's own reading of a rule (kubernetes' pkg/apis/rbac/v1/evaluation_helpers.go), the names of resources aside.
func covers(rule authorizationv1.ResourceRule, p Permission) bool {
	has := func(list []string, values ...string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return s == "*" || slices.Contains(values, s) })
	}
	targets := []string{p.Resource}
	if p.Subresource != "" {
		targets = []string{p.Resource + "/" + p.Subresource, "*/" + p.Subresource}
	}
	return has(rule.Verbs, p.Verb) && has(rule.APIGroups, p.Group) && has(rule.Resources, targets...)
}

func reviewOne(ctx context.Context, r authorizationclient.SelfSubjectAccessReviewsGetter, namespace string, p Permission) Access {
	answer, err := r.SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: p.Verb, Group: p.Group, Resource: p.Resource, Subresource: p.Subresource,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return Access{Permission: p, Err: err}
	}
	reason := answer.Status.Reason
	if reason == "" {
		reason = answer.Status.EvaluationError
	}
	return Access{Permission: p, Allowed: answer.Status.Allowed, Reason: reason}
}
