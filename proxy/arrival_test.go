package proxy_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/script/stage"
	"oauthproxy/proxy"
	"oauthproxy/proxy/pop3"
)

const (
	helloTLS = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	helloSSL = "\x80\x2e\x01\x03\x01\x00\x15\x00\x00"
	request  = "GET / HTTP/1.1\r\nHost: proxy.example\r\n\r\n"
)

// TestWrongPort: a client that speaks something else than its port is let go
// at once, and the log tells what to change.
func TestWrongPort(t *testing.T) {
	tests := []struct {
		listener, says, cause, next string
		greeted                     bool
	}{
		{"none", helloTLS, "begins with TLS, and this port has none", "switch SSL/TLS off", true},
		{"starttls", helloTLS, "begins with TLS, and this port greets in clear", "choose STARTTLS", true},
		{"implicit", "CAPA\r\n", "speaks without TLS", "choose SSL/TLS", false},
		{"implicit", helloSSL, "SSL 2.0", "TLS 1.0 or newer", false},
		{"implicit", request, "speaks HTTP", "has this port by mistake", false},
		{"auto", helloSSL, "SSL 2.0", "TLS 1.0 or newer", false},
		{"auto", request, "speaks HTTP", "has this port by mistake", false},
		{"starttls", helloSSL, "SSL 2.0", "TLS 1.0 or newer", true},
		{"none", request, "speaks HTTP", "has this port by mistake", true},
	}
	for _, test := range tests {
		t.Run(test.listener+" "+test.cause, func(t *testing.T) {
			t.Parallel()
			s := stage.New(t, pop3.Protocol{}, stage.Options{"listener": test.listener})
			c := stageClient(t, s)
			if test.greeted {
				c.hear(t, "+OK ")
			}
			c.say(t, test.says)
			c.hearEnd(t) // an end, not a reset
			_ = c.Close()
			s.Shutdown(false)
			log := s.Log.String()
			if !hasLine(log, []string{"level=WARN", `msg="connection refused"`, "client=127.0.0.1", "listener=" + s.About.Address, "tls_mode=" + test.listener, test.cause, test.next}) {
				t.Error("the log has no such line")
			}
			if strings.Count(log, "level=WARN") != 1 {
				t.Error("the log has more than one warning")
			}
		})
	}
}

// TestHTTPWithinTLS: a browser that was told https.
func TestHTTPWithinTLS(t *testing.T) {
	s := stage.New(t, pop3.Protocol{}, stage.Options{"listener": "implicit"})
	conn := tls.Client(stageClient(t, s).Conn, s.ClientTLS)
	c := &client{Conn: conn, in: bufio.NewReader(conn)}
	c.hear(t, "+OK ")
	c.say(t, request)
	c.hearEnd(t)
	s.Shutdown(false)
	if !hasLine(s.Log.String(), []string{"level=WARN", "speaks HTTP"}) {
		t.Error("the log has no such line")
	}
}

// TestWaitsForAGreeting: a client without TLS waits where TLS comes first, and
// so do we; its administrator is told what that means.
func TestWaitsForAGreeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, bare{}, nil)
		b.listener.TLS = proxy.TLSImplicit
		start := time.Now()
		c := b.connect(t)
		c.hearEnd(t)
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("took %v", took)
		}
		b.stop()
		if !hasLine(b.log.String(), []string{"level=WARN", "has said nothing for 20s", "choose SSL/TLS"}) {
			t.Errorf("the log has no such line:\n%s", b.log.String())
		}
	})
}

// TestSlowTLS: a client that begins TLS when it has been greeted in clear.
func TestSlowTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, bare{}, nil)
		b.listener.TLS = proxy.TLSAuto
		start := time.Now()
		c := b.connect(t)
		c.hear(t, "ready")
		if took := time.Since(start); took != 500*time.Millisecond {
			t.Errorf("greeted after %v", took)
		}
		c.say(t, helloTLS)
		c.hearEnd(t)
		b.stop()
		if !hasLine(b.log.String(), []string{"level=WARN", "more than 500ms after it connected", "choose STARTTLS"}) {
			t.Errorf("the log has no such line:\n%s", b.log.String())
		}
	})
}

// TestAdviceIsRare: a scanner of ports gets a line every five minutes, which
// tells how often it came.
func TestAdviceIsRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, bare{}, nil)
		scan := func(times int) {
			for range times {
				c := b.connect(t)
				c.hear(t, "ready")
				c.say(t, helloTLS)
				c.hearEnd(t)
			}
		}
		scan(1000)
		time.Sleep(5*time.Minute + time.Second)
		scan(10)
		b.stop()
		log := b.log.String()
		if n := strings.Count(log, "level=WARN"); n != 2 {
			t.Errorf("%d warnings, want 2", n)
		}
		if !hasLine(log, []string{"level=WARN", "times=999"}) {
			t.Errorf("the log doesn't tell how often:\n%s", log)
		}
	})
}

