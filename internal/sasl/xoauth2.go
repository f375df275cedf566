package sasl

import (
	"encoding/base64"
	"errors"
	"strings"

	"oauthproxy/internal/wire"
)

// XOAUTH2 returns the client's only message of the mechanism XOAUTH2 in
// base64: user, the mailbox to open, and a bearer token
// (https://developers.google.com/gmail/imap/xoauth2-protocol; Microsoft uses
// the same form). A control character in either would end a field early and is
// refused.
func XOAUTH2(user string, token wire.Secret) (wire.Secret, error) {
	if strings.ContainsFunc(user, isControl) || strings.ContainsFunc(token.Reveal(), isControl) {
		return wire.Secret{}, errors.New("control character in user name or access token")
	}
	message := "user=" + user + "\x01auth=Bearer " + token.Reveal() + "\x01\x01"
	return wire.NewSecret(base64.StdEncoding.EncodeToString([]byte(message))), nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
