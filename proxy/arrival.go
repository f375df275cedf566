package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"oauthproxy/accounts"
)

const (
	tlsTimeout = 20 * time.Second
	// autoWait is how long a TLSAuto listener waits for a TLS handshake to
	// begin before it greets in clear. docs/tls.md has what clients take.
	autoWait = 500 * time.Millisecond
	// A client that is turned away may finish what it is saying.
	hangUpWait = time.Second
	maxDropped = 64 << 10
	// adviceEvery is how often the same is told about the same client;
	// maxAdvised bounds how many of them are remembered.
	adviceEvery = 5 * time.Minute
	maxAdvised  = 1000
)

// errMisconnected says that the client speaks something else than its port.
var errMisconnected = errors.New("turned away")

// arrive brings the connection to where the greeting is due.
func (s *Session) arrive() error {
	s.setPhase("starting TLS with the client")
	wait := autoWait
	switch s.Listener.TLS {
	case TLSImplicit:
		wait = tlsTimeout
	case TLSAuto:
	default:
		return nil
	}
	first, err := s.Client.Look(wait, isClear)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	switch who := recognize(first); {
	case who == tlsHello:
		s.Client.Rewind()
		return s.StartTLS()
	case who == http || who == sslHello:
		return s.turnAway(s.misconnected(who))
	case s.Listener.TLS == TLSImplicit && len(first) == 0:
		return s.turnAway(advice{"the client has said nothing for " + tlsTimeout.String() +
			": it seems to wait for a greeting without TLS", implicitNext})
	case s.Listener.TLS == TLSImplicit:
		return s.turnAway(s.misconnected(mail))
	}
	return nil
}

// meet looks at the client's first words after the greeting.
func (s *Session) meet() error {
	s.setPhase("reading the client's commands")
	first, err := s.Client.Look(commandTimeout, isClear)
	if err != nil {
		return err
	}
	if who := recognize(first); who != mail {
		return s.turnAway(s.misconnected(who))
	}
	return nil
}

func isClear(first []byte) bool { return recognize(first) != unclear }

// StartTLS makes the client's connection one over TLS.
func (s *Session) StartTLS() error {
	if err := s.Client.AcceptTLS(s.Listener.Certificate, tlsTimeout); err != nil {
		if a, ok := s.handshakeAdvice(err); ok {
			s.advise(a)
		}
		return fmt.Errorf("TLS with the client failed: %w", err)
	}
	s.noteTLS()
	return nil
}

// CanStartTLS tells whether STARTTLS may be said now.
func (s *Session) CanStartTLS() bool {
	_, active := s.Client.TLS()
	return !active && s.Listener.OffersStartTLS()
}

// NeedsTLS tells whether credentials have to wait for TLS.
func (s *Session) NeedsTLS() bool {
	_, active := s.Client.TLS()
	return !active && s.Listener.RequireTLS
}

// turnAway closes the connection of a client that came to the wrong port, or
// with the wrong settings, and tells the administrator what to change.
func (s *Session) turnAway(a advice) error {
	s.advise(a)
	s.Client.HangUp(hangUpWait, maxDropped)
	return fmt.Errorf("%w: %s", errMisconnected, a.cause)
}

// advice is for the administrator: what is wrong, and what to change.
type advice struct{ cause, next string }

const implicitNext = "in the client choose SSL/TLS for this port, instead of STARTTLS or no encryption; or set tls: auto for this listener"

// misconnected is the advice for a client that speaks something else than its
// port does.
func (s *Session) misconnected(who opening) advice {
	switch {
	case who == http:
		return advice{"the client speaks HTTP", "nothing, if it is a scan; else a web browser or an HTTP program has this port by mistake"}
	case who == sslHello:
		return advice{"the client begins with the hello of SSL 2.0, which is not spoken here",
			"in the client switch SSL 2.0 off, or TLS 1.0 or newer on; else give it a listener with tls: none and networks"}
	case who == mail:
		return advice{"the client speaks without TLS, and this port wants TLS from the first byte", implicitNext}
	case s.Listener.TLS == TLSAuto:
		return advice{"the client began TLS after it had been greeted in clear, more than " + autoWait.String() + " after it connected",
			"in the client choose STARTTLS for this port; or give it a listener with tls: implicit"}
	case s.Listener.TLS == TLSStart:
		return advice{"the client begins with TLS, and this port greets in clear and then offers STARTTLS",
			"in the client choose STARTTLS for this port, instead of SSL/TLS; or set tls: auto for this listener"}
	case s.Listener.TLS == TLSNone:
		return advice{"the client begins with TLS, and this port has none",
			"in the client switch SSL/TLS off for this port; or set tls: auto for this listener"}
	}
	return advice{"the client begins with TLS within TLS", "in the client give this port to no tunnel that does TLS itself"}
}

