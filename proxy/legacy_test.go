package proxy_test

import (
	"bufio"
	"crypto/tls"
	"testing"

	"oauthproxy/internal/script/stage"
	"oauthproxy/proxy/pop3"
)

// TestLegacyClients: whoever needs old TLS is counted and logged, and nobody
// else.
func TestLegacyClients(t *testing.T) {
	s := stage.New(t, pop3.Protocol{}, stage.Options{"listener": "implicit"})
	s.About.Certificate.MinVersion = tls.VersionTLS10
	for _, newest := range []uint16{tls.VersionTLS13, tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS11} {
		config := s.ClientTLS.Clone()
		config.MinVersion, config.MaxVersion = newest, newest
		conn := tls.Client(stageClient(t, s).Conn, config)
		c := &client{Conn: conn, in: bufio.NewReader(conn)}
		c.hear(t, "+OK ")
		c.say(t, "QUIT\r\n")
		c.hear(t, "+OK ")
	}
	all := s.Server.LegacyClients()
	if len(all) != 1 || all[0].Address.String() != "127.0.0.1" || all[0].Sessions != 2 || all[0].Version != "TLS 1.1" ||
		all[0].Suite != "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" || all[0].Last.IsZero() {
		t.Errorf("got %+v", all)
	}
	if n := s.Server.Figures()[0].LegacyTLS; n != 2 {
		t.Errorf("%d sessions are counted", n)
	}
	s.Shutdown(false)
	for _, version := range []string{"TLS 1.0", "TLS 1.1"} {
		if !hasLine(s.Log.String(), []string{"level=INFO", `msg="legacy TLS"`, "client=127.0.0.1", `tls="` + version + `"`, "tls_suite="}) {
			t.Errorf("no line about %s", version)
		}
	}
}
