package sandbox

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Resources that stand for Exchange in a token's audience.
const (
	audienceApp       = "https://outlook.office365.com"
	audienceDelegated = "https://outlook.office.com"
	audienceID        = "00000002-0000-0ff1-ce00-000000000000"
)

var (
	appRoles   = []string{"IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"}
	userScopes = []string{"IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send"}
)

// TokenOptions says in what a token differs from the one Entra would issue.
// The zero value changes nothing.
type TokenOptions struct {
	Audience    string        // "": Exchange
	Lifetime    time.Duration // 0: as Options.TokenLifetime says; below 0: the token has expired
	Permissions []string      // roles (app-only) or scopes (of a user); nil: all three, empty: none
	Length      int           // at least so many characters; 0: whatever comes out
	Opaque      bool          // like the token of a personal account: no JWT, nothing to decode
	WrongKey    bool          // signed by a key that Entra does not have
	TenantID    string        // "": that of the organisation, or of personal accounts

	app   *application // nil: the ordinary one
	stale bool         // all its times are two hours earlier than they should be
}

// claims are the claims of a v1.0 access token for Exchange.
type claims struct {
	Audience   string   `json:"aud"`
	Issuer     string   `json:"iss"`
	IssuedAt   int64    `json:"iat"`
	NotBefore  int64    `json:"nbf"`
	Expires    int64    `json:"exp"`
	AppName    string   `json:"app_displayname"`
	AppID      string   `json:"appid"`
	AppIDACR   string   `json:"appidacr"`
	Provider   string   `json:"idp"`
	ObjectID   string   `json:"oid"`
	Roles      []string `json:"roles,omitempty"`
	Scope      string   `json:"scp,omitempty"`
	Subject    string   `json:"sub"`
	TenantID   string   `json:"tid"`
	UniqueName string   `json:"unique_name,omitempty"`
	UPN        string   `json:"upn,omitempty"`
	TokenID    string   `json:"uti"`
	Version    string   `json:"ver"`
	Padding    string   `json:"xms_ftd,omitempty"`
}

func (c claims) expires() time.Time { return time.Unix(c.Expires, 0) }

// signingKey is the key of every Entra of this process: making one takes a
// good part of a second, and hundreds of tests start a sandbox.
var signingKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	return rsa.GenerateKey(rand.Reader, 2048)
})

// application is something that gets tokens: its client id, and the object id
// of the enterprise application.
type application struct {
	clientID, objectID string
	secret             string              // "": it cannot prove itself by one
	certificates       []*x509.Certificate // guarded by entra.mu
	quirks
}

func newApplication() application { return application{clientID: newGUID(), objectID: newGUID()} }

// issuer makes access tokens and knows which of them are good.
type issuer struct {
	tenantID string
	application
	lifetime time.Duration
	key      *rsa.PrivateKey
	keyID    string

	mu     sync.Mutex
	live   map[string]time.Time // when the token with this uti expires
	opaque map[string]claims    // what an opaque token stands for
}

func newIssuer(lifetime time.Duration) (*issuer, error) {
	key, err := signingKey()
	if err != nil {
		return nil, fmt.Errorf("cannot make the key that signs tokens: %w", err)
	}
	sum := sha256.Sum256(key.PublicKey.N.Bytes())
	return &issuer{
		tenantID:    newGUID(),
		application: newApplication(),
		lifetime:    lifetime,
		key:         key,
		keyID:       base64.RawURLEncoding.EncodeToString(sum[:20]),
		live:        map[string]time.Time{},
		opaque:      map[string]claims{},
	}, nil
}

// issue returns a token and its lifetime. Without a person it is an app-only
// token, good for every mailbox; with one it is that person's.
func (i *issuer) issue(p *person, o TokenOptions) (token string, lifetime time.Duration, err error) {
	lifetime = o.Lifetime
	if lifetime == 0 {
		lifetime = i.defaultLifetime()
	}
	c := i.newClaims(p, o, lifetime)
	if o.Opaque {
		token = newOpaqueToken(o.Length)
	} else if token, err = i.sign(c, o); err != nil {
		return "", 0, err
	}

	i.mu.Lock()
	defer i.mu.Unlock()
	i.forgetExpired()
	i.live[c.TokenID] = c.expires()
	if o.Opaque {
		i.opaque[token] = c
	}
	return token, lifetime, nil
}

