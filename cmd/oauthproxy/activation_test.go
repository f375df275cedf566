package main

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"oauthproxy/config"
)

// TestAssign: which socket of systemd's is which listener's.
func TestAssign(t *testing.T) {
	type sockets map[string]string // address by name; the names of a test differ
	tests := []struct {
		name      string
		listeners string // protocol address, ...
		sockets   sockets
		want      string // names, in the order of the listeners; - for none
		problem   string
	}{
		{"none", "imap 127.0.0.1:1143", nil, "-", ""},
		{"by address and protocol", "smtp :25, imap :143", sockets{"smtp": "[::]:25", "imap": "[::]:143"}, "smtp imap", ""},
		{"all addresses are written in many ways", "smtp 0.0.0.0:25, imap [::]:143", sockets{"smtp": "[::]:25", "imap": "0.0.0.0:143"}, "smtp imap", ""},
		{"some listeners open their own", "smtp :25, imap 127.0.0.1:1143", sockets{"smtp": "[::]:25"}, "smtp -", ""},
		{"a name that says nothing, by address", "smtp :25", sockets{"oauthproxy.socket": "[::]:25"}, "oauthproxy.socket", ""},
		{"IPv4 as IPv6", "smtp [::ffff:192.0.2.1]:25", sockets{"smtp": "192.0.2.1:25"}, "smtp", ""},
		{"localhost", "smtp localhost:25", sockets{"smtp": "[::1]:25"}, "smtp", ""},
		{"the only one by name, elsewhere", "smtp 192.0.2.1:587", sockets{"smtp": "[::]:25"}, "smtp", ""},
		{"by address, of two of a protocol", "smtp :587, smtp :25", sockets{"smtp": "[::]:25"}, "- smtp", ""},
		{"of two of a protocol, elsewhere", "smtp :587, smtp :26", sockets{"smtp": "[::]:25"}, "", `no listener is for systemd's socket "smtp" ([::]:25): write {protocol: smtp, address: "[::]:25"}`},
		{"no such protocol", "smtp :25", sockets{"smtp": "[::]:25", "pop3": "[::]:110"}, "", `socket "pop3" ([::]:110): write {protocol: pop3`},
		{"the other protocol's address", "imap :25", sockets{"smtp": "[::]:25"}, "", `no listener is for systemd's socket "smtp"`},
		{"a name that says nothing, elsewhere", "imap :143", sockets{"mail": "[::]:144"}, "", `write {protocol: PROTOCOL, address: "[::]:144"}`},
		{"meant for this machine, open to the network", "imap 127.0.0.1:1143", sockets{"imap": "[::]:143"}, "", `the network can reach systemd's socket "imap" ([::]:143), but its listener has the address 127.0.0.1:1143`},
		{"meant for the network, open to this machine", "imap :143", sockets{"imap": "127.0.0.1:143"}, "imap", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var listeners []config.Listener
			for _, l := range strings.Split(test.listeners, ", ") {
				protocol, address, _ := strings.Cut(l, " ")
				listeners = append(listeners, config.Listener{Protocol: protocol, Address: address})
			}
			var all []*socket
			for name, address := range test.sockets {
				all = append(all, &socket{name: name, address: netip.MustParseAddrPort(address)})
			}
			assigned, err := assign(listeners, all)
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("got %v, want %s", err, test.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range assigned {
				if s == nil {
					got = append(got, "-")
				} else {
					got = append(got, s.name)
				}
			}
			if names := strings.Join(got, " "); names != test.want {
				t.Errorf("got %s, want %s", names, test.want)
			}
		})
	}
}

// TestAssignSameName: a unit with several ports has one name for all.
func TestAssignSameName(t *testing.T) {
	sockets := []*socket{
		{name: "smtp", address: netip.MustParseAddrPort("[::]:25")},
		{name: "smtp", address: netip.MustParseAddrPort("[::]:587")},
	}
	listeners := []config.Listener{{Protocol: config.SMTP, Address: ":587"}, {Protocol: config.SMTP, Address: ":25"}}
	assigned, err := assign(listeners, sockets)
	if err != nil || assigned[0] != sockets[1] || assigned[1] != sockets[0] {
		t.Errorf("got %v, %v", assigned, err)
	}
	if _, err := assign(listeners[1:], sockets); err == nil {
		t.Error("nobody listens on port 587, and nothing says so")
	}
}

// inherited returns a socket as systemd hands it over.
func inherited(t *testing.T, name string) *socket {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return &socket{name: name, address: listener.Addr().(*net.TCPAddr).AddrPort(), file: file}
}

// TestSocketOutlivesItsPorts: a reload that changes the listener's address goes
// on with the socket, and so does one after that.
func TestSocketOutlivesItsPorts(t *testing.T) {
	from := inherited(t, config.IMAP)
	about := func(address string) config.Listener {
		return config.Listener{Protocol: config.IMAP, Address: address}
	}
	first, err := openPort(about("127.0.0.1:1143"), from, nil)
	if err != nil {
		t.Fatal(err)
	}
	open := []*port{first}
	if got := take(&open, about("127.0.0.2:143"), from); got != first || len(open) != 0 {
		t.Errorf("took %v, left %v", got, open)
	}
	open = []*port{first}
	if got := take(&open, about("127.0.0.1:1143"), nil); got != nil {
		t.Error("a listener without the socket takes the socket's port")
	}
	_ = first.Close()
	second, err := openPort(about("127.0.0.1:1143"), from, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	conn, err := net.Dial("tcp", from.address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := second.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = accepted.Close()
}

// TestSocketsOfOtherKinds can't be used, and it is told what the unit needs.
func TestSocketsOfOtherKinds(t *testing.T) {
	tests := []struct{ network, address, says string }{
		{"unix", t.TempDir() + "/s", "none of TCP, but unix"},
		{"udp", "127.0.0.1:0", "can't be used"},
	}
	for _, test := range tests {
		t.Run(test.network, func(t *testing.T) {
			file := fileOf(t, test.network, test.address)
			defer file.Close()
			if _, err := newSocket(file); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
}

// fileOf opens a socket of a kind.
func fileOf(t *testing.T, network, address string) *os.File {
	t.Helper()
	var opened interface {
		File() (*os.File, error)
		Close() error
	}
	var err error
	if network == "unix" {
		opened, err = net.ListenUnix(network, &net.UnixAddr{Net: network, Name: address})
	} else {
		opened, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	file, err := opened.File()
	if err != nil {
		t.Fatal(err)
	}
	return file
}
