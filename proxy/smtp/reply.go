package smtp

import (
	"strings"

	"oauthproxy/internal/sasl"
	"oauthproxy/proxy"
)

// status is a reply code and an enhanced status code (RFC 3463).
type status struct{ atAuth, elsewhere string }

// statuses are the codes of a refusal. Exchange's own verdicts never pass
// through here: they reach the client unchanged.
var statuses = map[proxy.Kind]status{
	proxy.BadCredentials:      {"535 5.7.8", "530 5.7.0"},
	proxy.SignInRequired:      {"454 4.7.0", "451 4.7.0"},
	proxy.TokenUnavailable:    {"454 4.7.0", "451 4.7.0"},
	proxy.UpstreamRefused:     {"454 4.7.0", "451 4.7.0"},
	proxy.UpstreamProtocol:    {"454 4.7.0", "451 4.7.0"},
	proxy.UpstreamUnreachable: {"454 4.7.0", "451 4.4.1"},
	proxy.TLSRequired:         {"523 5.7.10", "530 5.7.0"},
	proxy.TooManyAttempts:     {"421 4.7.0", "421 4.7.0"},
	proxy.ShuttingDown:        {"421 4.3.2", "421 4.3.2"},
	proxy.Busy:                {"421 4.3.2", "421 4.3.2"},
	proxy.Internal:            {"454 4.3.0", "451 4.3.0"},
}

// authStatuses are the codes for an exchange that doesn't come to credentials
// (RFC 4954 sections 4 and 6).
var authStatuses = map[sasl.Refusal]string{
	sasl.ErrCancelled:     "501 5.7.0",
	sasl.ErrEncoding:      "501 5.5.2",
	sasl.ErrMalformed:     "501 5.5.2",
	sasl.ErrAuthorization: "501 5.7.0",
	sasl.ErrTooLong:       "500 5.5.6",
	sasl.ErrMechanism:     "504 5.5.4",
}

// Refuse tells why the login is refused, or why the connection ends.
func (d *dialogue) Refuse(f *proxy.Failure) {
	d.client.Printf("%s", d.answer(f))
	d.authenticating = false
}

// answer returns the reply that tells of a failure.
func (d *dialogue) answer(f *proxy.Failure) string {
	codes := statuses[f.Kind]
	code := codes.elsewhere
	if d.authenticating {
		code = codes.atAuth
	} else if f.Lost {
		code = "451 4.4.2"
	} else if f.Kind == proxy.Busy && d.tx.mail != "" {
		code = "451 4.3.2" // it is this message that has to wait: the session goes on
	}
	return code + " " + f.Sentence(d.session.ID)
}

// Greet sends the greeting, on one line: old programs read no more.
func (d *dialogue) Greet() {
	d.client.Printf("220 %s ESMTP ready", d.session.HostName)
}

// Accept tells the client that it is logged in, if it has asked to.
func (d *dialogue) Accept() {
	if d.authenticating {
		d.client.Printf("235 2.7.0 Authentication successful")
	}
	d.authenticating = false
	d.loggedIn = true
}

// offer answers EHLO.
func (d *dialogue) offer() {
	keywords := []string{d.session.HostName, "PIPELINING"}
	keywords = append(keywords, d.extensions()...)
	if d.session.CanStartTLS() && !d.loggedIn {
		keywords = append(keywords, "STARTTLS")
	}
	if !d.loggedIn && !d.session.NeedsTLS() {
		mechanisms := strings.Join(sasl.Mechanisms, " ")
		// With "=" for programs older than RFC 2554's final form. It is the
		// last line, which is all that some of them read.
		keywords = append(keywords, "AUTH "+mechanisms, "AUTH="+mechanisms)
	}
	for i, keyword := range keywords {
		separator := "-"
		if i == len(keywords)-1 {
			separator = " "
		}
		d.client.Printf("250%s%s", separator, keyword)
	}
}

// extensions are what the upstream offers, if it is known, or what Exchange
// does.
func (d *dialogue) extensions() []string {
	if d.offered == nil {
		return exchangeOffers
	}
	var kept []string
	for _, e := range d.offered {
		keyword, _, _ := strings.Cut(strings.ToUpper(e), " ")
		switch {
		case !relayed[keyword]:
		case keyword == "SIZE":
			kept = append(kept, d.sizeOffer(e))
		case keyword != "CHUNKING" && keyword != "BINARYMIME" || d.takesAsItIs():
			kept = append(kept, e)
		}
	}
	return kept
}

// relayReply passes an upstream's reply on, unchanged.
func (d *dialogue) relayReply(r reply) {
	for _, line := range r.lines {
		d.client.Printf("%s", line)
	}
}
