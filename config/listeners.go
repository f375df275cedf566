package config

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// listeners reads the ports for mail clients.
func listeners(top *section) []Listener {
	var all []Listener
	lines := make(map[string]int) // by address
	for _, s := range top.sections("listeners", listenerKeys, "name at least one port for mail clients") {
		l := listener(s)
		if address, fixed := canonical(l.Address); fixed {
			if line, ok := lines[address]; ok {
				s.report("address", "", "the listener on line %d has this address already", line)
			}
			lines[address] = s.line
		}
		all = append(all, l)
	}
	return all
}

const listenerHint = `such as "127.0.0.1:1143" or "[::1]:1143"`

func listener(s *section) Listener {
	s.required("protocol", "one of imap, pop3, smtp")
	l := Listener{
		Protocol:  s.choice("protocol", "", IMAP, POP3, SMTP),
		Address:   s.required("address", listenerHint),
		TLS:       s.choice("tls", None, None, StartTLS, Implicit, Auto),
		Networks:  s.networks("networks"),
		Names:     s.names("names"),
		LegacyTLS: s.flag("legacy_tls"),
	}
	if l.TLS != None && (s.has("certificate_file") || s.has("key_file")) {
		l.CertificateFile, l.KeyFile = s.certificate(l.LegacyTLS)
	}
	s.checkTLS(l)
	if s.checkAddress(l.Address, 0, listenerHint) && l.TLS == None && !l.IsLoopback() {
		s.checkOpen(l)
	}
	return l
}

// checkTLS reports keys that make no sense with the listener's others.
func (s *section) checkTLS(l Listener) {
	for _, key := range []string{"certificate_file", "key_file", "names"} {
		if l.TLS == None && s.has(key) {
			s.report(key, "set tls to starttls, implicit or auto, or remove "+key, "it has no use with tls: none")
		}
	}
	if l.TLS != None && s.has("names") && s.has("certificate_file") {
		s.report("names", "remove it, or let oauthproxy make the certificate: then remove certificate_file and key_file",
			"the certificate in certificate_file has its names already")
	}
	switch {
	case !l.LegacyTLS:
	case l.TLS == None:
		s.report("legacy_tls", "set tls to starttls, implicit or auto, or remove legacy_tls", "it has no use with tls: none")
	case !l.NamesNetworks():
		s.report("legacy_tls", "list in networks the addresses of the devices that need it",
			"old TLS can be broken by others on the network, so it is for networks that you list alone, none of them nearly everybody")
	}
}

// names reads a list of host names and IP addresses.
func (s *section) names(key string) []string {
	var all []string
	for _, w := range s.words(key) {
		if ip, err := netip.ParseAddr(w.text); err == nil && ip.Zone() == "" {
			all = append(all, ip.Unmap().String())
		} else if isHostName(w.text) {
			all = append(all, strings.ToLower(w.text))
		} else {
			s.reader.report(w.line, w.path, "such as mail.contoso.com or 192.168.10.5; letters beyond a to z in their xn-- form",
				"%q is neither a host name nor an IP address", w.text)
		}
	}
	return all
}

// isHostName tells whether text is a host name by RFC 1123 section 2.1, as
// certificates have them. What ends in a number can only be a broken address.
func isHostName(text string) bool {
	labels := strings.Split(text, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, isNoLabel) {
			return false
		}
	}
	_, err := strconv.ParseUint(labels[len(labels)-1], 10, 64)
	return len(text) <= 253 && err != nil
}

// isNoLabel tells whether a character may not stand in a host name's label.
func isNoLabel(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// NamesNetworks tells whether the listener is for networks that somebody has
// listed, and not for nearly everybody.
func (l Listener) NamesNetworks() bool {
	return len(l.Networks) > 0 && !slices.ContainsFunc(l.Networks, tooWide)
}

// checkOpen reports a listener that the network can reach and that lets
// everybody speak to it without TLS.
func (s *section) checkOpen(l Listener) {
	if !s.has("networks") {
		s.report("address", "set tls, or list in networks who may connect",
			"the network can reach this listener, and passwords would cross it readable")
	}
	for _, n := range l.Networks {
		if tooWide(n) {
			s.report("networks", "set tls, or list the networks of your own devices",
				"%s is nearly everybody, and passwords would cross the network readable", n)
		}
	}
}

// checkAddress reports an address that isn't host:port with a port of at
// least lowest. It returns false for one that can't be used.
func (s *section) checkAddress(address string, lowest uint64, hint string) bool {
	if address == "" {
		return false
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.ContainsAny(host, " /@") {
		s.report("address", hint, "expected host:port")
		return false
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n < lowest {
		s.report("address", hint, "expected a port from 1 to 65535 after the colon")
		return false
	}
	return true
}

// canonical returns one form for addresses that mean the same, and whether
// the port is fixed: the system chooses another one each time for port 0.
func canonical(address string) (string, bool) {
	if ip, err := netip.ParseAddrPort(address); err == nil {
		return ip.String(), ip.Port() != 0
	}
	return strings.ToLower(address), address != ""
}
