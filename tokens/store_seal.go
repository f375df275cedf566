package tokens

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"oauthproxy/internal/safefile"
)

// A sealed file is, in this order:
//
//	"OAP"      3 bytes
//	format     1 byte, '1'
//	key        8 bytes, its identifier
//	length     2 bytes, big endian, of
//	account    its name
//	nonce      12 bytes
//	sealed     AES-256-GCM of the content, the tag at its end
//
// Everything before the nonce is authenticated with the content, so that a
// file which was changed, or exchanged with that of another account, doesn't
// open.
const (
	sealMagic  = "OAP"
	sealFormat = 1
	sealFixed  = len(sealMagic) + 1 + len(keyID{}) + 2
)

const (
	// trialSize is what Try writes, in bytes: more than a sign-in takes.
	trialSize = 32 << 10
	// maxBlob bounds what is kept for an account, in bytes. MSAL's cache of an
	// account takes about ten thousand.
	maxBlob = 1 << 20
	// maxSealed bounds a file: the account, the nonce and the tag are short.
	maxSealed = maxBlob + 4096
)

// seal returns the content of a file.
func seal(key Key, account string, blob []byte) ([]byte, error) {
	if len(blob) > maxBlob {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(blob), maxBlob)
	}
	aead, err := key.aead()
	if err != nil {
		return nil, err
	}
	header := sealHeader(key, account)
	return aead.Seal(header, nil, blob, header), nil
}

func sealHeader(key Key, account string) []byte {
	id := key.id()
	header := append([]byte(sealMagic), '0'+sealFormat)
	header = append(header, id[:]...)
	header = binary.BigEndian.AppendUint16(header, uint16(len(account)))
	return append(header, account...)
}

// readSealed reads a sealed file. The error is ErrNotFound, *Damaged or one of
// the file system.
func readSealed(file string) ([]byte, error) {
	data, err := safefile.Read(file, maxSealed)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotFound
	case errors.Is(err, safefile.ErrTooLarge):
		return nil, &Damaged{File: file, Reason: fmt.Sprintf("it is larger than %d bytes", maxSealed)}
	}
	return data, err
}

// unseal returns what was sealed for the account. The file's name is for
// errors: *WrongKey, *OtherFormat, *Damaged.
func unseal(key Key, file, account string, data []byte) ([]byte, error) {
	h, err := parseHeader(file, data)
	if err != nil {
		return nil, err
	}
	blob, err := openSealed(key, account, data)
	switch {
	case err != nil && h.key != key.id():
		return nil, &WrongKey{File: file, Source: key.source}
	case h.account != account && h.account == quotable(h.account):
		return nil, &Damaged{File: file, Reason: fmt.Sprintf("it belongs to %q, not to %q", h.account, account)}
	case err != nil:
		return nil, &Damaged{File: file, Reason: "it was cut short or changed"}
	case !bytes.HasPrefix(data, sealHeader(key, account)):
		return nil, &Damaged{File: file, Reason: "its beginning was changed"}
	}
	return blob, nil
}

// openSealed opens the content as if it were the key's and the account's,
// whatever the header says.
func openSealed(key Key, account string, data []byte) ([]byte, error) {
	aead, err := key.aead()
	if err != nil {
		return nil, err
	}
	header := sealHeader(key, account)
	if len(data) < len(header) {
		return nil, io.ErrUnexpectedEOF
	}
	return aead.Open(nil, nil, data[len(header):], header)
}

// sealedHeader is what a file says about itself in clear.
type sealedHeader struct {
	key     keyID
	account string
}

func parseHeader(file string, data []byte) (sealedHeader, error) {
	if len(data) == 0 {
		return sealedHeader{}, &Damaged{File: file, Reason: "it is empty"}
	}
	rest, found := bytes.CutPrefix(data, []byte(sealMagic))
	if !found || len(rest) == 0 || rest[0] < '0' || rest[0] > '9' {
		return sealedHeader{}, &Damaged{File: file, Reason: "it isn't a file that oauthproxy has written"}
	}
	if format := int(rest[0] - '0'); format != sealFormat {
		return sealedHeader{}, &OtherFormat{File: file, Format: format}
	}
	cut := &Damaged{File: file, Reason: "it was cut short"}
	if len(data) < sealFixed {
		return sealedHeader{}, cut
	}
	h := sealedHeader{key: keyID(rest[1:])}
	rest = data[sealFixed:]
	length := int(binary.BigEndian.Uint16(data[sealFixed-2:]))
	if len(rest) < length {
		return sealedHeader{}, cut
	}
	h.account = string(rest[:length])
	return h, nil
}
