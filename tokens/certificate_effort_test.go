package tokens

import (
	"bytes"
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math"
	"testing"

	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"
)

// A count of iterations that would take hours is refused before anything is
// decrypted, in each of the places where a PFX file has one.
func TestAbsurdIterationsInPFX(t *testing.T) {
	const words = "it would take too long to open: its password is to be hashed more than 5000000 times"
	written, _ := asn1.Marshal(1 << 16)
	absurd, _ := asn1.Marshal(1<<23 - 1) // as long, so that no length changes
	for name, encoder := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern, "legacy": pkcs12.LegacyDES} {
		file := must(encoder.WithIterations(1<<16).Encode(testKey(), goodNow(testKey()), nil, testPassword))
		if _, err := LoadCertificate(write(t, "a.pfx", file), "", passwordIs(testPassword)); err != nil {
			t.Fatal(err)
		}
		places := bytes.Split(file, written)
		if len(places) != 4 {
			t.Fatalf("%s: %d counts of iterations, want those of the certificate, the key and the checksum", name, len(places)-1)
		}
		for i := range places[1:] {
			t.Run(fmt.Sprintf("%s, count %d", name, i+1), func(t *testing.T) {
				before, after := bytes.Join(places[:i+1], written), bytes.Join(places[i+1:], written)
				_, err := LoadCertificate(write(t, "a.pfx", bytes.Join([][]byte{before, after}, absurd)), "", passwordIs(testPassword))
				wantError(t, err, words)
			})
		}
	}
}

// encryptedKey is an encrypted PKCS #8 key whose password goes through the
// function with the parameters.
func encryptedKey(kdf asn1.ObjectIdentifier, parameters any) []byte {
	raw := func(v any) asn1.RawValue { return asn1.RawValue{FullBytes: must(asn1.Marshal(v))} }
	pbes2 := struct{ KDF, Cipher pkix.AlgorithmIdentifier }{
		pkix.AlgorithmIdentifier{Algorithm: kdf, Parameters: raw(parameters)},
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, Parameters: raw(make([]byte, 16))},
	}
	return must(asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}, Parameters: raw(pbes2)}, make([]byte, 32)}))
}

func TestEffortOfAKey(t *testing.T) {
	salt := []byte("12345678")
	pbkdf2 := func(iterations int) []byte {
		return encryptedKey(oidPBKDF2, struct {
			Salt       []byte
			Iterations int
			KeyLength  int
		}{salt, iterations, 32})
	}
	scrypt := func(cost, block, parallel int) []byte {
		return encryptedKey(oidScrypt, struct {
			Salt                  []byte
			Cost, Block, Parallel int
		}{salt, cost, block, parallel})
	}
	tests := []struct {
		name   string
		der    []byte
		refuse bool
	}{
		{"PBKDF2, OpenSSL's", pbkdf2(2048), false},
		{"PBKDF2, careful", pbkdf2(1_000_000), false},
		{"PBKDF2, the most", pbkdf2(maxEffort), false},
		{"PBKDF2, one more", pbkdf2(maxEffort + 1), true},
		{"PBKDF2, years", pbkdf2(math.MaxInt64), true},
		{"PBKDF2, below zero", pbkdf2(-1), false},
		{"scrypt, OpenSSL's", scrypt(16384, 8, 1), false},
		{"scrypt, careful", scrypt(1<<17, 8, 1), false},
		{"scrypt, costly", scrypt(1<<30, 8, 1), true},
		{"scrypt, large blocks", scrypt(2, 1<<29, 1), true},
		{"scrypt, often", scrypt(1024, 8, 1<<20), true},
		{"scrypt, more than a number holds", scrypt(1<<40, 1<<40, 1<<40), true},
		{"no encrypted key", []byte("garbage"), false},
		{"nothing", nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := checkEffort(test.der)
			if (err != nil) != test.refuse {
				t.Errorf("got %v", err)
			}
			if !test.refuse {
				return
			}
			leaf := pemOf("CERTIFICATE", goodNow(testKey()).Raw)
			file := append(leaf, pemOf("ENCRYPTED PRIVATE KEY", test.der)...)
			_, err = LoadCertificate(write(t, "a.pem", file), "", passwordIs(testPassword))
			wantError(t, err, "its password is to be hashed more than")
		})
	}
}

// A key that took care is opened.
func TestManyIterations(t *testing.T) {
	careful := &pkcs8.Opts{Cipher: pkcs8.AES256CBC, KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 16, IterationCount: 600_000, HMACHash: crypto.SHA256}}
	der := must(pkcs8.MarshalPrivateKey(testKey(), []byte(testPassword), careful))
	leaf := goodNow(testKey())
	file := append(pemOf("CERTIFICATE", leaf.Raw), pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})...)
	certificate, err := LoadCertificate(write(t, "a.pem", file), "", passwordIs(testPassword))
	wantCertificate(t, certificate, err, leaf)
}

// FuzzCheckEffort: no file breaks the look at its outline.
func FuzzCheckEffort(f *testing.F) {
	f.Add(encryptedKey(oidPBKDF2, struct{ Salt []byte }{nil}))
	f.Add(must(pkcs12.Modern.Encode(testKey(), goodNow(testKey()), nil, "")))
	f.Fuzz(func(_ *testing.T, der []byte) { _ = checkEffort(der) })
}
