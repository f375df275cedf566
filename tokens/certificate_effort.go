package tokens

import (
	"encoding/asn1"
	"fmt"
)

const (
	// maxEffort bounds how often a file's password is hashed until the file is
	// open: a second or two of work. OpenSSL writes 2,048, three times in a PFX
	// file, and the most careful advice is about a million. A damaged file
	// could ask for years.
	maxEffort = 5_000_000
	// scryptEffort is what a unit of scrypt's cost counts. It bounds the memory
	// as well, to 160 MiB.
	scryptEffort = 4
	// maxDepth is far below what any of the formats has.
	maxDepth = 32
)

// The ways from a password to a key.
var (
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}    // RFC 8018
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11} // RFC 7914
	oidPKCS12 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1}    // RFC 7292, and a last number
)

// checkEffort refuses what would take too long to decrypt. It looks at the
// outline, which is never encrypted; what isn't DER the decoders refuse.
func checkEffort(der []byte) error {
	total := saturated(macEffort(der) + effort(der, 0))
	if total <= maxEffort {
		return nil
	}
	return fmt.Errorf("it would take too long to open: its password is to be hashed more than %d times; "+
		"write it anew with fewer iterations, as OpenSSL does by itself", maxEffort)
}

// effort adds up what all derivations in the DER take.
func effort(der []byte, depth int) int64 {
	if depth > maxDepth {
		return 0
	}
	total := int64(0)
	for _, value := range children(der) {
		if value.IsCompound || value.Tag == asn1.TagOctetString {
			total = saturated(total + derivation(value.Bytes) + effort(value.Bytes, depth+1))
		}
	}
	return total
}

// derivation is what an algorithm takes, if the DER in a sequence is its
// identifier and its parameters; else 0.
func derivation(sequence []byte) int64 {
	var id asn1.ObjectIdentifier
	var parameters asn1.RawValue
	rest, err := asn1.Unmarshal(sequence, &id)
	if err == nil {
		_, err = asn1.Unmarshal(rest, &parameters)
	}
	if err != nil {
		return 0
	}
	product, first := int64(1), int64(0)
	for _, value := range children(parameters.Bytes) {
		var n int64
		if value.Tag != asn1.TagInteger {
			continue
		}
		if _, err := asn1.Unmarshal(value.FullBytes, &n); err != nil {
			n = maxEffort + 1 // larger than 64 bits, or damaged
		}
		if n = saturated(n); first == 0 {
			first = n
		}
		product = saturated(product * n)
	}
	switch {
	case id.Equal(oidScrypt):
		return saturated(product * scryptEffort)
	case id.Equal(oidPBKDF2), len(id) == len(oidPKCS12)+1 && id[:len(oidPKCS12)].Equal(oidPKCS12):
		return first
	}
	return 0
}

// macEffort is what the checksum of a PFX file takes (RFC 7292 section 4).
func macEffort(der []byte) int64 {
	var pfx struct {
		Version  int
		AuthSafe asn1.RawValue
		MacData  struct {
			Mac        asn1.RawValue
			MacSalt    []byte
			Iterations int64 `asn1:"optional"`
		} `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(der, &pfx); err != nil {
		return 0
	}
	return saturated(pfx.MacData.Iterations)
}

// saturated keeps numbers from overflowing when they are added and multiplied:
// what is too much stays too much.
func saturated(n int64) int64 { return max(0, min(n, maxEffort+1)) }

// children are the values in the DER, as far as it is DER.
func children(der []byte) []asn1.RawValue {
	var all []asn1.RawValue
	for len(der) > 0 {
		var value asn1.RawValue
		rest, err := asn1.Unmarshal(der, &value)
		if err != nil {
			return all
		}
		all, der = append(all, value), rest
	}
	return all
}
