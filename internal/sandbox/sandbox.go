// Package sandbox is a stand-in for Microsoft Entra ID and Exchange Online. A
// person without either sees the proxy work against it, and the tests of the
// proxy run against it.
//
// It says what Exchange is recorded to say, to the byte, as far as the login
// is concerned; after it, the mailbox behind IMAP is go-imap's server, which
// words its replies differently. Where nothing is recorded about Exchange, a
// comment says that the reply is a guess: a test that passes here proves
// nothing about the real service in those places. The same holds for Entra.
//
// It shares no code with the proxy: a mistake that both made would agree with
// itself.
package sandbox

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"
)

// Options are the settings of a Sandbox. The zero value is usable.
type Options struct {
	// Log gets a line for each event worth a person's eye, and never a token
	// or a password. nil: silent.
	Log *slog.Logger

	// Addresses to listen on; "" is a free port of 127.0.0.1.
	EntraAddress, IMAPAddress, POP3Address, SMTPAddress string

	// The plain ports of IMAP and POP3, with STARTTLS and STLS. "": none.
	IMAPStartTLSAddress, POP3StartTLSAddress string

	// TokenLifetime of the tokens that Entra issues. 0: random, 60 to 90
	// minutes, as Entra's are.
	TokenLifetime time.Duration

	// RefreshTokenLifetime without use (0: 90 days), and how long an
	// authorization code is good (0: ten minutes).
	RefreshTokenLifetime, CodeLifetime time.Duration

	// DeviceCodeLifetime is how long a device code waits for a person (0: 15
	// minutes), DeviceCodeInterval what the client shall wait between two
	// polls (0: five seconds). SlowDown answers faster polls with slow_down.
	DeviceCodeLifetime, DeviceCodeInterval time.Duration
	SlowDown                               bool

	// AutoApprove signs that person in wherever one is waited for. "": nobody
	// is signed in, until a page or a method has said who.
	AutoApprove string

	// ClockAhead is how far Entra's clock is ahead of this machine's, below 0
	// behind it, as far as the Date of its answers tells.
	ClockAhead time.Duration

	// RedirectURIs of the application besides http://localhost.
	RedirectURIs []string

	// NoPublicClient sets "Allow public client flows" to No: no device codes
	// and no passwords.
	NoPublicClient bool

	// Greeting replaces the text of the three greetings. "": Exchange's.
	Greeting string

	// GarbageGreeting makes IMAP, POP3 and SMTP greet with a line of garbage
	// and close. Not Exchange's behaviour.
	GarbageGreeting bool

	// Challenge makes all three protocols send Gmail's error challenge and
	// wait for a line before they refuse a token. Not Exchange's behaviour.
	Challenge bool

	// UnlimitedConnections switches off the limit of three SMTP connections
	// per mailbox at one time.
	UnlimitedConnections bool

	// MessagesPerMinute that a mailbox may submit; Exchange allows 30. 0: any
	// number.
	MessagesPerMinute int

	// DiscardMessages makes SMTP accept messages without keeping them: for
	// measurements.
	DiscardMessages bool

	// Pauses that Exchange makes, 0 here so that tests are fast: before the
	// refusal of a bad EHLO argument (about 5 s), and before the refusal of a
	// password (about 17 s).
	BadHelloDelay, PasswordDelay time.Duration

	// SlowDelay before each line to slow@. 0: one second.
	SlowDelay time.Duration
}

// Sandbox is a running stand-in.
type Sandbox struct {
	opts         Options
	log          *slog.Logger
	ctx          context.Context // done when the sandbox closes
	cancel       context.CancelFunc
	running      sync.WaitGroup
	caPEM        []byte
	tls          *tls.Config
	issuer       *issuer
	clientSecret string
	entra        *entra
	managed      *managedIdentity
	imapServer   *imapBackend
	mailboxes    map[string]*mailbox // by address in lower case
	people       map[string]*person  // likewise
	listeners    []net.Listener

	strangeTLS *tls.Config // of UnknownIssuer
	faultsMu   sync.Mutex
	mailFaults map[string]MailFault // by address of the listener

	entraAddress, managedAddress             string
	imapAddress, pop3Address, smtpAddress    string
	imapStartTLSAddress, pop3StartTLSAddress string
}

