package tokens

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"time"
)

const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	headerTimeout    = 20 * time.Second
	maxHeader        = 64 << 10
	maxBody          = 1 << 20
)

// NewHTTPClient returns a client fit to talk to Entra ID: it trusts roots (nil:
// the system's), gives up in time, and obeys the HTTPS_PROXY environment variable.
func NewHTTPClient(roots *x509.CertPool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: checkConnect,
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    handshakeTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: maxHeader,
		IdleConnTimeout:        time.Minute,
		ForceAttemptHTTP2:      true,
	}}
}

// guarded returns the client with what MSAL lacks: no secret follows a
// redirect or leaves without TLS, and no answer fills the memory.
func guarded(client *http.Client) *http.Client {
	return withTransport(client, &guardedTransport{next: transportOf(client)})
}

// guardedLocal is for the endpoint of a managed identity. That is a part of
// the machine: it speaks plain HTTP, and no web proxy can reach it.
func guardedLocal(client *http.Client) *http.Client {
	next := transportOf(client)
	if transport, ok := next.(*http.Transport); ok {
		transport = transport.Clone()
		transport.Proxy = nil
		transport.DisableKeepAlives = true // one request an hour
		next = transport
	}
	return withTransport(client, &guardedTransport{next: next, allowPlain: true})
}

func withTransport(client *http.Client, transport http.RoundTripper) *http.Client {
	guard := *client
	guard.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	guard.Transport = transport
	return &guard
}

func transportOf(client *http.Client) http.RoundTripper {
	if client.Transport == nil {
		return http.DefaultTransport
	}
	return client.Transport
}

type guardedTransport struct {
	next       http.RoundTripper
	allowPlain bool
}

// errNotHTTPS: the endpoint comes from a document of the authority's, which
// could name any.
var errNotHTTPS = errors.New("the token endpoint is not an https address")

// RoundTrip bounds the body of the answer, and tells of a web proxy that
// stands before an error.
func (t *guardedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !t.allowPlain {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, errNotHTTPS
	}
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, proxied(t.next, r, err)
	}
	response.Body = http.MaxBytesReader(nil, response.Body, maxBody)
	return response, nil
}

// CloseIdleConnections lets http.Client's method of that name pass through.
func (t *guardedTransport) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}
