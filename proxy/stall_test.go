package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
	"oauthproxy/proxy/imap"
	"oauthproxy/proxy/pop3"
	"oauthproxy/proxy/smtp"
)

// speech is a protocol as these tests need it.
type speech struct {
	proxy.Protocol
	login    string   // what a client says
	upstream []string // what the upstream says: its greeting, then a reply to each line
	refusal  string   // how a temporary refusal begins
	accepted string
}

var speeches = []speech{
	{
		Protocol: imap.Protocol{},
		login:    "a LOGIN alice secret\r\n",
		upstream: []string{"* OK ready", "+ ", "P1 OK", "P2 OK", "P3 OK"},
		refusal:  "a NO [UNAVAILABLE] ",
		accepted: "a OK ",
	},
	{
		Protocol: pop3.Protocol{},
		login:    "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
		upstream: []string{"+OK ready", "+ ", "+OK"},
		refusal:  "-ERR [SYS/TEMP] ",
		accepted: "+OK ",
	},
	{
		Protocol: smtp.Protocol{},
		login:    "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
		upstream: []string{"220 ready", "250-exchange.example\r\n250 AUTH XOAUTH2", "334 ", "235 ok"},
		refusal:  "454 4.7.0 ",
		accepted: "235 ",
	},
}

// serve says the first n things of the upstream, by TLS, and then nothing.
func (s *speech) serve(conn net.Conn, n int) {
	own, _ := certificate()
	s.play(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{own}}), n)
}

// play is serve over TLS that is there already.
func (s *speech) play(secure *tls.Conn, n int) {
	in := bufio.NewReader(secure)
	for i, reply := range s.upstream[:n] {
		if i > 0 {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
		}
		if _, err := io.WriteString(secure, reply+"\r\n"); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, in)
}

// wantRefusal has a client log in, and checks that it is refused after exactly
// the time given.
func wantRefusal(t *testing.T, c *client, s *speech, after time.Duration) {
	t.Helper()
	start := time.Now()
	c.say(t, s.login)
	c.hear(t, s.refusal)
	if took := time.Since(start); took != after {
		t.Errorf("refused after %v, want %v", took, after)
	}
}

// An upstream that falls silent, wherever it does, gets the client a clear and
// temporary refusal in less than 30 seconds. For ten more the same answer is
// given without asking.
func TestSilentUpstream(t *testing.T) {
	const patience, memory = 25 * time.Second, 10 * time.Second
	for _, s := range speeches {
		for said := -2; said < len(s.upstream); said++ {
			t.Run(fmt.Sprintf("%s, %d", s.Name(), said), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBubble(t, s, tokens(oneToken))
					var dialed atomic.Int32
					b.dials(func(conn net.Conn) {
						dialed.Add(1)
						switch said {
						case -2: // doesn't even read
							<-t.Context().Done()
						case -1: // no handshake
							_, _ = io.Copy(io.Discard, conn)
						default:
							s.serve(conn, said)
						}
					})
					c := b.connect(t)
					c.hear(t, "")
					after := patience
					if said < 0 {
						after = 10 * time.Second // the handshake has a bound of its own
					}
					wantRefusal(t, c, &s, after)
					wantRefusal(t, c, &s, 0)
					if dialed.Load() != 1 {
						t.Errorf("%d connections", dialed.Load())
					}
					time.Sleep(memory + 1)
					wantRefusal(t, c, &s, after)
					if dialed.Load() != 2 {
						t.Errorf("%d connections", dialed.Load())
					}
				})
			})
		}
	}
}

// A greeting that comes a byte at a time is no better than none.
func TestDrippingUpstream(t *testing.T) {
	for _, s := range speeches {
		t.Run(s.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, s, tokens(oneToken))
				b.dials(func(conn net.Conn) {
					own, _ := certificate()
					secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{own}})
					for err := error(nil); err == nil; time.Sleep(time.Second) {
						_, err = io.WriteString(secure, "2")
					}
				})
				c := b.connect(t)
				c.hear(t, "")
				wantRefusal(t, c, &s, 25*time.Second)
				time.Sleep(2 * time.Second) // for the upstream to notice
			})
		})
	}
}

