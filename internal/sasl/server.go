// Package sasl holds the SASL mechanisms of a proxy: PLAIN and LOGIN as a
// server, for mail clients that know passwords, and XOAUTH2 as a client, for
// Exchange. How a challenge is framed is the protocol's affair.
package sasl

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"

	"oauthproxy/internal/wire"
)

// Refusal is the reason why an exchange with a client has come to nothing, in
// words for a person. The connection can go on.
type Refusal string

// Error returns the reason.
func (r Refusal) Error() string { return string(r) }

// Refusals.
const (
	// ErrCancelled means that the client sent "*" (RFC 4954 section 4).
	ErrCancelled Refusal = "authentication cancelled"
	// ErrEncoding means that a response is not base64.
	ErrEncoding Refusal = "the response is not base64"
	// ErrMalformed means that a response does not have the mechanism's form.
	ErrMalformed Refusal = "the response does not have the form of its mechanism"
	// ErrAuthorization means that the client wants to act for somebody else.
	ErrAuthorization Refusal = "this login acts for nobody else, leave the authorization identity empty"
	// ErrTooLong means that a response is longer than its bound.
	ErrTooLong Refusal = "the response is too long"
	// ErrMechanism means that the mechanism is not offered.
	ErrMechanism Refusal = "unknown authentication mechanism"
)

// Mechanisms are the names of the mechanisms that Authenticate knows, in the
// order in which SMTP and POP3 offer them. LOGIN stands first, as with Exchange:
// an old program that looks no further than the first, or for "AUTH=LOGIN" to
// the byte, is one that knows LOGIN alone.
var Mechanisms = []string{"LOGIN", "PLAIN"}

// Challenges of LOGIN, which has no RFC but draft-murchison-sasl-login-00.
// They are compared to the byte by some devices (a Xerox, 2026), so they are
// "Username:" and "Password:" in base64 and nothing else.
const (
	askUser     = "VXNlcm5hbWU6"
	askPassword = "UGFzc3dvcmQ6"
)

// Credentials are what a client has authenticated with.
type Credentials struct {
	User     string
	Password wire.Secret
}

// Ask sends a challenge, which is base64 already and may be empty, and returns
// the client's response line.
type Ask func(challenge string) ([]byte, error)

// Authenticate is the server side of one exchange with the named mechanism.
// initial is the initial response, nil when the command carried none; "=" is
// an empty one (RFC 4954 section 4). Errors are Refusals, or those of ask.
func Authenticate(mechanism string, initial []byte, ask Ask) (Credentials, error) {
	switch strings.ToUpper(mechanism) {
	case "PLAIN":
		return plain(initial, ask)
	case "LOGIN":
		return login(initial, ask)
	}
	return Credentials{}, ErrMechanism
}

// plain follows RFC 4616: [authzid] NUL authcid NUL passwd.
func plain(initial []byte, ask Ask) (Credentials, error) {
	message, err := response(initial, "", ask)
	if err != nil {
		return Credentials{}, err
	}
	parts := bytes.Split(message, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 {
		return Credentials{}, ErrMalformed
	}
	authorize, user := string(parts[0]), string(parts[1])
	if authorize != "" && !strings.EqualFold(authorize, user) {
		// Nobody acts for somebody else here: which mailbox a login
		// opens is configured.
		return Credentials{}, ErrAuthorization
	}
	return Credentials{User: user, Password: wire.NewSecret(string(parts[2]))}, nil
}

// login asks for user and password in turn. Konica Minolta, Veeam and .NET
// send the user with the command.
func login(initial []byte, ask Ask) (Credentials, error) {
	if string(initial) == "=" {
		initial = nil
	}
	user, err := response(initial, askUser, ask)
	if err != nil {
		return Credentials{}, err
	}
	name := string(user)
	password, err := response(nil, askPassword, ask)
	if err != nil {
		return Credentials{}, err
	}
	if name == "" || strings.ContainsRune(name, 0) || bytes.IndexByte(password, 0) >= 0 {
		return Credentials{}, ErrMalformed
	}
	return Credentials{User: name, Password: wire.NewSecret(string(password))}, nil
}

// response decodes the initial response, or else what the client answers to
// the challenge.
func response(initial []byte, challenge string, ask Ask) ([]byte, error) {
	if initial == nil {
		line, err := ask(challenge)
		if errors.Is(err, wire.ErrTooLong) {
			return nil, ErrTooLong
		}
		if err != nil {
			return nil, err
		}
		initial = line
		if string(bytes.TrimSpace(initial)) == "*" {
			return nil, ErrCancelled
		}
	} else if string(initial) == "=" {
		return nil, nil
	}
	return decode(initial)
}

// decode accepts base64 with its padding and, unlike RFC 4954 section 4 asks,
// entirely without: some devices send it so (field reports until 2026). Blanks
// and CRs around it come from line ends and fixed-length fields, and can't be
// meant. Anything else is refused: within base64 nobody knows what a blank, a
// line end or half a padding stands for, and a password that is guessed wrong
// counts as a try.
func decode(text []byte) ([]byte, error) {
	text = bytes.Trim(text, " \t\r")
	encoding := base64.StdEncoding
	if len(text)%4 != 0 {
		encoding = base64.RawStdEncoding
	}
	if bytes.ContainsAny(text, "\r\n") {
		return nil, ErrEncoding // the decoder would skip them
	}
	decoded, err := encoding.AppendDecode(nil, text)
	if err != nil {
		return nil, ErrEncoding
	}
	return decoded, nil
}
