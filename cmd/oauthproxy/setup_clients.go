package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"oauthproxy/config"
)

// This file is about the side of the clients: where they come from, and what
// is entered there.

// setupPorts are those of the first configuration: everybody may open them.
var setupPorts = map[string]int{config.IMAP: 1143, config.POP3: 1110, config.SMTP: 1587}

func (s *setup) askClients() {
	s.host, s.tls = "127.0.0.1", config.None
	isHere := choose(s.conversation, "Where do the clients run?",
		"Ports for this machine alone need no encryption. Ports that the network can reach need TLS, or a list of who may connect.",
		option[bool]{true, "on this machine"},
		option[bool]{false, "on other devices in the network"})
	if isHere || s.ended != nil {
		return
	}
	s.host = s.line(question{
		text: "By which address of this machine do they reach it?", label: "IP address", preset: ownAddress(),
		more:  "An address that this machine keeps. 0.0.0.0 takes connections to all that it has.",
		check: checkHost,
	})
	s.tls = choose(s.conversation, "How do they connect?",
		"With TLS the password can't be read on the way. oauthproxy makes the certificate; clients have to trust its root, which \"oauthproxy certificate\" prints, and many devices accept any. Without TLS, only the machines that you list may connect.",
		option[string]{config.Auto, "with TLS (SSL/TLS or STARTTLS); oauthproxy makes the certificate"},
		option[string]{config.None, "without TLS: the devices know none"})
	if s.tls != config.None || s.ended != nil {
		return
	}
	answer := s.line(question{
		text: "Which devices may connect? List their addresses or networks.", label: "networks", preset: ownNetwork(s.host),
		more:  "As narrowly as you can: 192.168.10.21, 192.168.10.22 for two devices, 192.168.10.0/24 for a whole network. Passwords cross it readable.",
		check: checkNetworks,
	})
	if s.ended == nil {
		s.networks = strings.Split(answer, ", ")
	}
}

// ownAddress is an address of this machine in the network; "" if it tells none.
func ownAddress() string {
	addresses, _ := net.InterfaceAddrs()
	for _, address := range addresses {
		n, err := netip.ParsePrefix(address.String())
		if err == nil && n.Addr().Is4() && n.Addr().IsGlobalUnicast() {
			return n.Addr().String()
		}
	}
	return ""
}

// ownNetwork is the network that the address of this machine is in; "" if
// that isn't known.
func ownNetwork(host string) string {
	addresses, _ := net.InterfaceAddrs()
	for _, address := range addresses {
		n, err := netip.ParsePrefix(address.String())
		if err == nil && n.Addr().String() == host && n.Bits() >= 8 {
			return n.Masked().String()
		}
	}
	return ""
}

// showClient tells what is entered in the mail program or the device.
func (s *setup) showClient() {
	s.title("In the mail program or the device")
	security := "no encryption (SSL/TLS: none)"
	if s.tls != config.None {
		security = "SSL/TLS or STARTTLS"
	}
	for _, protocol := range s.Protocols {
		host := s.host
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
			host = "this machine's address"
		}
		s.row(strings.ToUpper(protocol), fmt.Sprintf("%s, port %d, %s", host, setupPorts[protocol], security))
	}
	s.row("user", s.user)
	if s.isGenerated {
		s.row("password", s.password.Reveal()+"   (it isn't shown again)")
	} else {
		s.row("password", "the one that you have typed")
	}
	s.row("login", "\"normal password\" or \"plain\"; not OAuth2, not NTLM")
	if s.tls != config.None {
		s.tell("", "The clients have to trust the certificate: \"oauthproxy certificate\" prints its root, and where to install it.")
	}
	if slices.Contains(s.Protocols, config.SMTP) && s.host != "127.0.0.1" {
		s.tell("", "If a device can't set the port: as a service, oauthproxy can have 25 and the other usual ones too. docs/systemd.md says how; then change the addresses in the configuration.")
	}
}

// row shows a value with its name.
func (s *setup) row(name, value string) {
	fmt.Fprintln(s.err, wrap(value, fmt.Sprintf("  %-9s ", name), widthOf(s.err)))
}

// command shows a command with what it is for, on one line: it is to be copied.
func (s *setup) command(purpose, command string) {
	fmt.Fprintf(s.err, "  %-9s %s\n", purpose, command)
}

// title begins a part of what is told at the end.
func (s *setup) title(text string) {
	fmt.Fprintln(s.err)
	s.tell(text + ":")
}
