package proxy

import (
	"slices"
	"strings"
	"testing"
)

func TestRecognize(t *testing.T) {
	tests := []struct {
		name, first string
		want        opening
	}{
		{"nothing yet", "", unclear},
		{"TLS", "\x16\x03\x01\x02\x00\x01", tlsHello},
		{"its first byte", "\x16", tlsHello},
		{"SSL 2.0", "\x80\x2e\x01\x00\x02\x00\x15", sslHello},
		{"TLS 1.0 in the form of SSL 2.0", "\x80\x2e\x01\x03\x01\x00\x15", sslHello},
		{"a longer one", "\x81\x03\x01\x03\x01", sslHello},
		{"half of one", "\x80\x2e\x01", unclear},
		{"Latin-1", "\xe9t\xe9 LOGIN", mail},
		{"UTF-8", "\xc3\xa9\x01\x41", mail},
		{"one letter in Latin-1", "\xe9\n", mail},
		{"GET", "GET / HTTP/1.1\r\n", http},
		{"the proxy form", "CONNECT mail.example:25 HTTP/1.1\r\n", http},
		{"HTTP/2", "PRI * HTTP/2.0\r\n", http},
		{"any method", "PROPFIND /folder HTTP/1.1\r\n", http},
		{"a method with a hyphen", "VERSION-CONTROL / HTTP/1.1\r\n", http},
		{"to a proxy", "GET http://mail.example/ HTTP/1.1\r\n", http},
		{"to all of it", "OPTIONS * HTTP/1.1\r\n", http},
		{"before HTTP had versions", "GET /\r\n", http},
		{"half a request", "POST /", unclear},
		{"half a method", "OPT", unclear},
		{"a request without end", "GET /" + strings.Repeat("x", maxRequest), mail},
		{"a tag", "GET LOGIN alice secret\r\n", mail},
		{"a tag and a path", "PUT /\r\n", mail},
		{"half a command", "EHLO l", mail},
		{"half a word", "EHL", unclear},
		{"a login like a request", "A LOGIN /x \"y HTTP/1.1\"\r\n", mail},
		{"a user like a path", "USER /x\r\n", mail},
		{"a longer word", "GETTING\r\n", mail},
		{"lower case", "get / http/1.1\r\n", mail},
		{"SMTP", "EHLO laptop\r\n", mail},
		{"POP3", "CAPA\r\n", mail},
		{"IMAP", "a1 CAPABILITY\r\n", mail},
		{"an empty line", "\r\n", mail},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := recognize([]byte(test.first)); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// FuzzRecognize: what has been told once stays, however the bytes arrive, and
// no client is waited for that has said a line, or enough.
func FuzzRecognize(f *testing.F) {
	for _, seed := range []string{"\x16\x03\x01", "\x80\x2e\x01\x03\x01", "GET / HTTP/1.1\r\n", "EHLO laptop\r\n", "a1 NOOP\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, first []byte) {
		told := unclear
		for n := range len(first) + 1 {
			now := recognize(first[:n])
			if told != unclear && now != told {
				t.Fatalf("%q is %d, and with one more byte %d", first[:n-1], told, now)
			}
			told = now
		}
		if told == unclear && (len(first) >= maxRequest || slices.Contains(first, '\n')) {
			t.Fatalf("%q is waited on", first)
		}
	})
}
