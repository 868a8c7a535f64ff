package cmd

import (
	"bytes"
	"errors"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
)

// mixedResults has one result of each status.
func mixedResults() []meshcheck.Result {
	return []meshcheck.Result{
		{ID: "api-version", Group: "Kubernetes", Title: "Kubernetes is 1.27 or later", Status: meshcheck.StatusPass, Detail: "v1.34.4", Decides: true, Docs: "https://docs#api-version"},
		{ID: "namespace", Group: "Kubernetes", Title: "the namespace exists", Status: meshcheck.StatusFail, Detail: "there is no namespace shop", Decides: true,
			Remedy: []string{"make it: kubectl create namespace shop, or up --create-namespace", "or choose another one: -n NAMESPACE"}, Docs: "https://docs#namespace"},
		{ID: "linkerd-installed", Group: "Mesh", Title: "Linkerd is installed", Status: meshcheck.StatusSkipped, Detail: "--mesh none: not asked", Decides: true, Docs: "https://docs#linkerd-installed"},
		{ID: "linkerd-injection", Group: "Mesh", Title: "Linkerd injects its proxy", Status: meshcheck.StatusUnknown, Detail: "forbidden", Decides: true,
			Remedy: []string{"ask"}, Docs: "https://docs#linkerd-injection"},
		{ID: "linkerd-control-plane", Group: "Mesh", Title: "it is ready", Status: meshcheck.StatusUnknown, Detail: "forbidden",
			Remedy: []string{"nothing to do"}, Docs: "https://docs#linkerd-control-plane"},
		{ID: "replicas-balanced", Group: "Mesh", Title: "replicas share", Status: meshcheck.StatusWarn, Detail: "they will not",
			Remedy: []string{"use a mesh"}, Docs: "https://docs#replicas-balanced"},
	}
}

func TestResultsAreOneLineEachWithRemediesBelow(t *testing.T) {
	var b bytes.Buffer
	if err := printResults(&b, mixedResults()); err != nil {
		t.Fatal(err)
	}
	want := `Kubernetes
  pass     api-version            Kubernetes is 1.27 or later (v1.34.4)
  FAIL     namespace              there is no namespace shop
           make it: kubectl create namespace shop, or up --create-namespace
           or choose another one: -n NAMESPACE
           see https://docs#namespace
Mesh
  skipped  linkerd-installed      --mesh none: not asked
  unknown  linkerd-injection      forbidden
           ask
           see https://docs#linkerd-injection
  unknown  linkerd-control-plane  forbidden
           nothing to do
           see https://docs#linkerd-control-plane
  warn     replicas-balanced      they will not
           use a mesh
           see https://docs#replicas-balanced
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestUpShowsOnlyWhatItsUserShouldKnow(t *testing.T) {
	var b bytes.Buffer
	printNotable(&b, mixedResults())
	want := `FAIL  namespace: there is no namespace shop
      make it: kubectl create namespace shop, or up --create-namespace
      or choose another one: -n NAMESPACE
      see https://docs#namespace
unknown  linkerd-injection: forbidden
      ask
      see https://docs#linkerd-injection
warn  replicas-balanced: they will not
      use a mesh
      see https://docs#replicas-balanced
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if printNotable(&b, mixedResults()[:1]); b.Len() > 0 {
		t.Errorf("what passed is told: %s", b.String())
	}
}

func TestSummaryCountsEveryStatus(t *testing.T) {
	if got, want := summary(mixedResults()), "6 checks: 1 passed, 1 with a warning, 1 failed, 2 unknown, 1 skipped"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := summary(mixedResults()[:1]), "1 checks: 1 passed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVerdictIsTheWorst(t *testing.T) {
	all := mixedResults()
	for _, tt := range []struct {
		results []meshcheck.Result
		want    meshcheck.Status
	}{
		{all, meshcheck.StatusFail},
		{all[:1], meshcheck.StatusPass},
		{all[2:3], meshcheck.StatusPass},
		{all[3:4], meshcheck.StatusWarn},
		{all[5:], meshcheck.StatusWarn},
	} {
		if got := verdict(tt.results); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.results, got, tt.want)
		}
	}
}

type brokenPipe struct{}

var errBroken = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestResultsThatCannotBeWrittenAreAnError(t *testing.T) {
	if err := printResults(brokenPipe{}, mixedResults()); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}
