package verify

import (
	"cmp"
	"errors"
	"regexp"
)

// flowError is a dry run that a gateway has answered with an error: it has not come through the Flow.
type flowError struct {
	// executor that the gateway names; empty when it names none.
	executor    string
	description string
}

func (e *flowError) Error() string { return e.description }

// deployment is how a gateway names the executor that it cannot reach
// (jina/serve/runtimes/gateway/graph/topology_graph.py).
var deployment = regexp.MustCompile("(?:Communication error|Connection|Connection error) with deployment `?([^`\\s]+)`? at address")

// err is the status as an error.
func (s status) err() error {
	if !s.failed {
		return nil
	}
	e := &flowError{executor: plain(s.executor), description: plain(cmp.Or(s.description, s.exception, "the gateway gives no reason"))}
	if found := deployment.FindStringSubmatch(s.description); found != nil && e.executor == "" {
		e.executor = plain(found[1])
	}
	return e
}

// namedExecutor is the executor that an error of a dry run names.
func namedExecutor(err error) string {
	var e *flowError
	if errors.As(err, &e) {
		return e.executor
	}
	return ""
}
