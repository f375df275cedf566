package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/term"

	"oauthproxy/config"
	"oauthproxy/internal/wire"
)

// This file holds the only ways in which the command speaks:
//
//   - What was asked for goes to standard output and nothing else does, so
//     that it can be piped on.
//   - Everything else goes to standard error, each line with the prefix
//     "oauthproxy: ". It begins with a small letter and ends without a period.
//   - What to do about it is a hint, on a line of its own.
//   - Passwords are asked for on the terminal, without showing them.
//   - A conversation (ask.go) is on standard error too. It is prose, wrapped to
//     the terminal's width, without a prefix.

// ui is a conversation with the person, or the script, that runs a command.
type ui struct {
	in       io.Reader
	out, err io.Writer

	outErr error // the first error of writing to out
}

// result prints what was asked for.
func (u *ui) result(format string, args ...any) {
	if _, err := fmt.Fprintf(u.out, format+"\n", args...); err != nil && u.outErr == nil {
		u.outErr = err
	}
}

// finish returns the exit status of a command, which is a failure if its
// result went nowhere.
func (u *ui) finish(status int) int {
	if u.outErr != nil {
		u.say("can't write the result: %v", u.outErr)
		return max(status, exitFailed)
	}
	return status
}

// say tells what happened.
func (u *ui) say(format string, args ...any) {
	fmt.Fprintf(u.err, "oauthproxy: "+format+"\n", args...)
}

// hint tells what to do about what was said last.
func (u *ui) hint(format string, args ...any) {
	fmt.Fprintf(u.err, "oauthproxy: hint: "+format+"\n", args...)
}

// misuse tells what is wrong with the arguments.
func (u *ui) misuse(hint, format string, args ...any) int {
	u.say(format, args...)
	u.hint("%s", hint)
	return exitUsage
}

// fail tells why a command failed.
func (u *ui) fail(err error) int {
	u.say("%v", err)
	return exitFailed
}

// problems tells all that is wrong with a configuration.
func (u *ui) problems(err error) {
	var invalid *config.Invalid
	if !errors.As(err, &invalid) {
		u.say("%v", err)
		return
	}
	for _, p := range invalid.Problems {
		u.say("%s", p.Where())
		if p.Hint != "" {
			u.hint("%s", p.Hint)
		}
	}
}

// maxPassword bounds a password, in bytes.
const maxPassword = 1024

// newPassword asks twice for a password on a terminal, else reads a line of
// standard input, of which only the line end is no part of the password.
func (u *ui) newPassword(ctx context.Context) (wire.Secret, error) {
	if terminal, ok := isTerminal(u.in); ok {
		return u.askTwice(ctx, terminal)
	}
	return u.passwordLine(ctx)
}

// password asks for a password that exists, once.
func (u *ui) password(ctx context.Context, prompt string) (wire.Secret, error) {
	if terminal, ok := isTerminal(u.in); ok {
		return u.ask(ctx, terminal, prompt)
	}
	return u.passwordLine(ctx)
}

// isTerminal tells whether a stream is a terminal, and which one.
func isTerminal(stream any) (terminal int, ok bool) {
	f, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}

// passwordLine reads a password from a line of standard input.
func (u *ui) passwordLine(ctx context.Context) (wire.Secret, error) {
	line, err := wait(ctx, func() ([]byte, error) {
		line, err := bufio.NewReader(io.LimitReader(u.in, maxPassword+2)).ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			err = nil // a last line may end without a line end
		}
		return line, err
	})
	if cut, found := bytes.CutSuffix(line, []byte("\n")); found {
		line = bytes.TrimSuffix(cut, []byte("\r"))
	}
	return checkPassword(line, err)
}

func (u *ui) askTwice(ctx context.Context, terminal int) (wire.Secret, error) {
	first, err := u.ask(ctx, terminal, "password: ")
	if err != nil {
		return wire.Secret{}, err
	}
	second, err := u.ask(ctx, terminal, "the same again: ")
	if err == nil && second.Reveal() != first.Reveal() {
		err = errors.New("the two passwords differ, try again")
	}
	return first, err
}

// ask asks for a password.
func (u *ui) ask(ctx context.Context, terminal int, prompt string) (wire.Secret, error) {
	return checkPassword(u.hidden(ctx, terminal, prompt))
}

// hidden asks for a line that isn't shown. The terminal gets back its echo
// whatever happens. (term.ReadPassword would be shorter, but it spins when the
// terminal is hung up: it takes a read of nothing for a reason to read again.)
func (u *ui) hidden(ctx context.Context, terminal int, prompt string) ([]byte, error) {
	before, err := term.MakeRaw(terminal)
	if err != nil {
		return nil, fmt.Errorf("it takes a terminal: %w", err)
	}
	fmt.Fprint(u.err, prompt)
	typed, err := wait(ctx, func() ([]byte, error) { return typedLine(u.in) })
	_ = term.Restore(terminal, before)
	fmt.Fprintln(u.err)
	return typed, err
}

// typedLine reads a line, byte for byte, from a terminal in raw mode, with the
// keys that people expect to work. It takes nothing that is typed behind it.
func typedLine(keyboard io.Reader) ([]byte, error) {
	const (
		controlC, controlD, controlU, controlBackslash = 'C' & 0x1f, 'D' & 0x1f, 'U' & 0x1f, '\\' & 0x1f
		backspace, del                                 = '\b', 0x7f
	)
	var line []byte
	var key [1]byte
	for {
		if _, err := io.ReadFull(keyboard, key[:]); err != nil {
			return nil, fmt.Errorf("the terminal is gone: %w", err)
		}
		switch key[0] {
		case '\r', '\n':
			return line, nil
		case controlC, controlD, controlBackslash:
			return nil, errors.New("interrupted")
		case controlU:
			line = line[:0]
		case backspace, del:
			_, size := utf8.DecodeLastRune(line)
			line = line[:len(line)-size]
		default:
			if len(line) <= maxPassword { // one more tells that it is too long
				line = append(line, key[0])
			}
		}
	}
}

// checkPassword returns what was typed or read, if it can be a password.
func checkPassword(typed []byte, err error) (wire.Secret, error) {
	switch {
	case err != nil:
		return wire.Secret{}, fmt.Errorf("can't read the password: %w", err)
	case len(typed) == 0:
		return wire.Secret{}, errors.New("the password is empty")
	case len(typed) > maxPassword:
		return wire.Secret{}, fmt.Errorf("the password is longer than %d bytes", maxPassword)
	}
	return wire.NewSecret(string(typed)), nil
}

// wait reads until ctx ends. A read of a terminal can't be interrupted: then
// it is left behind, for the program ends.
func wait(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := read()
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
		return nil, errors.New("interrupted")
	}
}
