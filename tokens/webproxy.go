package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// throughProxy is an error of a request that went through a web proxy.
type throughProxy struct {
	proxy, target string // hosts, as in their addresses
	err           error
}

func (e *throughProxy) Error() string {
	return fmt.Sprintf("through the web proxy %s: %v", e.proxy, e.err)
}
func (e *throughProxy) Unwrap() error { return e.err }

// proxyRefusal is a web proxy's answer to CONNECT (RFC 9110 section 9.3.6),
// if that isn't 200.
type proxyRefusal int

func (e proxyRefusal) Error() string {
	return fmt.Sprintf("CONNECT is answered with status %d", int(e))
}

// checkConnect keeps the status of a web proxy's answer, of which net/http
// leaves a text alone.
func checkConnect(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return proxyRefusal(answer.StatusCode)
	}
	return nil
}

// proxied adds to the error of a request which web proxy it went through.
func proxied(transport http.RoundTripper, r *http.Request, err error) error {
	t, ok := transport.(*http.Transport)
	if !ok || t.Proxy == nil {
		return err
	}
	if proxy, e := t.Proxy(r); e == nil && proxy != nil {
		return &throughProxy{proxy.Host, r.URL.Host, err}
	}
	return err
}

// WebProxy implements [remedy.WebProxied].
func (e *throughProxy) WebProxy() (proxy, target string, status int) {
	refusal, _ := errors.AsType[proxyRefusal](e.err)
	return e.proxy, "Entra ID at " + e.target, int(refusal)
}

// explain tells who has to act, and what happened at the web proxy.
func (e *throughProxy) explain() *Error {
	r, text := explainNetwork(e)
	switch _, _, refused := e.WebProxy(); {
	case refused != 0:
		return &Error{Class: classes[r.Class], Text: text, Remedy: r.ID}
	case text == "":
		text = "it doesn't speak HTTP, or not to us"
	}
	return &Error{Class: TryLater, Text: fmt.Sprintf("Entra ID can't be reached through the web proxy %s: %s", e.proxy, text), Remedy: r.ID}
}
