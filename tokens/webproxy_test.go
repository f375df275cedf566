package tokens

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
)

// A web proxy that takes the connection and never answers.
func TestWebProxyHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := NewHTTPClient(nil)
		transport := client.Transport.(*http.Transport)
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example:3128", User: url.UserPassword("me", testPassword)})
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return ours, nil }
		b := newTestBroker(t, newEntra(), client, &logBuffer{})
		defer b.Close()
		failure := wantFailure(t, t.Context(), b, TryLater, "Entra ID can't be reached through the web proxy proxy.example:3128: no answer in time")
		wantNoTrace(t, "the error", fmtAll(failure))
	})
}
