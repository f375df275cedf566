package smtp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/sasl"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

const (
	// maxUpstreamLine bounds a line of a reply. RFC 5321 section 4.5.3.1.5
	// allows 512 octets; Exchange's diagnostics are longer (2025).
	maxUpstreamLine = 8192
	// maxReplyLines bounds a reply.
	maxReplyLines = 128

	// replyTimeout is for a reply before the message. RFC 5321 section
	// 4.5.3.2 allows minutes, but nothing has been promised yet, and a
	// client that hears a temporary refusal in time tries again.
	replyTimeout = 25 * time.Second
	// verdictTimeout is for the reply to the message (section 4.5.3.2.6).
	verdictTimeout = 10 * time.Minute
)

// reply is a reply of the upstream, as it came.
type reply struct {
	code  int
	lines []string
}

func (r reply) positive() bool { return r.code/100 == 2 }

// asksForPause tells whether the mailbox sends too much, or on too many
// connections.
func (r reply) asksForPause() bool { return r.code == 421 || r.code == 432 }

// readReply reads a whole reply. Lines of one reply that don't agree on its
// code are no reply.
func readReply(c *wire.Conn) (reply, error) {
	var r reply
	for range maxReplyLines {
		line, err := c.ReadLine(maxUpstreamLine)
		if err != nil {
			return reply{}, err
		}
		code, ok := replyCode(line)
		if !ok || r.code != 0 && code != r.code {
			return reply{}, proxy.Fail(proxy.UpstreamProtocol, "unexpected reply: %s", proxy.Sanitize(line))
		}
		r.code = code
		r.lines = append(r.lines, string(line))
		c.TraceHeard(string(line))
		if len(line) == 3 || line[3] == ' ' {
			return r, nil
		}
	}
	return reply{}, proxy.Fail(proxy.UpstreamProtocol, "a reply of more than %d lines", maxReplyLines)
}

// replyCode reads the code of a line: three digits, and then a blank, a hyphen
// or nothing (RFC 5321 section 4.2).
func replyCode(line []byte) (code int, ok bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false
	}
	for _, digit := range line[:3] {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		code = 10*code + int(digit-'0')
	}
	return code, code >= 200 && code < 600
}

// Prepare reads the greeting, says EHLO by our own name and, with startTLS,
// comes to TLS and says it again.
func (d *dialogue) Prepare(up *wire.Conn, startTLS func() error) error {
	greeting, err := readReply(up)
	if err != nil {
		return err
	}
	if greeting.code != 220 {
		return refusal("greeting", greeting, proxy.UpstreamUnreachable)
	}
	if err := d.sayEHLO(up); err != nil {
		return err
	}
	if startTLS == nil {
		return nil
	}
	up.Printf("STARTTLS")
	r, err := readReply(up)
	if err != nil {
		return err
	}
	if r.code != 220 {
		return refusal("reply to STARTTLS", r, proxy.UpstreamRefused)
	}
	if err := startTLS(); err != nil {
		return err
	}
	return d.sayEHLO(up)
}

func (d *dialogue) sayEHLO(up *wire.Conn) error {
	up.Printf("EHLO %s", d.session.HostName)
	r, err := readReply(up)
	if err != nil {
		return err
	}
	if !r.positive() {
		return refusal("reply to EHLO", r, proxy.UpstreamRefused)
	}
	offered := make([]string, 0, len(r.lines)-1)
	for _, line := range r.lines[1:] {
		if len(line) > 4 {
			offered = append(offered, line[4:])
		}
	}
	d.offered = offered
	return nil
}

// LogIn authenticates in two steps: tokens are longer than the 512 octets that
// a command line may have.
func (d *dialogue) LogIn(up *wire.Conn, user string, token wire.Secret) error {
	if !offersXOAUTH2(d.offered) {
		missing := remedy.Named("xoauth2-missing")
		return &proxy.Failure{
			Kind:   proxy.UpstreamRefused,
			Text:   missing.Tells,
			Cause:  errors.New("no AUTH XOAUTH2 among the upstream's EHLO keywords"),
			Remedy: missing,
		}
	}
	blob, err := sasl.XOAUTH2(user, token)
	if err != nil {
		return &proxy.Failure{Kind: proxy.TokenUnavailable, Cause: err}
	}
	up.Printf("AUTH XOAUTH2")
	r, err := readReply(up)
	if err != nil {
		return err
	}
	if r.positive() {
		return proxy.Fail(proxy.UpstreamProtocol, "a yes before the token was sent: %s", proxy.Sanitize([]byte(r.lines[0])))
	}
	if r.code == 334 {
		up.PrintSecret(blob)
		if r, err = readReply(up); err != nil {
			return err
		}
	}
	if r.code == 334 {
		// A refusal in the mechanism's own form: an error in base64 JSON,
		// to be answered by an empty line. Exchange refuses directly.
		up.Printf("")
		if r, err = readReply(up); err != nil {
			return err
		}
	}
	if r.code == 235 {
		return nil
	}
	return refusal("reply to AUTH", r, proxy.UpstreamRefused)
}

func offersXOAUTH2(offered []string) bool {
	return slices.ContainsFunc(offered, func(keyword string) bool {
		fields := strings.Fields(strings.ToUpper(keyword))
		return len(fields) > 1 && fields[0] == "AUTH" && slices.Contains(fields[1:], "XOAUTH2")
	})
}

// refusal turns the upstream's no into a Failure of the kind, with a sentence
// for a person where Exchange names the cause.
func refusal(what string, r reply, kind proxy.Kind) *proxy.Failure {
	text := strings.Join(r.lines, " / ")
	f := proxy.Fail(kind, "%s: %s", what, proxy.Sanitize([]byte(text)))
	f.Generic = r.code == 535
	f.Explain("smtp", text)
	switch {
	case r.code < 400:
		f.Kind = proxy.UpstreamProtocol
	case r.code == 432, r.code == 421:
		// It may be over as soon as a connection ends: the pool knows.
		f.Kind, f.Text = proxy.UpstreamUnreachable, "Exchange is busy, try again later"
		f.Cause = fmt.Errorf("%w: %w", errCrowded, f.Cause)
	case r.code < 500:
		f.Text = "Exchange is busy, try again later"
	}
	f.Generic = f.Generic && r.code >= 500
	return f
}
