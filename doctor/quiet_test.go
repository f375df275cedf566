package doctor

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// piped makes connections of the examination end at the server, in this
// process: so that its silence costs no time.
func piped(t *testing.T, e *examination, server func(net.Conn)) {
	e.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		context.AfterFunc(t.Context(), func() { theirs.Close() })
		go func() { defer theirs.Close(); server(theirs) }()
		return ours, nil
	}
}

// TestSilence: each of these says nothing at first, and none is waited for
// longer than a probe may take.
func TestSilence(t *testing.T) {
	l := newLab(t, "Contoso")
	config := l.server(t, -100*365*days, 100*365*days, "127.0.0.1")
	drop := func(conn net.Conn) { io.Copy(io.Discard, conn) }
	web := func(conn net.Conn) {
		if hear(conn) {
			io.WriteString(conn, "HTTP/1.0 400 Bad Request\r\n\r\n")
		}
	}
	tests := []struct {
		name, protocol string
		implicit       bool
		server         func(net.Conn)
		cause          string
	}{
		{"nothing in answer to TLS", "imap", true, drop, "port-silent"},
		{"nothing in clear", "smtp", false, drop, "port-silent"},
		{"nothing over TLS", "imap", true, overTLS(config, drop), "port-silent"},
		{"TLS where a greeting is expected", "smtp", false, overTLS(config, drop), "tls-at-once"},
		{"a web server in clear", "smtp", false, web, "answers-http"},
		{"a web server over TLS", "imap", true, overTLS(config, web), "answers-http"},
		{"nothing in answer to EHLO", "smtp", false, greets(smtpGreeting), "answer-late"},
		{"nothing in answer to STARTTLS", "smtp", false, asked(smtpGreeting, smtpOffer), "answer-late"},
		{"nothing after the agreement to TLS", "smtp", false, asked(smtpGreeting, smtpOffer, "220 ready\r\n"), "port-silent"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, n := examine(l.roots, nil, at(test.protocol, "127.0.0.1:993", test.implicit))
				piped(t, e, test.server)
				e.network(t.Context())
				got := n.of("tls")
				if len(got) != 1 || got[0].Status != Broken || got[0].Cause != test.cause {
					t.Fatalf("%+v, want %s", got, test.cause)
				}
				if got[0].Took > probeTimeout {
					t.Errorf("took %v", got[0].Took)
				}
				checkTexts(t, got[0])
			})
		})
	}
}