// Start opens the listeners and returns at once. It fails when an address
// cannot be listened on, or when nobody signs in as Options.AutoApprove; then
// nothing is left open.
func Start(opts Options) (*Sandbox, error) {
	s := &Sandbox{opts: opts, log: opts.Log, clientSecret: newClientSecret(), mailFaults: map[string]MailFault{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.opts.SlowDelay == 0 {
		s.opts.SlowDelay = time.Second
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.addMailboxes()
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sandbox) open() error {
	if address := s.opts.AutoApprove; address != "" && s.person(address) == nil {
		return fmt.Errorf("nobody signs in as %s", address)
	}
	rootPEM, certificate, err := newCertificates("oauthproxy sandbox root")
	if err != nil {
		return fmt.Errorf("cannot make certificates: %w", err)
	}
	s.caPEM = rootPEM
	s.tls = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if s.strangeTLS, err = strangeTLS(); err != nil {
		return fmt.Errorf("cannot make certificates: %w", err)
	}
	if s.issuer, err = newIssuer(s.opts.TokenLifetime); err != nil {
		return err
	}
	s.imapServer = s.newIMAPBackend()

	for _, l := range []struct {
		address string // to listen on
		actual  *string
		serve   func(net.Listener)
	}{
		{orFree(s.opts.EntraAddress), &s.entraAddress, s.serveEntra},
		{orFree(""), &s.managedAddress, s.serveManagedIdentity},
		{orFree(s.opts.IMAPAddress), &s.imapAddress, func(l net.Listener) { s.serveMail(l, imapProtocol, true, s.serveIMAP) }},
		{orFree(s.opts.POP3Address), &s.pop3Address, func(l net.Listener) { s.serveMail(l, pop3Protocol, true, s.servePOP3) }},
		{orFree(s.opts.SMTPAddress), &s.smtpAddress, func(l net.Listener) { s.serveMail(l, smtpProtocol, false, s.serveSMTP) }},
		{s.opts.IMAPStartTLSAddress, &s.imapStartTLSAddress, func(l net.Listener) { s.serveMail(l, imapProtocol, false, s.serveIMAP) }},
		{s.opts.POP3StartTLSAddress, &s.pop3StartTLSAddress, func(l net.Listener) { s.serveMail(l, pop3Protocol, false, s.servePOP3) }},
	} {
		if l.address == "" {
			continue
		}
		listener, err := net.Listen("tcp", l.address)
		if err != nil {
			return fmt.Errorf("cannot listen on %s: %w", l.address, err)
		}
		s.listeners = append(s.listeners, listener)
		*l.actual = listener.Addr().String()
		l.serve(listener)
	}
	return nil
}

func orFree(address string) string {
	if address == "" {
		return "127.0.0.1:0"
	}
	return address
}

// Close ends every session, stops everything and waits until it has stopped.
func (s *Sandbox) Close() error {
	s.cancel()
	var errs []error
	for _, l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.running.Wait()
	return errors.Join(errs...)
}

func (s *Sandbox) addMailboxes() {
	s.mailboxes, s.people = map[string]*mailbox{}, map[string]*person{}
	for _, list := range [][]Scenario{plainMailboxes, scenarios} {
		for i := range list {
			m := newMailbox(&list[i])
			if list[i].absent {
				continue
			}
			s.mailboxes[m.address] = m
			if !list[i].shared {
				s.people[m.address] = newPerson(m.address, list[i].personal)
			}
		}
	}
	for _, app := range apps {
		m := newMailbox(app.mailbox())
		s.mailboxes[m.address] = m
		s.people[m.address] = newPerson(m.address, false)
	}
	s.mailbox("shared@" + Domain).rights[rightGrant{fullAccess, "alice@" + Domain}] = true
}

// mailbox returns the mailbox with that address, or nil.
func (s *Sandbox) mailbox(address string) *mailbox {
	return s.mailboxes[strings.ToLower(address)]
}

// Mailboxes returns the addresses of the organisation's mailboxes, those that
// work first, and of the one that does not exist. Those of Apps are not among
// them.
func (s *Sandbox) Mailboxes() []string {
	var addresses []string
	for _, list := range [][]Scenario{plainMailboxes, scenarios} {
		for _, sc := range list {
			if !sc.personal {
				addresses = append(addresses, sc.address())
			}
		}
	}
	return addresses
}

// IMAP is the address of IMAP with implicit TLS.
func (s *Sandbox) IMAP() string { return s.imapAddress }

// POP3 is the address of POP3 with implicit TLS.
func (s *Sandbox) POP3() string { return s.pop3Address }

// SMTP is the address of SMTP with STARTTLS.
func (s *Sandbox) SMTP() string { return s.smtpAddress }

// IMAPStartTLS is the address of IMAP with STARTTLS, "" when not opened.
func (s *Sandbox) IMAPStartTLS() string { return s.imapStartTLSAddress }

// POP3StartTLS is the address of POP3 with STLS, "" when not opened.
func (s *Sandbox) POP3StartTLS() string { return s.pop3StartTLSAddress }

// CAPEM is the root certificate that clients must trust, as PEM.
func (s *Sandbox) CAPEM() []byte { return bytes.Clone(s.caPEM) }

// Deliver puts a message into the INBOX of a mailbox. An unknown mailbox is
// an error.
func (s *Sandbox) Deliver(address string, message []byte) error {
	m := s.mailbox(address)
	if m == nil {
		return fmt.Errorf("no mailbox %s", address)
	}
	m.folder(inbox).add(bytes.Clone(message), time.Now(), nil)
	return nil
}

// Messages returns the messages of a mailbox's INBOX, oldest first, byte for
// byte as they were transmitted (after dot-unstuffing). An unknown mailbox has
// none.
func (s *Sandbox) Messages(address string) [][]byte {
	m := s.mailbox(address)
	if m == nil {
		return nil
	}
	var raw [][]byte
	for _, m := range m.folder(inbox).list() {
		raw = append(raw, bytes.Clone(m.raw))
	}
	return raw
}
