package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	File string
	Line int    // counted from 1; 0 when the problem belongs to no line
	Key  string // the place in the file, e.g. listeners[1].tls; may be empty
	Text string // what is wrong
	Hint string // what to do about it; may be empty
}

// Where returns the problem without its hint:
// config.yaml:12: listeners[1].tls: what is wrong.
func (p Problem) Where() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// String returns the problem on one line, with its hint in parentheses.
func (p Problem) String() string {
	if p.Hint == "" {
		return p.Where()
	}
	return p.Where() + " (hint: " + p.Hint + ")"
}

// Invalid is the error of a configuration that has problems.
type Invalid struct {
	Problems []Problem // in the order of the file, at least one
}

// Error returns all problems, a line each.
func (e *Invalid) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// invalid returns the problems found so far as an error.
func (r *reader) invalid() *Invalid {
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return &Invalid{Problems: r.problems}
}