// TestStopped: whatever a probe waits for, it ends with ctx, and nothing is
// told that would only be for that.
func TestStopped(t *testing.T) {
	l := newLab(t, "Contoso")
	config := l.server(t, -100*365*days, 100*365*days, "127.0.0.1")
	drop := func(conn net.Conn) { io.Copy(io.Discard, conn) }
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := []struct {
		name   string
		hinder func(t *testing.T, e *examination)
	}{
		{"the name", func(_ *testing.T, e *examination) {
			e.lookup = func(ctx context.Context, _ string) ([]netip.Addr, error) { return nil, hang(ctx) }
		}},
		{"the connection", func(_ *testing.T, e *examination) {
			e.dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, hang(ctx) }
		}},
		{"TLS", func(t *testing.T, e *examination) { piped(t, e, drop) }},
		{"the greeting", func(t *testing.T, e *examination) { piped(t, e, overTLS(config, drop)) }},
		{"Entra ID", func(t *testing.T, e *examination) {
			e.ThroughProxy = true
			e.Accounts = []Account{{Authority: "https://login.contoso.com/tenant"}}
			e.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) { return nil, hang(r.Context()) })}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, n := examine(l.roots, map[string]string{"mail.contoso.com": "127.0.0.1:993"}, at("imap", "mail.contoso.com:993", true))
				test.hinder(t, e)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				begun := time.Now()
				e.network(ctx)
				e.entra(ctx)
				if took := time.Since(begun); took != time.Second {
					t.Errorf("took %v", took)
				}
				for _, f := range n.found {
					if f.Status != OK {
						t.Errorf("found %+v", f)
					}
				}
			})
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// TestNames: what is told of names, one of which may be the network's fault.
func TestNames(t *testing.T) {
	const (
		imap = "outlook.office365.com"
		smtp = "smtp.office365.com"
	)
	unknown := &net.DNSError{Err: "no such host", IsNotFound: true}
	silent := &net.DNSError{Err: "i/o timeout", IsTimeout: true}
	failing := &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	four, six, inside := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("10.0.0.7")
	type answer struct {
		addresses []netip.Addr
		err       error
	}
	public := answer{[]netip.Addr{four, six}, nil}
	tests := []struct {
		name    string
		answers map[string]answer
		want    []string // status and cause of each finding
		seen    string   // a piece of the first
	}{
		{"all are known", map[string]answer{imap: public, smtp: public}, []string{"ok ", "ok "}, "IPv4 addresses: 1, IPv6: 1"},
		{"one is a mistake", map[string]answer{imap: public, smtp: {nil, unknown}}, []string{"ok ", "broken name-unknown"}, ""},
		{"the first is a mistake", map[string]answer{imap: {nil, unknown}, smtp: public}, []string{"broken name-unknown", "ok "}, "no such name"},
		{"one is late", map[string]answer{imap: public, smtp: {nil, silent}}, []string{"ok ", "broken name-server-silent"}, ""},
		{"one has no address", map[string]answer{imap: public, smtp: {}}, []string{"ok ", "broken name-unknown"}, ""},
		{"the only one is a mistake", map[string]answer{imap: {nil, unknown}}, []string{"broken name-unknown"}, ""},
		{"the only one is late", map[string]answer{imap: {nil, silent}}, []string{"broken no-network"}, "no answer in time"},
		{"none is answered", map[string]answer{imap: {nil, failing}, smtp: {nil, failing}}, []string{"broken no-network", "skipped "}, "trouble of its own"},
		{"none exists", map[string]answer{imap: {nil, unknown}, smtp: {nil, unknown}}, []string{"broken no-network", "skipped "}, "knows none"},
		{"Microsoft's name leads inside", map[string]answer{imap: {[]netip.Addr{inside}, nil}}, []string{"note name-private"}, "10.0.0.7"},
		{"a filter's address", map[string]answer{imap: {[]netip.Addr{netip.IPv6Unspecified()}, nil}}, []string{"note name-private"}, ""},
		{"our own name leads inside", map[string]answer{"mail.contoso.com": {[]netip.Addr{inside}, nil}}, []string{"ok "}, "IPv4 addresses: 1"},
		{"an address in the other's form", map[string]answer{imap: {[]netip.Addr{netip.MustParseAddr("::ffff:203.0.113.7")}, nil}}, []string{"ok "}, "IPv4 addresses: 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var accounts []Account
			for _, host := range []string{imap, smtp, "mail.contoso.com"} {
				if _, asked := test.answers[host]; asked {
					accounts = append(accounts, at("imap", host+":993", true))
				}
			}
			e, n := examine(nil, nil, accounts...)
			e.lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
				return test.answers[host].addresses, test.answers[host].err
			}
			e.dial = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
			e.network(t.Context())
			var got []string
			for _, f := range n.of("dns") {
				got = append(got, string(f.Status)+" "+f.Cause)
				checkTexts(t, f)
			}
			if !slices.Equal(got, test.want) || !strings.Contains(n.of("dns")[0].Seen, test.seen) {
				t.Errorf("%v, want %v: %+v", got, test.want, n.of("dns"))
			}
			for _, f := range n.of("tcp") {
				host, _, _ := net.SplitHostPort(f.Subject)
				if known := len(test.answers[host].addresses) > 0; known == (f.Status == Skipped) {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// TestTwoFamilies: a network where one of IPv4 and IPv6 doesn't get through.
func TestTwoFamilies(t *testing.T) {
	late := &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	tests := []struct {
		name, host string
		four, six  error
		status     Status
		cause      string
	}{
		{"both", "mail.contoso.com", nil, nil, OK, ""},
		{"IPv4 alone, and no IPv6 here", "mail.contoso.com", nil, syscall.ENETUNREACH, OK, ""},
		{"IPv4 alone, and IPv6 is swallowed", "mail.contoso.com", nil, late, Note, "ipv6-fails"},
		{"IPv4 alone, and IPv6 is refused", "mail.contoso.com", nil, syscall.ECONNREFUSED, Note, "ipv6-fails"},
		{"IPv6 alone", "mail.contoso.com", syscall.ENETUNREACH, nil, OK, ""},
		{"neither", "mail.contoso.com", late, late, Broken, "connect-timeout"},
		{"no IPv6 here, and IPv4 is refused", "mail.contoso.com", syscall.ECONNREFUSED, syscall.ENETUNREACH, Broken, "port-refused"},
		{"no IPv4 here, and IPv6 is refused", "mail.contoso.com", syscall.ENETUNREACH, syscall.ECONNREFUSED, Broken, "port-refused"},
		{"this machine's name, IPv4 alone", "localhost", nil, syscall.ECONNREFUSED, OK, ""},
		{"no way at all", "mail.contoso.com", syscall.ENETUNREACH, syscall.ENETUNREACH, Broken, "network-unreachable"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, n := examine(nil, nil, at("imap", test.host+":993", true), at("pop3", test.host+":995", true))
				e.lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
					if host == "localhost" {
						return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}, nil
					}
					return []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")}, nil
				}
				piped(t, e, greets(imapGreeting))
				dial := e.dial
				e.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					if err := map[string]error{"tcp4": test.four, "tcp6": test.six}[network]; err != nil {
						return nil, err
					}
					return dial(ctx, network, address)
				}
				e.network(t.Context())
				got := n.of("tcp")
				if len(got) != 2 || got[0].Status != test.status || got[0].Cause != test.cause {
					t.Errorf("%+v", got)
				}
				if got[1].Status == Note { // once is enough
					t.Errorf("%+v", got[1])
				}
				checkTexts(t, got[0])
			})
		})
	}
}

