// Package pop3 speaks POP3 (RFC 1939) with a mail client until it has logged
// in, and with Exchange until that has accepted us. After that the session is a
// byte relay.
package pop3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"oauthproxy/internal/sasl"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

const (
	// maxLine bounds a line, which may carry a SASL response. RFC 2449
	// section 4 allows 255 octets for other commands.
	maxLine = 12288
	// maxErrors is how many commands in a row may be unknown or need a login
	// first.
	maxErrors = 10
)

// Protocol is POP3.
type Protocol struct{}

// Name returns "pop3".
func (Protocol) Name() string { return "pop3" }

// NewDialogue returns a session's dialogue.
func (Protocol) NewDialogue(s *proxy.Session) proxy.Dialogue {
	return &dialogue{session: s, client: s.Client}
}

type dialogue struct {
	session  *proxy.Session
	client   *wire.Conn
	name     string // as USER has given it
	errors   int    // commands that made no sense, in a row
	upstream *wire.Conn
}

// ReadCredentials answers commands until one of them logs in.
func (d *dialogue) ReadCredentials() (proxy.Credentials, error) {
	for range proxy.MaxCommands {
		credentials, err := d.command()
		if err != nil {
			return proxy.Credentials{}, err
		}
		if credentials != nil {
			return *credentials, nil
		}
	}
	d.client.Printf("-ERR too many commands before a login")
	return proxy.Credentials{}, io.EOF
}

// command reads and answers one command.
func (d *dialogue) command() (*proxy.Credentials, error) {
	line, err := d.client.ReadLine(maxLine)
	if errors.Is(err, wire.ErrTooLong) {
		return nil, d.nonsense("line too long")
	}
	if err != nil {
		return nil, err
	}
	// The argument of PASS is all that follows one blank: a password may
	// begin and end with others (RFC 1939 section 7). A second CR, which
	// some programs send, is not of it.
	word, argument, _ := strings.Cut(strings.TrimRight(string(line), "\r"), " ")
	name := strings.ToUpper(strings.TrimSpace(word))
	c, known := commands[name]
	switch reason := notOffered[name]; {
	case later[name]:
		return nil, d.nonsense("log in first")
	case reason != "":
		return nil, d.nonsense(reason)
	case !known:
		return nil, d.nonsense("unknown command")
	case c.secret:
		d.client.TraceHeard(name + " ***")
	default:
		d.client.TraceHeard(string(line))
	}
	if !c.inClear && d.session.NeedsTLS() {
		d.Refuse(&proxy.Failure{Kind: proxy.TLSRequired})
		return nil, nil
	}
	d.errors = 0
	return c.run(d, argument)
}

func (d *dialogue) user(argument string) (*proxy.Credentials, error) {
	name := strings.TrimSpace(argument)
	if name == "" || strings.ContainsRune(name, 0) {
		return nil, d.nonsense("USER needs a name")
	}
	d.name = name
	d.client.Printf("+OK Now the password")
	return nil, nil
}

func (d *dialogue) pass(argument string) (*proxy.Credentials, error) {
	if d.name == "" {
		return nil, d.nonsense("USER comes first")
	}
	if strings.ContainsRune(argument, 0) {
		return nil, d.nonsense("a password has no NUL")
	}
	name := d.name
	d.name = ""
	return &proxy.Credentials{Credentials: sasl.Credentials{User: name, Password: wire.NewSecret(argument)}}, nil
}

// auth is RFC 5034; without a mechanism it lists them, as older programs
// expect.
func (d *dialogue) auth(argument string) (*proxy.Credentials, error) {
	fields := strings.Fields(argument)
	if len(fields) == 0 {
		d.client.Printf("+OK Mechanisms follow")
		for _, mechanism := range sasl.Mechanisms {
			d.client.Printf("%s", mechanism)
		}
		d.client.Printf(".")
		return nil, nil
	}
	if len(fields) > 2 {
		return nil, d.nonsense("wrong arguments")
	}
	var initial []byte
	if len(fields) == 2 {
		initial = []byte(fields[1])
	}
	credentials, err := sasl.Authenticate(fields[0], initial, func(challenge string) ([]byte, error) {
		d.client.Printf("+ %s", challenge)
		return d.client.ReadLine(maxLine)
	})
	if refusal, ok := errors.AsType[sasl.Refusal](err); ok {
		return nil, d.nonsense(string(refusal))
	}
	if err != nil {
		return nil, err
	}
	return &proxy.Credentials{Credentials: credentials}, nil
}

func (d *dialogue) stls(string) (*proxy.Credentials, error) {
	if !d.session.CanStartTLS() {
		return nil, d.nonsense("STLS is not offered here")
	}
	d.name = "" // RFC 2595 section 4: what was said in clear is forgotten
	d.client.Printf("+OK Begin TLS negotiation")
	return nil, d.session.StartTLS()
}

func (d *dialogue) quit(string) (*proxy.Credentials, error) {
	d.client.Printf("+OK Goodbye")
	return nil, io.EOF
}

// nonsense answers what can't be done.
func (d *dialogue) nonsense(text string) error {
	d.client.Printf("-ERR %s", text)
	if d.errors++; d.errors >= maxErrors {
		return io.EOF
	}
	return nil
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

// isPositive tells +OK from -ERR.
func isPositive(line []byte) bool { return bytes.HasPrefix(line, []byte("+OK")) }
