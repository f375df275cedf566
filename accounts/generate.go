package accounts

import (
	"crypto/rand"
	"math"
	"math/big"

	"oauthproxy/internal/wire"
)

// generatedAlphabet is lower case alone, because every change of case is a
// key of its own on a copier's panel, and has none of the letters and digits
// that look like another: i, l and 1, o and 0.
const generatedAlphabet = "abcdefghjkmnpqrstuvwxyz23456789"

// generatedLength keeps the password within the 15 characters that the
// strictest devices take.
const generatedLength = 13

// Generate returns a random password for a device, and its strength in bits:
// 13 characters, short enough to be typed on a panel, and at 64 bits beyond
// guessing even for somebody who holds the hash.
func Generate() (password wire.Secret, bits int, err error) {
	text := make([]byte, generatedLength)
	for i := range text {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(generatedAlphabet))))
		if err != nil {
			return wire.Secret{}, 0, err
		}
		text[i] = generatedAlphabet[n.Int64()]
	}
	bits = int(generatedLength * math.Log2(float64(len(generatedAlphabet))))
	return wire.NewSecret(string(text)), bits, nil
}
