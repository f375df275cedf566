package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// reader reads one configuration and collects its problems.
type reader struct {
	file      string // as the user named it
	folder    string // where it is
	checkHash func(hash string) error
	problems  []Problem
}

// report adds a problem.
func (r *reader) report(line int, key, hint, format string, args ...any) {
	r.problems = append(r.problems, Problem{r.file, line, key, fmt.Sprintf(format, args...), hint})
}

// section is a mapping of the file while it is read. What it can't read it
// reports, and returns the zero value: a problem is told once.
type section struct {
	*reader
	path   string // e.g. listeners[1]
	line   int
	fields map[string]field
}

// section opens v as a section that may hold k, and reports the keys that don't
// belong there. It returns false when v is no mapping.
func (r *reader) section(v *value, path string, k *keys) (*section, bool) {
	s := &section{reader: r, path: path, line: v.line, fields: make(map[string]field)}
	if v.kind != mapping {
		r.report(v.line, path, "", "expected keys and values, such as %s: ...", k.known[0])
		return s, false
	}
	for _, f := range v.fields {
		if !slices.Contains(k.known, f.key) {
			s.unknown(f, k)
			continue
		}
		s.fields[f.key] = f
		if f.value.kind == nothing {
			s.report(f.key, "give it one, or remove the key", "has no value")
		}
	}
	return s, true
}

// unknown reports a key that doesn't belong to this kind of section. The key
// that was meant counts as there, so that nobody is told that it is missing.
func (s *section) unknown(f field, k *keys) {
	report := func(hint, format string, args ...any) {
		s.reader.report(f.line, s.path, hint, format, args...)
	}
	near := Nearest(f.key, k.known)
	switch {
	case f.value.kind == nothing && near == "":
		// Probably the rest of a value, which may be a secret: don't quote it.
		report("put quotes around a value that has a comma in it", "a key without a value")
	case near != "":
		if !s.has(near) {
			s.fields[near] = f
			s.forget(near)
		}
		report("did you mean "+near+"?", "unknown key %q", f.key)
	case homes(f.key) != "":
		report("it belongs to "+homes(f.key), "unknown key %q here", f.key)
	default:
		report("known: "+strings.Join(k.known, ", "), "unknown key %q", f.key)
	}
}

// report adds a problem with a key, on its line or, where the key is missing,
// on that of the section.
func (s *section) report(key, hint, format string, args ...any) {
	line := s.line
	if f, ok := s.fields[key]; ok {
		line = f.value.line
	}
	s.reader.report(line, join(s.path, key), hint, format, args...)
}

// has tells whether the key is there, usable or not.
func (s *section) has(key string) bool {
	_, ok := s.fields[key]
	return ok
}

// text returns the text of a key, or "".
func (s *section) text(key string) string {
	f, ok := s.fields[key]
	if !ok || f.value.kind == nothing {
		return ""
	}
	if !f.value.isText() {
		s.report(key, "", "expected a single line of text")
		s.forget(key)
		return ""
	}
	return f.value.text
}

// forget takes the value from a key that has been reported, so that it is
// neither reported again nor missed.
func (s *section) forget(key string) {
	f := s.fields[key]
	f.value = &value{kind: nothing, line: f.value.line}
	s.fields[key] = f
}

// isText tells whether v is text that can stand on one line.
func (v *value) isText() bool {
	return v.kind == text && !strings.ContainsFunc(v.text, unicode.IsControl)
}

// required returns the text of a key that must be there.
func (s *section) required(key, hint string) string {
	v := s.text(key)
	f, ok := s.fields[key]
	if !ok || f.value.kind == text && v == "" {
		s.report(key, hint, "missing")
	}
	return v
}

// choice returns the text of a key, which must be one of the options, or
// otherwise when there is none.
func (s *section) choice(key, otherwise string, options ...string) string {
	v := s.text(key)
	if v == "" {
		return otherwise
	}
	if slices.Contains(options, v) {
		return v
	}
	hint := "known: " + strings.Join(options, ", ")
	if near := Nearest(v, options); near != "" {
		hint = "did you mean " + near + "?"
	}
	s.report(key, hint, "unknown value %q", v)
	return ""
}

// count returns the number of a key, which must be 0 or more, or otherwise
// when there is none.
func (s *section) count(key string, otherwise int) int {
	v := s.text(key)
	if v == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		s.report(key, "0 means no limit", "expected a whole number, 0 or more")
		return otherwise
	}
	return int(n)
}

// flag returns a key that is true or false; false when it isn't there.
func (s *section) flag(key string) bool { return s.choice(key, "false", "true", "false") == "true" }

// list returns the items of a key, which may be missing but not empty: an
// empty list could be meant as "all" or as "none".
func (s *section) list(key string) []*value {
	f, ok := s.fields[key]
	switch {
	case !ok || f.value.kind == nothing:
	case f.value.kind != list:
		s.report(key, "", "expected a list")
	case len(f.value.items) == 0:
		s.report(key, "", "the list is empty")
	default:
		return f.value.items
	}
	return nil
}

// words returns the items of a key that is a list of texts.
func (s *section) words(key string) []item {
	var words []item
	for i, v := range s.list(key) {
		w := item{text: v.text, line: v.line, path: index(join(s.path, key), i)}
		if !v.isText() {
			s.reader.report(w.line, w.path, "", "expected a single line of text")
			continue
		}
		words = append(words, w)
	}
	return words
}

// item is one text of a list.
type item struct {
	text, path string
	line       int
}

// sections returns the items of a key that must be a list of sections.
func (s *section) sections(key string, k *keys, hint string) []*section {
	if !s.has(key) {
		s.report(key, hint, "missing")
	}
	var sections []*section
	for i, v := range s.list(key) {
		if child, ok := s.section(v, index(join(s.path, key), i), k); ok {
			sections = append(sections, child)
		}
	}
	return sections
}

// child returns the section of a key; one without keys when it isn't there.
func (s *section) child(key string, k *keys) *section {
	empty := &section{reader: s.reader, path: join(s.path, key), line: s.line}
	f, ok := s.fields[key]
	if !ok || f.value.kind == nothing {
		return empty
	}
	child, _ := s.section(f.value, join(s.path, key), k)
	return child
}
