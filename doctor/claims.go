package doctor

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"oauthproxy/internal/wire"
)

const (
	// maxToken bounds the tokens that are looked into, in characters. Entra's
	// have up to about 5,000.
	maxToken = 64 << 10
	// maxSeen bounds what is shown of an outsider's text, in characters, and
	// maxNames a list.
	maxSeen  = 200
	maxNames = 40
)

// Claims are what an access token says about itself. They are the word of
// whoever made it, not verified, and explain a refusal; nothing else depends on
// them: Microsoft says that clients must not.
type Claims struct {
	// IsKnown tells that the token is a JWT (RFC 7519), and so all the rest.
	// A personal account's token is not.
	IsKnown bool
	// Length of the token in characters.
	Length int
	// Audience is the resource that it is for, Tenant the organization, AppID
	// the application that got it, Issuer who made it.
	Audience, Tenant, AppID, Issuer string
	// ObjectID is whoever it speaks for in that organization: the user, or the
	// application's service principal.
	ObjectID string
	// User is who has signed in; empty: the application acts by itself.
	User string
	// Scopes are what the user, Roles what the application may do.
	Scopes, Roles []string
	// NotBefore and Expires bound its life; zero: it doesn't say.
	NotBefore, Expires time.Time
}

// ReadClaims looks into an access token, and verifies nothing.
func ReadClaims(token wire.Secret) Claims {
	c := Claims{Length: len(token.Reveal())}
	parts := strings.Split(token.Reveal(), ".")
	if c.Length > maxToken || len(parts) != 3 {
		return c
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return c
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(payload, &fields) != nil || fields == nil {
		return c
	}
	// What it says may repeat a piece of it.
	text := func(names ...string) string {
		for _, name := range names {
			if values := texts(fields[name], token); len(values) > 0 {
				return values[0]
			}
		}
		return ""
	}
	c.IsKnown = true
	c.Audience, c.Tenant, c.Issuer = text("aud"), text("tid"), text("iss")
	c.AppID, c.ObjectID = text("appid", "azp"), text("oid")
	c.User = text("upn", "unique_name", "preferred_username")
	c.Roles = texts(fields["roles"], token)
	for _, scopes := range texts(fields["scp"], token) {
		c.Scopes = append(c.Scopes, strings.Fields(scopes)...)
	}
	c.NotBefore, c.Expires = moment(fields["nbf"]), moment(fields["exp"])
	return c
}

// texts reads a string, or a list of them, fit to be shown.
func texts(raw json.RawMessage, token wire.Secret) []string {
	var one string
	var many []string
	if json.Unmarshal(raw, &one) == nil {
		many = []string{one}
	} else {
		_ = json.Unmarshal(raw, &many) // another type: what could be read of it
	}
	var shown []string
	for _, text := range many[:min(len(many), maxNames)] {
		if text = clean(redact(text, token)); text != "" {
			shown = append(shown, text)
		}
	}
	return shown
}

// moment reads seconds since 1970; zero: there are none that make sense.
func moment(raw json.RawMessage) time.Time {
	var seconds float64
	if json.Unmarshal(raw, &seconds) != nil || seconds <= 0 || seconds > 1e11 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// IsDelegated tells whether a user has signed in.
func (c Claims) IsDelegated() bool { return c.User != "" || len(c.Scopes) > 0 }

// permits tells whether the token has what a protocol needs.
func (c Claims) permits(protocol string) bool {
	held, needed := c.Roles, roles[protocol]
	if c.IsDelegated() {
		held, needed = c.Scopes, scopes[protocol]
	}
	return slices.ContainsFunc(held, func(name string) bool {
		return strings.EqualFold(name[strings.LastIndex(name, "/")+1:], needed)
	})
}

// What a token needs for a protocol: of a user, and of an application.
var (
	scopes = map[string]string{"imap": "IMAP.AccessAsUser.All", "pop3": "POP.AccessAsUser.All", "smtp": "SMTP.Send"}
	roles  = map[string]string{"imap": "IMAP.AccessAsApp", "pop3": "POP.AccessAsApp", "smtp": "SMTP.SendAsApp"}
)

// protocols in the order in which they are told.
var protocols = []string{"imap", "pop3", "smtp"}

// told are the protocols' names for people.
var told = map[string]string{"imap": "IMAP", "pop3": "POP3", "smtp": "SMTP"}

// audiences stand for Exchange: in the clouds, and as the ID of its API.
var audiences = []string{
	"outlook.office.com", "outlook.office365.com", "ps.outlook.com",
	"outlook.office365.us", "outlook-dod.office365.us", "webmail.apps.mil", "partner.outlook.cn",
	"00000002-0000-0ff1-ce00-000000000000",
}

// isForExchange tells whether the token is for the mail servers, or doesn't say.
func (c Claims) isForExchange() bool {
	audience := strings.TrimPrefix(strings.ToLower(c.Audience), "https://")
	return audience == "" || slices.Contains(audiences, strings.TrimRight(audience, "/"))
}

// String says in words what the token is for: "for alice@contoso.com, IMAP and
// SMTP, until 14:05".
func (c Claims) String() string {
	if !c.IsKnown {
		return "can't be looked into"
	}
	parts := []string{"for " + cmp.Or(c.User, "the application itself")}
	var may []string
	for _, protocol := range protocols {
		if c.permits(protocol) {
			may = append(may, told[protocol])
		}
	}
	switch {
	case !c.isForExchange():
		parts = append(parts, "of "+c.Audience+", not of Exchange")
	case len(may) > 0:
		parts = append(parts, and(may))
	default:
		parts = append(parts, "without a right to IMAP, POP3 or SMTP in it")
	}
	if !c.Expires.IsZero() {
		parts = append(parts, "until "+timeOfDay(c.Expires))
	}
	return strings.Join(parts, ", ")
}

// timeOfDay tells a time, with its date if that isn't today.
func timeOfDay(t time.Time) string {
	if t, now := t.Local(), time.Now(); t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		return t.Format("15:04 on 2 January 2006")
	}
	return t.Local().Format("15:04")
}

// and joins names: "IMAP, POP3 and SMTP".
func and(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return fmt.Sprintf("%s and %s", strings.Join(names[:last], ", "), names[last])
}

// clean makes an outsider's text fit to be shown: printable, one line, cut.
func clean(text string) string {
	var out []rune
	for _, r := range text[:min(len(text), 4*maxSeen)] {
		if len(out) == maxSeen {
			return string(out) + "…"
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			r = '?'
		}
		out = append(out, r)
	}
	return strings.TrimSpace(string(out))
}

// redact cuts a text where it repeats a piece of a secret.
func redact(text string, secrets ...wire.Secret) string {
	return string(wire.Redact(bytes.Clone([]byte(text)), secrets...))
}
