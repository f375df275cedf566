package imap

import (
	"fmt"
	"strings"

	"oauthproxy/proxy"
)

// sentence is something that Exchange is known to say when it refuses a login
// or ends a session.
type sentence struct {
	has    string // a piece of it, in lower case
	text   string // what the client is told instead; "": the kind's own sentence
	advice string // what it means and what to do, for the administrator
	// generic: a fresh token may help; usual: nobody has to do anything.
	generic, usual bool
}

// sentences are those that have more to them than their words
// (docs/quirks.md). The first that fits counts.
var sentences = []sentence{
	{has: "authenticated but not connected",
		text: "Exchange does not open this mailbox for IMAP: the administrator has to allow IMAP and access to it",
		advice: "is IMAP switched on for the mailbox (Set-CASMailbox -ImapEnabled $true), is its primary address configured, " +
			"does the application have FullAccess? A change takes up to two hours"},
	{has: "accesstokenexpired", generic: true, usual: true,
		advice: "the access token of the session has ended, and Exchange ends the session with it: nothing to do, the next login gets a fresh one"},
	{has: "session invalidated", generic: true,
		advice: "Exchange has revoked the session: after a changed password or a sign-out by the administrator the mailbox has to be signed in again"},
	{has: "request is throttled",
		advice: "the mailbox has used up what Exchange allows it: fewer clients at a time, or less often"},
	{has: "[throttled]", text: "the mail server is busy with this mailbox, try again later",
		advice: "the mailbox has used up what the mail server allows it: fewer clients at a time, or less often"},
	{has: "server unavailable", text: "the mail server is busy, try again later",
		advice: "a fault at Microsoft: nothing to do here but wait"},
	// RFC 5530 section 3: the server's trouble, not the token's.
	{has: "[unavailable]", text: "the mail server is busy, try again later",
		advice: "the server's own trouble: nothing to do here but wait"},
	{has: "connection is closed. 13", usual: true,
		advice: "the session was idle for too long: nothing to do, the mail program connects again"},
	{has: "connection is closed. 10",
		advice: "a command that makes no sense to Exchange, or too many connections to the mailbox: it allows about 20"},
	{has: "connection closed. 14",
		advice: "Exchange has refused too many commands in a row: the log of the mail program tells which"},
}

// known returns what is known about a sentence of Exchange's.
func known(line string) (sentence, bool) {
	line = strings.ToLower(line)
	for _, s := range sentences {
		if strings.Contains(line, s.has) {
			return s, true
		}
	}
	return sentence{}, false
}

func isNotConnected(r response) bool {
	return strings.Contains(strings.ToLower(r.text), "authenticated but not connected")
}

// isExpired tells whether a session has ended with its token.
func isExpired(r response) bool {
	return strings.Contains(strings.ToLower(r.text), "accesstokenexpired")
}

// refusal turns Exchange's no into a Failure: the sentence for a person says
// what is most likely wrong, Exchange's own goes to the log.
func refusal(r response) *proxy.Failure {
	f := proxy.Fail(proxy.UpstreamRefused, "Exchange said: %s", proxy.Sanitize(r.line))
	f.RetryAfter = proxy.Backoff(r.text)
	if s, ok := known(string(r.line)); ok {
		f.Text, f.Generic, f.Usual = s.text, s.generic, s.usual
		f.Cause = fmt.Errorf("%w (%s)", f.Cause, s.advice)
	} else {
		f.Generic = r.name == "NO"
	}
	if r.name == "BYE" && f.Text == "" {
		f.Text = "the mail server ended the login, try again later"
	}
	return f
}