// TestInOrder: a few at a time, told in order.
func TestInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		items := make([]int, 100)
		for i := range items {
			items[i] = i
		}
		var told []int
		begun := time.Now()
		inOrder(t.Context(), items,
			func(_ context.Context, i int) int { time.Sleep(time.Second); return i },
			func(int) func(int) { return func(i int) { told = append(told, i) } })
		if !slices.Equal(told, items) {
			t.Errorf("told %v", told)
		}
		if took := time.Since(begun); took != 13*time.Second { // 100 of them, 8 at a time
			t.Errorf("took %v", took)
		}
	})
}

func FuzzGreeting(f *testing.F) {
	for _, seed := range []string{imapGreeting, pop3Greeting, smtpGreeting + smtpOffer + "220 ready\r\n", "HTTP/1.1 200\r\n", "220-\r\n220-\n", "\x15\x03\x01", "* BYE\r\n", ""} {
		for _, protocol := range []string{"imap", "pop3", "smtp"} {
			f.Add(protocol, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, protocol string, said []byte) {
		if !slices.Contains([]string{"imap", "pop3", "smtp"}, protocol) {
			return
		}
		e, n := examine(nil, nil, at(protocol, "127.0.0.1:993", false))
		e.dial = func(context.Context, string, string) (net.Conn, error) {
			return &script{Reader: strings.NewReader(string(said))}, nil
		}
		e.network(t.Context())
		got := n.of("tls")
		if len(got) != 1 || got[0].Status != Broken || got[0].Cause == "" {
			t.Fatalf("%+v", got)
		}
		checkTexts(t, got[0])
	})
}

// script is a connection on which that is said, and that is then closed.
type script struct{ io.Reader }

func (*script) Write(p []byte) (int, error)      { return len(p), nil }
func (*script) Close() error                     { return nil }
func (*script) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv6loopback} }
func (*script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }
