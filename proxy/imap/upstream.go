package imap

import (
	"bytes"
	"strings"

	"oauthproxy/internal/sasl"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

const (
	// maxUpstreamLine bounds a line of the upstream before the relay.
	maxUpstreamLine = 16 << 10
	// maxUntagged bounds the responses before a tagged one.
	maxUntagged = 200
)

// response is a line of the upstream.
type response struct {
	tag  string // "*", "+" or one of ours
	name string // OK, NO, BAD, BYE, CAPABILITY ..., in capitals
	text string // what follows
	line []byte
}

// Prepare reads the greeting and, with startTLS, comes to TLS.
func (d *dialogue) Prepare(up *wire.Conn, startTLS func() error) error {
	greeting, err := read(up)
	if err != nil {
		return err
	}
	// Only the status of a greeting means anything: its text has changed
	// several times (2025, 2026).
	switch {
	case greeting.tag == "*" && greeting.name == "OK":
	case greeting.tag == "*" && greeting.name == "BYE":
		f := refusal(greeting)
		f.Kind, f.Text = proxy.UpstreamUnreachable, "" // nobody's in particular
		return f
	default:
		return nonsense("greeting", greeting)
	}
	if startTLS == nil {
		return nil
	}
	up.Printf("P0 STARTTLS")
	r, err := d.tagged(up, "P0")
	if err != nil {
		return err
	}
	if r.name != "OK" {
		return proxy.Fail(proxy.UpstreamRefused, "STARTTLS: %s", proxy.Sanitize(r.line))
	}
	return startTLS()
}

// LogIn authenticates in two steps and then asks for what tells a mailbox that
// is there from one that only lets us in.
func (d *dialogue) LogIn(up *wire.Conn, user string, token wire.Secret) error {
	d.alerts, d.upstreamCaps = nil, ""
	blob, err := sasl.XOAUTH2(user, token)
	if err != nil {
		return &proxy.Failure{Kind: proxy.TokenUnavailable, Cause: err}
	}
	up.Printf("P1 AUTHENTICATE XOAUTH2")
	r, err := d.tagged(up, "P1")
	if err != nil {
		return err
	}
	if r.name == "OK" {
		return nonsense("yes before the token was sent", r)
	}
	if r.tag == "+" {
		up.PrintSecret(blob)
		if r, err = d.tagged(up, "P1"); err != nil {
			return err
		}
	}
	if r.tag == "+" {
		// A refusal in the mechanism's own form: an error in base64 JSON,
		// to be answered by an empty line. Exchange refuses directly.
		up.Printf("")
		if r, err = d.tagged(up, "P1"); err != nil {
			return err
		}
	}
	switch r.name {
	case "OK":
		return d.probe(up)
	case "NO", "BAD":
		return refusal(r)
	}
	return nonsense("reply to AUTHENTICATE", r)
}

// probe asks for capabilities and for the root of the folders, in one write.
// Exchange may accept a login to a mailbox that it then doesn't open ("User is
// authenticated but not connected", reported since 2021): such a login is
// refused here, where a reason can still be given. So is one whose token it has
// given up. Any other answer is of no account: the client hears the like to its
// own commands.
func (d *dialogue) probe(up *wire.Conn) error {
	up.Printf("P2 CAPABILITY")
	up.Printf(`P3 LIST "" ""`)
	for _, tag := range []string{"P2", "P3"} {
		r, err := d.tagged(up, tag)
		if err != nil {
			return err
		}
		switch {
		case r.tag == "+":
			// The answers would come when the client is heard already.
			return nonsense("continuation request", r)
		case isNotConnected(r), isExpired(r):
			return refusal(r)
		}
	}
	return nil
}

// tagged reads up to the response with the tag or a continuation request, and
// keeps what the untagged ones before it tell.
func (d *dialogue) tagged(up *wire.Conn, tag string) (response, error) {
	for range maxUntagged {
		r, err := read(up)
		if err != nil {
			return response{}, err
		}
		switch {
		case r.tag == tag, r.tag == "+":
			return r, nil
		case r.tag != "*":
			return response{}, nonsense("tag", r)
		case r.name == "BYE":
			return response{}, refusal(r)
		case r.name == "CAPABILITY":
			d.upstreamCaps = passedOn(r.text)
		case isAlert(r):
			d.alerts = append(d.alerts, string(r.line))
		}
	}
	return response{}, proxy.Fail(proxy.UpstreamProtocol, "more than %d untagged responses", maxUntagged)
}

// read reads a line of the upstream. Literals don't occur before the relay but
// in the answer to LIST, whose lines then make no difference to us.
func read(up *wire.Conn) (response, error) {
	line, err := up.ReadLine(maxUpstreamLine)
	if err != nil {
		return response{}, err
	}
	up.TraceHeard(string(line))
	return parseResponse(line), nil
}

func parseResponse(line []byte) response {
	r := response{line: bytes.Clone(line)}
	rest := ""
	r.tag, rest, _ = strings.Cut(string(line), " ")
	if r.tag == "+" {
		return r // RFC 9051 asks for a blank behind it, not all send one
	}
	r.name, r.text, _ = strings.Cut(rest, " ")
	r.name = strings.ToUpper(r.name)
	return r
}

// passedOn returns the capabilities that concern a client that is logged in.
func passedOn(list string) string {
	var kept []string
	for capability := range strings.FieldsSeq(list) {
		if !withheld(capability) {
			kept = append(kept, capability)
		}
	}
	return strings.Join(kept, " ")
}

// isAlert tells whether a status response is for a person's eyes (RFC 9051
// section 7.1).
func isAlert(r response) bool {
	switch r.name {
	case "OK", "NO", "BAD":
		return strings.HasPrefix(strings.ToUpper(r.text), "[ALERT]")
	}
	return false
}

func nonsense(what string, r response) *proxy.Failure {
	return proxy.Fail(proxy.UpstreamProtocol, "unexpected %s: %s", what, proxy.Sanitize(r.line))
}
