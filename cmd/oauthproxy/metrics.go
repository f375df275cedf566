package main

import (
	"time"

	"oauthproxy/admin"
	"oauthproxy/config"
	"oauthproxy/tokens"
)

// openWeb opens the port for metrics and health, if there is to be one.
func (s *service) openWeb(c *config.Config) (err error) {
	if c.Admin.Address == "" {
		return nil
	}
	probes := admin.Probes{Live: s.live, Ready: s.ready, Metrics: admin.NewRegistry(s.figures)}
	if s.web, err = admin.ListenWeb(c.Admin.Address, probes, s.log); err != nil {
		return err
	}
	address := s.web.Addr().String()
	s.log.Info("listening", "protocol", "http", "address", address, "tls_mode", config.None)
	if !c.Admin.IsLoopback() {
		s.log.Warn("metrics and health can be read from the network, with the names of mailboxes", "address", address,
			"remedy", "see that a firewall keeps others out, or set admin.address to 127.0.0.1 and a port")
	}
	return nil
}

// figures are what the metrics tell.
func (s *service) figures() admin.Figures {
	s.mu.Lock()
	c := s.config
	s.mu.Unlock()
	health, _ := s.health()
	f := admin.Figures{
		Version:   currentRelease(),
		IsReady:   health.IsReady,
		Protocols: s.server.Figures(),
	}
	for _, t := range s.signIns.broker.Figures() {
		f.Accounts = append(f.Accounts, admin.AccountFigures{
			Token: t,
			Crowd: s.server.Crowd(t.Account, config.SMTP),
			Usage: s.recipients.ledger.Usage(t.Account),
		})
	}
	f.Certificates = append(s.portCertificates(), s.appCertificates(c)...)
	return f
}

func (s *service) portCertificates() (all []admin.Certificate) {
	for _, p := range s.openPortsNow() {
		tls := p.shared.About().Certificate
		if tls == nil {
			continue
		}
		if certificate, err := tls.GetCertificate(nil); err == nil {
			all = append(all, admin.Certificate{Of: "listener", Name: p.Addr().String(), Left: time.Until(certificate.Leaf.NotAfter)})
		}
	}
	return all
}

// appCertificates are those that applications prove themselves with. The first
// of an app's accounts tells.
func (s *service) appCertificates(c *config.Config) (all []admin.Certificate) {
	told := make(map[string]bool)
	for _, a := range c.Accounts {
		if told[a.App] || c.Apps[a.App].Flow != string(tokens.FlowCertificate) {
			continue
		}
		told[a.App] = true
		if status, _ := s.signIns.broker.Account(a.Mailbox); !status.CredentialExpires.IsZero() {
			all = append(all, admin.Certificate{Of: "app", Name: a.App, Left: time.Until(status.CredentialExpires)})
		}
	}
	return all
}
