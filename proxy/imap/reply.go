package imap

import (
	"strings"

	"oauthproxy/internal/sasl"
	"oauthproxy/proxy"
)

// codes are the response codes of a refused login (RFC 5530 section 3,
// RFC 9051 section 7.1). A kind that isn't listed is told by BYE.
var codes = map[proxy.Kind]string{
	proxy.BadCredentials:      "AUTHENTICATIONFAILED",
	proxy.SignInRequired:      "UNAVAILABLE",
	proxy.TokenUnavailable:    "UNAVAILABLE",
	proxy.UpstreamRefused:     "UNAVAILABLE",
	proxy.UpstreamProtocol:    "UNAVAILABLE",
	proxy.UpstreamUnreachable: "UNAVAILABLE",
	proxy.TLSRequired:         "PRIVACYREQUIRED",
	proxy.Internal:            "SERVERBUG",
}

// authCodes are the response codes for an exchange that we understand and
// don't go into (RFC 9051 section 6.2.2, RFC 5530 section 3). Any other that
// doesn't come to credentials is told by BAD.
var authCodes = map[sasl.Refusal]string{
	sasl.ErrAuthorization: "AUTHORIZATIONFAILED",
	sasl.ErrMechanism:     "CANNOT",
}

// Refuse answers the command that has just been read, if there is one, with
// the reason of the refusal.
func (d *dialogue) Refuse(f *proxy.Failure) {
	sentence := f.Sentence(d.session.ID)
	tag := d.tag
	d.tag = ""
	if f.Ends() {
		d.client.Printf("* BYE %s", sentence)
		if tag != "" {
			d.client.Printf("%s NO [UNAVAILABLE] %s", tag, sentence)
		}
		return
	}
	d.client.Printf("%s NO [%s] %s", tag, codes[f.Kind], sentence)
}

// Greet sends the greeting with our capabilities, which saves the client from
// asking (RFC 9051 section 7.1).
func (d *dialogue) Greet() {
	d.client.Printf("* OK [CAPABILITY %s] %s ready", d.capabilities(), d.session.HostName)
}

// capabilities lists what we offer as things stand.
func (d *dialogue) capabilities() string {
	var b strings.Builder
	for _, c := range offered {
		b.WriteString(string(c) + " ")
	}
	if d.session.CanStartTLS() {
		b.WriteString("STARTTLS ")
	}
	if d.session.NeedsTLS() {
		b.WriteString("LOGINDISABLED")
	} else {
		b.WriteString("AUTH=PLAIN AUTH=LOGIN")
	}
	return b.String()
}

// Accept sends the tagged OK of the login, with the upstream's capabilities if
// it has told them, and before it what the upstream wants a person to see.
func (d *dialogue) Accept() {
	for _, alert := range d.alerts {
		d.client.Printf("%s", alert)
	}
	if d.upstreamCaps == "" {
		d.client.Printf("%s OK Logged in", d.tag)
		return
	}
	d.client.Printf("%s OK [CAPABILITY %s] Logged in", d.tag, d.upstreamCaps)
}
