package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"oauthproxy/internal/remedy"
)

// secure comes to TLS over a new connection, which it closes, and tells how
// that went and whose certificate was shown.
func (e *examination) secure(ctx context.Context, conn net.Conn, s service) Finding {
	d := newDialogue(conn, s.protocol, e.HostName)
	d.ReadTimeout, d.WriteTimeout = answerTimeout, answerTimeout
	d.SetLimit(time.Now().Add(tlsTimeout + answerTimeout))
	stop := context.AfterFunc(ctx, d.Abort)
	defer stop()
	defer d.Abort()
	if err := e.greeted(ctx, d, s); err != nil {
		return s.broken(err)
	}
	state, _ := d.TLS()
	_ = d.Close()
	return judgeCertificate(s.host, state)
}

// greeted comes to TLS with a service and hears its greeting, before or after.
func (e *examination) greeted(ctx context.Context, d *dialogue, s service) error {
	greeting, err := e.upgrade(d, s)
	switch {
	case !s.implicit && greeting == nil && isSilence(err):
		return e.lookTwice(ctx, s, err)
	case err != nil, !s.implicit, s.protocol == https:
		return err
	}
	if _, err = d.hearGreeting(); isSilence(err) {
		return askHTTP(d, err)
	}
	return err
}

// upgrade comes to TLS, from the start or in the protocol's own words, and
// returns the greeting if that was heard before.
func (e *examination) upgrade(d *dialogue, s service) (greeting []string, err error) {
	if !s.implicit {
		if greeting, err = d.askForTLS(); err != nil {
			return nil, err
		}
	}
	if err = d.ConnectTLS(e.clientTLS(s.host), tlsTimeout); isLate(err) {
		err = &odd{remedy: portSilent, seen: "it takes the connection and doesn't answer TLS"}
	}
	return greeting, err
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
func askHTTP(d *dialogue, silent error) error {
	d.ReadTimeout = secondTimeout
	d.Printf("HEAD / HTTP/1.0\r\n")
	if answer, err := d.ReadLine(maxLine); err == nil && speaker(string(answer)) == "http" {
		return &odd{remedy: "answers-http", seen: "it answers " + quote(string(answer))}
	}
	return silent
}

// lookTwice finds out on a second connection whether a port that says nothing
// in clear waits for TLS, or for a request of HTTP's. No certificate is looked
// at: nothing is said.
func (e *examination) lookTwice(ctx context.Context, s service, silent error) error {
	ctx, cancel := context.WithTimeout(ctx, secondTimeout)
	defer cancel()
	conn, err := e.dial(ctx, "tcp", s.address)
	if err != nil {
		return silent
	}
	defer conn.Close()
	handshake := tls.Client(conn, &tls.Config{ServerName: s.host, InsecureSkipVerify: true}).HandshakeContext(ctx)
	header, isHeader := errors.AsType[tls.RecordHeaderError](handshake)
	switch {
	case handshake == nil:
		return &odd{remedy: "tls-at-once", seen: "it says nothing in clear, and speaks TLS from the start"}
	case isHeader && speaker(string(header.RecordHeader[:])) == "http":
		return &odd{remedy: "answers-http", seen: "it says nothing until it is asked, and then answers HTTP"}
	}
	return silent
}

// judgeCertificate tells whose certificate was shown, and by whom it seems to
// be made: it is a trusted one.
func judgeCertificate(host string, state tls.ConnectionState) Finding {
	leaf := state.PeerCertificates[0]
	days := int(time.Until(leaf.NotAfter).Hours() / 24)
	seen := fmt.Sprintf("%s, certificate by %s, %d days left", tls.VersionName(state.Version), issuer(leaf), days)
	if remedy.IsMicrosofts(host) && !isPublic(state.VerifiedChains) {
		o := &odd{remedy: "tls-inspected", seen: seen, facts: map[string]string{"issuer": issuer(leaf)}}
		return o.finding(Note, host)
	}
	return well(seen)
}
