package sandbox

import (
	"cmp"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

	// assertionSkew is how much the clock of a client may differ.
	assertionSkew = 5 * time.Minute

	// FederationAudience is whom a workload's token has to be for.
	FederationAudience = "api://AzureADTokenExchange"
)

// federatedIdentity is a workload elsewhere that the application trusts.
type federatedIdentity struct {
	issuer, subject, audience string
	key                       *rsa.PublicKey
}

// assertionClaims are the claims of a client's assertion (RFC 7523 section 3).
type assertionClaims struct {
	Issuer    string  `json:"iss"`
	Subject   string  `json:"sub"`
	Audience  string  `json:"aud"`
	ID        string  `json:"jti"`
	NotBefore float64 `json:"nbf"` // seconds since 1970
	Expires   float64 `json:"exp"`
}

// RegisterCertificate lets the application prove itself by a certificate, in
// DER, with an RSA key.
func (s *Sandbox) RegisterCertificate(der []byte) error {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("cannot register the certificate: %w", err)
	}
	if _, ok := certificate.PublicKey.(*rsa.PublicKey); !ok {
		return errors.New("cannot register the certificate: its key is not an RSA key")
	}
	s.entra.mu.Lock()
	defer s.entra.mu.Unlock()
	s.issuer.certificates = append(s.issuer.certificates, certificate)
	return nil
}

// RegisterFederatedIdentity lets the application prove itself by tokens that
// another issuer signs with key. An audience of "" is FederationAudience. (For
// Entra the key is found at the issuer.)
func (s *Sandbox) RegisterFederatedIdentity(issuer, subject, audience string, key *rsa.PublicKey) {
	s.entra.mu.Lock()
	defer s.entra.mu.Unlock()
	s.entra.federated = append(s.entra.federated,
		federatedIdentity{issuer, subject, cmp.Or(audience, FederationAudience), key})
}

// refuseAssertion is a refusal with its reason at the end, as Entra gives it.
func refuseAssertion(number int, reason string) *entraError {
	e := findEntraError(number)
	e.text += " [Reason - " + reason + "]"
	return &e
}

// checkAssertion tells why a client assertion is refused; nil: it is good.
func (e *entra) checkAssertion(r *http.Request) *entraError {
	if r.PostFormValue("client_assertion_type") != assertionType {
		refusal := findEntraError(900144)
		return &refusal
	}
	token, err := parseJWT(r.PostFormValue("client_assertion"))
	var c assertionClaims
	if err == nil {
		err = json.Unmarshal(token.payload, &c)
	}
	if err != nil {
		return refuseAssertion(50013, "The assertion is malformed.")
	}
	if c.Issuer != e.app(r).clientID {
		return e.checkFederated(token, c)
	}
	return e.checkCertificate(r, token, c)
}

// checkCertificate checks an assertion that the client has signed itself.
func (e *entra) checkCertificate(r *http.Request, token jwt, c assertionClaims) *entraError {
	e.mu.Lock()
	defer e.mu.Unlock()
	certificate := e.app(r).findCertificate(token.header)
	switch {
	case certificate == nil:
		return refuseAssertion(700027, "The key was not found.")
	case time.Now().After(certificate.NotAfter):
		return refuseAssertion(700027, "The key used is expired.")
	case token.verify(certificate.PublicKey.(*rsa.PublicKey), &c) != nil:
		return refuseAssertion(700027, "The signature is invalid.")
	case c.Subject != c.Issuer:
		return refuseAssertion(700027, "The subject is not the client.")
	case !e.isTokenEndpoint(r, c.Audience):
		return refuseAssertion(700027, "The audience is not the token endpoint.")
	}
	if refusal := c.checkTime(); refusal != nil {
		return refusal
	}
	if _, used := e.assertions[c.ID]; used || c.ID == "" {
		return refuseAssertion(700027, "The assertion has no jti, or one that was used before.")
	}
	e.forgetOld()
	e.assertions[c.ID] = time.Unix(int64(c.Expires), 0)
	return nil
}

// checkFederated checks an assertion that another issuer has signed. It may be
// used again.
func (e *entra) checkFederated(token jwt, c assertionClaims) *entraError {
	e.mu.Lock()
	defer e.mu.Unlock()
	closest := 700211
	for _, known := range e.federated {
		switch {
		case known.issuer != c.Issuer:
		case known.audience != c.Audience:
			closest = max(closest, 700212)
		case known.subject != c.Subject:
			closest = max(closest, 700213)
		case token.verify(known.key, &c) != nil:
			return refuseAssertion(700027, "The signature is invalid.")
		default:
			return c.checkTime()
		}
	}
	refusal := findEntraError(closest)
	return &refusal
}

func (c assertionClaims) checkTime() *entraError {
	now := time.Now()
	begins, ends := time.Unix(int64(c.NotBefore), 0), time.Unix(int64(c.Expires), 0)
	if now.Before(begins.Add(-assertionSkew)) || now.After(ends.Add(assertionSkew)) {
		refusal := findEntraError(700024)
		return &refusal
	}
	return nil
}

// isTokenEndpoint tells whether an audience is the address that the request
// came to, or the issuer of the tenant. MSAL writes it in lower case.
func (e *entra) isTokenEndpoint(r *http.Request, audience string) bool {
	tenant := e.base(r, r.PathValue("tenant"))
	return strings.EqualFold(audience, tenant+"/oauth2/v2.0/token") || strings.EqualFold(audience, tenant+"/v2.0")
}

// findCertificate returns the certificate that a header names by a thumbprint.
// The caller holds the mutex of Entra.
func (a *application) findCertificate(h jwtHeader) *x509.Certificate {
	for _, certificate := range a.certificates {
		short, long := sha1.Sum(certificate.Raw), sha256.Sum256(certificate.Raw)
		if isThumbprint(h.ThumbprintSHA256, long[:]) || isThumbprint(h.Thumbprint, short[:]) {
			return certificate
		}
	}
	return nil
}

// isThumbprint compares a thumbprint in base64url (RFC 7515 section 4.1.8) or,
// as MSAL writes it, in the standard alphabet with padding.
func isThumbprint(text string, sum []byte) bool {
	return text == base64.RawURLEncoding.EncodeToString(sum) || text == base64.StdEncoding.EncodeToString(sum)
}
