package doctor

import (
	"net"
	"testing"

	"oauthproxy/proxy"
	"oauthproxy/proxy/imap"
)

// freePort returns an address where nobody listens, though somebody has just
// now: the connection that the listener closed first is still in TIME_WAIT.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = accepted.Close()
	_, _ = client.Read(make([]byte, 1))
	return ln.Addr().String()
}

// While no service runs, it is tried whether it could.
func TestPort(t *testing.T) {
	t.Parallel()
	own := serveOwn(t, imap.Protocol{}, proxy.Listener{TLS: proxy.TLSImplicit})
	for name, c := range map[string]struct {
		address string
		want    want
	}{
		"free":             {freePort(t), want{Note, "not-running", "the port is free", "systemctl start"}},
		"every address":    {"0.0.0.0:0", want{Note, "not-running", "the port is free", ""}},
		"ours":             {own.Address, want{Note, "running-elsewhere", "as " + ourName, ""}},
		"in clear":         {listenTo(t, greets("* OK Dovecot ready.\r\n")), want{Broken, "port-taken", "another program has the port", "ss -ltnp"}},
		"silent":           {listenTo(t, greets("")), want{Broken, "port-taken", "another program", ""}},
		"address not ours": {"192.0.2.1:1143", want{Broken, "address-not-here", "doesn't have the address", ""}},
		"no address":       {"127.0.0.1:99999", want{Broken, "port-unusable", "invalid port", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := Listener{Protocol: "imap", Address: c.address, TLS: "implicit"}
			c.want.check(t, run(t, Plan{Listeners: []Listener{l}}).only(t, "listener"))
		})
	}
	taken := Listener{Protocol: "imap", Address: listenTo(t, greets("* OK Dovecot ready.\r\n")), TLS: "none"}
	want{Broken, "port-taken", `it says "* OK Dovecot ready."`, "ss -ltnp"}.check(t,
		run(t, Plan{Listeners: []Listener{taken}}).only(t, "listener"))
}

// How to start the service stands below the first port alone.
func TestNotRunningOnce(t *testing.T) {
	var plan Plan
	for range 3 {
		plan.Listeners = append(plan.Listeners, Listener{Protocol: "imap", Address: freePort(t), TLS: "none"})
	}
	c := run(t, plan)
	if len(c) != 3 {
		t.Fatal(c)
	}
	for i, f := range c {
		if f.Cause != "not-running" || (len(f.Fix) > 0) != (i == 0) || (f.Means != "") != (i == 0) {
			t.Errorf("%d: %+v", i, f)
		}
	}
}

func TestPrivilegedPort(t *testing.T) {
	const address = "127.0.0.1:25"
	if ln, err := net.Listen("tcp", address); err == nil {
		_ = ln.Close()
		t.Skip("this user may open every port")
	}
	l := Listener{Protocol: "smtp", Address: address, TLS: "none"}
	want{Warning, "port-privileged", "may not open", "CAP_NET_BIND_SERVICE"}.check(t,
		run(t, Plan{Listeners: []Listener{l}}).only(t, "listener"))
}
