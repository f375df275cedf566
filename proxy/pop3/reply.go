package pop3

import (
	"strings"

	"oauthproxy/internal/sasl"
	"oauthproxy/proxy"
)

// codes are the response codes of a refused login (RFC 2449 section 8,
// RFC 3206). TLSRequired has none.
var codes = map[proxy.Kind]string{
	proxy.BadCredentials:      "[AUTH] ",
	proxy.SignInRequired:      "[SYS/PERM] ",
	proxy.TokenUnavailable:    "[SYS/TEMP] ",
	proxy.UpstreamRefused:     "[SYS/TEMP] ",
	proxy.UpstreamProtocol:    "[SYS/TEMP] ",
	proxy.UpstreamUnreachable: "[SYS/TEMP] ",
	proxy.ShuttingDown:        "[SYS/TEMP] ",
	proxy.Busy:                "[SYS/TEMP] ",
	proxy.Internal:            "[SYS/TEMP] ",
}

// Greet sends the greeting. It holds no time stamp: APOP would need a
// password that we could read (RFC 1939 section 7), and we keep hashes.
func (d *dialogue) Greet() {
	d.client.Printf("+OK %s ready", d.session.HostName)
}

// Refuse tells why the login is refused.
func (d *dialogue) Refuse(f *proxy.Failure) {
	sentence := f.Sentence(d.session.ID)
	if f.Kind == proxy.TLSRequired {
		sentence = "Say STLS first: " + sentence
	}
	d.client.Printf("-ERR %s%s", codes[f.Kind], sentence)
}

// Accept tells the client that it is logged in.
func (d *dialogue) Accept() { d.client.Printf("+OK Logged in") }

// capa lists what works: ours until the login, Exchange's behind it. Exchange
// Online offers TOP and UIDL (measured 2026-08).
func (d *dialogue) capa(string) (*proxy.Credentials, error) {
	d.client.Printf("+OK Capability list follows")
	d.client.Printf("TOP")
	d.client.Printf("UIDL")
	d.client.Printf("RESP-CODES")
	d.client.Printf("AUTH-RESP-CODE")
	if d.session.CanStartTLS() {
		d.client.Printf("STLS")
	}
	if !d.session.NeedsTLS() {
		d.client.Printf("USER")
		d.client.Printf("SASL %s", strings.Join(sasl.Mechanisms, " "))
	}
	d.client.Printf(".")
	return nil, nil
}
