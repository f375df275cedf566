package pop3

import (
	"bytes"
	"strings"

	"oauthproxy/internal/sasl"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
)

// maxUpstreamLine bounds a line of the upstream before the relay. RFC 1939
// section 3 allows 512 octets.
const maxUpstreamLine = 4096

// Prepare reads the greeting and, with startTLS, comes to TLS.
func (d *dialogue) Prepare(up *wire.Conn, startTLS func() error) error {
	greeting, err := read(up)
	if err != nil {
		return err
	}
	if !isPositive(greeting) {
		return refusal("greeting", greeting, proxy.UpstreamUnreachable)
	}
	if startTLS == nil {
		return nil
	}
	up.Printf("STLS")
	reply, err := read(up)
	if err != nil {
		return err
	}
	if !isPositive(reply) {
		return refusal("reply to STLS", reply, proxy.UpstreamRefused)
	}
	return startTLS()
}

// LogIn authenticates in two steps: Exchange closes the connection on the
// one-line form (reported since 2020: "-ERR Protocol error. Connection is
// closed. 10"). With a token of more than about 4,096 characters it does so
// anyway (reported since 2025-07).
func (d *dialogue) LogIn(up *wire.Conn, user string, token wire.Secret) error {
	blob, err := sasl.XOAUTH2(user, token)
	if err != nil {
		return &proxy.Failure{Kind: proxy.TokenUnavailable, Cause: err}
	}
	up.Printf("AUTH XOAUTH2")
	reply, err := read(up)
	if err != nil {
		return err
	}
	if isPositive(reply) {
		return proxy.Fail(proxy.UpstreamProtocol, "a yes before the token was sent: %s", proxy.Sanitize(reply))
	}
	if isContinuation(reply) {
		up.PrintSecret(blob)
		if reply, err = read(up); err != nil {
			return err
		}
	}
	if isContinuation(reply) {
		// A refusal in the mechanism's own form: an error in base64 JSON,
		// to be answered by an empty line. Exchange refuses directly.
		up.Printf("")
		if reply, err = read(up); err != nil {
			return err
		}
	}
	if isPositive(reply) {
		return nil
	}
	f := refusal("reply to AUTH", reply, proxy.UpstreamRefused)
	if f.Remedy.IsZero() {
		// RFC 3206: a [SYS/...] refusal is the server's trouble, not the token's.
		f.Generic = f.Kind == proxy.UpstreamRefused && f.RetryAfter == 0 && !bytes.Contains(reply, []byte("[SYS/"))
	}
	return f
}

func read(up *wire.Conn) ([]byte, error) {
	line, err := up.ReadLine(maxUpstreamLine)
	if err != nil {
		return nil, err
	}
	up.TraceHeard(string(line))
	return bytes.Clone(line), nil
}

func isContinuation(line []byte) bool {
	return string(line) == "+" || bytes.HasPrefix(line, []byte("+ "))
}

// refusal turns the upstream's no into a Failure of the kind, and what is
// neither yes nor no into one about the protocol.
func refusal(what string, line []byte, kind proxy.Kind) *proxy.Failure {
	if !bytes.HasPrefix(line, []byte("-ERR")) {
		return proxy.Fail(proxy.UpstreamProtocol, "unexpected %s: %s", what, proxy.Sanitize(line))
	}
	f := proxy.Fail(kind, "Exchange said: %s", proxy.Sanitize(line))
	f.RetryAfter = proxy.Backoff(string(line))
	f.Explain("pop3", string(line))
	return f
}

// lastWords are those of Exchange in a session that it has ended. The lines of
// a message look like replies, and to tell them apart one would have to follow
// the commands too: none is repeated, and none decides anything. After QUIT,
// which this can't see, a yes is usual.
type lastWords struct{ proxy.Tail }

// Why implements [proxy.LastWords].
func (*lastWords) Why(lines []string) *proxy.Failure {
	if len(lines) == 0 {
		return proxy.Lose("in the middle of a line, or without a word")
	}
	last := lines[len(lines)-1]
	switch {
	case strings.HasPrefix(last, "-ERR"):
		return proxy.Lose("behind a refusal, or within a message: the log of the mail program tells which")
	case isPositive([]byte(last)):
		return nil
	}
	return proxy.Lose("without saying why")
}
