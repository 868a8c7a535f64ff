// Package meshcheck tells, before anything is written, whether a cluster will take a Flow: whether the API answers,
// the namespace is there, the user may do what is needed, and Linkerd injects its proxy into the Flow's pods. Jina
// speaks gRPC between its parts, and only a mesh spreads gRPC requests over the replicas of a part.
//
// It works in two steps. [Collect] asks the cluster everything at once and keeps every answer, each with its own
// error, in [Facts]. [Evaluate] is a pure function from Facts to results, driven by the table that [Checks] returns:
// a new check is a new row, a test and a section of docs/checks.md.
//
// An answer that the user's rights do not allow is never a failure: it is [StatusUnknown], with the right that is
// missing. Nothing is persisted: access reviews and dry runs are requests, not writes.
package meshcheck
