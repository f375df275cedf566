package main

import (
	"fmt"
	"strings"

	"oauthproxy/config"
	"oauthproxy/internal/registration"
	"oauthproxy/tokens"
)

// yaml returns the configuration. Whatever a person has typed stands in double
// quotes, in which YAML knows the escapes that Go writes.
func (s *setup) yaml(hash string) string {
	var b strings.Builder
	b.WriteString("# Written by \"oauthproxy setup\". config.example.yaml has all other keys, and\n# what they are for.\n\n")
	s.yamlApp(&b)
	s.yamlListeners(&b)
	s.yamlAccount(&b, hash)
	if s.Cloud != "worldwide" {
		fmt.Fprintf(&b, "\nupstream:\n  cloud: %s\n", s.Cloud)
	}
	return b.String()
}

func (s *setup) yamlApp(b *strings.Builder) {
	fmt.Fprintf(b, "# The application, as it is registered in Entra ID.\napps:\n  oauthproxy:\n    tenant: %q\n    client_id: %q\n    flow: %s\n", s.Tenant, s.ClientID, s.Access)
	switch s.Access {
	case registration.Secret:
		fmt.Fprintf(b, "    # The secret's Value, and nothing else. A new secret needs no restart.\n    client_secret_file: %q\n", s.secretFile)
	case registration.Certificate:
		b.WriteString("    certificate_file: app.crt\n    key_file: app.key\n")
	}
}

func (s *setup) yamlListeners(b *strings.Builder) {
	b.WriteString("\n# The ports that clients connect to")
	switch {
	case s.tls != config.None:
		b.WriteString(": SSL/TLS or STARTTLS. For the certificate's\n# root, run: oauthproxy certificate\n")
	case len(s.networks) > 0:
		b.WriteString(". Passwords cross the network readable.\n")
	default:
		b.WriteString(", from this machine alone.\n")
	}
	b.WriteString("listeners:\n")
	for _, protocol := range s.Protocols {
		more := ""
		if s.tls != config.None {
			more = ", tls: " + s.tls
		}
		if len(s.networks) > 0 {
			more += ", networks: [" + quoted(s.networks) + "]"
		}
		fmt.Fprintf(b, "  - {protocol: %s, address: %q%s}\n", protocol, joinPort(s.host, setupPorts[protocol]), more)
	}
}

func (s *setup) yamlAccount(b *strings.Builder, hash string) {
	b.WriteString("\n# The mailbox, and who may use it from here.\naccounts:\n")
	fmt.Fprintf(b, "  - mailbox: %q\n    app: oauthproxy\n", s.mailbox())
	if s.SignInAs != "" {
		fmt.Fprintf(b, "    sign_in_as: %q\n", s.SignInAs)
	}
	if s.Access.HasPerson() {
		fmt.Fprintf(b, "    # Sign in once, with: %s\n", tokens.CommandLine("login", s.mailbox()))
	}
	fmt.Fprintf(b, "    logins:\n      - user: %q\n        # Another password: oauthproxy passwd makes the line.\n        password_hash: %q\n", s.user, hash)
	if s.isDevice {
		fmt.Fprintf(b, "        protocols: [%s]\n        # Messages are repaired where something is missing, and come from the mailbox.\n        device: true\n", strings.Join(s.Protocols, ", "))
		if s.sends() {
			b.WriteString("        sender: mailbox\n")
		}
	}
}
