package proxy

import "bytes"

// opening is what the first bytes of a connection tell of the client.
type opening int

const (
	unclear  opening = iota // more has to come
	mail                    // nothing that a mail client couldn't say
	tlsHello                // a TLS handshake begins
	sslHello                // that of SSL 2.0, or a newer one in its form
	http                    // a request
)

// maxRequest bounds what may have to come until a request is known as one.
const maxRequest = 2048

// recognize tells who speaks. More bytes never change what it has told, other
// than unclear.
func recognize(first []byte) opening {
	switch {
	case len(first) == 0:
		return unclear
	case first[0] == 0x16:
		return tlsHello // RFC 8446 section 5.1: ContentType; no command begins with a control character
	case first[0]&0x80 != 0:
		return recognizeSSL(first)
	}
	return recognizeHTTP(first)
}

// recognizeSSL finds the hello of RFC 5246 appendix E.2: a length with its
// highest bit set, 1, and the version, 0.2 or 3.n. Nothing else that begins
// with such a byte, as a letter in Latin-1 does, goes on like that.
func recognizeSSL(first []byte) opening {
	const version = 3
	switch {
	case len(first) > 2 && first[2] != 1, bytes.IndexByte(first[:min(len(first), 2)], '\n') >= 0:
		return mail
	case len(first) <= version:
		return unclear
	case first[version] == 3, first[version] == 0:
		return sslHello
	}
	return mail
}

// recognizeHTTP finds a request by its whole line, METHOD target HTTP/1.1 (RFC
// 9112 section 3), or GET /path alone as before 1.0: IMAP lets a client use any
// word for a tag, GET too.
func recognizeHTTP(first []byte) opening {
	line, _, whole := bytes.Cut(first[:min(len(first), maxRequest)], []byte{'\n'})
	method, rest, _ := bytes.Cut(line, []byte{' '})
	switch {
	case !mayBeMethod(method), len(rest) > 0 && !mayBeTarget(method, rest):
		return mail
	case whole && (bytes.Contains(rest, []byte(" HTTP/")) || string(method) == "GET" && len(rest) > 0 && rest[0] == '/'):
		return http
	case whole, len(first) >= maxRequest:
		return mail
	}
	return unclear
}

// mayBeMethod tells whether a word is a method of HTTP, or the beginning of
// one: they are many (RFC 4918 section 9), and all in capitals.
func mayBeMethod(word []byte) bool {
	return len(word) > 0 && !bytes.ContainsFunc(word, func(r rune) bool { return (r < 'A' || r > 'Z') && r != '-' })
}

// mayBeTarget tells whether what is behind the method can be a request's target
// (RFC 9112 section 3.2): a path, *, an address with a scheme, or host:port for
// CONNECT.
func mayBeTarget(method, rest []byte) bool {
	scheme := []byte("http")
	n := min(len(rest), len(scheme))
	return rest[0] == '/' || rest[0] == '*' || bytes.EqualFold(rest[:n], scheme[:n]) || string(method) == "CONNECT"
}
