package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strings"

	"oauthproxy/config"
	"oauthproxy/internal/certificate"
)

// printRoot prints the root of the certificates made here, for clients, and
// tells where to install it. It makes the authority where there is none yet.
func printRoot(ctx context.Context, args []string, u *ui) int {
	o := newOptions("certificate", u)
	if _, status, ok := o.parse(args, 0); !ok {
		return status
	}
	listeners, state, status := o.listeners()
	if status != exitWell {
		return status
	}
	authority, err := certificate.OpenAuthority(state, hostName())
	if err != nil {
		return u.failAuthority(err)
	}
	u.result("%s", strings.TrimSpace(string(authority.RootPEM())))
	u.say("this is the root of the certificates that oauthproxy makes; it has no key in it")
	u.say("SHA-256 fingerprint: %s", certificate.Fingerprint(authority.Root))
	u.say("good until: %s", authority.Root.NotAfter.UTC().Format("2006-01-02"))
	for _, line := range installation {
		u.say("%s", line)
	}
	return u.certificates(authority, listeners)
}

// installation tells how clients come to trust the root.
var installation = []string{
	"save it as oauthproxy.crt and install it where clients run:",
	"  Windows:         certutil -addstore Root oauthproxy.crt   (as administrator)",
	"  macOS:           sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain oauthproxy.crt",
	"  Debian, Ubuntu:  sudo cp oauthproxy.crt /usr/local/share/ca-certificates/ && sudo update-ca-certificates",
	"  Fedora, RHEL:    sudo cp oauthproxy.crt /etc/pki/ca-trust/source/anchors/ && sudo update-ca-trust",
	"  Thunderbird:     Settings, Privacy & Security, Manage Certificates, Authorities, Import; trust it for websites",
	"  Android:         Settings, search for CA certificate, install it from the file",
	"  iOS:             open the file, Settings, Profile Downloaded; then General, About, Certificate Trust Settings",
	"  a device:        its web page, under Security or Certificates; many accept any certificate",
}

// listeners reads the listeners of the configuration and the state directory,
// without the secrets that the rest names and that may be for the service alone.
func (o *options) listeners() (all []config.Listener, state string, status int) {
	file, status := o.file()
	if status != exitWell {
		return nil, "", status
	}
	all, state, err := config.FindListeners(file)
	if err == nil && state == "" {
		err = errors.New("the configuration tells no state directory: check it with oauthproxy serve")
	}
	if err != nil {
		o.ui.say("%v", err)
		return nil, "", exitConfig
	}
	return all, state, exitWell
}

// certificates tells what each listener's certificate is for.
func (u *ui) certificates(authority *certificate.Authority, listeners []config.Listener) int {
	issues := false
	for _, l := range listeners {
		if !l.IssuesCertificate() {
			continue
		}
		issues = true
		issued, err := authority.Issue(l.Address, listenerNames(l), slog.New(slog.DiscardHandler))
		if err != nil {
			return u.failAuthority(err)
		}
		u.say("the certificate of the %s listener %s is for: %s", l.Protocol, l.Address, strings.Join(issued.Names(), ", "))
	}
	if !issues {
		u.say("no listener has such a certificate: one with tls, and without certificate_file, does")
		return exitWell
	}
	u.hint("to add names, list them in the listener's names and restart oauthproxy")
	return exitWell
}

// failAuthority tells why the authority can't be used.
func (u *ui) failAuthority(err error) int {
	u.fail(err)
	if errors.Is(err, fs.ErrPermission) {
		u.hint("the state directory belongs to the service: run this as root, or as the user that the service runs as")
	}
	return exitFailed
}