// TestSSL2AfterSTARTTLS: the hello may come late.
func TestSSL2AfterSTARTTLS(t *testing.T) {
	s := stage.New(t, pop3.Protocol{}, stage.Options{"listener": "starttls"})
	c := stageClient(t, s)
	c.hear(t, "+OK ")
	c.say(t, "STLS\r\n")
	c.hear(t, "+OK ")
	c.say(t, helloSSL)
	_, _ = io.Copy(io.Discard, c.Conn) // until the proxy has understood
	s.Shutdown(false)
	if !hasLine(s.Log.String(), []string{"level=WARN", `msg="connection refused"`, "SSL 2.0"}) {
		t.Error("the log has no such line")
	}
}

// TestHandshakeAdvice: a handshake that fails for a reason that somebody can do
// something about.
func TestHandshakeAdvice(t *testing.T) {
	tests := []struct {
		name, cause, next string
		change            func(server, client *tls.Config)
	}{
		{"old version", "TLS is too old", "legacy_tls: true", func(_, client *tls.Config) { client.MinVersion, client.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }},
		{"old suite", "TLS is too old", "legacy_tls: true", func(_, client *tls.Config) {
			client.MaxVersion, client.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		}},
		{"another kind of key", "no kind of key", "certificates with RSA keys", func(_, client *tls.Config) {
			client.MaxVersion, client.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
		}},
		{"another curve, TLS 1.2", "no elliptic curve", "the curve P-256", func(server, client *tls.Config) {
			server.CurvePreferences, client.CurvePreferences = []tls.CurveID{tls.CurveP256}, []tls.CurveID{tls.CurveP521}
			client.MaxVersion = tls.VersionTLS12
		}},
		{"another curve, TLS 1.3", "no elliptic curve", "the curve P-256", func(server, client *tls.Config) {
			server.CurvePreferences, client.CurvePreferences = []tls.CurveID{tls.CurveP256}, []tls.CurveID{tls.CurveP521}
		}},
		{"too old for anything", "even for legacy_tls", "tls: none", func(server, client *tls.Config) {
			server.MinVersion = tls.VersionTLS10
			client.MaxVersion, client.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}
		}},
		{"no root, TLS 1.3", "refuses the certificate", "oauthproxy certificate", func(_, client *tls.Config) { client.RootCAs = nil }},
		{"no root, TLS 1.2", "refuses the certificate", "oauthproxy certificate", func(_, client *tls.Config) { client.RootCAs, client.MaxVersion = nil, tls.VersionTLS12 }},
		{"another name", "refuses the certificate", "a name that the certificate has", func(_, client *tls.Config) { client.ServerName = "mail.example" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := stage.New(t, pop3.Protocol{}, stage.Options{"listener": "implicit"})
			s.About.Certificate.MinVersion = tls.VersionTLS12
			test.change(s.About.Certificate, s.ClientTLS)
			c := stageClient(t, s)
			if err := tls.Client(c.Conn, s.ClientTLS).Handshake(); err == nil {
				t.Fatal("the handshake succeeds")
			}
			_, _ = io.Copy(io.Discard, c.Conn) // until the proxy has understood
			s.Shutdown(false)
			if !hasLine(s.Log.String(), []string{"level=WARN", `msg="connection refused"`, test.cause, test.next}) {
				t.Error("the log has no such line")
			}
		})
	}
}

// plainAlert is a connection on which a client's refusal goes as OpenSSL sends
// it, not encrypted: the second thing that the client says becomes an alert.
type plainAlert struct {
	net.Conn
	said int
}

func (c *plainAlert) Write(p []byte) (int, error) {
	c.said++
	if c.said == 2 {
		_, err := c.Conn.Write([]byte("\x15\x03\x03\x00\x02\x02\x30")) // fatal, unknown_ca
		return len(p), err
	}
	if c.said > 2 {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// TestRefusalInClear: crypto/tls takes an alert that isn't encrypted for a
// broken record.
func TestRefusalInClear(t *testing.T) {
	s := stage.New(t, pop3.Protocol{}, stage.Options{"listener": "implicit"})
	c := stageClient(t, s)
	s.ClientTLS.RootCAs = nil
	if err := tls.Client(&plainAlert{Conn: c.Conn}, s.ClientTLS).Handshake(); err == nil {
		t.Fatal("the handshake succeeds")
	}
	_, _ = io.Copy(io.Discard, c.Conn) // until the proxy has understood
	s.Shutdown(false)
	if !hasLine(s.Log.String(), []string{"level=WARN", `msg="connection refused"`, "most likely refuses the certificate", "bad record MAC", "oauthproxy certificate"}) {
		t.Error("the log has no such line")
	}
}
