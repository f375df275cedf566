package config

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"oauthproxy/internal/wire"
)

// maxExtraFile bounds a secret, a certificate or a file of roots, in bytes.
const maxExtraFile = 1 << 20

// ReadSecret reads a file that holds a secret and cuts one line end, which
// editors and echo leave there. An empty secret is an error.
func ReadSecret(file string) (wire.Secret, error) {
	data, err := readFile(file)
	if err != nil {
		return wire.Secret{}, err
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if secret == "" {
		return wire.Secret{}, fmt.Errorf("%s is empty", file)
	}
	return wire.NewSecret(secret), nil
}

// readFile reads a file that the configuration names.
func readFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("can't read %s: %w", file, cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("can't read %s: %w", file, cause(err))
	}
	defer f.Close()
	data, err := readBounded(f, maxExtraFile)
	if err != nil {
		return nil, fmt.Errorf("can't read %s: %w", file, cause(err))
	}
	return data, nil
}

// readBounded reads all of in, which may hold limit bytes.
func readBounded(in io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is larger than %d bytes", limit)
	}
	return data, err
}

// cause returns what an error of the file system says besides the name.
func cause(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// firstFile returns the first name that exists. A file that exists but can't
// be looked at counts, so that the reason gets told when it is read.
func firstFile(names ...string) (string, error) {
	for _, name := range names {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
	}
	return "", fmt.Errorf("no configuration found: there is no %s", strings.Join(names, " and no "))
}

// fileName returns the absolute name of the file that a key names, or "".
// $CREDENTIALS_DIRECTORY is where systemd puts the files of LoadCredential=;
// a relative name is looked for there first, then beside the configuration.
func (s *section) fileName(key string) string {
	name := s.text(key)
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	if folder := os.Getenv("CREDENTIALS_DIRECTORY"); folder != "" && filepath.IsLocal(name) {
		if credential := filepath.Join(folder, name); exists(credential) {
			return credential
		}
	}
	return filepath.Join(s.folder, name)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// certificate returns the files of a listener's certificate and key after
// loading them once. Old clients need a key for RSA.
func (s *section) certificate(needRSA bool) (certificateFile, keyFile string) {
	for _, key := range []string{"certificate_file", "key_file"} {
		s.required(key, "both certificate_file and key_file, in PEM; or neither, and oauthproxy makes a certificate")
	}
	certificateFile, keyFile = s.fileName("certificate_file"), s.fileName("key_file")
	certificate, ok := s.read("certificate_file", certificateFile)
	key, okay := s.read("key_file", keyFile)
	if !ok || !okay {
		return certificateFile, keyFile
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		s.report("certificate_file", "", "the certificate and its key can't be used: %s", strings.TrimPrefix(err.Error(), "tls: "))
		return certificateFile, keyFile
	}
	if _, isRSA := pair.PrivateKey.(*rsa.PrivateKey); needRSA && !isRSA {
		s.report("certificate_file", "use a certificate for an RSA key, or remove certificate_file and key_file: oauthproxy makes one then",
			"its key is not for RSA, which legacy_tls needs")
	}
	return certificateFile, keyFile
}

// roots returns the file of additional roots, or "", after checking that it
// holds a certificate.
func (s *section) roots(key string) string {
	file := s.fileName(key)
	data, ok := s.read(key, file)
	if ok && !x509.NewCertPool().AppendCertsFromPEM(data) {
		s.report(key, "it must hold certificates in PEM: -----BEGIN CERTIFICATE-----", "%s has no certificate", file)
	}
	return file
}

// read returns what is in a file that a key names; false when there is none.
func (s *section) read(key, file string) ([]byte, bool) {
	if file == "" {
		return nil, false
	}
	data, err := readFile(file)
	if err != nil {
		s.report(key, readingHint(err, ""), "%v", err)
	}
	return data, err == nil
}

// readingHint returns the hint for a file that can't be read: the given one
// doesn't help where there is no right to.
func readingHint(err error, hint string) string {
	if errors.Is(err, fs.ErrPermission) {
		return "let the user that the service runs as read it, and nobody else"
	}
	return hint
}
