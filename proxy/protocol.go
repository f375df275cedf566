// Package proxy is the spine that IMAP, POP3 and SMTP share: it listens,
// limits, verifies the local password, obtains an access token, opens the
// upstream connection and relays. What is said on the wire belongs to the
// packages below it, one for each protocol.
package proxy

import (
	"context"
	"crypto/tls"
	"net/netip"
	"sync/atomic"
	"time"

	"oauthproxy/internal/sasl"
	"oauthproxy/internal/wire"
)

// Protocol is a mail protocol as the spine knows it.
type Protocol interface {
	// Name is the protocol's name in configuration and log: imap, pop3, smtp.
	Name() string
	// NewDialogue returns the dialogue of a session that has just been
	// accepted.
	NewDialogue(*Session) Dialogue
}

// Dialogue speaks a protocol for one session, to both sides. Its methods are
// called in the order in which they stand here, by one goroutine.
type Dialogue interface {
	// Greet sends the greeting.
	Greet()
	// ReadCredentials answers commands until the client has authenticated.
	// An error ends the session: the client is gone or has said goodbye.
	ReadCredentials() (Credentials, error)
	// Connect opens the upstream connection of a client that has been
	// verified, or leaves it for later where the protocol can.
	Connect(ctx context.Context, open Open) error
	// Accept tells the client that it is logged in.
	Accept()
	// Refuse tells the client why it is not. The connection goes on unless
	// the failure ends it.
	Refuse(*Failure)
	// Relay serves the client until the session ends.
	Relay(ctx context.Context) error
	Upstream
}

// Upstream is a protocol's conversation with Exchange before its verdict.
type Upstream interface {
	// Prepare leads a new upstream connection to where a login is possible;
	// it calls startTLS, if that isn't nil, once the upstream has agreed to
	// STARTTLS. No credential has been sent when it returns.
	Prepare(upstream *wire.Conn, startTLS func() error) error
	// LogIn authenticates by XOAUTH2.
	LogIn(upstream *wire.Conn, user string, token wire.Secret) error
}

// Open opens an authenticated upstream connection for the session's mailbox,
// and tells when the access token expires that it has logged in with. Its errors
// are Failures.
type Open func(ctx context.Context) (conn *wire.Conn, expires time.Time, err error)

// Credentials are what a client has shown. ByAddress means that it has shown
// none and is known by its address alone, as some devices are.
type Credentials struct {
	sasl.Credentials
	ByAddress bool
}

// TLSMode says how a listener's clients, or we to an upstream, come to TLS.
type TLSMode string

// TLS modes. TLSNone and TLSAuto are for listeners alone.
const (
	TLSNone     TLSMode = "none"
	TLSStart    TLSMode = "starttls" // STARTTLS, STLS
	TLSImplicit TLSMode = "implicit"
	TLSAuto     TLSMode = "auto" // whichever the client begins with
)

// Listener is what a session has to know of the port it came in by.
type Listener struct {
	Protocol Protocol
	Address  string
	TLS      TLSMode
	// Certificate is the server's side of TLS; nil when TLS is TLSNone.
	Certificate *tls.Config
	// RequireTLS refuses credentials in clear.
	RequireTLS bool
	// Networks, when not empty, are the only ones that may connect.
	Networks []netip.Prefix
}

// Port is an open port. What holds for the sessions to come may change while it
// is served.
type Port struct{ about atomic.Pointer[Listener] }

// NewPort returns a port of which l holds.
func NewPort(l *Listener) *Port {
	p := new(Port)
	p.Set(l)
	return p
}

// Set changes what holds for the sessions to come.
func (p *Port) Set(l *Listener) { p.about.Store(l) }

// About is what holds now.
func (p *Port) About() *Listener { return p.about.Load() }

// OffersStartTLS tells whether STARTTLS may be said on this listener.
func (l *Listener) OffersStartTLS() bool {
	return l.TLS == TLSStart || l.TLS == TLSAuto
}

// Route is the way from an account to its mailbox by one protocol.
type Route struct {
	// Address is the upstream's host and port.
	Address string
	// TLS is TLSImplicit or TLSStart.
	TLS TLSMode
	// User stands in XOAUTH2's user=: the mailbox to open.
	User string
}

// Token is an access token.
type Token struct {
	Value wire.Secret
	// Expires is when it ends, Obtained when Entra ID gave it; the zero time
	// means that this isn't known.
	Expires, Obtained time.Time
}

// Tokens hands out access tokens.
type Tokens interface {
	// AccessToken returns an account's access token. Its errors are
	// Failures.
	AccessToken(ctx context.Context, account string) (Token, error)
	// Refused says that Exchange has refused a token without naming a
	// cause, and waits for a fresh one. It returns nil if one try with that
	// is worth making; else a Failure, which isn't the client's: of kind
	// SignInRequired where only a sign-in brings a fresh token.
	Refused(ctx context.Context, account string, token wire.Secret) error
}
