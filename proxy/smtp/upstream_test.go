package smtp

import (
	"bytes"
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"oauthproxy/internal/sasl"
	"oauthproxy/internal/script/stage"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

func TestReadReply(t *testing.T) {
	garbage := proxy.UpstreamProtocol
	tests := []struct {
		name, text string
		code       int
		lines      []string
		kind       proxy.Kind
	}{
		{"one line", "250 2.0.0 OK\r\n", 250, []string{"250 2.0.0 OK"}, 0},
		{"code alone", "250\r\n", 250, []string{"250"}, 0},
		{"code and blank", "334 \r\n", 334, []string{"334 "}, 0},
		{"several lines", "550-5.7.1 a\r\n550-\r\n550 5.7.1 b\r\n", 550, []string{"550-5.7.1 a", "550-", "550 5.7.1 b"}, 0},
		{"last line without text", "250-a\r\n250\r\n", 250, []string{"250-a", "250"}, 0},
		{"bare LF", "250 ok\n", 250, []string{"250 ok"}, 0},
		{"codes that differ", "250-a\r\n550 b\r\n", 0, nil, garbage},
		{"empty line", "\r\n", 0, nil, garbage},
		{"no code", "hello there\r\n", 0, nil, garbage},
		{"two digits", "25 ok\r\n", 0, nil, garbage},
		{"four digits", "2500 ok\r\n", 0, nil, garbage},
		{"out of range", "199 ok\r\n", 0, nil, garbage},
		{"out of range", "600 ok\r\n", 0, nil, garbage},
		{"a sign", "+50 ok\r\n", 0, nil, garbage},
		{"no separator", "250ok\r\n", 0, nil, garbage},
		{"digits of another script", "२५० ok\r\n", 0, nil, garbage},
		{"too many lines", strings.Repeat("250-x\r\n", maxReplyLines) + "250 x\r\n", 0, nil, garbage},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := readReply(wire.New(&stage.Peer{Says: []byte(test.text)}))
			if test.kind != 0 {
				if f, ok := errors.AsType[*proxy.Failure](err); !ok || f.Kind != test.kind {
					t.Errorf("err = %v", err)
				}
				return
			}
			if err != nil || r.code != test.code || !slices.Equal(r.lines, test.lines) {
				t.Errorf("readReply = %+v, %v", r, err)
			}
		})
	}
}

func TestReadReplyCutOff(t *testing.T) {
	for _, text := range []string{"", "250", "250-a\r\n", "250-a\r\n250 b"} {
		if r, err := readReply(wire.New(&stage.Peer{Says: []byte(text)})); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%q: %+v, %v", text, r, err)
		}
	}
	long := wire.New(&stage.Peer{Says: bytes.Repeat([]byte("250 x"), maxUpstreamLine)})
	if _, err := readReply(long); err == nil {
		t.Error("a reply without end is taken")
	}
}

// A reply goes on to the client as it came, line for line.
func FuzzReadReply(f *testing.F) {
	f.Add([]byte("250-a\r\n250 b\r\n"))
	f.Add([]byte("550-5.7.1 \x00\xff\r\r\n550\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := readReply(wire.New(&stage.Peer{Says: bytes.Clone(text)}))
		if err != nil {
			return
		}
		if r.code < 200 || r.code > 599 || len(r.lines) == 0 || len(r.lines) > maxReplyLines {
			t.Fatalf("%q: %+v", text, r)
		}
		lines := bytes.Split(text, []byte("\n"))
		for i, line := range r.lines {
			if line != string(bytes.TrimSuffix(lines[i], []byte("\r"))) {
				t.Errorf("%q: line %d is %q", text, i, line)
			}
			if last := i == len(r.lines)-1; last == (len(line) > 3 && line[3] == '-') {
				t.Errorf("%q ends at %q", text, r.lines)
			}
		}
	})
}

// accepted is an upstream that greets, offers XOAUTH2, asks for the token and
// takes it.
var accepted = regexp.MustCompile(`(?is)^220.*\n2\d\d[ -]AUTH.*XOAUTH2.*\n334.*\n235`)

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
	f.Add([]byte("220\n250-x\n250 AUTH XOAUTH2\n334 \n535 " + blob.Reveal() + "\n"))
	f.Fuzz(func(t *testing.T, says []byte) {
		peer := &stage.Peer{Says: bytes.Clone(says)}
		up := wire.New(peer)
		d := Protocol{}.NewDialogue(&proxy.Session{HostName: stage.HostName})
		err := d.Prepare(up, nil)
		if err == nil {
			err = d.LogIn(up, stage.Mailbox, token)
		}
		if err == nil && !accepted.Match(says) {
			t.Errorf("a login after %q", says)
		}
		sent := strings.Contains(peer.Hears.String(), blob.Reveal())
		if sent && !bytes.Contains(says, []byte("\n334")) {
			t.Errorf("the token is sent after %q", says)
		}
		if sent && err != nil && strings.Contains(err.Error(), blob.Reveal()[:30]) {
			t.Errorf("the token is told: %v", err)
		}
	})
}

func TestRefusal(t *testing.T) {
	tests := []struct {
		text    string
		kind    proxy.Kind
		generic bool
		says    string
	}{
		{"535 5.7.3 Authentication unsuccessful", proxy.UpstreamRefused, true, ""},
		{"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.", proxy.UpstreamRefused, false, "switched off"},
		{"535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy.", proxy.UpstreamRefused, false, "policy"},
		{"550 5.7.30 Basic authentication is not supported for Client Submission.", proxy.UpstreamRefused, false, ""},
		{"454 4.7.0 Temporary authentication failure", proxy.UpstreamRefused, false, ""},
		{"250 yes", proxy.UpstreamProtocol, false, ""},
		{"334 more", proxy.UpstreamProtocol, false, ""},
	}
	for _, test := range tests {
		r, err := readReply(wire.New(&stage.Peer{Says: []byte(test.text + "\r\n")}))
		if err != nil {
			t.Fatal(err)
		}
		f := refusal("reply to AUTH", r, proxy.UpstreamRefused)
		if f.Kind != test.kind || f.Generic != test.generic || !strings.Contains(f.Text, test.says) {
			t.Errorf("%s: %+v", test.text, f)
		}
		if strings.Contains(f.Text, "5.7") {
			t.Errorf("the client is told Exchange's text: %s", f.Text)
		}
		if f.Cause == nil || !strings.Contains(f.Cause.Error(), test.text) {
			t.Errorf("the log isn't told Exchange's text: %v", f.Cause)
		}
	}
}

func TestOffersXOAUTH2(t *testing.T) {
	for keyword, want := range map[string]bool{
		"AUTH LOGIN XOAUTH2": true, "auth xoauth2": true, "AUTH  XOAUTH2 ": true,
		"AUTH": false, "AUTH LOGIN": false, "AUTH=XOAUTH2": false, "XOAUTH2": false, "AUTH XOAUTH22": false, "AUTHX XOAUTH2": false,
	} {
		if got := offersXOAUTH2([]string{"SIZE 1", keyword}); got != want {
			t.Errorf("%q: %v", keyword, got)
		}
	}
}
