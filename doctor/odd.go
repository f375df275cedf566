package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strings"
	"time"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/wire"
)

// odd is what was seen in place of what should be, with the ID of the remedy
// and what that has to know. Where seen speaks of "it", that is the other side.
type odd struct {
	remedy, seen string
	facts        map[string]string
	words        string // the other side's own, where it has refused us
}

func (o *odd) Error() string { return o.seen }

// finding is of that status, about that host.
func (o *odd) finding(s Status, host string) Finding {
	facts := map[string]string{"host": host}
	maps.Copy(facts, o.facts)
	return wrong(s, o.seen, remedy.Named(o.remedy), facts)
}

const (
	// unexplained is the remedy where nothing is known about an error.
	unexplained = "tls-failed"
	// portSilent is that of a port which takes connections and says nothing.
	portSilent = "port-silent"
)

// isSilence tells whether nothing was said at all.
func isSilence(err error) bool {
	o, ok := errors.AsType[*odd](err)
	return ok && o.remedy == portSilent
}

// explain finds out what an error of the network, of TLS or of a mail server's
// answers means.
func explain(err error) *odd {
	if o, ok := errors.AsType[*odd](err); ok {
		return o
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return inClear(string(header.RecordHeader[:]))
	}
	if no, ok := errors.AsType[*disagreement](err); ok {
		return &odd{remedy: "starttls-missing", seen: no.Error()}
	}
	if said, ok := errors.AsType[nonsense](err); ok {
		return said.explain()
	}
	switch {
	case errors.Is(err, wire.ErrInjected):
		return &odd{remedy: "tls-injected", seen: "data in clear came between the agreement to TLS and TLS"}
	case errors.Is(err, wire.ErrTooLong), errors.Is(err, wire.ErrFlood):
		return &odd{remedy: "greeting-foreign", seen: "it sends more than any answer needs"}
	}
	if r, facts, ok := remedy.ByError(err); ok {
		return &odd{remedy: r.ID, seen: cmp.Or(plainly[r.ID], seenOfCertificate(err, facts), own(err)), facts: facts}
	}
	return &odd{remedy: unexplained, seen: own(err)}
}

// plainly says in words what Go and the system say in theirs, by the ID of the
// remedy.
var plainly = map[string]string{
	"answer-late":         "no answer in time",
	"connect-timeout":     "no answer in time",
	"connection-closed":   "it closed the connection in place of an answer",
	"connection-reset":    "it broke off the connection",
	"network-unreachable": "this machine knows no way there",
	"port-refused":        "the connection is refused",
	"tls-refused":         "it refuses TLS as it is offered",
	"tls-version":         "it knows only versions of TLS that are out of use",
}

// own is an error in its own words, without where it happened.
func own(err error) string {
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		err = operation.Err
	}
	return clean(err.Error())
}

// isLate tells whether time has run out.
func isLate(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// seenOfCertificate says what was seen of a certificate that doesn't stand the
// verification; "" is that the error isn't about one.
func seenOfCertificate(err error, facts map[string]string) string {
	verification, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok {
		return ""
	}
	if _, isName := errors.AsType[x509.HostnameError](err); isName {
		return "the certificate is for " + cmp.Or(facts["names"], "nobody")
	}
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	if ok && invalid.Reason == x509.Expired && invalid.Cert != nil {
		return fmt.Sprintf("the certificate is valid from %s to %s, and this machine has %s",
			invalid.Cert.NotBefore.Format(time.DateOnly), invalid.Cert.NotAfter.Format(time.DateOnly), time.Now().UTC().Format("2006-01-02 15:04 MST"))
	}
	return "the certificate is signed by " + issuer(verification.UnverifiedCertificates[0])
}

// inClear tells what it is that answered a TLS handshake without TLS.
func inClear(start string) *odd {
	switch speaker(start) {
	case "imap", "pop3", "smtp":
		return &odd{remedy: "starttls-needed", seen: "it greets in clear: " + quote(start)}
	case "http":
		return &odd{remedy: "answers-http", seen: "it answers HTTP where TLS is expected"}
	}
	return &odd{remedy: "not-tls", seen: "it doesn't speak TLS"}
}

// explain tells what it is that answers a login with nonsense.
func (n nonsense) explain() *odd {
	id := "greeting-foreign"
	if strings.HasPrefix(string(n), "HTTP/") {
		id = "answers-http"
	}
	return &odd{remedy: id, seen: clean(n.Error())}
}

// quote makes a piece of what a server said fit to be read by people.
func quote(said string) string { return `"` + clean(said) + `"` }
