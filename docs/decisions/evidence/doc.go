// Package evidence holds what the decisions rest on, as tests: each shows a
// library doing what a decision says it does. When such a test fails, the
// library has changed, and the decision should be read again.
//
//	go test -v ./docs/decisions/evidence
package evidence
