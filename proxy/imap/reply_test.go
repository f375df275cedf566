package imap

import (
	"io"
	"net"
	"strings"
	"testing"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// The failure list: what a client hears of each kind. TEXT stands for the
// sentence.
func TestFailureList(t *testing.T) {
	for kind, want := range map[proxy.Kind]string{
		proxy.BadCredentials:      "a1 NO [AUTHENTICATIONFAILED] TEXT\r\n",
		proxy.SignInRequired:      "a1 NO [UNAVAILABLE] TEXT\r\n",
		proxy.TokenUnavailable:    "a1 NO [UNAVAILABLE] TEXT\r\n",
		proxy.UpstreamRefused:     "a1 NO [UNAVAILABLE] TEXT\r\n",
		proxy.UpstreamProtocol:    "a1 NO [UNAVAILABLE] TEXT\r\n",
		proxy.UpstreamUnreachable: "a1 NO [UNAVAILABLE] TEXT\r\n",
		proxy.TLSRequired:         "a1 NO [PRIVACYREQUIRED] TEXT\r\n",
		proxy.TooManyAttempts:     "* BYE TEXT\r\na1 NO [UNAVAILABLE] TEXT\r\n",
		proxy.ShuttingDown:        "* BYE TEXT\r\na1 NO [UNAVAILABLE] TEXT\r\n",
		proxy.Busy:                "* BYE TEXT\r\na1 NO [UNAVAILABLE] TEXT\r\n",
		proxy.Internal:            "a1 NO [SERVERBUG] TEXT\r\n",
	} {
		f := &proxy.Failure{Kind: kind}
		want = strings.ReplaceAll(want, "TEXT", f.Sentence("7Q3F"))
		if got := refuse(t, "a1", f); got != want {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
		if !f.Ends() {
			continue
		}
		want, _, _ = strings.Cut(want, "a1")
		if got := refuse(t, "", f); got != want {
			t.Errorf("%s between commands: %q, want %q", kind, got, want)
		}
	}
}

// refuse returns what a client hears that has said a command with the tag.
func refuse(t *testing.T, tag string, f *proxy.Failure) string {
	t.Helper()
	here, there := net.Pipe()
	client := wire.New(here)
	d := &dialogue{session: &proxy.Session{ID: "7Q3F"}, client: client, tag: tag}
	d.Refuse(f)
	go func() { _ = client.Close() }()
	heard, err := io.ReadAll(there)
	if err != nil {
		t.Fatal(err)
	}
	return string(heard)
}
