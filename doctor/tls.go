package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/wire"
)

// secure comes to TLS over a new connection, which it closes, and tells how
// that went and whose certificate was shown.
func (e *examination) secure(ctx context.Context, conn net.Conn, s service) Finding {
	c := wire.New(conn)
	c.ReadTimeout, c.WriteTimeout = greetingTimeout, greetingTimeout
	c.SetLimit(time.Now().Add(tlsTimeout + greetingTimeout))
	stop := context.AfterFunc(ctx, c.Abort)
	defer stop()
	defer c.Abort()
	state, err := e.upgrade(ctx, c, s)
	if err != nil {
		return untrusted(err).finding(Broken, s.host)
	}
	_ = c.Close()
	return judgeCertificate(s.host, state)
}

// upgrade brings the connection to TLS, and hears the greeting before or after.
func (e *examination) upgrade(ctx context.Context, c *wire.Conn, s service) (tls.ConnectionState, error) {
	if !s.implicit {
		if err := askForTLS(c, s.protocol); err != nil {
			return tls.ConnectionState{}, e.lookTwice(ctx, s, err)
		}
	}
	if err := c.ConnectTLS(e.clientTLS(s.host), tlsTimeout); err != nil {
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			err = &odd{remedy: "port-silent", seen: "it takes the connection and doesn't answer TLS"}
		}
		return tls.ConnectionState{}, err
	}
	state, _ := c.TLS()
	if !s.implicit || s.protocol == https {
		return state, nil
	}
	err := readGreeting(c, s.protocol)
	if o, ok := errors.AsType[*odd](err); ok && o.remedy == "port-silent" {
		err = askHTTP(c, o)
	}
	return state, err
}

// clientTLS is the client's side of TLS for a host.
func (e *examination) clientTLS(host string) *tls.Config {
	config := e.TLS.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	config.ServerName = host
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	return config
}

// askHTTP finds out whether a port that says nothing over TLS waits for a
// request of HTTP's.
func askHTTP(c *wire.Conn, silent *odd) error {
	c.ReadTimeout = secondTimeout
	if answer, err := command(c, "HEAD / HTTP/1.0\r\n"); err == nil && speaker(answer) == "http" {
		return &odd{remedy: "answers-http", seen: "it answers " + quote(answer)}
	}
	return silent
}

// lookTwice finds out on a second connection whether a port that says nothing
// in clear waits for TLS, or for a request of HTTP's. No certificate is looked
// at: nothing is said.
func (e *examination) lookTwice(ctx context.Context, s service, err error) error {
	o, ok := errors.AsType[*odd](err)
	if !ok || o.remedy != "port-silent" {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, secondTimeout)
	defer cancel()
	conn, dialErr := e.dial(ctx, "tcp", s.address)
	if dialErr != nil {
		return err
	}
	defer conn.Close()
	handshake := tls.Client(conn, &tls.Config{ServerName: s.host, InsecureSkipVerify: true}).HandshakeContext(ctx)
	header, isHeader := errors.AsType[tls.RecordHeaderError](handshake)
	switch {
	case handshake == nil:
		return &odd{remedy: "tls-at-once", seen: "it says nothing in clear, and speaks TLS from the start"}
	case isHeader && speaker(header.RecordHeader[:]) == "http":
		return &odd{remedy: "answers-http", seen: "it says nothing until it is asked, and then answers HTTP"}
	}
	return err
}

// judgeCertificate tells whose certificate was shown, and by whom it seems to
// be made: it is a trusted one.
func judgeCertificate(host string, state tls.ConnectionState) Finding {
	leaf := state.PeerCertificates[0]
	days := int(time.Until(leaf.NotAfter).Hours() / 24)
	seen := fmt.Sprintf("%s, certificate by %s, %d days left", tls.VersionName(state.Version), issuer(leaf), days)
	if remedy.IsMicrosofts(host) && !isPublic(state.VerifiedChains) {
		o := &odd{"tls-inspected", seen, map[string]string{"issuer": issuer(leaf)}}
		return o.finding(Note, host)
	}
	return well(seen)
}

// untrusted explains why TLS didn't come about, and where that is for the
// certificate's sake, what was seen of it.
func untrusted(err error) *odd {
	o := explain(err)
	verification, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok {
		return o
	}
	const day = "2006-01-02"
	now := time.Now().UTC()
	leaf := verification.UnverifiedCertificates[0]
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	switch _, isName := errors.AsType[x509.HostnameError](err); {
	case isName:
		o.seen = "the certificate is for " + cmp.Or(o.facts["names"], "nobody")
	case isInvalid && invalid.Reason == x509.Expired && invalid.Cert != nil:
		o.seen = fmt.Sprintf("the certificate is valid from %s to %s, and this machine has %s",
			invalid.Cert.NotBefore.Format(day), invalid.Cert.NotAfter.Format(day), now.Format(day+" 15:04 MST"))
	default:
		o.seen = "the certificate is signed by " + issuer(leaf)
	}
	return o
}
