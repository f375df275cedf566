package doctor

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"oauthproxy/accounts"
	"oauthproxy/proxy"
	"oauthproxy/proxy/smtp"
)

// relay is an SMTP server that calls itself ours and accepts recipients
// whenever open says so, of what has been said on the connection.
type relay struct {
	open func(said []string) bool

	mu          sync.Mutex
	heard       []string
	connections int
}

// serve speaks one connection.
func (r *relay) serve(t *testing.T) func(net.Conn) {
	c := newLab(t, "Contoso").server(t, -days, 90*days, ourName)
	return func(conn net.Conn) {
		r.mu.Lock()
		r.connections++
		r.mu.Unlock()
		var said []string
		talks("220 "+ourName+" ESMTP ready\r\n", c, func(command string) string {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.heard, said = append(r.heard, command), append(said, command)
			switch verb, _, _ := strings.Cut(command, " "); verb {
			case "AUTH":
				return "535 5.7.8 no\r\n"
			case "RCPT":
				if !r.open(said) {
					return "550 5.7.1 no\r\n"
				}
			}
			return "250 ok\r\n"
		})(conn)
	}
}

// count returns how many of the commands heard begin with the word.
func (r *relay) count(word string) (n int) {
	for _, command := range r.heard {
		if strings.HasPrefix(command, word) {
			n++
		}
	}
	return n
}

func TestOpenRelay(t *testing.T) {
	recipient := func(piece string) func([]string) bool {
		return func(said []string) bool { return strings.Contains(said[len(said)-1], piece) }
	}
	after := func(word string) func([]string) bool {
		return func(said []string) bool {
			return slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, word) })
		}
	}
	for name, c := range map[string]struct {
		open func([]string) bool
		seen string
	}{
		"for all":              {func([]string) bool { return true }, "without EHLO, from 127.0.0.1, RCPT TO:<relay-test@oauthproxy.invalid>"},
		"after EHLO":           {after("EHLO"), "after EHLO"},
		"without a sender":     {after("MAIL FROM:<>"), "without a sender"},
		"quoted":               {recipient(`<"relay-test@oauthproxy.invalid"@` + ourName + ">"), "quoted"},
		"percent":              {recipient("<relay-test%oauthproxy.invalid@" + ourName + ">"), "%"},
		"bang":                 {recipient("<oauthproxy.invalid!relay-test@" + ourName + ">"), "!"},
		"source route":         {recipient("<@" + ourName + ":relay-test@oauthproxy.invalid>"), "source route"},
		"after STARTTLS":       {after("STARTTLS"), "RCPT TO"},
		"after a failed login": {after("AUTH"), "after a failed login"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &relay{open: c.open}
			l := Listener{Protocol: "smtp", Address: listenTo(t, r.serve(t)), TLS: "starttls"}
			found := run(t, serving(l))
			want{Broken, "open-relay", c.seen, "own address"}.check(t, found.only(t, "open relay"))
			r.check(t)
		})
	}
}

// check sees that no message was sent and nobody is troubled.
func (r *relay) check(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count("DATA") > 0 || r.count("BDAT") > 0 || r.count("AUTH") > 1 || r.connections > 1+4 { // one is the listener's probe
		t.Errorf("%d connections:\n%s", r.connections, strings.Join(r.heard, "\n"))
	}
	if last := r.heard[len(r.heard)-1]; last != "RSET" && last != "QUIT" {
		t.Errorf("its last word is %q", last)
	}
}

// What refuses everybody is tried in every way, and left with a goodbye.
func TestClosedRelay(t *testing.T) {
	for mode, tries := range map[string]string{"none": "8 tries", "starttls": "15 tries"} {
		r := &relay{open: func([]string) bool { return false }}
		l := Listener{Protocol: "smtp", Address: listenTo(t, r.serve(t)), TLS: mode}
		want{status: OK, seen: "refused from 127.0.0.1, " + tries}.check(t, run(t, serving(l)).only(t, "open relay"))
		r.check(t)
		if r.count("AUTH") != 1 || r.count("QUIT") != r.connections {
			t.Errorf("%s: %d connections:\n%s", mode, r.connections, strings.Join(r.heard, "\n"))
		}
	}
}

// A device that needs no password may be this machine: that is worth knowing.
// No recipient is named then, for it would go on to Exchange.
func TestRelayForDevices(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, mode := range []proxy.TLSMode{proxy.TLSNone, proxy.TLSStart, proxy.TLSImplicit} {
		l := serveOwn(t, smtp.Protocol{}, proxy.Listener{TLS: mode, RequireTLS: mode != proxy.TLSNone}, accounts.Login{Networks: loopback, Device: true})
		l.Devices = loopback
		want{Note, "device-is-this-machine", "this machine (127.0.0.1)", "networks"}.check(t, run(t, serving(l)).only(t, "open relay"))
	}
	r := &relay{open: func([]string) bool { return true }}
	l := Listener{Protocol: "smtp", Address: listenTo(t, r.serve(t)), TLS: "none", Devices: loopback}
	want{Note, "device-is-this-machine", "", ""}.check(t, run(t, serving(l)).only(t, "open relay"))
	if r.count("RCPT") > 0 {
		t.Errorf("it named a recipient:\n%s", strings.Join(r.heard, "\n"))
	}
	l.Devices = elsewhere
	want{Broken, "open-relay", "", ""}.check(t, run(t, serving(l)).only(t, "open relay"))
}

// A listener on all addresses is tried from loopback and from one that others
// reach this machine by; networks and devices are looked up for each.
func TestRelayOnAllAddresses(t *testing.T) {
	conn, err := net.Dial("udp", "192.0.2.1:9") // sends nothing
	if err != nil {
		t.Skip("this machine has no address but loopback")
	}
	own := netip.MustParseAddrPort(conn.LocalAddr().String()).Addr()
	_ = conn.Close()
	network := []netip.Prefix{netip.PrefixFrom(own, own.BitLen())}
	l := serveOwn(t, smtp.Protocol{}, proxy.Listener{Address: "0.0.0.0:0", TLS: proxy.TLSStart})
	want{status: OK, seen: "refused from 127.0.0.1 and " + own.String() + ", 29 tries"}.check(t, run(t, serving(l)).only(t, "open relay"))
	l = serveOwn(t, smtp.Protocol{}, proxy.Listener{Address: "0.0.0.0:0", TLS: proxy.TLSNone, Networks: network})
	found := run(t, serving(l))
	want{status: OK, seen: "it answers"}.check(t, found.only(t, "listener"))
	want{status: OK, seen: "refused from " + own.String()}.check(t, found.only(t, "open relay"))
	l = serveOwn(t, smtp.Protocol{}, proxy.Listener{Address: "0.0.0.0:0", TLS: proxy.TLSNone}, accounts.Login{Networks: network, Device: true})
	l.Devices = network
	want{Note, "device-is-this-machine", "this machine (" + own.String() + ")", ""}.check(t, run(t, serving(l)).only(t, "open relay"))
}
