package meshcheck

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
)

const (
	rulesPath  = "POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
	accessPath = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
)

// rule has one verb, group and resource each, and perhaps names of objects.
func rule(verb, group, resource string, names ...string) authorizationv1.ResourceRule {
	return authorizationv1.ResourceRule{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: names}
}

func rulesAnswer(s authorizationv1.SubjectRulesReviewStatus) func(http.ResponseWriter, *http.Request) {
	return document(map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "status": s})
}

// accessAnswer allows a verb and nothing else, and says why it does not.
func accessAnswer(verb string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked authorizationv1.SelfSubjectAccessReview
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			status(http.StatusBadRequest, err.Error())(w, r)
			return
		}
		asked.APIVersion, asked.Kind = "authorization.k8s.io/v1", "SelfSubjectAccessReview"
		asked.Status.Allowed = asked.Spec.ResourceAttributes.Verb == verb
		if !asked.Status.Allowed {
			asked.Status.Reason = "the webhook says no"
		}
		document(asked)(w, r)
	}
}

func TestRightsAreReviewedTogetherAndWhatThatLeavesOpenOneByOne(t *testing.T) {
	listPods, patchScale := Permission{Verb: "list", Resource: "pods"}, Permission{Verb: "patch", Group: "apps", Resource: "deployments", Subresource: "scale"}
	for _, tt := range []struct {
		name    string
		answer  authorizationv1.SubjectRulesReviewStatus
		p       Permission
		allowed bool
		asked   bool
	}{
		{"listed", rulesOfRBAC(rule("list", "", "pods")), listPods, true, false},
		{"listed in the second rule", rulesOfRBAC(rule("get", "", "pods"), rule("list", "", "pods")), listPods, true, false},
		{"every verb", rulesOfRBAC(rule("*", "", "pods")), listPods, true, false},
		{"every group", rulesOfRBAC(rule("list", "*", "pods")), listPods, true, false},
		{"every resource", rulesOfRBAC(rule("list", "", "*")), listPods, true, false},
		{"not listed", rulesOfRBAC(rule("get", "", "pods")), listPods, false, false},
		{"another group", rulesOfRBAC(rule("list", "apps", "pods")), listPods, false, false},
		{"another resource", rulesOfRBAC(rule("list", "", "secrets")), listPods, false, false},
		{"no rule at all", rulesOfRBAC(), listPods, false, false},
		{"a subresource is not its resource", rulesOfRBAC(rule("list", "", "pods/log")), listPods, false, false},

		{"subresource", rulesOfRBAC(rule("patch", "apps", "deployments/scale")), patchScale, true, false},
		{"subresource of everything", rulesOfRBAC(rule("patch", "apps", "*/scale")), patchScale, true, false},
		{"everything", rulesOfRBAC(rule("*", "*", "*")), patchScale, true, false},
		{"another subresource of everything", rulesOfRBAC(rule("patch", "apps", "*/status")), patchScale, false, false},
		{"the resource is not its subresource", rulesOfRBAC(rule("patch", "apps", "deployments")), patchScale, false, false},

		{"for some names only", rulesOfRBAC(rule("list", "", "pods", "a")), listPods, true, true},
		{"for some names, and for all", rulesOfRBAC(rule("list", "", "pods", "a"), rule("list", "", "pods")), listPods, true, false},
		{"for some names of another resource", rulesOfRBAC(rule("list", "", "secrets", "a")), listPods, false, false},

		{"a role is missing, listed", authorizationv1.SubjectRulesReviewStatus{EvaluationError: "role x not found", ResourceRules: []authorizationv1.ResourceRule{rule("list", "", "pods")}}, listPods, true, false},
		{"a role is missing, not listed", authorizationv1.SubjectRulesReviewStatus{EvaluationError: "role x not found"}, listPods, true, true},
		// A webhook that is asked before RBAC may refuse what RBAC would allow.
		{"incomplete, listed", authorizationv1.SubjectRulesReviewStatus{Incomplete: true, ResourceRules: []authorizationv1.ResourceRule{rule("*", "*", "*")}}, patchScale, false, true},
		{"incomplete, not listed", authorizationv1.SubjectRulesReviewStatus{Incomplete: true}, listPods, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &apiServer{answers: map[string]func(http.ResponseWriter, *http.Request){rulesPath: rulesAnswer(tt.answer), accessPath: accessAnswer("list")}}
			got := review(t.Context(), client(t, s).Reviews, "shop", []Permission{tt.p})
			if len(got) != 1 || got[0].Allowed != tt.allowed || got[0].Err != nil || got[0].Permission != tt.p {
				t.Errorf("got %+v", got)
			}
			want := []string{rulesPath}
			if tt.asked {
				want = []string{accessPath, rulesPath}
			}
			if asked := s.questions(); !slices.Equal(asked, want) {
				t.Errorf("asked %q, want %q", asked, want)
			}
		})
	}
}

func rulesOfRBAC(rules ...authorizationv1.ResourceRule) authorizationv1.SubjectRulesReviewStatus {
	return authorizationv1.SubjectRulesReviewStatus{ResourceRules: rules}
}

func TestRightsAreReviewedOneByOneWhereTheyCannotBeListed(t *testing.T) {
	s := &apiServer{answers: map[string]func(http.ResponseWriter, *http.Request){accessPath: accessAnswer("get")}}
	ps := UpPermissions(kinds("Service", "Deployment.apps"))
	for i, a := range review(t.Context(), client(t, s).Reviews, "shop", ps) {
		if a.Permission != ps[i] || a.Allowed != (ps[i].Verb == "get") || a.Err != nil {
			t.Errorf("got %+v", a)
		}
		if !a.Allowed && a.Reason != "the webhook says no" {
			t.Errorf("the reason is lost: %+v", a)
		}
	}
	if got := len(s.questions()); got != len(ps)+1 {
		t.Errorf("%d questions about %d permissions", got, len(ps))
	}
}

func TestNothingIsReviewedWhereNothingIsNeeded(t *testing.T) {
	s := &apiServer{}
	if got := review(t.Context(), client(t, s).Reviews, "shop", nil); len(got) != 0 || len(s.questions()) != 0 {
		t.Errorf("got %v after %q", got, s.questions())
	}
}

func TestRequireNamesWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		want   string
	}{
		{"all is there", rulesAnswer(rulesOfRBAC(rule("*", "*", "*"))), ""},
		{"the optional is missing", rulesAnswer(rulesOfRBAC(rule("get", "", "configmaps"), rule("list", "", "configmaps"), rule("list", "", "pods"), rule("list", "apps", "deployments"), rule("patch", "apps", "deployments/scale"))), ""},
		{"a required one is missing", rulesAnswer(rulesOfRBAC(rule("*", "", "*"), rule("list", "apps", "deployments"))),
			"preflight failed: permissions: in namespace shop the user may not patch deployments.apps/scale"},
		{"reviews are forbidden", status(http.StatusForbidden, `User "ann" cannot create resource "selfsubjectrulesreviews"`), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &apiServer{answers: map[string]func(http.ResponseWriter, *http.Request){rulesPath: tt.answer}}
			err := Require(t.Context(), client(t, s).Reviews, "shop", ChangePermissions(CommandScale, kinds("Deployment.apps")))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v", err)
			case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)):
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestWhyAReviewWasNotEvaluatedIsSaid(t *testing.T) {
	s := &apiServer{answers: map[string]func(http.ResponseWriter, *http.Request){
		rulesPath: rulesAnswer(authorizationv1.SubjectRulesReviewStatus{Incomplete: true}),
		accessPath: document(map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
			"status": map[string]any{"allowed": false, "evaluationError": "the webhook does not answer"}}),
	}}
	err := Require(t.Context(), client(t, s).Reviews, "shop", []Permission{{Verb: "list", Resource: "pods"}})
	if want := "the user may not list pods (the webhook does not answer)"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want …%s", err, want)
	}
}