// A dial without an answer, and a token without one.
func TestSilentNetworkAndSilentEntra(t *testing.T) {
	unanswered := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	for _, s := range speeches {
		t.Run(s.Name()+", dial", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, s, tokens(oneToken))
				b.SetDial(func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, unanswered(ctx) })
				c := b.connect(t)
				c.hear(t, "")
				wantRefusal(t, c, &s, 25*time.Second)
			})
		})
		t.Run(s.Name()+", token", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, s, tokens(func(ctx context.Context) (wire.Secret, error) {
					return wire.Secret{}, proxy.Fail(proxy.TokenUnavailable, "%w", unanswered(ctx))
				}))
				b.dials(func(conn net.Conn) { s.serve(conn, len(s.upstream)) })
				c := b.connect(t)
				c.hear(t, "")
				wantRefusal(t, c, &s, 25*time.Second)
			})
		})
	}
}

// Token and connection are obtained side by side: here either waits for the
// other to have been asked for.
func TestTokenAndDialSideBySide(t *testing.T) {
	for _, s := range speeches {
		t.Run(s.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dialed, asked := make(chan struct{}), make(chan struct{})
				b := newBubble(t, s, tokens(func(ctx context.Context) (wire.Secret, error) {
					close(asked)
					<-dialed
					return oneToken(ctx)
				}))
				b.dials(func(conn net.Conn) {
					close(dialed)
					<-asked
					s.serve(conn, len(s.upstream))
				})
				c := b.connect(t)
				c.hear(t, "")
				c.say(t, s.login)
				c.hear(t, s.accepted)
			})
		})
	}
}

// Where one of both has failed, the other isn't waited for; the reason is that
// of the one that failed.
func TestFailureOfOneEndsTheOther(t *testing.T) {
	for _, s := range speeches {
		t.Run(s.Name()+", no token", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, s, tokens(func(context.Context) (wire.Secret, error) {
					return wire.Secret{}, &proxy.Failure{Kind: proxy.TokenUnavailable, Text: "no token today"}
				}))
				b.SetDial(func(ctx context.Context, _, _ string) (net.Conn, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				})
				c := b.connect(t)
				c.hear(t, "")
				wantRefusalText(t, c, &s, "no token today")
			})
		})
		t.Run(s.Name()+", no connection", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, s, tokens(func(ctx context.Context) (wire.Secret, error) {
					<-ctx.Done()
					return wire.Secret{}, &proxy.Failure{Kind: proxy.TokenUnavailable, Cause: ctx.Err()}
				}))
				b.SetDial(func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route to host") })
				c := b.connect(t)
				c.hear(t, "")
				wantRefusalText(t, c, &s, "the mail server can't be reached")
			})
		})
	}
}

func wantRefusalText(t *testing.T, c *client, s *speech, text string) {
	t.Helper()
	start := time.Now()
	c.say(t, s.login)
	c.hear(t, s.refusal+text)
	if took := time.Since(start); took != 0 {
		t.Errorf("refused after %v", took)
	}
}

// Nothing leaves the machine before the local password is verified.
func TestWrongPasswordAsksNobody(t *testing.T) {
	for _, s := range speeches {
		t.Run(s.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, s, tokens(func(context.Context) (wire.Secret, error) {
					t.Error("a token is asked for")
					return wire.Secret{}, errors.New("none")
				}))
				b.SetDial(func(context.Context, string, string) (net.Conn, error) {
					t.Error("a connection is made")
					return nil, errors.New("none")
				})
				c := b.connect(t)
				c.hear(t, "")
				wrong := map[string]string{"imap": "a LOGIN alice Secret\r\n", "pop3": "AUTH PLAIN AGFsaWNlAFNlY3JldA==\r\n", "smtp": "AUTH PLAIN AGFsaWNlAFNlY3JldA==\r\n"}
				refused := map[string]string{"imap": "a NO [AUTHENTICATIONFAILED]", "pop3": "-ERR [AUTH]", "smtp": "535 5.7.8"}
				for range 3 {
					c.say(t, wrong[s.Name()])
					c.hear(t, refused[s.Name()])
				}
			})
		})
	}
}
