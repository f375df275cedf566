package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"

	"oauthproxy/internal/sandbox"
)

// TestHealthyNetwork: where nothing is wrong nothing is told to be.
func TestHealthyNetwork(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{IMAPStartTLSAddress: "127.0.0.1:0", POP3StartTLSAddress: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.CAPEM()) {
		t.Fatal("the sandbox has no root")
	}
	account := Account{
		Mailbox: "alice@contoso.com", Authority: s.Authority(), Cloud: "worldwide",
		Hosts: []Host{
			{Protocol: "imap", Address: s.IMAP(), Implicit: true},
			{Protocol: "imap", Address: s.IMAPStartTLS()},
			{Protocol: "pop3", Address: s.POP3(), Implicit: true},
			{Protocol: "pop3", Address: s.POP3StartTLS()},
			{Protocol: "smtp", Address: s.SMTP()},
		},
	}
	n := new(notes)
	e := newExamination(Plan{
		Accounts: []Account{account}, TLS: &tls.Config{RootCAs: roots},
		HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
	}, n)
	e.network(t.Context())
	e.entra(t.Context())
	for _, f := range n.found {
		if f.Status != OK {
			t.Errorf("%+v", f)
		}
		t.Logf("%s %s: %s", f.Probe, f.Subject, f.Seen)
	}
	for probe, want := range map[string]int{"tcp": 6, "tls": 6, "entra": 1, "clock": 1} {
		if got := len(n.of(probe)); got != want {
			t.Errorf("%d findings of %s, want %d", got, probe, want)
		}
	}
}
