package proxy_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
	"oauthproxy/proxy/imap"
)

// onlyToken can't be replaced, because of the failure.
type onlyToken struct{ noFresh *proxy.Failure }

func (t onlyToken) AccessToken(context.Context, string) (proxy.Token, error) {
	return proxy.Token{Value: wire.NewSecret("token")}, nil
}

func (t onlyToken) Refused(context.Context, string, wire.Secret) error { return t.noFresh }

// Where Exchange refuses a token and there is no fresh one, the client hears
// of Exchange's refusal; or that a person has to sign in, if that is so.
func TestNoFreshToken(t *testing.T) {
	tests := map[string]struct {
		noFresh *proxy.Failure
		says    string
	}{
		"outage":          {&proxy.Failure{Kind: proxy.TokenUnavailable}, "a NO [UNAVAILABLE] Exchange refused the login to this mailbox, ask"},
		"secret expired":  {&proxy.Failure{Kind: proxy.TokenUnavailable, Text: "the client secret has expired"}, "a NO [UNAVAILABLE] Exchange refused"},
		"sign-in revoked": {&proxy.Failure{Kind: proxy.SignInRequired, Text: "run: oauthproxy login alice"}, "a NO [UNAVAILABLE] run: oauthproxy login alice (session "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refusing := speech{Protocol: imap.Protocol{}, upstream: []string{"* OK ready", "+ ", "P1 NO AUTHENTICATE failed."}}
				b := newBubble(t, refusing, onlyToken{test.noFresh})
				dialed := 0
				b.dials(func(conn net.Conn) {
					dialed++
					refusing.serve(conn, len(refusing.upstream))
				})
				for range 3 { // remembered for ten seconds
					c := b.connect(t)
					c.hear(t, "* OK ")
					c.say(t, "a LOGIN alice secret\r\n")
					c.hear(t, test.says)
				}
				if dialed != 1 {
					t.Errorf("%d connections to Exchange", dialed)
				}
			})
		})
	}
}
