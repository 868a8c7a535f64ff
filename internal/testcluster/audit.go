package testcluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// auditLog is the name of the log in the cluster's state directory.
const auditLog = "audit.log"

// Event is one request to the API server, as its audit log has it. What the cluster's own components ask is not logged.
type Event struct {
	// Verb is Kubernetes': get, list, watch, create, update, patch, delete, deletecollection.
	Verb string
	// User is who asked, UserAgent with which program.
	User, UserAgent string
	// Group is the API group, empty for the core one. Resource is empty for a request that is about no resource.
	Group, Resource, Subresource string
	// Namespace is empty for what is in none. Name is empty for a list, and for a create that leaves it to the server.
	Namespace, Name string
	// DryRun says that nothing was to be persisted.
	DryRun bool
	// Code is the HTTP status of the answer.
	Code int
	// URI is the path with the query.
	URI string
	// Time at which the request came.
	Time time.Time
}

// Persisted says whether the request may have changed what the API server stores: a successful write that is no dry
// run and whose object is kept. Reviews (SelfSubjectAccessReview and its like), tokens and connections to pods are
// creates by name only.
func (e Event) Persisted() bool {
	if e.DryRun || e.Code >= 300 {
		return false
	}
	if !slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, e.Verb) {
		return false
	}
	switch e.Group {
	case "authorization.k8s.io", "authentication.k8s.io":
		return false
	}
	return !slices.Contains([]string{"token", "portforward", "exec", "attach", "proxy"}, e.Subresource)
}

// String is the event on one line.
func (e Event) String() string {
	s := fmt.Sprintf("%s %s -> %d by %s (%s)", e.Verb, e.URI, e.Code, e.User, e.UserAgent)
	if e.DryRun {
		s += ", dry run"
	}
	return s
}

// AuditEvents are the requests that match, in the order in which they were answered: all that had an answer when it was
// called. The log is the whole cluster's: match at least on a namespace or a user of the test's own.
func (c *Cluster) AuditEvents(t testing.TB, match func(Event) bool) []Event {
	t.Helper()
	path := filepath.Join(c.dir(), auditLog)
	// An event is written after its answer was sent, so a moment may pass. What this request finds in the log was
	// answered after all that the caller waited for; then the log is read once more.
	marker := strconv.FormatInt(time.Now().UnixNano(), 36) + "-" + strconv.FormatInt(namespaces.Add(1), 36)
	if err := c.clients.Discovery().RESTClient().Get().AbsPath("/version").Param("marker", marker).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, func() error {
		found, err := readEvents(path, func(e Event) bool { return strings.Contains(e.URI, marker) })
		if err == nil && len(found) == 0 {
			return fmt.Errorf("%s: the last request is not in it yet", path)
		}
		return err
	})
	events, err := readEvents(path, match)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// line is what is read of the API server's format (audit.k8s.io/v1 Event).
type line struct {
	Verb       string    `json:"verb"`
	RequestURI string    `json:"requestURI"`
	UserAgent  string    `json:"userAgent"`
	Received   time.Time `json:"requestReceivedTimestamp"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	// RequestObject is logged of deletions only: their options are in the body.
	RequestObject struct {
		DryRun []string `json:"dryRun"`
	} `json:"requestObject"`
}

func (l line) event() (Event, error) {
	u, err := url.ParseRequestURI(l.RequestURI)
	if err != nil {
		return Event{}, err
	}
	return Event{
		Verb: l.Verb, User: l.User.Username, UserAgent: l.UserAgent,
		Group: l.ObjectRef.APIGroup, Resource: l.ObjectRef.Resource, Subresource: l.ObjectRef.Subresource,
		Namespace: l.ObjectRef.Namespace, Name: l.ObjectRef.Name,
		DryRun: u.Query().Has("dryRun") || len(l.RequestObject.DryRun) > 0,
		Code:   l.ResponseStatus.Code, URI: l.RequestURI, Time: l.Received,
	}, nil
}

func readEvents(path string, match func(Event) bool) ([]Event, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the cluster was started without an audit log: %w", err)
	}
	defer f.Close()
	var events []Event
	r := bufio.NewReaderSize(f, 1<<16)
	for {
		b, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			// A line without its end is just being written.
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		var l line
		if err := json.Unmarshal(b, &l); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		e, err := l.event()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if match(e) {
			events = append(events, e)
		}
	}
}
