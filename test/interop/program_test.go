//go:build linux

package interop

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// program is a mail program with a home of its own.
type program struct {
	t    *testing.T
	home string
}

func newProgram(t *testing.T) program { return program{t, t.TempDir()} }

// run runs it and returns what it says, and its exit status.
func (p program) run(input []byte, name string, arguments ...string) (out string, status int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, name, arguments...)
	p.prepare(command)
	// It ends together with all that it has started.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = patience
	command.Stdin = bytes.NewReader(input)
	said, err := command.CombinedOutput()
	if secret := findSecret(string(said)); secret != "" {
		said = []byte("(it says " + secret + ")")
	}
	if ctx.Err() != nil {
		p.t.Fatalf("%s is not done after %v: %s", name, patience, said)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(said), exit.ExitCode()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return string(said), 0
}

// prepare gives a command its home.
func (p program) prepare(command *exec.Cmd) {
	command.Dir = p.home
	command.Env = append(command.Environ(), "HOME="+p.home, "LC_ALL=C.UTF-8", "TERM=vt100", "MAIL=", "EMAIL=")
}

// must runs it and expects status 0.
func (p program) must(input []byte, name string, arguments ...string) {
	p.t.Helper()
	if out, status := p.run(input, name, arguments...); status != 0 {
		p.t.Fatalf("%s: status %d: %s", name, status, out)
	}
}

// configure writes a file into the program's home and returns its name.
func (p program) configure(name, text string) string {
	p.t.Helper()
	file := p.home + "/" + name
	writeFile(p.t, file, []byte(text))
	return file
}

// escape puts a text between double quotes, with a backslash before those
// characters.
func escape(text, special string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if strings.IndexByte(special, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return `"` + b.String() + `"`
}

// unixLines returns a message with the line ends of a Unix program's files.
func unixLines(message []byte) []byte { return bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n")) }

// networkLines is the way back.
func networkLines(message []byte) []byte {
	return bytes.ReplaceAll(message, []byte("\n"), []byte("\r\n"))
}