// defaultLifetime is random between 60 and 90 minutes, as Entra's, unless it
// has been set.
func (i *issuer) defaultLifetime() time.Duration {
	if i.lifetime != 0 {
		return i.lifetime
	}
	return time.Hour + mathrand.N(30*time.Minute)
}

func (i *issuer) newClaims(p *person, o TokenOptions, lifetime time.Duration) claims {
	app := cmp.Or(o.app, &i.application)
	now := time.Now()
	if o.stale {
		now = now.Add(-2 * time.Hour)
	}
	c := claims{
		Audience:  audienceApp,
		Issuer:    "https://sts.windows.net/" + i.tenantID + "/",
		IssuedAt:  now.Unix(),
		NotBefore: now.Unix(),
		Expires:   now.Add(lifetime).Unix(),
		AppName:   "oauthproxy sandbox",
		AppID:     app.clientID,
		AppIDACR:  "1",
		Provider:  "https://sts.windows.net/" + i.tenantID + "/",
		ObjectID:  app.objectID,
		Subject:   app.objectID,
		TenantID:  i.tenantID,
		TokenID:   randomID(),
		Version:   "1.0",
	}
	permissions := o.Permissions
	if p == nil {
		if permissions == nil {
			permissions = appRoles
		}
		c.Roles = permissions
	} else {
		if permissions == nil {
			permissions = userScopes
		}
		c.Audience, c.AppIDACR = audienceDelegated, "0"
		c.UPN, c.UniqueName = p.address, p.address
		c.ObjectID, c.Subject, c.TenantID = p.objectID, p.subject, p.tenantID(i)
		c.Scope = strings.Join(permissions, " ")
	}
	if o.Audience != "" {
		c.Audience = o.Audience
	}
	if o.TenantID != "" {
		c.TenantID = o.TenantID
		c.Issuer = "https://sts.windows.net/" + o.TenantID + "/"
	}
	return c
}

// forgetExpired keeps the tables from growing. The caller holds i.mu.
func (i *issuer) forgetExpired() {
	now := time.Now()
	for id, expires := range i.live {
		if now.After(expires) {
			delete(i.live, id)
		}
	}
	for token, c := range i.opaque {
		if now.After(c.expires()) {
			delete(i.opaque, token)
		}
	}
}

// expireAll makes every token issued so far an expired one.
func (i *issuer) expireAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.live)
	clear(i.opaque)
}

// sign makes a JWT of c, with the key and of the length that o asks for.
func (i *issuer) sign(c claims, o TokenOptions) (string, error) {
	key := i.key
	if o.WrongKey {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return "", err
		}
	}
	token, err := signJWT(key, i.keyID, c)
	if missing := o.Length - len(token); err == nil && missing > 0 {
		// Base64 makes four characters of three.
		c.Padding = strings.Repeat("x", missing*3/4+1)
		token, err = signJWT(key, i.keyID, c)
	}
	return token, err
}

// verify returns the claims of a token that Entra has issued and that is
// still good. It says nothing about what the token permits.
func (i *issuer) verify(token string) (claims, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c, ok := i.opaque[token]
	if !ok {
		parsed, err := parseJWT(token)
		if err == nil {
			err = parsed.verify(&i.key.PublicKey, &c)
		}
		if err != nil {
			return claims{}, err
		}
	}
	if c.TenantID != i.tenantID && c.TenantID != PersonalTenantID {
		return claims{}, errors.New("token of another tenant")
	}
	if _, ok := i.live[c.TokenID]; !ok || !time.Now().Before(c.expires()) {
		return claims{}, errors.New("token has expired")
	}
	return c, nil
}

// newOpaqueToken looks like the token of a personal account.
func newOpaqueToken(length int) string {
	random := make([]byte, max(length, 1200)*3/4)
	rand.Read(random)
	return "EwB" + base64.StdEncoding.EncodeToString(random)
}
