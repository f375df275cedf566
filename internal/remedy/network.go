package remedy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// WebProxied is the error of a request that went through a web proxy.
type WebProxied interface {
	error
	// WebProxy returns the proxy, whom it was asked for, and the status of its
	// refusal; 0: it has refused nothing.
	WebProxy() (proxy, target string, status int)
}

// ByError returns what is known about an error of the network or of TLS, with
// what the error itself tells for the placeholders.
func ByError(err error) (r Remedy, facts map[string]string, found bool) {
	facts = make(map[string]string)
	id := causeOf(err, facts)
	if id == "" {
		return Remedy{}, nil, false
	}
	return Named(id), facts, true
}

// causeOf names the cause of an error by the ID of its remedy; "": it isn't
// known.
func causeOf(err error, facts map[string]string) string {
	var proxied WebProxied
	if errors.As(err, &proxied) {
		if id := webProxyCause(proxied, facts); id != "" {
			return id
		}
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		facts["host"] = dns.Name
		if dns.IsNotFound {
			return "name-unknown"
		}
		return "name-server-silent"
	}
	if id := certificateCause(err, facts); id != "" {
		return id
	}
	if id := tlsCause(err); id != "" {
		return id
	}
	return connectionCause(err)
}

func webProxyCause(err WebProxied, facts map[string]string) string {
	proxy, target, status := err.WebProxy()
	facts["proxy"], facts["host"], facts["status"] = proxy, target, strconv.Itoa(status)
	switch {
	// Tinyproxy answers a wrong password with 401, and none with 407.
	case status == http.StatusProxyAuthRequired, status == http.StatusUnauthorized:
		return "web-proxy-login"
	case status >= 500:
		return "web-proxy-fails"
	case status != 0:
		return "web-proxy-forbids"
	}
	var dns *net.DNSError
	if errors.As(err, &dns) { // of the proxy's name: it resolves the other
		facts["host"] = dns.Name
		return "web-proxy-name"
	}
	return ""
}

// certificateCause is for a certificate that doesn't stand the verification.
func certificateCause(err error, facts map[string]string) string {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &authority):
		leaf := leafOf(err, authority.Cert)
		facts["issuer"] = issuerOf(leaf)
		if IsInspected(leaf) {
			return "tls-inspected"
		}
		return "server-certificate-untrusted"
	case errors.As(err, &host):
		facts["names"] = namesOf(host.Certificate)
		return "server-certificate-name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		facts["since"], facts["until"] = day(invalid.Cert.NotBefore), day(invalid.Cert.NotAfter)
		if time.Now().Before(invalid.Cert.NotBefore) {
			return "server-certificate-early"
		}
		return "server-certificate-ended"
	case errors.As(err, &invalid), errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, new(x509.SystemRootsError)):
		return "server-certificate-bad"
	}
	return ""
}

// tlsCause goes by the words of crypto/tls where it has no type for a cause.
func tlsCause(err error) string {
	var record tls.RecordHeaderError
	switch text := err.Error(); {
	case errors.Is(err, http.ErrSchemeMismatch):
		return "answers-http"
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return "answers-http"
	case errors.As(err, &record):
		return "not-tls"
	case strings.Contains(text, "tls: protocol version not supported"), strings.Contains(text, "tls: server selected unsupported protocol version"):
		return "tls-version"
	case strings.Contains(text, "remote error: tls: handshake failure"):
		return "tls-refused"
	}
	return ""
}

// The numbers of errors, on Unix and on Windows (WSAECONNREFUSED and so on),
// where syscall's constants are others than the system's.
var (
	refused     = []syscall.Errno{syscall.ECONNREFUSED, 10061}
	reset       = []syscall.Errno{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, 10053, 10054}
	unreachable = []syscall.Errno{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN, 10050, 10051, 10064, 10065}
	timedOut    = []syscall.Errno{syscall.ETIMEDOUT, 10060}
	inUse       = []syscall.Errno{syscall.EADDRINUSE, 10048}
	notHere     = []syscall.Errno{syscall.EADDRNOTAVAIL, 10049}
	forbidden   = []syscall.Errno{syscall.EACCES, syscall.EPERM, 10013}
)

func connectionCause(err error) string {
	var (
		number    syscall.Errno
		operation *net.OpError
		timeout   net.Error
	)
	errors.As(err, &number)
	errors.As(err, &operation)
	isDial := operation != nil && operation.Op == "dial"
	isListen := operation != nil && operation.Op == "listen"
	isLate := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
	switch {
	case slices.Contains(refused, number):
		return "port-refused"
	case slices.Contains(unreachable, number):
		return "network-unreachable"
	case slices.Contains(timedOut, number), isDial && isLate:
		return "connect-timeout"
	case slices.Contains(reset, number):
		return "connection-reset"
	case isListen && slices.Contains(inUse, number):
		return "port-taken"
	case isListen && slices.Contains(notHere, number):
		return "address-not-here"
	case isListen && slices.Contains(forbidden, number):
		return "port-privileged"
	case number == syscall.ENOSPC:
		return "disk-full"
	case isLate:
		return "answer-late"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection-closed"
	}
	return ""
}
