// Package imap speaks IMAP (RFC 9051, RFC 3501) with a mail client until it
// has logged in, and with Exchange until that has accepted us. After that the
// session is a byte relay.
package imap

import (
	"context"
	"errors"
	"io"
	"strings"

	"oauthproxy/internal/sasl"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// maxErrors is how many commands in a row may make no sense. A program that
// talks another protocol is let go soon.
const maxErrors = 10

// Protocol is IMAP.
type Protocol struct{}

// Name returns "imap".
func (Protocol) Name() string { return "imap" }

// NewDialogue returns a session's dialogue.
func (Protocol) NewDialogue(s *proxy.Session) proxy.Dialogue {
	return &dialogue{session: s, client: s.Client}
}

type dialogue struct {
	session *proxy.Session
	client  *wire.Conn
	tag     string // of the command that is being answered
	errors  int    // commands that made no sense, in a row

	upstream     *wire.Conn
	upstreamCaps string   // as Exchange has told them after the login
	alerts       []string // untagged responses for a person's eyes
}

// ReadCredentials answers commands until one of them logs in.
func (d *dialogue) ReadCredentials() (proxy.Credentials, error) {
	for range proxy.MaxCommands {
		credentials, err := d.command()
		if syntax, ok := errors.AsType[syntaxError](err); ok {
			err = d.bad(string(syntax))
		}
		if err != nil {
			return proxy.Credentials{}, err
		}
		if credentials != nil {
			return *credentials, nil
		}
	}
	d.client.Printf("* BYE Too many commands before a login")
	return proxy.Credentials{}, io.EOF
}

// command reads and answers one command.
func (d *dialogue) command() (*proxy.Credentials, error) {
	d.tag = "*"
	line, err := readLine(d.client)
	if errors.Is(err, wire.ErrTooLong) {
		return nil, errLine
	}
	if err != nil {
		d.tag = ""
		return nil, err
	}
	p := &parser{conn: d.client, rest: line, proceed: d.proceed}
	credentials, err := d.dispatch(p)
	if syntax, ok := errors.AsType[syntaxError](err); ok {
		if err := p.skip(); err != nil {
			return nil, d.unskippable(err)
		}
		return nil, syntax
	}
	return credentials, err
}

// dispatch runs the command's method, if it may be said here.
func (d *dialogue) dispatch(p *parser) (*proxy.Credentials, error) {
	tag := p.word()
	if !isTag(tag) {
		return nil, syntaxError("A command begins with a tag")
	}
	name := strings.ToUpper(p.word())
	if name == "" {
		// What stands there may be a password that came after a refusal:
		// it is neither repeated nor traced.
		return nil, syntaxError("A command is missing behind the tag")
	}
	d.tag = tag
	c, known := commands[name]
	switch {
	case later[name]:
		d.client.TraceHeard(name)
		return nil, syntaxError("Log in first")
	case !known:
		return nil, syntaxError("Unknown command")
	}
	d.client.TraceHeard(name + " ...")
	if !c.inClear && d.session.NeedsTLS() {
		if err := p.skip(); err != nil {
			return nil, d.unskippable(err)
		}
		d.Refuse(&proxy.Failure{Kind: proxy.TLSRequired})
		return nil, nil
	}
	credentials, err := c.run(d, p)
	if err == nil {
		d.errors = 0
	}
	return credentials, err
}

func (d *dialogue) capability(p *parser) (*proxy.Credentials, error) {
	if err := p.end(); err != nil {
		return nil, err
	}
	d.client.Printf("* CAPABILITY %s", d.capabilities())
	return nil, d.ok("CAPABILITY completed")
}

func (d *dialogue) noop(p *parser) (*proxy.Credentials, error) {
	if err := p.end(); err != nil {
		return nil, err
	}
	return nil, d.ok("NOOP completed")
}

func (d *dialogue) logout(*parser) (*proxy.Credentials, error) {
	d.client.Printf("* BYE Goodbye")
	_ = d.ok("LOGOUT completed")
	return nil, io.EOF
}

// id answers RFC 2971's ID. What the client says of itself is read, literals
// and all, and forgotten.
func (d *dialogue) id(p *parser) (*proxy.Credentials, error) {
	if err := p.passOver(); err != nil {
		return nil, err
	}
	d.client.Printf(`* ID ("name" "oauthproxy")`)
	return nil, d.ok("ID completed")
}

func (d *dialogue) startTLS(p *parser) (*proxy.Credentials, error) {
	if err := p.end(); err != nil {
		return nil, err
	}
	if !d.session.CanStartTLS() {
		return nil, syntaxError("STARTTLS is not offered here")
	}
	_ = d.ok("Begin TLS negotiation now")
	return nil, d.session.StartTLS()
}

func (d *dialogue) login(p *parser) (*proxy.Credentials, error) {
	user, err := p.astring()
	if err != nil {
		return nil, err
	}
	password, err := p.astring()
	if err != nil {
		return nil, err
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	return &proxy.Credentials{Credentials: sasl.Credentials{User: user, Password: wire.NewSecret(password)}}, nil
}

// authenticate is RFC 9051 section 6.2.2 with the initial response of
// RFC 4959.
func (d *dialogue) authenticate(p *parser) (*proxy.Credentials, error) {
	mechanism, err := p.astring()
	if err != nil {
		return nil, err
	}
	var initial []byte
	if response := p.word(); response != "" {
		initial = []byte(response)
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	credentials, err := sasl.Authenticate(mechanism, initial, func(challenge string) ([]byte, error) {
		d.client.Printf("+ %s", challenge)
		return d.client.ReadLine(maxLine)
	})
	refusal, refused := errors.AsType[sasl.Refusal](err)
	switch code := authCodes[refusal]; {
	case err == nil:
		return &proxy.Credentials{Credentials: credentials}, nil
	case code != "":
		d.client.Printf("%s NO [%s] %s", d.tag, code, refusal)
		return nil, nil
	case refused:
		return nil, syntaxError(refusal)
	}
	return nil, err
}

func (d *dialogue) proceed() { d.client.Printf("+ Ready") }

func (d *dialogue) ok(text string) error {
	d.client.Printf("%s OK %s", d.tag, text)
	d.tag = ""
	return nil
}

// bad answers what made no sense.
func (d *dialogue) bad(text string) error {
	d.client.Printf("%s BAD %s", d.tag, text)
	if d.errors++; d.errors >= maxErrors {
		d.client.Printf("* BYE Too many commands that make no sense")
		return io.EOF
	}
	return nil
}

// unskippable ends the session where the rest of a command can't be passed
// over.
func (d *dialogue) unskippable(err error) error {
	if errors.Is(err, errUnskippable) || errors.Is(err, wire.ErrTooLong) {
		d.client.Printf("%s BAD Too long", d.tag)
		d.client.Printf("* BYE Too long")
	}
	return err
}

// Connect opens the upstream connection.
func (d *dialogue) Connect(ctx context.Context, open proxy.Open) (err error) {
	d.upstream, _, err = open(ctx)
	return err
}

// Relay copies bytes until the session ends.
func (d *dialogue) Relay(ctx context.Context) error {
	return d.session.Relay(ctx, d.upstream, new(lastWords))
}

// isTag tells whether a word is a tag: anything printable but + and * alone
// is taken, as old programs are inventive.
func isTag(word string) bool {
	if word == "" || word == "*" || word == "+" || len(word) > 64 {
		return false
	}
	return !strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){"\`, r) })
}
