package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"unicode"

	"oauthproxy/doctor"
)

// report shows what a check finds: as it goes on, or as JSON in the end.
type report struct {
	ui     *ui
	asJSON bool
	width  int  // of the terminal, in columns; 0: lines are as long as they are
	color  bool // may be used
	tracks bool // what is being tried is shown, and taken away again

	mu       sync.Mutex
	findings []doctor.Finding
	progress bool // a line on the terminal tells what is being tried
	lines    int  // that have been shown
}

func newReport(u *ui, asJSON bool) *report {
	r := &report{ui: u, asJSON: asJSON, findings: []doctor.Finding{}}
	if _, ok := isTerminal(u.out); !ok {
		return r
	}
	r.width = widthOf(u.out)
	_, r.tracks = isTerminal(u.err)
	r.color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" // https://no-color.org
	return r
}

// Begin shows on a terminal what is being tried.
func (r *report) Begin(probe, subject string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asJSON || !r.tracks {
		return
	}
	line := []rune(printable(fmt.Sprintf("... %s %s", probe, subject)))
	fmt.Fprintf(r.ui.err, "\r%s\x1b[K", string(line[:min(len(line), r.width-1)]))
	r.progress = true
}

// Found shows a finding.
func (r *report) Found(f doctor.Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.findings = append(r.findings, f)
	if r.asJSON {
		return
	}
	r.clear()
	r.show(f)
}

// close takes away what is left of the progress.
func (r *report) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear()
}

func (r *report) clear() {
	if r.progress {
		fmt.Fprint(r.ui.err, "\r\x1b[K")
	}
	r.progress = false
}

// labelled is how wide the column is that tells how a probe has ended.
const labelled = 9

// show prints a finding: what was seen, and below that what it means and what
// to do.
func (r *report) show(f doctor.Finding) {
	r.line(statusWord(f.Status), r.tint(f.Status), headline(f))
	if f.Status == doctor.OK || f.Status == doctor.Skipped {
		return
	}
	if f.Means != "" {
		r.line("", "", "means: "+f.Means)
	}
	switch {
	case f.Do == "" && len(f.Fix) == 0:
	case f.Who == "" || f.Do == "":
		r.line("", "", "to do: "+f.Do)
	default:
		r.line("", "", "to do, by "+f.Who+": "+f.Do)
	}
	for _, step := range f.Fix {
		r.line("", "", "- "+step)
	}
	for _, line := range f.PowerShell {
		// Not broken into pieces: it is there to be copied.
		r.print(strings.Repeat(" ", labelled) + "PS> " + printable(line))
	}
	if f.Spreads && f.Status != doctor.Note {
		r.line("", "", "a change of that may take up to two hours to be in force")
	}
}

// headline is what was seen, and where.
func headline(f doctor.Finding) string {
	subject := f.Subject
	if f.Account != "" && f.Account != f.Subject {
		subject = f.Account + ", " + subject
	}
	return fmt.Sprintf("%s %s: %s", f.Probe, subject, f.Seen)
}

func statusWord(s doctor.Status) string {
	if s == doctor.Broken {
		return "BROKEN"
	}
	return string(s)
}

// tint is the terminal's color for a status (ECMA-48 section 8.3.117).
func (r *report) tint(s doctor.Status) string {
	if !r.color {
		return ""
	}
	return map[doctor.Status]string{doctor.OK: "\x1b[32m", doctor.Warning: "\x1b[33m", doctor.Broken: "\x1b[31;1m", doctor.Skipped: "\x1b[2m"}[s]
}

// line prints a text behind a label, broken at words where a terminal ends.
func (r *report) line(label, tint, text string) {
	width := r.width
	if width == 0 {
		width = math.MaxInt
	}
	lines := wrap(printable(text), fmt.Sprintf("%-*s", labelled, label), width)
	if tint != "" {
		lines = tint + label + "\x1b[0m" + lines[len(label):]
	}
	r.print(lines)
}

func (r *report) print(text string) {
	r.lines += 1 + strings.Count(text, "\n")
	r.ui.result("%s", text)
}

// screenful is how many lines people see at once, more or less.
const screenful = 40

// repeat says below a long report what is broken, so that nobody has to look
// for it above.
func (r *report) repeat() {
	if r.lines <= screenful {
		return
	}
	for _, f := range r.findings {
		if f.Status == doctor.Broken {
			r.line("broken:", "", headline(f))
		}
	}
}

// printable replaces what could drive a terminal.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, text)
}

// finish sums up and returns the exit status. The error is why there was no
// check, or not the whole of it.
func (r *report) finish(err error) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear()
	count := make(map[doctor.Status]int)
	status := exitWell
	for _, f := range r.findings {
		count[f.Status]++
		switch {
		case f.Status == doctor.Broken && f.Probe == configurationProbe:
			status = exitConfig
		case f.Status == doctor.Broken:
			status = max(status, exitFailed)
		}
	}
	if err != nil {
		status = max(status, exitFailed)
	}
	switch {
	case r.asJSON:
		r.json(count, err)
	case len(r.findings) > 0:
		r.ui.result("%s", r.sum(count, err))
		r.repeat()
	}
	if err != nil {
		r.ui.failAccount(interrupted(err))
	}
	return status
}

// sum says in a line how it stands.
func (r *report) sum(n map[doctor.Status]int, err error) string {
	var all []string
	if n[doctor.Broken] > 0 {
		all = append(all, fmt.Sprintf("%d broken", n[doctor.Broken]))
	}
	if n[doctor.Warning] > 0 {
		all = append(all, plural(n[doctor.Warning], "warning"))
	}
	if n[doctor.Skipped] > 0 {
		all = append(all, fmt.Sprintf("%d not tried", n[doctor.Skipped]))
	}
	all = append(all, fmt.Sprintf("%d well", n[doctor.OK]+n[doctor.Note]))
	if err != nil {
		all = append(all, "and the rest was not looked at")
	}
	return "in all: " + strings.Join(all, ", ")
}

// reportJSON is the JSON of a check.
type reportJSON struct {
	Findings []doctor.Finding `json:"findings"`
	Broken   int              `json:"broken"`
	Warnings int              `json:"warnings"`
	// Error is why it isn't the whole check.
	Error string `json:"error,omitempty"`
}

func (r *report) json(n map[doctor.Status]int, err error) {
	all := reportJSON{Findings: r.findings, Broken: n[doctor.Broken], Warnings: n[doctor.Warning]}
	if err != nil {
		all.Error = interrupted(err).Error()
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		r.ui.fail(err)
		return
	}
	r.ui.result("%s", text)
}

var errInterrupted = errors.New("interrupted")

// interrupted is the error in plain words.
func interrupted(err error) error {
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}
