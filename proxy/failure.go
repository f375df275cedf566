package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"oauthproxy/internal/remedy"
)

// Kind says why a client was refused. The list is closed: each protocol has one
// table that turns a Kind into its reply.
type Kind int

// Only BadCredentials may be told to a client as an authentication failure:
// mail programs throw a saved password away on that answer.
const (
	// BadCredentials: the local password is wrong, or the login may not be
	// used from here.
	BadCredentials Kind = iota + 1
	// SignInRequired: a person has to sign in with Microsoft again.
	SignInRequired
	// TokenUnavailable: no access token can be had at the moment.
	TokenUnavailable
	// UpstreamRefused: Exchange did not accept us.
	UpstreamRefused
	// UpstreamProtocol: the upstream said something that makes no sense.
	UpstreamProtocol
	// UpstreamUnreachable: no connection to the upstream, or it was lost.
	UpstreamUnreachable
	// TLSRequired: this listener takes passwords over TLS alone.
	TLSRequired
	// TooManyAttempts: the connection has used up its tries.
	TooManyAttempts
	// ShuttingDown: the proxy is about to stop.
	ShuttingDown
	// Busy: a limit is reached.
	Busy
	// Internal: a fault of our own.
	Internal
)

var kinds = map[Kind]struct{ name, sentence string }{
	BadCredentials:      {"bad credentials", "user name or password is wrong"},
	SignInRequired:      {"sign-in required", "this mailbox has to be signed in with Microsoft again"},
	TokenUnavailable:    {"token unavailable", "Microsoft gives no access at the moment, try again later"},
	UpstreamRefused:     {"upstream refused", "Exchange refused the login to this mailbox, ask the administrator"},
	UpstreamProtocol:    {"upstream protocol error", "the mail server gave an answer that makes no sense, try again later"},
	UpstreamUnreachable: {"upstream unreachable", "the mail server can't be reached, try again later"},
	TLSRequired:         {"TLS required", "this port takes passwords over TLS only: switch on STARTTLS in the mail program"},
	TooManyAttempts:     {"too many attempts", "too many failed attempts, connect again"},
	ShuttingDown:        {"shutting down", "the proxy is restarting, try again in a moment"},
	Busy:                {"busy", "too many connections, try again later"},
	Internal:            {"internal error", "something went wrong in the proxy, see its log"},
}

// String returns the kind's name, for the log.
func (k Kind) String() string { return kinds[k].name }

// Failure is the reason why a client is refused.
type Failure struct {
	Kind Kind
	// Text is what the client is told: plain words and the next step. Empty
	// means the kind's own sentence. Upstream text never stands here.
	Text string
	// Cause goes to the log.
	Cause error
	// Generic marks a refusal by Exchange that a fresh token may help
	// against: it names no cause ("535 5.7.3", "NO AUTHENTICATE failed."), or
	// the token's end.
	Generic bool
	// RetryAfter is how long Exchange asks to be left alone; 0: it doesn't say.
	RetryAfter time.Duration
	// Usual marks what happens in good order, and nobody has to mend.
	Usual bool
	// Remedy is what is known about the cause; zero: nothing. It goes to the
	// log.
	Remedy remedy.Remedy
	// Lost marks an upstream that was there and is gone.
	Lost bool

	again bool // it is given again without having asked
}

// Fail returns a Failure of the kind, with a cause for the log.
func Fail(kind Kind, format string, args ...any) *Failure {
	return &Failure{Kind: kind, Cause: fmt.Errorf(format, args...)}
}

// Lose returns the Failure of an upstream that has closed the connection of a
// session; how goes on with the sentence about that.
func Lose(how string) *Failure {
	f := Fail(UpstreamUnreachable, "the mail server closed the connection %s", how)
	f.Lost = true
	return f
}

// explain adds what is known about a failure of the network or of TLS.
func (f *Failure) explain() *Failure {
	if r, facts, known := remedy.ByError(f.Cause); known {
		f.Remedy, f.Text = r.Fill(facts), cmp.Or(f.Text, r.Tells)
	}
	return f
}

// Explain adds what is known about a reply of the mail server's.
func (f *Failure) Explain(protocol, reply string) {
	if r, known := remedy.ByReply(protocol, reply); known {
		f.Remedy, f.Text = r, cmp.Or(r.Tells, f.Text)
		f.Generic, f.Usual = r.Generic, r.Usual
	}
}

// RemedyOf returns the [Failure.Attributes] for a reply of the mail server's.
func RemedyOf(protocol, reply string) []any {
	var f Failure
	f.Explain(protocol, reply)
	return f.Attributes("")
}

// Attributes are those of a log line that tell what it means and what to do; none where nothing
// is known. docs/troubleshooting.md has more under the remedy's ID.
func (f *Failure) Attributes(account string) []any {
	if f.Remedy.IsZero() {
		return nil
	}
	r := f.Remedy.Fill(map[string]string{"mailbox": account})
	return []any{"means", r.Says, "remedy", r.Advice(), "remedy_id", r.ID}
}

// Error returns kind and cause, for the log.
func (f *Failure) Error() string {
	if f.Cause == nil {
		return f.Kind.String()
	}
	return f.Kind.String() + ": " + f.Cause.Error()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// Sentence returns what the client is told, with the session's id, by which a
// screenshot or a printer's display leads to the log.
func (f *Failure) Sentence(session string) string {
	text := f.Text
	if text == "" {
		text = kinds[f.Kind].sentence
	}
	return text + " (session " + session + ")"
}

// Ends tells whether the connection is closed after the refusal.
func (f *Failure) Ends() bool {
	switch f.Kind {
	case TooManyAttempts, ShuttingDown, Busy:
		return true
	}
	return false
}

// AsFailure returns err's Failure; an error without one is Internal.
func AsFailure(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return &Failure{Kind: Internal, Cause: err}
}
