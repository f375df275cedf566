package tokens

import (
	"context"
	"errors"
	"fmt"
	"net"
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

// explain tells who has to act, and what happened at the web proxy.
func (e *throughProxy) explain() (Class, string) {
	var (
		refusal proxyRefusal
		dns     *net.DNSError
	)
	if !errors.As(e.err, &refusal) {
		text := explainNetwork(e.err)
		switch {
		case errors.As(e.err, &dns): // the proxy resolves Entra ID's name
			text = fmt.Sprintf("the name %s can't be resolved: check the network, and http_proxy or HTTPS_PROXY", dns.Name)
		case text == "":
			text = "it doesn't speak HTTP, or not to us"
		}
		return TryLater, fmt.Sprintf("Entra ID can't be reached through the web proxy %s: %s", e.proxy, text)
	}
	switch {
	// Tinyproxy answers a wrong password with 401, and none with 407.
	case refusal == http.StatusProxyAuthRequired, refusal == http.StatusUnauthorized:
		return SetUpWrong, fmt.Sprintf("the web proxy %s wants another user name and password (status %d): "+
			"write them into its address, in http_proxy or HTTPS_PROXY, as http://USER:PASSWORD@%s", e.proxy, int(refusal), e.proxy)
	case refusal >= 500:
		return TryLater, fmt.Sprintf("the web proxy %s can't reach Entra ID at %s (status %d)", e.proxy, e.target, int(refusal))
	}
	return SetUpWrong, fmt.Sprintf("the web proxy %s refuses connections to Entra ID at %s (status %d): "+
		"let it allow them, or choose another in http_proxy or HTTPS_PROXY", e.proxy, e.target, int(refusal))
}
