package sandbox

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
)

// signJWT makes a JWT of claims (RFC 7515 compact serialization, RS256).
func signJWT(key *rsa.PrivateKey, keyID string, claims any) (string, error) {
	header, err := json.Marshal(map[string]string{"typ": "JWT", "alg": "RS256", "x5t": keyID, "kid": keyID})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// jwt is a JWT taken apart, not verified.
type jwt struct {
	header    jwtHeader
	payload   []byte // JSON
	signed    string // what the signature is for
	signature []byte
}

type jwtHeader struct {
	Algorithm        string `json:"alg"`
	Thumbprint       string `json:"x5t"`      // SHA-1 of the certificate
	ThumbprintSHA256 string `json:"x5t#S256"` // SHA-256
}

func parseJWT(token string) (j jwt, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return j, errors.New("token has not the three parts of a JWT")
	}
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err == nil {
		err = json.Unmarshal(header, &j.header)
	}
	if err != nil {
		return j, errors.New("token's header is not JSON in base64url")
	}
	if j.payload, err = base64.RawURLEncoding.DecodeString(parts[1]); err != nil {
		return j, errors.New("token's payload is not base64url")
	}
	if j.signature, err = base64.RawURLEncoding.DecodeString(parts[2]); err != nil {
		return j, errors.New("token's signature is not base64url")
	}
	j.signed = parts[0] + "." + parts[1]
	return j, nil
}

// verify checks the signature and puts the payload into claims.
func (j jwt) verify(key *rsa.PublicKey, claims any) error {
	sum := sha256.Sum256([]byte(j.signed))
	var err error
	switch j.header.Algorithm {
	case "RS256":
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], j.signature)
	case "PS256":
		err = rsa.VerifyPSS(key, crypto.SHA256, sum[:], j.signature, nil)
	default:
		return errors.New("token is signed neither by RS256 nor by PS256")
	}
	if err != nil {
		return errors.New("token's signature is wrong")
	}
	if err := json.Unmarshal(j.payload, claims); err != nil {
		return errors.New("token's payload is not JSON")
	}
	return nil
}

// jwks is the public half of the signing key as a key set (RFC 7517).
func (i *issuer) jwks() any {
	e := big.NewInt(int64(i.key.E)).Bytes()
	return map[string]any{"keys": []any{map[string]any{
		"kty": "RSA",
		"use": "sig",
		"alg": "RS256",
		"kid": i.keyID,
		"x5t": i.keyID,
		"n":   base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()),
		"e":   base64.RawURLEncoding.EncodeToString(e),
	}}}
}
