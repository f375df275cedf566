package imap

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"oauthproxy/internal/sasl"
	"oauthproxy/internal/script/stage"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// accepted is an upstream that greets, asks for the token, takes it and
// answers the probe. Untagged responses may stand between.
var accepted = regexp.MustCompile(`(?is)^\* OK.*\n\+.*\nP1 OK.*\nP2\b.*\nP3\b`)

// Whatever an upstream says, there is no login unless it has accepted the
// token, and the token goes to one that has asked for it and to no log.
func FuzzUpstream(f *testing.F) {
	token := wire.NewSecret(strings.Repeat("ey7-Token", 20))
	blob, err := sasl.XOAUTH2(stage.Mailbox, token)
	if err != nil {
		f.Fatal(err)
	}
	for _, said := range stage.SaidInStories(f, "U") {
		f.Add(said)
	}
	f.Add([]byte("* OK\n+ \nP1 NO " + blob.Reveal() + "\n"))
	f.Add([]byte("* OK\n+\nP1 OK\n+\n+\nP2 OK\nP3 OK\n"))
	f.Fuzz(func(t *testing.T, says []byte) {
		peer := &stage.Peer{Says: bytes.Clone(says)}
		up := wire.New(peer)
		d := Protocol{}.NewDialogue(&proxy.Session{HostName: stage.HostName}).(*dialogue)
		err := d.Prepare(up, nil)
		if err == nil {
			err = d.LogIn(up, stage.Mailbox, token)
		}
		if err == nil && !accepted.Match(says) {
			t.Errorf("a login after %q", says)
		}
		sent := strings.Contains(peer.Hears.String(), blob.Reveal())
		if sent && !bytes.Contains(says, []byte("\n+")) {
			t.Errorf("the token is sent after %q", says)
		}
		if sent && err != nil && strings.Contains(err.Error(), blob.Reveal()[:30]) {
			t.Errorf("the token is told: %v", err)
		}
		if len(d.alerts) > 4*maxUntagged {
			t.Errorf("%d alerts are kept", len(d.alerts))
		}
	})
}
