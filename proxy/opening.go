package proxy

import (
	"bytes"
	"slices"
)

// opening is what the first bytes of a connection tell of the client.
type opening int

const (
	unclear  opening = iota // more has to come
	mail                    // nothing that a mail client couldn't say
	tlsHello                // a TLS handshake begins
	sslHello                // that of SSL 2.0, or a newer one in its form
	http                    // a request
)

// requests are how HTTP begins: RFC 9110 section 9.3, RFC 5789, and RFC 9113
// section 3.4.
var requests = [][]byte{
	[]byte("GET "), []byte("HEAD "), []byte("POST "), []byte("PUT "), []byte("DELETE "), []byte("CONNECT "),
	[]byte("OPTIONS "), []byte("TRACE "), []byte("PATCH "), []byte("PRI "),
}

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

// recognizeHTTP finds a request by its whole line: IMAP lets a client use any
// word for a tag, GET too.
func recognizeHTTP(first []byte) opening {
	begins := func(request []byte) bool {
		n := min(len(first), len(request))
		return bytes.Equal(first[:n], request[:n])
	}
	if !slices.ContainsFunc(requests, begins) {
		return mail
	}
	line, _, whole := bytes.Cut(first[:min(len(first), maxRequest)], []byte{'\n'})
	switch {
	case whole && bytes.Contains(line, []byte(" HTTP/")):
		return http
	case whole, len(first) >= maxRequest:
		return mail
	}
	return unclear
}
