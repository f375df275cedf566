// Package smtp speaks SMTP (RFC 5321) and message submission (RFC 6409) with a
// mail client, and with Exchange. Other than in IMAP and POP3 the session is
// not a relay of bytes: it is relayed transaction by transaction, because this
// is where devices need help.
package smtp

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"oauthproxy/internal/sasl"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

const (
	// maxLine bounds a command line: RFC 4954 section 4.3 asks for 12,288
	// octets, which is more than RFC 5321 and its extensions do.
	maxLine = 12288
	// maxErrors is how many commands in a row may be unknown or need a login
	// first.
	maxErrors = 10
	// commandTimeout is RFC 5321 section 4.5.3.2.7's.
	commandTimeout = 5 * time.Minute
	// farewell is how long a last word may take to get through.
	farewell = time.Second
)

// Protocol is SMTP.
type Protocol struct {
	// Ledger holds the mailboxes to their pace; nil: they have none.
	Ledger *Ledger
}

// Name returns "smtp".
func (Protocol) Name() string { return "smtp" }

// NewDialogue returns a session's dialogue.
func (p Protocol) NewDialogue(s *proxy.Session) proxy.Dialogue {
	ledger := p.Ledger
	if ledger == nil {
		ledger = NewLedger(Pace{})
	}
	return &dialogue{session: s, client: s.Client, ledger: ledger}
}

type dialogue struct {
	session *proxy.Session
	client  *wire.Conn
	ctx     context.Context // of the relay
	errors  int             // commands that made no sense, in a row

	loggedIn       bool
	authenticating bool               // AUTH is being answered
	shown          *proxy.Credentials // by the command just answered
	firstMail      string             // the argument of a MAIL that stood for a login
	offered        []string           // EHLO keywords of the upstream, once known

	rules  proxy.Sending // of the login
	edit   edit          // what becomes of its messages
	ledger *Ledger
	pool   *pool // the mailbox's
	open   opener
	tx     transaction
	loan   *loan // of its connection, while the client is waited for
}

// ReadCredentials answers commands until one of them logs in.
func (d *dialogue) ReadCredentials() (proxy.Credentials, error) {
	d.shown = nil
	for range proxy.MaxCommands {
		if err := d.command(); err != nil {
			return proxy.Credentials{}, err
		}
		if d.shown != nil {
			return *d.shown, nil
		}
	}
	d.client.Printf("421 4.7.0 Too many commands before a login (session %s)", d.session.ID)
	return proxy.Credentials{}, io.EOF
}

// Connect finds the mailbox's pool, and has it open an upstream connection if
// there is none, so that 235 means that Exchange has accepted us. A device that
// is known by its address waits for no such reply: its first transaction opens
// one.
func (d *dialogue) Connect(ctx context.Context, open proxy.Open) error {
	d.setRules()
	d.pool = d.session.Common(func() io.Closer { return newPool() }).(*pool)
	d.open = func(ctx context.Context) (*upstream, error) {
		conn, expires, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return newUpstream(conn, d.offered, expires), nil
	}
	if d.shown.ByAddress {
		return nil
	}
	if err := d.pool.introduce(ctx, d.open); err != nil {
		return err
	}
	d.offered = d.pool.offers()
	return nil
}

// Relay answers commands until the client goes.
func (d *dialogue) Relay(ctx context.Context) error {
	d.ctx = ctx
	d.client.ReadTimeout = commandTimeout
	defer d.tx.abort()
	if d.shown.ByAddress {
		if err := d.mail(d.firstMail); err != nil {
			return err
		}
	}
	for {
		err := d.command()
		switch {
		case err == nil:
		case errors.Is(err, wire.ErrInterrupted):
			d.client.Farewell(farewell)
			d.Refuse(&proxy.Failure{Kind: proxy.ShuttingDown})
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			d.client.Farewell(farewell)
			if errors.Is(err, errClient) {
				d.client.Printf("421 4.4.2 No data for %v (session %s)", blockTimeout, d.session.ID)
			} else {
				d.client.Printf("421 4.4.2 No command for %v (session %s)", commandTimeout, d.session.ID)
			}
			return err
		default:
			return err
		}
	}
}

