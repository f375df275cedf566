package imap

import (
	"strings"

	"oauthproxy/proxy"
)

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
	f.Generic = r.name == "NO"
	f.RetryAfter = proxy.Backoff(r.text)
	f.Explain("imap", string(r.line))
	if r.name == "BYE" && f.Text == "" {
		f.Text = "the mail server ended the login, try again later"
	}
	return f
}
