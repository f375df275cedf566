package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"oauthproxy/config"
	"oauthproxy/doctor"
)

// This file tells the doctor what there is of our own: ports, certificates and
// files.

// listeners are the ports, with the addresses that they really have.
func (x *examiner) listeners() []doctor.Listener {
	var (
		all  []doctor.Listener
		open = x.ports()
	)
	for i, l := range x.config.Listeners {
		about := doctor.Listener{Protocol: l.Protocol, Address: l.Address, TLS: l.TLS, Networks: l.Networks}
		if i < len(open) {
			about.Address = open[i].Addr().String()
		}
		for _, a := range x.config.Accounts {
			for _, login := range a.Logins {
				if login.User == "" && l.Protocol == config.SMTP {
					about.Devices = append(about.Devices, login.Networks...)
				}
			}
		}
		all = append(all, about)
	}
	return all
}

// ports are the open ones of the service, in the order of the configuration.
func (x *examiner) ports() []*port {
	if x.open == nil {
		return nil
	}
	return x.open()
}

// certificates are those of listeners and of the accounts' apps.
func (x *examiner) certificates(chosen []config.Account) []doctor.Certificate {
	var (
		all  []doctor.Certificate
		open = x.ports()
	)
	for i, l := range x.config.Listeners {
		if l.TLS == config.None {
			continue
		}
		what := fmt.Sprintf("the certificate of the %s listener %s", l.Protocol, l.Address)
		switch {
		case i < len(open):
			all = append(all, doctor.Certificate{What: what, Load: func() ([]*x509.Certificate, error) {
				return presented(open[i].shared.About().Certificate)
			}})
		case !l.IssuesCertificate():
			all = append(all, doctor.Certificate{What: what, Load: func() ([]*x509.Certificate, error) {
				pair, err := tls.LoadX509KeyPair(l.CertificateFile, l.KeyFile)
				return chain(&pair, err)
			}})
		}
	}
	seen := make(map[string]bool)
	for _, a := range chosen {
		app := x.config.Apps[a.App]
		if app.CertificateFile == "" || seen[a.App] {
			continue
		}
		seen[a.App] = true
		load := tokenApp(app).Certificate
		all = append(all, doctor.Certificate{What: "the certificate of the app " + a.App, ClientID: app.ClientID, Load: func() ([]*x509.Certificate, error) {
			certificate, err := load()
			if err != nil {
				return nil, err
			}
			return certificate.Chain(), nil
		}})
	}
	return all
}

// presented is what a listener shows to a client that names no host.
func presented(t *tls.Config) ([]*x509.Certificate, error) {
	pair, err := t.GetCertificate(&tls.ClientHelloInfo{})
	return chain(pair, err)
}

func chain(pair *tls.Certificate, err error) ([]*x509.Certificate, error) {
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for _, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("there is none")
	}
	return all, nil
}

// files are those that the configuration names, and itself.
func files(c *config.Config) []doctor.File {
	all := []doctor.File{{Name: c.File, What: "the configuration"}}
	add := func(name, what string, isSecret bool) {
		if name != "" && !slices.ContainsFunc(all, func(f doctor.File) bool { return f.Name == name }) {
			all = append(all, doctor.File{Name: name, What: what, IsSecret: isSecret})
		}
	}
	for _, a := range c.Accounts {
		app := c.Apps[a.App]
		add(app.ClientSecretFile, "the client secret of the app "+a.App, true)
		add(app.CertificateFile, "the certificate of the app "+a.App, app.KeyFile == "")
		add(app.KeyFile, "the key of the app "+a.App, true)
		add(app.CertificatePasswordFile, "the password of the certificate of the app "+a.App, true)
		add(app.FederatedTokenFile, "the workload's token of the app "+a.App, true)
	}
	for _, l := range c.Listeners {
		add(l.CertificateFile, "the certificate of the listener "+l.Address, false)
		add(l.KeyFile, "the key of the listener "+l.Address, true)
	}
	add(c.Store.KeyFile, "the key of the store", true)
	add(c.Upstream.CAFile, "the roots in upstream.ca_file", false)
	return append(all, doctor.File{Name: c.StateDirectory, What: "the state directory", IsSecret: true, IsFolder: true})
}