// command reads and answers one command.
func (d *dialogue) command() error {
	d.silent(d.tx.canRepeat())
	line, err := d.client.ReadLine(maxLine)
	if d.heard(); d.tx.seized {
		_ = d.failed(seized(), 0)
	}
	if errors.Is(err, wire.ErrTooLong) {
		return d.nonsense("500 5.5.2 Line too long")
	}
	if err != nil {
		return err
	}
	// Trailing blanks don't matter, nor does the second CR that some
	// programs send.
	word, argument, _ := strings.Cut(strings.TrimRight(string(line), " \t\r"), " ")
	verb := strings.ToUpper(word)
	c, known := commands[verb]
	switch {
	case !known:
		return d.nonsense("500 5.5.1 Unknown command")
	case c.secret:
		d.client.TraceHeard(verb + " ***")
	default:
		d.client.TraceHeard(string(line))
	}
	if !c.inClear && d.session.NeedsTLS() {
		d.authenticating = verb == "AUTH"
		d.Refuse(&proxy.Failure{Kind: proxy.TLSRequired})
		return nil
	}
	if c.login && !d.loggedIn {
		return d.stranger(verb, argument)
	}
	d.errors = 0
	return c.run(d, argument)
}

// stranger answers what needs a login from a client that has none: unless its
// address is all that is asked of it.
func (d *dialogue) stranger(verb, argument string) error {
	if verb == "MAIL" && d.session.KnowsAddress() {
		d.firstMail = argument
		d.shown = &proxy.Credentials{ByAddress: true}
		return nil
	}
	return d.nonsense("530 5.7.0 Log in first: switch on authentication for outgoing mail")
}

// ehlo takes whatever the client calls itself: devices say the strangest
// things, or nothing, and Exchange never hears it.
func (d *dialogue) ehlo(string) error {
	d.tx.reset()
	d.offer()
	return nil
}

func (d *dialogue) helo(string) error {
	d.tx.reset()
	d.client.Printf("250 %s", d.session.HostName)
	return nil
}

func (d *dialogue) startTLS(argument string) error {
	switch {
	case argument != "":
		return d.nonsense("501 5.5.4 STARTTLS takes no argument")
	case d.loggedIn || !d.session.CanStartTLS():
		return d.nonsense("503 5.5.1 STARTTLS is not offered here")
	}
	d.client.Printf("220 2.0.0 Begin TLS negotiation now")
	return d.session.StartTLS()
}

func (d *dialogue) noop(string) error {
	d.client.Printf("250 2.0.0 OK")
	return nil
}

func (d *dialogue) quit(string) error {
	d.client.Printf("221 2.0.0 Goodbye")
	return io.EOF
}

func (d *dialogue) rset(string) error {
	d.tx.reset()
	d.client.Printf("250 2.0.0 OK")
	return nil
}

func (d *dialogue) help(string) error {
	d.client.Printf("214 2.0.0 See RFC 5321")
	return nil
}

func (d *dialogue) vrfy(string) error {
	d.client.Printf("252 2.5.2 Send a message and see") // RFC 5321 section 3.5.3
	return nil
}

// auth is RFC 4954, with what devices make of it.
func (d *dialogue) auth(argument string) error {
	if d.loggedIn {
		return d.nonsense("503 5.5.1 Already authenticated")
	}
	fields := strings.Fields(argument)
	if len(fields) == 0 || len(fields) > 2 {
		return d.nonsense("501 5.5.4 AUTH takes a mechanism and at most one response")
	}
	var initial []byte
	if len(fields) == 2 {
		initial = []byte(fields[1])
	}
	credentials, err := sasl.Authenticate(fields[0], initial, func(challenge string) ([]byte, error) {
		d.client.Printf("334 %s", challenge)
		return d.client.ReadLine(maxLine)
	})
	if refusal, ok := errors.AsType[sasl.Refusal](err); ok {
		return d.nonsense(authStatuses[refusal] + " " + string(refusal))
	}
	if err == nil {
		d.authenticating = true
		d.shown = &proxy.Credentials{Credentials: credentials}
	}
	return err
}

// nonsense answers what can't be done. A program that talks another protocol
// is let go soon.
func (d *dialogue) nonsense(reply string) error {
	d.say(reply)
	if d.errors++; d.errors >= maxErrors {
		d.client.Printf("421 4.7.0 Too many errors (session %s)", d.session.ID)
		return io.EOF
	}
	return nil
}
