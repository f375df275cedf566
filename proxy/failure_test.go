package proxy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

// Every kind has a name for the log and a sentence for the client; the
// connection ends where the failure list says so.
func TestKinds(t *testing.T) {
	if len(kinds) != int(Internal) {
		t.Errorf("%d kinds are described, there are %d", len(kinds), int(Internal))
	}
	ends := map[Kind]bool{TooManyAttempts: true, ShuttingDown: true, Busy: true}
	for kind := BadCredentials; kind <= Internal; kind++ {
		f := &Failure{Kind: kind}
		if kind.String() == "" || f.Error() != kind.String() {
			t.Errorf("kind %d has no name", kind)
		}
		sentence := f.Sentence("7Q3F")
		if !strings.HasSuffix(sentence, " (session 7Q3F)") || len(sentence) < 30 || strings.ContainsAny(sentence, "\r\n") {
			t.Errorf("%s: the client is told %q", kind, sentence)
		}
		if f.Ends() != ends[kind] {
			t.Errorf("%s: Ends = %v", kind, f.Ends())
		}
	}
}

func TestFailure(t *testing.T) {
	cause := errors.New("HTTP 503")
	f := &Failure{Kind: TokenUnavailable, Text: "try again", Cause: cause}
	if got := f.Sentence("X"); got != "try again (session X)" {
		t.Errorf("Sentence = %q", got)
	}
	if f.Error() != "token unavailable: HTTP 503" || !errors.Is(f, cause) {
		t.Errorf("Error = %q", f)
	}
	if got := AsFailure(fmt.Errorf("while logging in: %w", f)); got != f {
		t.Errorf("AsFailure of a wrapped failure = %v", got)
	}
	if got := AsFailure(cause); got.Kind != Internal || !errors.Is(got, cause) {
		t.Errorf("AsFailure of another error = %v", got)
	}
	if strings.Contains(AsFailure(cause).Sentence("X"), "503") {
		t.Error("the client is told the cause")
	}
}

func TestSanitize(t *testing.T) {
	for text, want := range map[string]string{
		"250 ok":                 "250 ok",
		"":                       "",
		"a\r\nb\x00\x7f\xffc":    "a??b???c",
		"jürgen":                 "jürgen",
		strings.Repeat("x", 200): strings.Repeat("x", 200),
		strings.Repeat("ü", 900): strings.Repeat("ü", 200) + "…",
		strings.Repeat("x", 201): strings.Repeat("x", 200) + "…",
	} {
		if got := Sanitize([]byte(text)); got != want {
			t.Errorf("Sanitize(%.20q) = %.30q", text, got)
		}
	}
}

// What is known about a reply goes to the log, filled in for the account, and
// the client hears the sentence that fits.
func TestExplain(t *testing.T) {
	tests := []struct {
		name, protocol, reply, text, id, do string
	}{
		{"switched off", "smtp", "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
			"SMTP is switched off in Exchange for this mailbox: the administrator can allow it", "smtp-off-mailbox", "up to two hours"},
		{"in general words", "imap", "a NO AUTHENTICATE failed.",
			"Exchange refused the login to this mailbox, ask the administrator", "login-refused", "oauthproxy check"},
		{"unknown", "imap", "a NO something new", "Exchange refused the login to this mailbox, ask the administrator", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := Fail(UpstreamRefused, "Exchange said: %s", test.reply)
			f.Explain(test.protocol, test.reply)
			if got := f.Sentence("X"); got != test.text+" (session X)" {
				t.Errorf("the client is told %q", got)
			}
			attributes := fmt.Sprint(f.Attributes("alice@contoso.example")...)
			if !strings.HasSuffix(attributes, test.id) || !strings.Contains(attributes, test.do) || (test.id == "") != (attributes == "") {
				t.Errorf("the log has %s", attributes)
			}
			if got := f.forPeople("alice@contoso.example"); !strings.Contains(got, test.do) || !strings.Contains(got, "Exchange said: "+test.reply) {
				t.Errorf("accounts has %s", got)
			}
		})
	}
}

func TestExplainNetwork(t *testing.T) {
	tests := []struct {
		name string
		err  error
		text string
		id   string
	}{
		{"no such name", &net.DNSError{Name: "mail.example", IsNotFound: true}, "the mail server can't be reached, try again later", "name-unknown"},
		{"a certificate", x509.HostnameError{Certificate: &x509.Certificate{}}, "the mail server's certificate is not trusted, see the proxy's log", "server-certificate-name"},
		{"unknown", errors.New("something"), "the mail server can't be reached, try again later", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := Fail(UpstreamUnreachable, "dialing: %w", test.err).explain()
			if f.Sentence("X") != test.text+" (session X)" || f.Remedy.ID != test.id || strings.Contains(f.Remedy.Says, "{") {
				t.Errorf("%q, %+v", f.Sentence("X"), f.Remedy)
			}
		})
	}
}
