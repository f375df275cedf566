// Package script plays stories: transcripts of what a client says to the
// proxy, and of what the proxy makes of it towards the upstream. The script
// plays both ends; the proxy between them is the real one.
//
// A story is a text file. It may begin with options, which are the test's
// affair ("listener: starttls"); then each line is one step, in order:
//
//	# a comment
//	C> EHLO laptop        the client says a line
//	C+ NOOP               the same, sent in one segment with what it says next
//	C| a\r\nb             the client says just these bytes; escapes as in Go
//	C< 250-*              the client hears a line; * is anything
//	U CONNECT             the proxy connects to the upstream
//	U CONNECT TLS         the same, by implicit TLS
//	U> AUTH XOAUTH2       the upstream hears a line
//	U< 334                the upstream says a line; U+ and U| as with C
//	U> ***                the upstream hears the expected XOAUTH2 response
//	C TLS                 the client begins a TLS handshake
//	U TLS                 the upstream does, as a server
//	U TLS FAILS           the same, in vain
//	C> EOF                the client has no more to say
//	U< EOF                the upstream has no more to say
//	C> RESET              the client's host dies; likewise U< RESET
//	C< EOF                the client hears the end; likewise U> EOF
//	P SHUTDOWN            something happens to the proxy
//
// C2 and U2 are a second client and a second upstream connection. base64(...)
// in a line stands for the base64 of what is between the brackets, with
// escapes. A * at the very beginning of a line stands for itself, as in IMAP.
// What is heard shows its control characters as escapes.
//
// Nothing may be heard that isn't in the story, but for a QUIT to the upstream
// at its end.
package script

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Story is a parsed transcript.
type Story struct {
	// Options are the lines before the first step.
	Options map[string]string

	steps []step
}

// step is one line of a story.
type step struct {
	number int    // of the line, from 1
	line   string // as written
	who    string // C, U, C2, ... or P
	verb   string // >, <, +, |, or do for CONNECT, TLS and what happens to P
	text   string
}

var (
	optionForm = regexp.MustCompile(`^([a-z][a-z -]*): *(.*)$`)
	speechForm = regexp.MustCompile(`^([CU]\d?)([<>+|]) ?(.*)$`)
	actionForm = regexp.MustCompile(`^([CUP]\d?) ([A-Z][A-Z ]*)$`)
)

// Parse reads a story.
func Parse(text string) (*Story, error) {
	s := &Story{Options: make(map[string]string)}
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		if m := optionForm.FindStringSubmatch(line); m != nil && len(s.steps) == 0 {
			s.Options[m[1]] = m[2]
			continue
		}
		step, err := parseStep(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w: %s", i+1, err, line)
		}
		step.number = i + 1
		s.steps = append(s.steps, step)
	}
	return s, nil
}

// Follow puts another story before this one. Options that both have are this
// one's.
func (s *Story) Follow(first *Story) {
	s.steps = append(slices.Clone(first.steps), s.steps...)
	for name, value := range first.Options {
		if _, own := s.Options[name]; !own {
			s.Options[name] = value
		}
	}
}

// Said returns all that one party says, C or U, whatever comes between.
func (s *Story) Said(who string) []byte {
	var b []byte
	for _, step := range s.steps {
		if step.who != who || step.verb == "do" || step.hears() || step.text == "EOF" || step.text == "RESET" {
			continue
		}
		b = append(b, step.text...)
		if step.verb != "|" {
			b = append(b, "\r\n"...)
		}
	}
	return b
}

func parseStep(line string) (step, error) {
	if m := actionForm.FindStringSubmatch(line); m != nil {
		return step{line: line, who: m[1], verb: "do", text: m[2]}, nil
	}
	m := speechForm.FindStringSubmatch(line)
	if m == nil {
		return step{}, fmt.Errorf("not a step")
	}
	s := step{line: line, who: m[1], verb: m[2], text: m[3]}
	var err error
	if s.text, err = encodeBase64(s.text); err == nil && s.verb == "|" {
		s.text, err = unescape(s.text)
	}
	return s, err
}

// hears tells hearing from saying: > is towards the upstream, < towards the
// client.
func (s step) hears() bool {
	return s.who[0] == 'C' && s.verb == "<" || s.who[0] == 'U' && s.verb == ">"
}

var base64Form = regexp.MustCompile(`base64\(([^)]*)\)`)

// encodeBase64 replaces each base64(...).
func encodeBase64(text string) (string, error) {
	var failed error
	text = base64Form.ReplaceAllStringFunc(text, func(macro string) string {
		plain, err := unescape(base64Form.FindStringSubmatch(macro)[1])
		if err != nil {
			failed = err
		}
		return base64.StdEncoding.EncodeToString([]byte(plain))
	})
	return text, failed
}