// handshakeAdvice finds those of the reasons why a handshake fails that
// somebody can do something about. crypto/tls has no other form for them than
// their text.
func (s *Session) handshakeAdvice(err error) (a advice, ok bool) {
	text := err.Error()
	says := func(pieces ...string) bool {
		for _, piece := range pieces {
			if strings.Contains(text, piece) {
				return true
			}
		}
		return false
	}
	switch {
	case says("no cipher suite supported by both") && offersNewSuite(text), says("no key exchanges supported by both"):
		return advice{"the client and this listener have no kind of key, or no elliptic curve, in common: " + text,
			"let the client take certificates with RSA keys, and the curve P-256; or give the listener a certificate_file with a key that it takes"}, true
	case says("doesn't support any of the certificate's signature algorithms"):
		return advice{"the client can't verify what this listener signs with its certificate's key: " + text,
			"update the client; if it knows SHA-1 alone, give it a listener of its own with legacy_tls: true and networks; " +
				"if it knows ECDSA alone, one whose certificate_file has such a key"}, true
	case says("client offered only unsupported versions", "no cipher suite supported by both") && s.Listener.Certificate.MinVersion >= tls.VersionTLS12:
		return advice{"the client's TLS is too old: " + text, "update the client; or give it a listener of its own with legacy_tls: true and networks"}, true
	case says("client offered only unsupported versions", "no cipher suite supported by both"):
		return advice{"the client's TLS is too old even for legacy_tls: " + text, "update the client; or give it a listener with tls: none and networks"}, true
	case says("unsupported SSLv2 handshake"):
		return s.misconnected(sslHello), true
	case says("remote error: tls: bad certificate", "remote error: tls: unknown certificate", "remote error: tls: expired certificate", "remote error: tls: certificate"):
		return advice{"the client refuses the certificate: " + text, certificateNext}, true
	case says("local error: tls: bad record MAC"):
		// The alert of a client with TLS 1.3, such as OpenSSL, that refuses
		// before it has begun to encrypt: crypto/tls can't read it.
		return advice{"the client most likely refuses the certificate: " + text, certificateNext}, true
	}
	return advice{}, false
}

const certificateNext = "let the client reach this port by a name that the certificate has; " +
	"of a certificate made here, install the root, for which run: oauthproxy certificate"

// offersNewSuite tells whether one of the suites that the error lists would do
// but for the key or the curve that goes with it.
func offersNewSuite(text string) bool {
	_, offered, _ := strings.Cut(text, "client offered: [")
	offered, _, _ = strings.Cut(offered, "]")
	return slices.ContainsFunc(tls.CipherSuites(), func(suite *tls.CipherSuite) bool {
		return slices.Contains(strings.Fields(offered), strconv.FormatUint(uint64(suite.ID), 16)) && strings.Contains(suite.Name, "_ECDHE_")
	})
}

// advised is what has been told about one client.
type advised struct {
	next time.Time // when it may be told again
	left int       // how often it was not told since
}

type advisedKey struct {
	client          netip.Prefix
	listener, cause string
}

// advise writes the line for the administrator, which a scanner of ports, a
// device that tries again and again, or whoever is shut out, gets every few
// minutes only.
func (s *Session) advise(a advice) {
	key := advisedKey{accounts.ClientOf(s.address), s.Listener.Address, a.next}
	s.server.advised.write(key, func(told *advised) {
		now := time.Now()
		if now.Before(told.next) {
			told.left++
			return
		}
		attrs := []any{"listener", s.Listener.Address, "tls_mode", string(s.Listener.TLS), "cause", a.cause, "remedy", a.next}
		if told.left > 0 {
			attrs = append(attrs, "times", told.left)
		}
		s.Log.Warn("connection refused", attrs...)
		*told = advised{next: now.Add(adviceEvery)}
	})
}
