package certificate

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"oauthproxy/internal/safefile"
)

const (
	// folderName is the authority's, within the state directory.
	folderName = "tls"
	// rootName is the file with the root and its key.
	rootName = "authority.pem"

	// All keys are for RSA, and all signatures with SHA-256: clients that are
	// old enough to need this program often know no other, and those with
	// legacy TLS certainly don't. 3072 bits last as long as the root does.
	rootBits = 3072
	// A root lives for ten years: a new one means work at every client. Its
	// end stays before 2038, which devices with 32 bits for the time take
	// for 1901.
	rootYears = 10
	// backdate is for clients with a clock that is slow.
	backdate = day
)

// Authority issues certificates for this program's listeners. Its root is what
// people install in clients; the root's key never leaves its folder.
//
// The root has no name constraints: a listener's address or a new name may
// change what they would have to allow, and clients that can't understand them
// have to refuse the root. What it can't do is make other authorities.
type Authority struct {
	Root *x509.Certificate

	folder string
	key    crypto.Signer
}

// OpenAuthority returns the authority of the state directory. It makes one
// where there is none: of two processes that do so at the same time, one gets
// the other's. One that is damaged or incomplete is never overwritten.
func OpenAuthority(stateDirectory, hostName string) (*Authority, error) {
	folder := filepath.Join(stateDirectory, folderName)
	a, err := readAuthority(folder)
	if errors.Is(err, errNoAuthority) {
		err = makeAuthority(stateDirectory, hostName)
		// Whoever came first, this is it now.
		if made, reading := readAuthority(folder); reading == nil {
			return made, nil
		} else if err == nil {
			err = reading
		}
	}
	return a, err
}

// RootPEM returns the root, for clients.
func (a *Authority) RootPEM() []byte { return encode("CERTIFICATE", a.Root.Raw) }

var errNoAuthority = errors.New("there is no authority yet")

func readAuthority(folder string) (*Authority, error) {
	file := filepath.Join(folder, rootName)
	if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil, errNoAuthority
	}
	const remedy = "put it back from a copy; if there is none, remove the folder %s: then a new root is made, which every client has to install"
	data, err := safefile.Read(file, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the key of the certificates made here is lost, there is no %s: "+remedy, file, folder)
	}
	if err == nil {
		err = checkRootMode(file)
	}
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(data, data)
	if err == nil && !pair.Leaf.IsCA {
		err = errors.New("it is not that of an authority")
	}
	if err != nil {
		return nil, fmt.Errorf("the root of the certificates made here can't be used, %s is damaged (%s): "+remedy, file, strings.TrimPrefix(err.Error(), "tls: "), folder)
	}
	return &Authority{Root: pair.Leaf, folder: folder, key: pair.PrivateKey.(crypto.Signer)}, nil
}

// checkRootMode refuses a key that others can read, as one that was put back
// from a copy may be: who has it can pass for any server with the clients. A
// group may read it, as with the other keys.
func checkRootMode(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("can't read the key of the certificates made here: %w", err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o027 != 0 {
		return fmt.Errorf("other users can read or replace the key of the certificates made here, in %s (mode %04o), run: chmod 600 %s", file, mode, file)
	}
	return nil
}

// makeAuthority makes the folder with everything in it, and then gives it its
// name: that fails if the name is taken, on every system and every disk.
func makeAuthority(stateDirectory, hostName string) error {
	if err := os.MkdirAll(stateDirectory, 0o700); err != nil {
		return err
	}
	folder, err := makeFolder(stateDirectory)
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) // nothing is there any more once it has its name
	data, err := newRoot(hostName)
	if err != nil {
		return err
	}
	if err := safefile.Write(filepath.Join(folder, rootName), data, 0o600); err != nil {
		return err
	}
	return safefile.Rename(folder, filepath.Join(stateDirectory, folderName))
}

// makeFolder makes a folder for the owner of the state directory alone.
func makeFolder(stateDirectory string) (string, error) {
	folder, err := os.MkdirTemp(stateDirectory, "."+folderName+"-*")
	if err != nil {
		return "", err
	}
	f, err := os.Open(folder)
	if err == nil {
		err = errors.Join(safefile.Adopt(f), f.Close())
	}
	if err != nil {
		_ = os.Remove(folder)
	}
	return folder, err
}

// newRoot returns a root and its key.
func newRoot(hostName string) ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, rootBits)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	root := &x509.Certificate{
		Subject:               subject("oauthproxy on " + hostName),
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.AddDate(rootYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		SignatureAlgorithm:    x509.SHA256WithRSA,
	}
	return sign(root, root, key, key)
}

// subject returns a subject of that common name, which RFC 5280 allows 64
// characters.
func subject(name string) pkix.Name {
	return pkix.Name{CommonName: name[:min(len(name), 64)], Organization: []string{"oauthproxy"}}
}

// sign returns a certificate for the key, and the key, both in PEM.
func sign(template, issuer *x509.Certificate, key *rsa.PrivateKey, signer crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{encode("CERTIFICATE", der), encode("PRIVATE KEY", private)}, nil), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
