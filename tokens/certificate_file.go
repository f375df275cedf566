package tokens

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"

	"oauthproxy/internal/wire"
)

// maxCertificateFile bounds what is read; a chain has a few thousand bytes.
const maxCertificateFile = 1 << 20

var (
	errWrongPassword = errors.New("the password doesn't open it: check certificate_password_file")
	errNoPassword    = errors.New("it is encrypted: put its password into a file, and that file's name into certificate_password_file")
)

// LoadCertificate reads a certificate with its RSA key: from one PEM or PFX
// (PKCS #12) file, or with the key in a PEM file of its own. password is asked
// only where something is encrypted; nil means that there is none. Errors name
// the file, and never hold the password.
func LoadCertificate(file, keyFile string, password func() (wire.Secret, error)) (Certificate, error) {
	data, err := readBounded(file)
	if err != nil {
		return Certificate{}, err
	}
	if !isPEM(data) {
		certificate, err := parsePFX(data, password)
		return certificate, inFile(file, err)
	}
	chain, key, err := parsePEM(data, password)
	if err != nil {
		return Certificate{}, inFile(file, err)
	}
	if keyFile != "" {
		if key, err = loadKey(keyFile, password); err != nil {
			return Certificate{}, err
		}
	}
	switch {
	case len(chain) == 0:
		return Certificate{}, inFile(file, errors.New("it holds no certificate"))
	case key == nil:
		return Certificate{}, inFile(file, errors.New("it holds no private key: add the key, or set key_file"))
	}
	certificate, err := newCertificate(chain, key)
	return certificate, inFile(file, err)
}

func loadKey(file string, password func() (wire.Secret, error)) (any, error) {
	data, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	_, key, err := parsePEM(data, password)
	if err == nil && key == nil {
		err = errors.New("it holds no private key in PEM form")
	}
	return key, inFile(file, err)
}

func inFile(file string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", file, err)
}

func readBounded(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxCertificateFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxCertificateFile {
		return nil, inFile(name, errors.New("it is too large for a certificate"))
	}
	return data, nil
}

func isPEM(data []byte) bool { return bytes.Contains(data, []byte("-----BEGIN ")) }

// reveal asks for the password; without one, what is encrypted can't be read.
func reveal(password func() (wire.Secret, error)) (string, error) {
	if password == nil {
		return "", errNoPassword
	}
	secret, err := password()
	if err != nil {
		return "", fmt.Errorf("its password can't be read: %w", err)
	}
	return secret.Reveal(), nil
}

// parsePFX reads PKCS #12. Such a file is always encrypted, perhaps with an
// empty password.
func parsePFX(data []byte, password func() (wire.Secret, error)) (Certificate, error) {
	if err := checkEffort(data); err != nil {
		return Certificate{}, err
	}
	text := ""
	if password != nil {
		var err error
		if text, err = reveal(password); err != nil {
			return Certificate{}, err
		}
	}
	key, leaf, rest, err := pkcs12.DecodeChain(data, text)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && text == "":
		return Certificate{}, errNoPassword
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return Certificate{}, errWrongPassword
	case err != nil:
		return Certificate{}, errors.New("it is neither PEM nor a PFX file with one certificate and its key")
	}
	return newCertificate(append([]*x509.Certificate{leaf}, rest...), key)
}

// parsePEM returns all certificates and the first private key.
func parsePEM(data []byte, password func() (wire.Secret, error)) (chain []*x509.Certificate, key any, err error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, errors.New("a certificate in it is damaged")
			}
			chain = append(chain, certificate)
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
			if key != nil {
				return nil, nil, errors.New("it holds more than one private key")
			}
			if key, err = parseKey(block, password); err != nil {
				return nil, nil, err
			}
		}
	}
	return chain, key, nil
}

func parseKey(block *pem.Block, password func() (wire.Secret, error)) (any, error) {
	der := block.Bytes
	//lint:ignore SA1019 weak as it is, old tools write keys in this form, and the file's owner has no other
	if block.Type == "ENCRYPTED PRIVATE KEY" || x509.IsEncryptedPEMBlock(block) {
		text, err := reveal(password)
		if err != nil {
			return nil, err
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" {
			return decryptPKCS8(der, text)
		}
		//lint:ignore SA1019 as above
		if der, err = x509.DecryptPEMBlock(block, []byte(text)); err != nil {
			return nil, errWrongPassword
		}
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(der)
	default:
		key, err = x509.ParsePKCS8PrivateKey(der)
	}
	if err != nil {
		return nil, errors.New("the private key in it is damaged")
	}
	return key, nil
}

// decryptPKCS8 reads an encrypted PKCS #8 key (RFC 5958, RFC 8018). The
// library panics on some damaged parameters, which must not end the program.
func decryptPKCS8(der []byte, password string) (key any, err error) {
	defer func() {
		if recover() != nil {
			key, err = nil, errors.New("the private key in it is damaged")
		}
	}()
	if password == "" {
		return nil, errNoPassword
	}
	if err := checkEffort(der); err != nil {
		return nil, err
	}
	key, _, err = pkcs8.ParsePrivateKey(der, []byte(password))
	if err != nil && err.Error() == "pkcs8: incorrect password" {
		return nil, errWrongPassword
	}
	if err != nil {
		return nil, fmt.Errorf("the private key in it can't be decrypted (%w): encrypt it with AES and PBKDF2, as OpenSSL does", err)
	}
	return key, nil
}
