package pop3

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
		proxy.BadCredentials:      "-ERR [AUTH] TEXT",
		proxy.SignInRequired:      "-ERR [SYS/PERM] TEXT",
		proxy.TokenUnavailable:    "-ERR [SYS/TEMP] TEXT",
		proxy.UpstreamRefused:     "-ERR [SYS/TEMP] TEXT",
		proxy.UpstreamProtocol:    "-ERR [SYS/TEMP] TEXT",
		proxy.UpstreamUnreachable: "-ERR [SYS/TEMP] TEXT",
		proxy.TLSRequired:         "-ERR Say STLS first: TEXT",
		proxy.TooManyAttempts:     "-ERR TEXT",
		proxy.ShuttingDown:        "-ERR [SYS/TEMP] TEXT",
		proxy.Busy:                "-ERR [SYS/TEMP] TEXT",
		proxy.Internal:            "-ERR [SYS/TEMP] TEXT",
	} {
		f := &proxy.Failure{Kind: kind}
		want = strings.ReplaceAll(want, "TEXT", f.Sentence("7Q3F")) + "\r\n"
		here, there := net.Pipe()
		client := wire.New(here)
		d := &dialogue{session: &proxy.Session{ID: "7Q3F"}, client: client}
		d.Refuse(f)
		go func() { _ = client.Close() }()
		if got, err := io.ReadAll(there); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", kind, got, err, want)
		}
	}
}
