package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// This file asks a person on a terminal. An empty answer takes the default,
// which stands in brackets; "?" tells more; an answer that won't do is
// explained and asked for again.

// conversation asks one question after another. The first error, such as an
// interruption, ends it: every later answer is empty, and ended tells why.
type conversation struct {
	*ui
	ctx   context.Context
	ended error
}

// question asks for a line.
type question struct {
	text   string // what is asked, and what the answer is for
	label  string // stands before the answer
	preset string // taken for an empty answer; "" if that is for check to judge
	more   string // the answer to "?"
	// check returns the answer as it is meant, or says what is wrong with it:
	// a sentence, that begins with a small letter. nil takes everything.
	check func(answer string) (string, error)
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 4096

// tell says something, a paragraph each.
func (c *conversation) tell(paragraphs ...string) {
	for _, p := range paragraphs {
		fmt.Fprintln(c.err, wrap(p, "", widthOf(c.err)))
	}
}

// line asks a question until its answer can be used.
func (c *conversation) line(q question) string {
	if c.ended != nil {
		return ""
	}
	fmt.Fprintln(c.err)
	c.tell(q.text)
	for {
		answer := c.typed(prompt(q.label, q.preset))
		if c.ended != nil {
			return ""
		}
		if answer == "?" {
			c.tell(cmp.Or(q.more, "There is no more to tell about this."))
			continue
		}
		answer, err := q.judge(cmp.Or(answer, q.preset))
		if err == nil {
			return answer
		}
		c.tell("That won't do: " + err.Error() + ".")
	}
}

// judge checks an answer.
func (q question) judge(answer string) (string, error) {
	switch {
	case !utf8.ValidString(answer) || strings.ContainsFunc(answer, unicode.IsControl):
		return "", errors.New("there is something in it that isn't text, such as an arrow key")
	case q.check == nil:
		return answer, nil
	}
	return q.check(answer)
}

// prompt is what stands before an answer.
func prompt(label, preset string) string {
	if preset == "" {
		return label + ": "
	}
	return label + " [" + preset + "]: "
}

// option is one of several answers.
type option[T any] struct {
	value T
	text  string
}

// choose asks which of the options it shall be; the first is the default.
func choose[T any](c *conversation, text, more string, options ...option[T]) T {
	var none T
	if c.ended != nil {
		return none
	}
	fmt.Fprintln(c.err)
	c.tell(text)
	for i, o := range options {
		fmt.Fprintln(c.err, wrap(o.text, fmt.Sprintf("  %d  ", i+1), widthOf(c.err)))
	}
	for {
		answer := c.typed(prompt("number", "1"))
		if c.ended != nil {
			return none
		}
		if answer == "?" {
			c.tell(cmp.Or(more, "There is no more to tell about this."))
			continue
		}
		if n, err := strconv.Atoi(cmp.Or(answer, "1")); err == nil && n >= 1 && n <= len(options) {
			return options[n-1].value
		}
		c.tell(fmt.Sprintf("That won't do: answer with a number from 1 to %d.", len(options)))
	}
}

// confirm asks for yes or no.
func (c *conversation) confirm(text, more string, preset bool) bool {
	words := map[bool]string{true: "yes", false: "no"}
	answer := c.line(question{text: text, label: "yes or no", preset: words[preset], more: more, check: func(answer string) (string, error) {
		switch answer = strings.ToLower(answer); {
		case slices.Contains([]string{"y", "yes"}, answer):
			return "yes", nil
		case slices.Contains([]string{"n", "no"}, answer):
			return "no", nil
		}
		return "", errors.New("answer with yes or no")
	}})
	return answer == "yes"
}

// unseen asks for a line that isn't shown. An empty one is an answer too.
func (c *conversation) unseen(label string) string {
	if c.ended != nil {
		return ""
	}
	terminal, _ := isTerminal(c.in)
	typed, err := c.hidden(c.ctx, terminal, label+": ")
	c.ended = err
	return string(typed)
}

// typed reads a line that the person types, as the terminal hands it over.
func (c *conversation) typed(prompt string) string {
	fmt.Fprint(c.err, prompt)
	line, err := wait(c.ctx, func() ([]byte, error) { return answerLine(c.in) })
	if err != nil {
		fmt.Fprintln(c.err) // the prompt's line isn't ended
		c.ended = err
		return ""
	}
	return strings.TrimSpace(string(line))
}

// answerLine reads a line byte for byte: what is typed behind it is for the
// next question, which may be asked in another way. The rest of one that is
// too long is dropped.
func answerLine(keyboard io.Reader) ([]byte, error) {
	var line []byte
	var key [1]byte
	for {
		if _, err := io.ReadFull(keyboard, key[:]); err != nil {
			return nil, errors.New("interrupted") // by Ctrl-D, or the terminal is gone
		}
		if key[0] == '\n' {
			return line, nil
		}
		if len(line) < maxAnswer {
			line = append(line, key[0])
		}
	}
}
