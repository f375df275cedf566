package smtp

import (
	"io"
	"net"
	"testing"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// The failure list: what a client hears of each kind, at AUTH and elsewhere.
func TestFailureList(t *testing.T) {
	tests := []struct {
		failure           proxy.Failure
		atAuth, elsewhere string
	}{
		{proxy.Failure{Kind: proxy.BadCredentials}, "535 5.7.8", "530 5.7.0"},
		{proxy.Failure{Kind: proxy.SignInRequired}, "454 4.7.0", "451 4.7.0"},
		{proxy.Failure{Kind: proxy.TokenUnavailable}, "454 4.7.0", "451 4.7.0"},
		{proxy.Failure{Kind: proxy.UpstreamRefused}, "454 4.7.0", "451 4.7.0"},
		{proxy.Failure{Kind: proxy.UpstreamProtocol}, "454 4.7.0", "451 4.7.0"},
		{proxy.Failure{Kind: proxy.UpstreamUnreachable}, "454 4.7.0", "451 4.4.1"},
		{proxy.Failure{Kind: proxy.UpstreamUnreachable, Lost: true}, "454 4.7.0", "451 4.4.2"},
		{proxy.Failure{Kind: proxy.TLSRequired}, "523 5.7.10", "530 5.7.0"},
		{proxy.Failure{Kind: proxy.TooManyAttempts}, "421 4.7.0", "421 4.7.0"},
		{proxy.Failure{Kind: proxy.ShuttingDown}, "421 4.3.2", "421 4.3.2"},
		{proxy.Failure{Kind: proxy.Busy}, "421 4.3.2", "421 4.3.2"},
		{proxy.Failure{Kind: proxy.Internal}, "454 4.3.0", "451 4.3.0"},
	}
	for _, test := range tests {
		for _, authenticating := range []bool{true, false} {
			want := test.elsewhere
			if authenticating {
				want = test.atAuth
			}
			got := refuse(t, authenticating, &test.failure)
			if want += " " + test.failure.Sentence("7Q3F") + "\r\n"; got != want {
				t.Errorf("authenticating %v: %q, want %q", authenticating, got, want)
			}
		}
	}
}

// refuse returns what a client hears.
func refuse(t *testing.T, authenticating bool, f *proxy.Failure) string {
	t.Helper()
	here, there := net.Pipe()
	client := wire.New(here)
	d := &dialogue{session: &proxy.Session{ID: "7Q3F"}, client: client, authenticating: authenticating}
	d.Refuse(f)
	go func() { _ = client.Close() }()
	heard, err := io.ReadAll(there)
	if err != nil {
		t.Fatal(err)
	}
	return string(heard)
}
