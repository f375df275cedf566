package tokens

import (
	"crypto/sha256"
	"sync"

	"oauthproxy/internal/wire"
)

// CertificateLoader returns LoadCertificate of the files as a function for
// App. Each call looks at the files; what is in them is decrypted again only
// after a change, because that takes milliseconds, and thousands of accounts
// may be of one app.
func CertificateLoader(file, keyFile string, password func() (wire.Secret, error)) func() (Certificate, error) {
	l := &certificateLoader{file: file, keyFile: keyFile, password: password}
	return l.load
}

type certificateLoader struct {
	file, keyFile string
	password      func() (wire.Secret, error)

	mu          sync.Mutex
	seen        [sha256.Size]byte // what the last result was made of
	certificate Certificate
	err         error
}

func (l *certificateLoader) load() (Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, err := l.look()
	if err != nil || now != l.seen {
		l.certificate, l.err = LoadCertificate(l.file, l.keyFile, l.password)
		l.seen = now
	}
	return l.certificate, l.err
}

// look returns a sum of all that the result is made of. If that changes before
// it is loaded, the next look sees another sum. An error is LoadCertificate's
// to tell.
func (l *certificateLoader) look() (sum [sha256.Size]byte, err error) {
	all := sha256.New()
	for _, name := range []string{l.file, l.keyFile} {
		if name == "" {
			continue
		}
		data, err := readBounded(name)
		if err != nil {
			return sum, err
		}
		part := sha256.Sum256(data)
		_, _ = all.Write(part[:])
	}
	if l.password != nil {
		password, err := l.password()
		if err != nil {
			return sum, err
		}
		_, _ = all.Write([]byte(password.Reveal()))
	}
	return [sha256.Size]byte(all.Sum(nil)), nil
}
